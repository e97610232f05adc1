"""The study's battery as published, and the tests that the design supports."""


rule test_statistics:
    input:
        metrics="results/{dataset}/evaluation/metrics.tsv",
        selected="results/{dataset}/evaluation/selected.tsv",
        user_errors="results/{dataset}/evaluation/user_errors.parquet",
        code=code("test_statistics"),
    output:
        tests=report(
            "results/{dataset}/statistics/tests.tsv",
            caption="../report/captions/tests.rst",
            category="Statistics",
            labels={"data set": "{dataset}", "table": "tests"},
        ),
        assumptions="results/{dataset}/statistics/assumptions.tsv",
        medians="results/{dataset}/statistics/medians.tsv",
        best_rows="results/{dataset}/statistics/best_rows.tsv",
        verdict=report(
            "results/{dataset}/statistics/verdict.json",
            caption="../report/captions/verdict.rst",
            category="Statistics",
            labels={"data set": "{dataset}", "table": "verdict"},
        ),
    log:
        logs("test_statistics"),
    benchmark:
        "results/{dataset}/benchmarks/test_statistics.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=megabytes(1500, 20),
        runtime=120,
    params:
        settings=lookup(within=config, dpath="statistics"),
    script:
        "../scripts/test_statistics.py"
