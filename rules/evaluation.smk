"""Every method's figures in one table, and the setting that validation chose."""


rule evaluate_methods:
    input:
        neighbours=of_methods("neighbours/{method}/metrics.tsv", "neighbours"),
        factorization=of_points("metrics.tsv"),
        train=of_folds("matrices/{fold}/train.npz"),
        test=of_folds("matrices/{fold}/test.npz"),
        code=code("evaluate_methods"),
    output:
        metrics=report(
            "results/{dataset}/evaluation/metrics.tsv",
            caption="../report/captions/metrics.rst",
            category="Evaluation",
            labels={"data set": "{dataset}", "table": "every setting"},
        ),
        selected=report(
            "results/{dataset}/evaluation/selected.tsv",
            caption="../report/captions/selected.rst",
            category="Evaluation",
            labels={"data set": "{dataset}", "table": "settings chosen on validation"},
        ),
        settings="results/{dataset}/evaluation/settings.tsv",
        costs="results/{dataset}/evaluation/costs.tsv",
        slices="results/{dataset}/evaluation/slices.tsv",
        user_errors="results/{dataset}/evaluation/user_errors.parquet",
    log:
        logs("evaluate_methods"),
    benchmark:
        "results/{dataset}/benchmarks/evaluate_methods.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(1500, 50),
        runtime=120,
    params:
        folds=lambda wildcards: FOLDS[wildcards.dataset],
    script:
        "../scripts/evaluate_methods.py"
