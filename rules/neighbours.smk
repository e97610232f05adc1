"""Similarities between users, and the predictions that neighbours make."""


scattergather:
    neighbours=config["scatter"]["neighbours"],


# With one block, predict_neighbours predicts by itself.
PART = ["predictions", "training", "costs"]
BLOCKS = (
    gather.neighbours("{scatteritem}")
    if len(gather.neighbours("{scatteritem}")) > 1
    else []
)


rule compute_similarity:
    input:
        train=result("matrix", part="train"),
        code=code("compute_similarity"),
    output:
        similarity=result("similarity"),
        costs=result("similarity_costs"),
    log:
        log_of("compute_similarity"),
    benchmark:
        benchmark_of("compute_similarity")
    conda:
        "../envs/neighbours.yaml"
    threads: config["threads"]["neighbours"]
    resources:
        # 0.23 GB were needed for MovieLens 100K, 0.4 and 0.9 for the two larger ones that fold_megabytes names.
        mem_mb=megabytes(1000, 50),
        # 1.8 s for a fold of 1.1 MB; users with users, it grows faster than the ratings.
        runtime=minutes(60, 5),
    params:
        settings=lookup(within=config, dpath="similarity"),
    script:
        "../scripts/compute_similarity.py"


rule tune_neighbours:
    input:
        fit=of_folds("matrix", part="fit"),
        validation=of_folds("matrix", part="validation"),
        side=lambda job: plan.side(job.dataset, job.method),
        code=code("tune_neighbours", "{method}"),
    output:
        trials=result("neighbours", file="trials.tsv"),
        settings=result("neighbours", file="settings.tsv"),
        costs=result("neighbours", file="tuning_costs.tsv"),
        validation=result("neighbours", file="validation.parquet"),
    log:
        log_of("tune_neighbours"),
    benchmark:
        benchmark_of("tune_neighbours")
    conda:
        lambda wildcards: f"../envs/{environment('neighbours', wildcards.method)}.yaml"
    threads: config["threads"]["neighbours"]
    resources:
        gpu=gpus,
        mem_mb=resources.fold_megabytes(plan.folds),
        runtime=resources.tuning_minutes(plan.folds, config["tuning"]["seconds"]),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        device=config["device"],
        folds=folds_of_dataset,
        scale=scale,
        seconds=config["tuning"]["seconds"],
        trials=plan.trials,
    script:
        "../scripts/tune_neighbours.py"


rule predict_block:
    input:
        train=of_folds("matrix", part="train"),
        test=of_folds("matrix", part="test"),
        settings=result("neighbours", file="settings.tsv"),
        plan=scoring_plan,
        side=lambda job: plan.side(job.dataset, job.method),
        code=code("predict_block", "{method}"),
    output:
        **{part: temp(result("neighbour_block", table=part)) for part in PART},
    log:
        log_of("predict_block"),
    benchmark:
        benchmark_of("predict_block")
    conda:
        lambda wildcards: f"../envs/{environment('neighbours', wildcards.method)}.yaml"
    threads: config["threads"]["neighbours"]
    resources:
        gpu=gpus,
        mem_mb=resources.fold_megabytes(plan.folds),
        # 3.3 to 5.1 s on 4.2 MB.
        runtime=minutes(60, 5),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        device=config["device"],
        folds=folds_of_dataset,
        scale=scale,
    script:
        "../scripts/predict_block.py"


rule predict_neighbours:
    input:
        **{
            part: filled(result("neighbour_block", table=part), scatteritem=BLOCKS)
            for part in PART
        },
        train=of_folds("matrix", part="train"),
        test=of_folds("matrix", part="test"),
        settings=result("neighbours", file="settings.tsv"),
        plan=scoring_plan,
        side=lambda job: plan.side(job.dataset, job.method),
        code=code("predict_neighbours", "{method}"),
    output:
        metrics=result("neighbours", file="metrics.tsv"),
        costs=result("neighbours", file="costs.tsv"),
        predictions=result("neighbours", file="predictions.parquet"),
    log:
        log_of("predict_neighbours"),
    benchmark:
        benchmark_of("predict_neighbours")
    conda:
        lambda wildcards: f"../envs/{environment('neighbours', wildcards.method)}.yaml"
    threads: config["threads"]["neighbours"]
    resources:
        # Where the test part is split into blocks, they were predicted by their own jobs.
        gpu=(lambda wildcards: 0) if BLOCKS else gpus,
        mem_mb=resources.fold_megabytes(plan.folds),
        runtime=minutes(60, 5),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        device=config["device"],
        folds=folds_of_dataset,
        scale=scale,
    script:
        "../scripts/predict_neighbours.py"
