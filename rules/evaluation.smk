"""Every method's figures in one table, and what is measured at the setting validation chose."""

from cfmf.tables import MEASURED


rule evaluate_methods:
    input:
        neighbours=of_methods("neighbours/{method}/metrics.tsv", "neighbours"),
        factorization=of_points("metrics.tsv"),
        # beside these; only those of the chosen settings are read
        predictions=of_methods("neighbours/{method}/predictions.parquet", "neighbours")
        + of_points("predictions.parquet"),
        costs=of_methods("neighbours/{method}/tuning_costs.tsv", "neighbours")
        + of_methods("neighbours/{method}/costs.tsv", "neighbours")
        + of_points("costs.tsv"),
        settings=of_methods("neighbours/{method}/settings.tsv", "neighbours"),
        train=of_folds("matrices/{fold}/train.npz"),
        test=of_folds("matrices/{fold}/test.npz"),
        ratings="results/{dataset}/ratings/ratings.parquet",
        folds="results/{dataset}/folds/folds.json",
        rows="results/{dataset}/folds/folds.npz",
        code=code("evaluate_methods"),
    output:
        metrics=table(
            "results/{dataset}/evaluation/metrics.tsv", "Evaluation", "every setting"
        ),
        selected=table(
            "results/{dataset}/evaluation/selected.tsv",
            "Evaluation",
            "settings chosen on validation",
        ),
        settings=table(
            "results/{dataset}/evaluation/settings.tsv",
            "Evaluation",
            "the settings that were chosen",
        ),
        costs=table(
            "results/{dataset}/evaluation/costs.tsv", "Cost", "seconds of every run"
        ),
        slices=table(
            "results/{dataset}/evaluation/slices.tsv",
            "Evaluation",
            "errors by history, popularity and date, fold by fold",
        ),
        intervals=table(
            "results/{dataset}/evaluation/intervals.tsv",
            "Evaluation",
            "errors by history, popularity and date",
        ),
        user_errors="results/{dataset}/evaluation/user_errors.parquet",
    log:
        logs("evaluate_methods"),
    benchmark:
        "results/{dataset}/benchmarks/evaluate_methods.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(1500, 50, "train", "test", "ratings"),
        # 26 s for six methods on 7.7 MB of these.
        runtime=minutes(30, 1, "train", "test", "ratings"),
    params:
        folds=lambda wildcards: FOLDS[wildcards.dataset],
        statistics=config["statistics"],
    script:
        "../scripts/evaluate_methods.py"


rule measure_method:
    """One method, fitted again on one fold: cold start, order of items, reasons, what it takes.

    One job for all of it: starting one takes as long as most of what it does.
    """
    input:
        metrics=of_method("metrics.tsv"),
        settings=of_method("settings.tsv", "neighbours"),
        predictions=of_method("predictions.parquet"),
        train=of_fold("evaluation", "matrices/{fold}/train.npz"),
        test=of_fold("evaluation", "matrices/{fold}/test.npz"),
        users="results/{dataset}/ratings/users.parquet",
        titles="results/{dataset}/ratings/items.parquet",
        code=code("measure_method", "{method}"),
    output:
        **{
            table: f"results/{{dataset}}/evaluation/measured/{{method}}/{table}.tsv"
            for table in MEASURED
        },
    log:
        logs("measure_method/{method}"),
    benchmark:
        "results/{dataset}/benchmarks/measure_method/{method}.tsv"
    conda:
        lambda wildcards: f"../envs/{environment('evaluation', wildcards.method)}.yaml"
    threads: fitting_threads
    resources:
        gpu=gpus,
        # A fit holds a few copies of the training ratings and, of neighbour methods, blocks of
        # similarities; it takes a few times as long as one fold of the method's training.
        mem_mb=megabytes(1500, 100),
        # 2.1 MB of these took 12 s (user-knn) to 108 s (gibbs at k 16, which grows as k² to k³).
        runtime=minutes(120, 30, "train", "test"),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        evaluation=config["evaluation"],
        device=config["device"],
        statistics=config["statistics"],
        fold=chosen_fold("evaluation"),
        scale=scale,
    script:
        "../scripts/measure_method.py"


rule measure_scaling:
    """Time of a fit against ratings, users and factors, all methods one after another.

    One job for all: starting one takes as long as measuring a method.
    """
    input:
        neighbours=of_methods("neighbours/{method}/settings.tsv", "neighbours"),
        factorization=of_points("metrics.tsv"),
        train=of_fold("evaluation", "matrices/{fold}/train.npz"),
        test=of_fold("evaluation", "matrices/{fold}/test.npz"),
        code=code("measure_scaling"),
        methods=sorted({path for method in METHODS for path in method_code(method)}),
    output:
        timings="results/{dataset}/evaluation/timings.tsv",
        scaling=table(
            "results/{dataset}/evaluation/scaling.tsv",
            "Cost",
            "how the time of a fit grows",
        ),
    log:
        logs("measure_scaling"),
    benchmark:
        "results/{dataset}/benchmarks/measure_scaling.tsv"
    conda:
        f"../envs/{environment('evaluation', *METHODS)}.yaml"
    resources:
        mem_mb=megabytes(1500, 50),
        # It measures at most `evaluation.scaling.ratings`, whatever there are: 26 s for six methods.
        runtime=minutes(120, 0),
    params:
        methods=METHODS,
        settings=config["methods"],
        evaluation=config["evaluation"],
        fold=chosen_fold("evaluation"),
        scale=scale,
    script:
        "../scripts/measure_scaling.py"


rule gather_measurements:
    """What was measured of each method, in one table of each kind."""
    input:
        tables=expand(
            "results/{{dataset}}/evaluation/measured/{method}/{table}.tsv",
            method=METHODS,
            table=MEASURED,
        ),
        code=code("gather_measurements"),
    output:
        factors=table(
            "results/{dataset}/evaluation/factors.tsv",
            "Reasons",
            "factors and the titles at their ends",
        ),
        similar_titles=table(
            "results/{dataset}/evaluation/similar_titles.tsv",
            "Reasons",
            "nearest titles",
        ),
        fit_costs=table(
            "results/{dataset}/evaluation/fit_costs.tsv", "Cost", "what one fit takes"
        ),
        recommendations=table(
            "results/{dataset}/evaluation/recommendations.tsv",
            "Reasons",
            "recommendations",
        ),
        reasons=table(
            "results/{dataset}/evaluation/reasons.tsv",
            "Reasons",
            "why they are recommended",
        ),
        cold_start=table(
            "results/{dataset}/evaluation/cold_start.tsv",
            "Evaluation",
            "histories cut short",
        ),
        ranking=table(
            "results/{dataset}/evaluation/ranking.tsv",
            "Evaluation",
            "order of unrated items",
        ),
    log:
        logs("gather_measurements"),
    benchmark:
        "results/{dataset}/benchmarks/gather_measurements.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 20),
        runtime=minutes(30, 1),
    script:
        "../scripts/gather_measurements.py"
