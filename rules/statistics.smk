"""The tests that the design supports, of one data set and of all together."""

from cfmf.workflow.layout import ACROSS


rule test_statistics:
    input:
        search=branch(
            config["published"]["enabled"]
            and config["published"]["search"]["enabled"],
            then=result("published", file="frame.parquet"),
        ),
        folds=result("folds"),
        metrics=result("evaluation", table="metrics"),
        selection=result("evaluation", table="selection"),
        user_errors=result("user_errors"),
        # of every setting; only those of the compared levels are read
        predictions=of_settings("predictions.parquet", EVERY_METHOD),
        test=of_folds("matrix", part="test"),
        trials=of_methods("trials.tsv"),
        adaptive=of_adaptive("trials.tsv"),
        plan=result("plan"),
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
            "Tests",
            "medians by k",
        ),
        best_rows=table(
            result("statistics", table="best_rows"),
            "Tests",
            "best run for each k",
        ),
        planning=table(
            result("statistics", table="planning"),
            "Tests",
            "planning of a larger study",
        ),
        user_differences=table(
            result("statistics", table="user_differences"),
            "Tests",
            "differences of the users' own errors",
        ),
        verdict=table(result("verdict"), "Tests", "verdict"),
    log:
        log_of("test_statistics"),
    benchmark:
        benchmark_of("test_statistics")
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=megabytes(1500, 40, "search", "metrics", "user_errors", "test"),
        # 6.5 s for the 1.5 MB of a million ratings' users.
        runtime=minutes(60, 2, "search", "metrics", "user_errors", "test"),
    params:
        settings=lambda job: plan.statistics(job.dataset),
        blends=plan.blends,
        fold_names=folds_of_dataset,
        published=config["published"]["enabled"],
        ranges=lookup(within=config, dpath="tuning/adaptive"),
    script:
        "../scripts/test_statistics.py"


rule compare_datasets:
    input:
        selected=plan.studied("evaluation", table="selected"),
        folds=plan.studied("folds"),
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
                "split_scheme": split_scheme(config["datasets"][name]["split"]),
                "width": plan.width(name),
            }
            for name in plan.datasets
        },
    script:
        "../scripts/compare_datasets.py"
