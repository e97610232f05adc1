"""One sparse matrix for each part of each fold."""

PARTS = ["fit", "validation", "train", "test"]


rule build_matrices:
    input:
        ratings="results/{dataset}/ratings/ratings.parquet",
        users="results/{dataset}/ratings/users.parquet",
        titles="results/{dataset}/ratings/items.parquet",
        folds="results/{dataset}/folds/folds.json",
        code=code("build_matrices"),
    output:
        **{part: f"results/{{dataset}}/matrices/{{fold}}/{part}.npz" for part in PARTS},
    log:
        logs("build_matrices/{fold}"),
    benchmark:
        "results/{dataset}/benchmarks/build_matrices/{fold}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=megabytes(1000, 20),
        runtime=60,
    script:
        "../scripts/build_matrices.py"
