"""Factorizations: one job trains one (method, k, reg) on every fold and seed."""

JAX_COMPARED = ["mf-jax"] if config["backends"]["enabled"] else []


rule train_factorization:
    input:
        **{part: of_folds(f"matrices/{{fold}}/{part}.npz") for part in PARTS},
        code=code("train_factorization", "{method}"),
    output:
        metrics="results/{dataset}/factorization/{method}/k~{k}_reg~{reg}/metrics.tsv",
        costs="results/{dataset}/factorization/{method}/k~{k}_reg~{reg}/costs.tsv",
        history="results/{dataset}/factorization/{method}/k~{k}_reg~{reg}/history.parquet",
        predictions="results/{dataset}/factorization/{method}/k~{k}_reg~{reg}/predictions.parquet",
    log:
        logs("train_factorization/{method}/k~{k}_reg~{reg}"),
    benchmark:
        "results/{dataset}/benchmarks/train_factorization/{method}/k~{k}_reg~{reg}.tsv"
    conda:
        lambda wildcards: f"../envs/{environment('factorization', wildcards.method)}.yaml"
    threads: config["threads"]["factorization"]
    resources:
        gpu=gpus,
        mem_mb=training_megabytes,
        runtime=training_minutes,
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        folds=lambda wildcards: FOLDS[wildcards.dataset],
        seeds=config["study"]["seeds"],
        seconds=lambda wildcards: seconds_a_run(
            config["tuning"]["seconds"],
            config["methods"][wildcards.method],
            config["study"]["seeds"],
        ),
        scale=scale,
        device=config["device"],
    script:
        "../scripts/train_factorization.py"


rule compare_backends:
    input:
        train=of_fold("backends", "matrices/{fold}/train.npz"),
        test=of_fold("backends", "matrices/{fold}/test.npz"),
        code=code("compare_backends"),
    output:
        backends=table(
            "results/{dataset}/backends/backends.tsv", "Cost", "torch against JAX"
        ),
    log:
        logs("compare_backends"),
    benchmark:
        "results/{dataset}/benchmarks/compare_backends.tsv"
    conda:
        "../envs/jax.yaml"
    # It takes times: nothing else should run beside it.
    threads: workflow.resource_settings.cores or 1
    resources:
        # JAX gathers the factors of every rating: see training_megabytes.
        mem_mb=megabytes(2000, 12 * config["backends"]["k"]),
        runtime=minutes(60, 10),
    params:
        settings=config["backends"],
        seed=config["study"]["seeds"][0],
    script:
        "../scripts/compare_backends.py"


rule compare_generators:
    """The random numbers that training starts from: torch's, and JAX's where it is compared."""
    input:
        code=code("compare_generators"),
    output:
        generators=table(
            "results/{dataset}/backends/generators.tsv",
            "Published study",
            "tests of the random numbers",
        ),
    log:
        logs("compare_generators"),
    benchmark:
        "results/{dataset}/benchmarks/compare_generators.tsv"
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
