"""The study's battery as published, and the tests that the design supports."""

from cfmf.search import PUBLISHED_METHOD


rule search_published:
    input:
        train=of_fold("search", "matrices/{fold}/train.npz"),
        test=of_fold("search", "matrices/{fold}/test.npz"),
        code=code("search_published", PUBLISHED_METHOD),
    output:
        trials=table(
            "results/{dataset}/statistics/trials.tsv",
            "Published study",
            "trials of the published search",
        ),
        frame="results/{dataset}/published/frame.parquet",
        intermediate="results/{dataset}/published/intermediate.parquet",
        importances="results/{dataset}/published/importances.parquet",
        curve="results/{dataset}/published/curve.parquet",
        storage="results/{dataset}/published/search.db",
    log:
        logs("search_published"),
    benchmark:
        "results/{dataset}/benchmarks/search_published.tsv"
    # It runs long and alone: better beside the others than after them.
    priority: 10
    conda:
        "../envs/search.yaml"
    resources:
        mem_mb=megabytes(1500, 50),
        # Seconds a trial on MovieLens 100K, 0.6 MB: 1.6.
        runtime=minutes(60, config["search"]["trials"] / 2, "train", "test"),
    params:
        search=config["search"],
        method=lookup(within=config, dpath=f"methods/{PUBLISHED_METHOD}"),
        seed=config["study"]["seeds"][0],
        fold=chosen_fold("search"),
    script:
        "../scripts/search_published.py"


rule test_statistics:
    input:
        search=branch(
            config["search"]["enabled"],
            then="results/{dataset}/published/frame.parquet",
        ),
        folds="results/{dataset}/folds/folds.json",
        metrics="results/{dataset}/evaluation/metrics.tsv",
        selected="results/{dataset}/evaluation/selected.tsv",
        user_errors="results/{dataset}/evaluation/user_errors.parquet",
        trials=of_methods("neighbours/{method}/trials.tsv", "neighbours"),
        searched=of_searches("trials"),
        code=code("test_statistics"),
    output:
        tests=table("results/{dataset}/statistics/tests.tsv", "Tests", "tests"),
        assumptions=table(
            "results/{dataset}/statistics/assumptions.tsv",
            "Tests",
            "checks of assumptions",
        ),
        medians=table(
            "results/{dataset}/statistics/medians.tsv",
            "Published study",
            "medians by k",
        ),
        best_rows=table(
            "results/{dataset}/statistics/best_rows.tsv",
            "Published study",
            "best row of each k",
        ),
        verdict=table("results/{dataset}/statistics/verdict.json", "Tests", "verdict"),
    log:
        logs("test_statistics"),
    benchmark:
        "results/{dataset}/benchmarks/test_statistics.tsv"
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
        selected=studied("evaluation/selected.tsv"),
        code=code("compare_datasets"),
    output:
        errors=table_across("errors.tsv", "Evaluation", "errors on every data set"),
        tests=table_across("tests.tsv", "Tests", "tests across data sets"),
        verdict=table_across("verdict.json", "Tests", "verdict across data sets"),
    log:
        "results/across_datasets/logs/compare_datasets.log",
    benchmark:
        "results/across_datasets/benchmarks/compare_datasets.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=megabytes(1000, 20),
        runtime=minutes(60, 1),
    params:
        settings=lookup(within=config, dpath="statistics"),
        datasets={
            name: {
                "ratings": SAME_RATINGS[name],
                "track": track(config["datasets"][name]["split"]),
            }
            for name in DATASETS
        },
    script:
        "../scripts/compare_datasets.py"
