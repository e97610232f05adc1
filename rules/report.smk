"""The report that people keep."""


rule render_report:
    input:
        manifest="results/{dataset}/raw",
        ratings=expand(
            "results/{{dataset}}/ratings/{table}.parquet",
            table=["ratings", "users", "items"],
        ),
        audit="results/{dataset}/ratings/audit.json",
        folds="results/{dataset}/folds/folds.json",
        # of the first fold only
        train=lambda wildcards: of_folds("matrices/{fold}/train.npz")(wildcards)[0],
        test=lambda wildcards: of_folds("matrices/{fold}/test.npz")(wildcards)[0],
        similarity=lambda wildcards: of_folds("similarity/{fold}.npz")(wildcards)[0],
        row=lambda wildcards: of_folds("similarity/{fold}/first_row.tsv")(wildcards)[0],
        seconds=lambda wildcards: of_folds("similarity/{fold}/costs.tsv")(wildcards)[0],
        trials=of_methods("neighbours/{method}/trials.tsv", "neighbours"),
        history=of_points("history.parquet"),
        evaluated=expand(
            "results/{{dataset}}/evaluation/{table}.tsv",
            table=["metrics", "selected", "settings", "costs", "slices", "intervals"],
        ),
        measured=expand("results/{{dataset}}/evaluation/{table}.tsv", table=MEASURED),
        scaling=branch(
            config["evaluation"]["scaling"]["enabled"],
            then=expand(
                "results/{{dataset}}/evaluation/{table}.tsv",
                table=["scaling", "timings"],
            ),
        ),
        tests=expand(
            "results/{{dataset}}/statistics/{table}.tsv",
            table=["tests", "assumptions", "medians", "best_rows"],
        ),
        verdict="results/{dataset}/statistics/verdict.json",
        search=branch(
            config["search"]["enabled"],
            then=expand(
                "results/{{dataset}}/published/{table}.parquet",
                table=["frame", "intermediate", "importances", "curve"],
            )
            + ["results/{dataset}/statistics/trials.tsv"],
        ),
        searched=of_searches("trials", "metrics", "costs"),
        generators="results/{dataset}/backends/generators.tsv",
        backends=branch(
            config["backends"]["enabled"],
            then="results/{dataset}/backends/backends.tsv",
        ),
        across=across_datasets("errors.tsv", "tests.tsv", "verdict.json"),
        words=files_below("report/templates", "report/strings")
        + ["report/published.yaml", "report/type_one_error.tsv"],
        code=code("render_report"),
    output:
        interactive="results/{dataset}/report.html",
        still=report(
            "results/{dataset}/report-static.html",
            caption="../report/captions/report.rst",
            category="Report",
            labels={
                "data set": "{dataset}",
                "page": "the whole report, still figures",
            },
        ),
        further=report(
            "results/{dataset}/report-figures.html",
            caption="../report/captions/figures.rst",
            category="Report",
            labels={
                "data set": "{dataset}",
                "page": "further figures, those that the report folds",
            },
        ),
        provenance=table(
            "results/{dataset}/provenance.json", "Report", "what the run was made with"
        ),
        crate="results/{dataset}/ro-crate-metadata.json",
    log:
        logs("render_report"),
    benchmark:
        "results/{dataset}/benchmarks/render_report.tsv"
    conda:
        "../envs/report.yaml"
    resources:
        # One similarity is held at a time, whose size `similarity.full_limit_mb` bounds; 370 MB were
        # needed for 3.5 MB of ratings, 146 MB a similarity.
        mem_mb=megabytes(
            1500 + config["similarity"]["full_limit_mb"],
            20,
            "ratings",
            "history",
            "evaluated",
        ),
        runtime=minutes(60, 1, "ratings", "history", "evaluated"),
    params:
        language=config["report"]["language"],
        config=config,
        command=command_line(),
        # The job has no Snakemake where conda makes its environment.
        versions={"snakemake": metadata.version("snakemake")},
        benchmarks=job_measurements,
        logs=job_logs,
    script:
        "../scripts/render_report.py"
