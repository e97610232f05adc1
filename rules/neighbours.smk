"""Similarities between users, and the predictions that neighbours make."""


scattergather:
    neighbours=config["scatter"]["neighbours"],


# With one block there is nothing to gather: predict_neighbours does it itself.
PART = ["predictions", "training", "costs"]
BLOCKS = (
    gather.neighbours("results/{{dataset}}/neighbours/{{method}}/blocks/{scatteritem}")
    if len(gather.neighbours("{scatteritem}")) > 1
    else []
)


rule compute_similarity:
    input:
        train="results/{dataset}/matrices/{fold}/train.npz",
        code=code("compute_similarity"),
    output:
        similarity="results/{dataset}/similarity/{fold}.npz",
        row="results/{dataset}/similarity/{fold}/first_row.tsv",
        costs="results/{dataset}/similarity/{fold}/costs.tsv",
    log:
        logs("compute_similarity/{fold}"),
    benchmark:
        "results/{dataset}/benchmarks/compute_similarity/{fold}.tsv"
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
        fit=of_folds("matrices/{fold}/fit.npz"),
        validation=of_folds("matrices/{fold}/validation.npz"),
        code=code("tune_neighbours", "{method}"),
    output:
        trials=report(
            "results/{dataset}/neighbours/{method}/trials.tsv",
            caption="../report/captions/trials.rst",
            category="Tuning",
            labels={"data set": "{dataset}", "method": "{method}"},
        ),
        costs="results/{dataset}/neighbours/{method}/tuning_costs.tsv",
    log:
        logs("tune_neighbours/{method}"),
    benchmark:
        "results/{dataset}/benchmarks/tune_neighbours/{method}.tsv"
    conda:
        "../envs/neighbours.yaml"
    threads: config["threads"]["neighbours"]
    resources:
        gpu=gpus,
        mem_mb=fold_megabytes,
        runtime=tuning_minutes,
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        device=config["device"],
        folds=lambda wildcards: FOLDS[wildcards.dataset],
        seconds=config["tuning"]["seconds"],
    script:
        "../scripts/tune_neighbours.py"


rule predict_block:
    input:
        train=of_folds("matrices/{fold}/train.npz"),
        test=of_folds("matrices/{fold}/test.npz"),
        trials="results/{dataset}/neighbours/{method}/trials.tsv",
        code=code("predict_block", "{method}"),
    output:
        **{
            part: temp(
                f"results/{{dataset}}/neighbours/{{method}}/blocks/{{scatteritem}}/{part}.parquet"
            )
            for part in PART
        },
    log:
        logs("predict_block/{method}/{scatteritem}"),
    benchmark:
        "results/{dataset}/benchmarks/predict_block/{method}/{scatteritem}.tsv"
    conda:
        "../envs/neighbours.yaml"
    threads: config["threads"]["neighbours"]
    resources:
        gpu=gpus,
        mem_mb=fold_megabytes,
        # 3.3 to 5.1 s on 4.2 MB.
        runtime=minutes(60, 5),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        device=config["device"],
        folds=lambda wildcards: FOLDS[wildcards.dataset],
    script:
        "../scripts/predict_block.py"


rule predict_neighbours:
    input:
        **{part: [f"{block}/{part}.parquet" for block in BLOCKS] for part in PART},
        train=of_folds("matrices/{fold}/train.npz"),
        test=of_folds("matrices/{fold}/test.npz"),
        trials="results/{dataset}/neighbours/{method}/trials.tsv",
        code=code("predict_neighbours", "{method}"),
    output:
        metrics="results/{dataset}/neighbours/{method}/metrics.tsv",
        settings="results/{dataset}/neighbours/{method}/settings.tsv",
        costs="results/{dataset}/neighbours/{method}/costs.tsv",
        predictions="results/{dataset}/neighbours/{method}/predictions.parquet",
    log:
        logs("predict_neighbours/{method}"),
    benchmark:
        "results/{dataset}/benchmarks/predict_neighbours/{method}.tsv"
    conda:
        "../envs/neighbours.yaml"
    threads: config["threads"]["neighbours"]
    resources:
        # Where the test part is cut into blocks, these were predicted by their own jobs.
        gpu=(lambda wildcards: 0) if BLOCKS else gpus,
        mem_mb=fold_megabytes,
        runtime=minutes(60, 5),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        device=config["device"],
        folds=lambda wildcards: FOLDS[wildcards.dataset],
        scale=scale,
    script:
        "../scripts/predict_neighbours.py"
