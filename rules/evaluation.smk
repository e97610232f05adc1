"""Every method's figures in one table, and what is measured at the setting validation chose."""

from cfmf.tables import MEASURED

EVERY_METHOD = [
    *plan.in_area("neighbours"),
    *plan.in_area("factorization"),
    *plan.blends,
    *plan.foreign,
]
# Predictions of other tools come without those of validation.
CALIBRATED = [name for name in EVERY_METHOD if name not in plan.foreign]
RESAMPLING = ("bootstrap_repeats", "seed", "ci_level")


checkpoint extend_search:
    """The points next to those that validation has chosen so far; none when the search ends."""
    input:
        metrics=lambda job: plan.points(
            job.dataset, "metrics.tsv", job.method, before=int(job.round)
        ),
        code=code("extend_search", "{method}"),
    output:
        points=result("round"),
    log:
        log_of("extend_search"),
    benchmark:
        benchmark_of("extend_search")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 20),
        runtime=minutes(30, 1),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        trials=plan.trials,
    script:
        "../scripts/extend_search.py"


rule select_settings:
    """One method with a job for each point; the others choose where they are tuned."""
    input:
        metrics=of_settings("metrics.tsv"),
        code=code("select_settings", "{method}"),
    output:
        settings=result("factorization", file="settings.tsv"),
    log:
        log_of("select_settings"),
    benchmark:
        benchmark_of("select_settings")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 20),
        runtime=minutes(30, 1),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        trials=plan.trials,
    script:
        "../scripts/select_settings.py"


rule evaluate_methods:
    input:
        metrics=of_settings("metrics.tsv", EVERY_METHOD),
        # of every setting; only those of the chosen ones are read
        predictions=of_settings("predictions.parquet", EVERY_METHOD),
        tuning_costs=of_methods("tuning_costs.tsv"),
        costs=of_settings("costs.tsv", EVERY_METHOD),
        settings=plan.selection(*EVERY_METHOD),
        train=of_folds("matrix", part="train"),
        test=of_folds("matrix", part="test"),
        ratings=result("ratings"),
        folds=result("folds"),
        rows=result("fold_rows"),
        plan=scoring_plan,
        code=code("evaluate_methods"),
    output:
        metrics=result("evaluation", table="metrics"),
        selected=result("evaluation", table="selected"),
        selection=result("evaluation", table="selection"),
        costs=result("evaluation", table="costs"),
        slices=result("evaluation", table="slices"),
        intervals=result("evaluation", table="intervals"),
        user_errors=result("user_errors"),
    log:
        log_of("evaluate_methods"),
    benchmark:
        benchmark_of("evaluate_methods")
    conda:
        "../envs/evaluation.yaml"
    resources:
        # 7.2 GB for the shape of the Netflix Prize, 630 MB of these.
        mem_mb=megabytes(1500, 20, "train", "test", "ratings"),
        # 26 s for six methods on 7.7 MB of these.
        runtime=minutes(30, 1, "train", "test", "ratings"),
    params:
        folds=folds_of_dataset,
        resampling=pick(config["statistics"], *RESAMPLING),
        scale=scale,
    script:
        "../scripts/evaluate_methods.py"


rule measure_intervals:
    """Intervals of every prediction, learned on validation: how often they hold the test rating."""
    input:
        settings=plan.selection(*CALIBRATED),
        # of every setting; only those of the chosen ones are read
        known=of_settings("validation.parquet", CALIBRATED),
        queried=of_settings("predictions.parquet", CALIBRATED),
        fit=of_folds("matrix", part="fit"),
        validation=of_folds("matrix", part="validation"),
        train=of_folds("matrix", part="train"),
        test=of_folds("matrix", part="test"),
        plan=scoring_plan,
        code=code("measure_intervals"),
    output:
        table=result("evaluation", table="prediction_intervals"),
    log:
        log_of("measure_intervals"),
    benchmark:
        benchmark_of("measure_intervals")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(1000, 20, "train", "test"),
        runtime=minutes(30, 1, "train", "test"),
    params:
        folds=folds_of_dataset,
        scale=scale,
    script:
        "../scripts/measure_intervals.py"


