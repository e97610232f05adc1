"""One sparse matrix for each part of each fold."""

PARTS = ["fit", "validation", "train", "test"]


rule build_matrices:
    input:
        ratings="results/{dataset}/ratings/ratings.parquet",
        users="results/{dataset}/ratings/users.parquet",
        titles="results/{dataset}/ratings/items.parquet",
        folds="results/{dataset}/folds/folds.json",
        rows="results/{dataset}/folds/folds.npz",
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
        # Measured on 8.6 million ratings, 32 MB of Parquet and 13 MB of folds, on busy cores:
        # 0.7 GB and 22 s.
        mem_mb=megabytes(500, 20),
        runtime=minutes(10, 0.1),
    script:
        "../scripts/build_matrices.py"
