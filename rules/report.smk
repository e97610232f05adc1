"""The report that people keep."""

from cfmf.report.places import START

PUBLISHED_TEXTS = [
    f"cfmf/published/{name}" for name in ("strings", "printed.yaml", "quotes.yaml")
]
if not config["published"]["enabled"]:
    PUBLISHED_TEXTS = []


rule render_report:
    input:
        manifest=result("raw"),
        ratings=[result("ratings"), result("users"), result("items")],
        audit=result("audit"),
        folds=result("folds"),
        plan=result("plan"),
        side=lambda job: plan.side(job.dataset, *plan.methods, file="side_facts"),
        # of the first fold only
        train=of_first_fold("matrix", part="train"),
        test=of_first_fold("matrix", part="test"),
        similarity=branch(plan.compares_users, then=of_first_fold("similarity")),
        seconds=branch(plan.compares_users, then=of_first_fold("similarity_costs")),
        trials=of_methods("trials.tsv"),
        weights=filled(result("blend", file="weights.tsv"), method=plan.blends),
        history=of_settings("history.parquet", plan.in_area("factorization")),
        evaluated=filled(
            result("evaluation"),
            table=[
                "metrics",
                "selected",
                "selection",
                "costs",
                "slices",
                "intervals",
                "prediction_intervals",
            ],
        ),
        measured=filled(result("evaluation"), table=MEASURED),
        scaling=branch(
            config["evaluation"]["scaling"]["enabled"],
            then=filled(result("evaluation"), table=["scaling", "timings"]),
        ),
        tests=filled(
            result("statistics"),
            table=[
                "tests",
                "assumptions",
                "medians",
                "best_rows",
                "planning",
                "user_differences",
            ],
        ),
        verdict=result("verdict"),
        adaptive=of_adaptive("trials.tsv", "metrics.tsv", "costs.tsv"),
        published=plan.published(),
        across=across_datasets("errors.tsv", "tests.tsv", "verdict.json"),
        words=packaged(
            package_files(
                "report/templates",
                "report/strings",
                "report/coverage.tsv",
                "report/literature.yaml",
                *PUBLISHED_TEXTS,
            )
        ),
        code=code("render_report"),
    output:
        interactive=result("report"),
        static=report(
            result("report_static"),
            caption="../report/captions/report.rst",
            category=START,
            labels=labels("Complete report, static figures"),
        ),
        # The tables as pages, and the figures as files, whatever the run has of them.
        attachments=report(
            directory(result("attachments")),
            patterns=["{category}/{content}.html", "{category}/{content}.svg"],
            caption="../report/captions/attachments.rst",
            category="{category}",
            labels=labels("{content}"),
        ),
        provenance=result("provenance"),
        crate=result("crate"),
    log:
        log_of("render_report"),
    benchmark:
        benchmark_of("render_report")
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
        # A function, as a path in it may have braces.
        command=lambda job: command(
            workflow.config_settings.configfiles, workflow.config_settings.config
        ),
        # The job has no Snakemake where conda makes its environment.
        versions={"snakemake": metadata.version("snakemake")},
        benchmarks=jobs("benchmark"),
        logs=jobs("log"),
    script:
        "../scripts/render_report.py"
