"""One sparse matrix for each part of each fold, and those of what is known beside the ratings."""

PARTS = ["fit", "validation", "train", "test"]


rule build_matrices:
    input:
        ratings=result("ratings"),
        users=result("users"),
        titles=result("items"),
        folds=result("folds"),
        rows=result("fold_rows"),
        code=code("build_matrices"),
    output:
        **{part: result("matrix", part=part) for part in PARTS},
    log:
        log_of("build_matrices"),
    benchmark:
        benchmark_of("build_matrices")
    conda:
        "../envs/data.yaml"
    resources:
        # Measured on 8.6 million ratings, 32 MB of Parquet and 13 MB of folds, on busy cores:
        # 0.7 GB and 22 s.
        mem_mb=megabytes(500, 20),
        runtime=minutes(10, 0.1),
    script:
        "../scripts/build_matrices.py"


rule build_side:
    """Days of ratings and attributes, for the methods that use them and no others."""
    input:
        raw=result("raw"),
        ratings=result("ratings"),
        users=result("users"),
        titles=result("items"),
        code=code("build_side"),
    output:
        side=result("side"),
        facts=result("side_facts"),
        refused=result("side_refused"),
    log:
        log_of("build_side"),
    benchmark:
        benchmark_of("build_side")
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=megabytes(500, 20, "ratings", "users", "titles"),
        runtime=minutes(10, 0.1, "ratings"),
    params:
        dataset=of_dataset("source", "audit", "table"),
    script:
        "../scripts/build_side.py"
