"""Factorizations: one job trains one (method, k, reg) on every fold and seed."""


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
        runtime=480,
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
        backends="results/{dataset}/backends/backends.tsv",
        generators="results/{dataset}/backends/generators.tsv",
    log:
        logs("compare_backends"),
    benchmark:
        "results/{dataset}/benchmarks/compare_backends.tsv"
    conda:
        "../envs/jax.yaml"
    # It takes times: nothing else should run beside it.
    threads: workflow.resource_settings.cores or 1
    resources:
        mem_mb=megabytes(2000, 50),
        runtime=120,
    params:
        settings=config["backends"],
        seed=config["study"]["seeds"][0],
    script:
        "../scripts/compare_backends.py"
