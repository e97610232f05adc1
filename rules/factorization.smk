"""Factorizations: one job trains one (method, k, reg) on every fold and seed."""

JAX_COMPARED = ["mf-jax"] if config["backends"]["enabled"] else []


rule train_factorization:
    input:
        **{part: of_folds("matrix", part=part) for part in PARTS},
        code=code("train_factorization", "{method}"),
    output:
        metrics=result("point", file="metrics.tsv"),
        costs=result("point", file="costs.tsv"),
        history=result("point", file="history.parquet"),
        predictions=result("point", file="predictions.parquet"),
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
            lambda method: environment("factorization", method) == "jax",
        ),
        runtime=resources.training_minutes(
            plan.folds, len(plan.seeds), plan.seconds_a_run
        ),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        folds=folds_of_dataset,
        seeds=plan.seeds,
        seconds=lambda job: plan.seconds_a_run(job.method),
        scale=scale,
        device=config["device"],
    script:
        "../scripts/train_factorization.py"


rule compare_backends:
    input:
        train=of_fold("backends", "matrix", part="train"),
        test=of_fold("backends", "matrix", part="test"),
        code=code("compare_backends"),
    output:
        backends=table(
            result("backends", table="backends"), "Cost", "torch against JAX"
        ),
    log:
        log_of("compare_backends"),
    benchmark:
        benchmark_of("compare_backends")
    conda:
        "../envs/jax.yaml"
    # It takes times: nothing else should run beside it.
    threads: workflow.resource_settings.cores or 1
    resources:
        # JAX gathers the factors of every rating: see training_megabytes.
        mem_mb=megabytes(2000, 12 * config["backends"]["k"]),
        runtime=minutes(60, 10),
    params:
        settings=without(config["backends"], "enabled", "fold"),
        seed=plan.seeds[0],
    script:
        "../scripts/compare_backends.py"


rule compare_generators:
    """The random numbers that training starts from: torch's, and JAX's where it is compared."""
    input:
        code=code("compare_generators"),
    output:
        generators=table(
            result("backends", table="generators"),
            "Published study",
            "tests of the random numbers",
        ),
    log:
        log_of("compare_generators"),
    benchmark:
        benchmark_of("compare_generators")
    conda:
        f"../envs/{environment('factorization', *JAX_COMPARED)}.yaml"
    resources:
        # Nothing here grows with the data: ten samples of 1,000 numbers.
        mem_mb=megabytes(1000, 0),
        runtime=minutes(10, 0),
    params:
        with_jax=config["backends"]["enabled"],
    script:
        "../scripts/compare_generators.py"
