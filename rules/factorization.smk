"""Factorizations: one job trains one (method, k, reg) on every fold and seed."""


rule train_factorization:
    input:
        **{part: of_folds("matrix", part=part) for part in PARTS},
        plan=scoring_plan,
        side=lambda job: plan.side(job.dataset, job.method),
        code=code("train_factorization", "{method}"),
    output:
        metrics=result("point", file="metrics.tsv"),
        costs=result("point", file="costs.tsv"),
        history=result("point", file="history.parquet"),
        predictions=result("point", file="predictions.parquet"),
        validation=result("point", file="validation.parquet"),
    log:
        log_of("train_factorization"),
    benchmark:
        benchmark_of("train_factorization")
    conda:
        lambda wildcards: f"../envs/{environment('factorization', wildcards.method)}.yaml"
    threads: config["threads"]["factorization"]
    resources:
        gpu=gpus,
        mem_mb=resources.training_megabytes(
            plan.folds,
            lambda method: environment("factorization", method),
        ),
        runtime=resources.training_minutes(
            plan.folds, len(plan.seeds), plan.seconds_a_run
        ),
    params:
        # without the lists: a longer one trains what is new and repeats nothing
        settings=lambda job: without(config["methods"][job.method], "k", "reg"),
        folds=folds_of_dataset,
        seeds=plan.seeds,
        seconds=lambda job: plan.seconds_a_run(job.method),
        scale=scale,
        device=config["device"],
    script:
        "../scripts/train_factorization.py"
