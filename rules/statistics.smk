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
        tests=result("statistics", table="tests"),
        assumptions=result("statistics", table="assumptions"),
        medians=result("statistics", table="medians"),
        best_rows=result("statistics", table="best_rows"),
        planning=result("statistics", table="planning"),
        user_differences=result("statistics", table="user_differences"),
        verdict=result("verdict"),
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
        errors=result("across", file="errors.tsv"),
        tests=result("across", file="tests.tsv"),
        verdict=result("across", file="verdict.json"),
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
