"""The study's battery as published, and the tests that the design supports."""

from cfmf.search import PUBLISHED_METHOD
from cfmf.workflow.layout import ACROSS


rule search_published:
    input:
        train=of_fold("search", "matrix", part="train"),
        test=of_fold("search", "matrix", part="test"),
        code=code("search_published", PUBLISHED_METHOD),
    output:
        trials=table(
            result("statistics", table="trials"),
            "Published study",
            "trials of the published search",
        ),
        frame=result("published", file="frame.parquet"),
        intermediate=result("published", file="intermediate.parquet"),
        importances=result("published", file="importances.parquet"),
        curve=result("published", file="curve.parquet"),
        storage=result("published", file="search.db"),
    log:
        log_of("search_published"),
    benchmark:
        benchmark_of("search_published")
    # It runs long and alone: better beside the others than after them.
    priority: 10
    conda:
        "../envs/search.yaml"
    resources:
        mem_mb=megabytes(1500, 50),
        # Seconds a trial on MovieLens 100K, 0.6 MB: 1.6.
        runtime=minutes(60, config["search"]["trials"] / 2, "train", "test"),
    params:
        search=without(config["search"], "enabled", "fold"),
        method=lookup(within=config, dpath=f"methods/{PUBLISHED_METHOD}"),
        seed=plan.seeds[0],
        fold=lambda job: plan.fold("search", job.dataset),
    script:
        "../scripts/search_published.py"


rule test_statistics:
    input:
        search=branch(
            config["search"]["enabled"],
            then=result("published", file="frame.parquet"),
        ),
        folds=result("folds"),
        metrics=result("evaluation", table="metrics"),
        selected=result("evaluation", table="selected"),
        user_errors=result("user_errors"),
        trials=of_methods("trials.tsv"),
        searched=of_searches("trials.tsv"),
        code=code("test_statistics"),
    output:
        tests=table(result("statistics", table="tests"), "Tests", "tests"),
        assumptions=table(
            result("statistics", table="assumptions"),
            "Tests",
            "checks of assumptions",
        ),
        medians=table(
            result("statistics", table="medians"),
            "Published study",
            "medians by k",
        ),
        best_rows=table(
            result("statistics", table="best_rows"),
            "Published study",
            "best row of each k",
        ),
        verdict=table(result("verdict"), "Tests", "verdict"),
    log:
        log_of("test_statistics"),
    benchmark:
        benchmark_of("test_statistics")
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=megabytes(1500, 20),
        # 6.5 s for the 1.5 MB of a million ratings' users.
        runtime=minutes(60, 2),
    params:
        settings=lookup(within=config, dpath="statistics"),
        ranges=lookup(within=config, dpath="tuning/search"),
    script:
        "../scripts/test_statistics.py"


rule compare_datasets:
    input:
        selected=plan.studied("evaluation", table="selected"),
        code=code("compare_datasets"),
    output:
        errors=table_across("errors.tsv", "Evaluation", "errors on every data set"),
        tests=table_across("tests.tsv", "Tests", "tests across data sets"),
        verdict=table_across("verdict.json", "Tests", "verdict across data sets"),
    log:
        log_of("compare_datasets", dataset=ACROSS),
    benchmark:
        benchmark_of("compare_datasets", dataset=ACROSS)
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=megabytes(1000, 20),
        runtime=minutes(60, 1),
    params:
        settings=lookup(within=config, dpath="statistics"),
        datasets={
            name: {
                "ratings": plan.same_ratings[name],
                "track": split_scheme(config["datasets"][name]["split"]),
            }
            for name in plan.datasets
        },
    script:
        "../scripts/compare_datasets.py"
