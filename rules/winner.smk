"""The method that validation prefers, fitted to all ratings, and what it predicts."""


checkpoint choose_winner:
    input:
        metrics=result("evaluation", table="metrics"),
        trials=of_methods("trials.tsv"),
        code=code("choose_winner"),
    output:
        winner=result("winner"),
    log:
        log_of("choose_winner"),
    benchmark:
        benchmark_of("choose_winner")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 20),
        runtime=minutes(10, 1),
    params:
        methods=plan.methods,
    script:
        "../scripts/choose_winner.py"


rule fit_model:
    """One method at the setting with the lowest mean RMSE on validation, with all ratings."""
    input:
        metrics=of_settings("metrics.tsv"),
        trials=lambda job: filled(
            of_methods("trials.tsv") if area(job.method) == "neighbours" else [],
            dataset=job.dataset,
        ),
        manifest=result("manifest"),
        ratings=result("ratings"),
        users=result("users"),
        titles=result("items"),
        side=lambda job: plan.side(job.dataset, job.method),
        code=code("fit_model", "{method}"),
    output:
        model=result("model"),
    log:
        log_of("fit_model"),
    benchmark:
        benchmark_of("fit_model")
    wildcard_constraints:
        method="|".join(plan.methods),
    conda:
        lambda wildcards: f"../envs/{environment('evaluation', wildcards.method)}.yaml"
    threads: fitting_threads
    resources:
        gpu=gpus,
        # As one fold of the method's training, twice.
        mem_mb=megabytes(1500, 100),
        runtime=minutes(120, 30, "ratings"),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        device=config["device"],
        seed=plan.seeds[0],
        scale=scale,
    script:
        "../scripts/fit_model.py"


rule predict_pairs:
    input:
        model=result("model"),
        pairs=queried_pairs,
        code=code("predict_pairs", "{method}"),
    output:
        **{
            suffix: result("asked", file=f"predictions.{suffix}")
            for suffix in ("parquet", "csv")
        },
    log:
        log_of("predict_pairs"),
    benchmark:
        benchmark_of("predict_pairs")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(1500, 20),
        runtime=minutes(30, 1),
    params:
        coverage=config["models"]["coverage"],
    script:
        "../scripts/predict_pairs.py"


rule recommend_items:
    """The items with the highest predictions of every user, without those that they rated."""
    input:
        model=result("model"),
        code=code("recommend_items", "{method}"),
    output:
        **{
            suffix: result("asked", file=f"recommendations.{suffix}")
            for suffix in ("parquet", "csv")
        },
    log:
        log_of("recommend_items"),
    benchmark:
        benchmark_of("recommend_items")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(1500, 20),
        # Explanations of 9,430 recommendations take a minute or two with neighbour methods.
        runtime=minutes(60, 30, "model"),
    params:
        options=without(config["models"], "pairs"),
    script:
        "../scripts/recommend_items.py"