rule measure_method:
    """One method, fitted again on one fold: cold start, order of items, explanations, what it takes.

    One job for all of it: starting one takes as long as most of what it does.
    """
    input:
        settings=lambda job: filled(plan.selection(job.method), dataset=job.dataset),
        predictions=of_settings("predictions.parquet"),
        train=of_fold("evaluation", "matrix", part="train"),
        test=of_fold("evaluation", "matrix", part="test"),
        users=result("users"),
        titles=result("items"),
        plan=scoring_plan,
        side=lambda job: plan.side(job.dataset, job.method),
        code=code("measure_method", "{method}"),
    output:
        **{table: result("measured", table=table) for table in MEASURED},
    log:
        log_of("measure_method"),
    benchmark:
        benchmark_of("measure_method")
    conda:
        lambda wildcards: f"../envs/{environment('evaluation', wildcards.method)}.yaml"
    threads: fitting_threads
    resources:
        gpu=gpus,
        # A fit holds a few copies of the training ratings and, of neighbour methods, blocks of
        # similarities: 1.0 GB at most for MovieTweetings (1 MB), 0.7 for MovieLens 1M (2.4 MB), 1.6
        # for the networks on MovieLens 100K, 6.9 for the shape of the Netflix Prize (250 MB).
        # It takes a few times as long as one fold of the method's training.
        mem_mb=megabytes(2000, 30),
        # 2.1 MB of these took 12 s (user-knn) to 108 s (gibbs at k 16, which grows as k² to k³).
        runtime=minutes(120, 30, "train", "test"),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        evaluation=without(config["evaluation"], "fold", "scaling"),
        device=config["device"],
        resampling=pick(config["statistics"], *RESAMPLING),
        fold=lambda job: plan.fold("evaluation", job.dataset),
        scale=scale,
    script:
        "../scripts/measure_method.py"


rule measure_scaling:
    """Time of a fit against ratings, users and factors, all methods one after another.

    One job for all: starting one takes as long as measuring a method.
    """
    input:
        settings=plan.selection(),
        train=of_fold("evaluation", "matrix", part="train"),
        test=of_fold("evaluation", "matrix", part="test"),
        plan=scoring_plan,
        side=lambda job: plan.side(job.dataset, *plan.methods),
        code=code("measure_scaling"),
        methods=packaged(method_files(*plan.methods)),
    output:
        timings=result("evaluation", table="timings"),
        scaling=result("evaluation", table="scaling"),
    log:
        log_of("measure_scaling"),
    benchmark:
        benchmark_of("measure_scaling")
    # It takes long on one core: better beside what is measured last than after it.
    priority: 10
    conda:
        f"../envs/{environment('evaluation', *plan.methods)}.yaml"
    resources:
        mem_mb=megabytes(1500, 15),
        # It measures at most `evaluation.scaling.ratings`, whatever there are: 26 s for six methods.
        runtime=minutes(120, 0),
    params:
        methods=plan.methods,
        settings=pick(config["methods"], *plan.methods),
        evaluation=pick(config["evaluation"], "scaling", "seed"),
        fold=lambda job: plan.fold("evaluation", job.dataset),
        scale=scale,
    script:
        "../scripts/measure_scaling.py"


rule gather_measurements:
    """What was measured of each method, in one table of each kind."""
    input:
        tables=filled(result("measured"), method=plan.methods, table=MEASURED),
        code=code("gather_measurements"),
    output:
        factors=result("evaluation", table="factors"),
        similar_titles=result("evaluation", table="similar_titles"),
        fit_costs=result("evaluation", table="fit_costs"),
        recommendations=result("evaluation", table="recommendations"),
        explanations=result("evaluation", table="explanations"),
        cold_start=result("evaluation", table="cold_start"),
        ranking=result("evaluation", table="ranking"),
    log:
        log_of("gather_measurements"),
    benchmark:
        benchmark_of("gather_measurements")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 20),
        runtime=minutes(30, 1),
    script:
        "../scripts/gather_measurements.py"
