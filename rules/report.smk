"""The report that people keep."""


rule render_report:
    input:
        audit="results/{dataset}/ratings/audit.json",
        similarity=of_folds("similarity/{fold}.npz"),
        trials=of_methods("neighbours/{method}/trials.tsv", "neighbours"),
        history=of_points("history.parquet"),
        metrics="results/{dataset}/evaluation/metrics.tsv",
        tests="results/{dataset}/statistics/tests.tsv",
        templates=files_below("report/templates", "report/strings"),
        code=code("render_report"),
    output:
        interactive="results/{dataset}/report.html",
        static=report(
            "results/{dataset}/report-static.html",
            caption="../report/captions/report.rst",
            category="Report",
            labels={
                "data set": "{dataset}",
                "page": "the whole report, still figures",
            },
        ),
    log:
        logs("render_report"),
    benchmark:
        "results/{dataset}/benchmarks/render_report.tsv"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=megabytes(1500, 20),
        runtime=60,
    params:
        language=config["report"]["language"],
        config=config,
    script:
        "../scripts/render_report.py"
