"""From the raw files to audited tables and folds, and to the plan of what is tested."""


rule retrieve_ratings:
    input:
        fetched=fetched,
        local=local_folder,
        code=code("retrieve_ratings"),
    output:
        raw=directory(result("raw")),
    log:
        log_of("retrieve_ratings"),
    benchmark:
        benchmark_of("retrieve_ratings")
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=resources.retrieve_megabytes(config["datasets"]),
        runtime=resources.retrieve_minutes(config["datasets"]),
    params:
        dataset=of_dataset(
            "source",
            "folder",
            "urls",
            "synthetic",
            "table.ratings",
            "table.test",
            "table.titles.file",
            "table.attributes.users.file",
            "table.attributes.items.file",
        ),
    script:
        "../scripts/retrieve_ratings.py"


rule parse_ratings:
    input:
        raw=result("raw"),
        code=code("parse_ratings"),
    output:
        ratings=result("ratings"),
        users=result("users"),
        titles=result("items"),
        refused=result("refused"),
        audit=result("audit"),
    log:
        log_of("parse_ratings"),
    benchmark:
        benchmark_of("parse_ratings")
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=resources.parse_megabytes(config["datasets"]),
        runtime=resources.parse_minutes(),
    params:
        dataset=of_dataset("source", "scale", "audit", "subset", "table"),
    script:
        "../scripts/parse_ratings.py"


rule split_ratings:
    input:
        ratings=result("ratings"),
        saved=saved_folds,
        code=code("split_ratings"),
    output:
        folds=result("folds"),
        rows=result("fold_rows"),
    log:
        log_of("split_ratings"),
    benchmark:
        benchmark_of("split_ratings")
    conda:
        "../envs/data.yaml"
    resources:
        # Measured on 8.6 million ratings, 32 MB of Parquet, alone on busy cores: 0.6 GB and 17 s
        # for predefined parts, 1.4 GB and 71 s for five folds within users, the most of all.
        mem_mb=megabytes(500, 40),
        runtime=minutes(10, 0.1),
    params:
        rule=lookup(within=config, dpath="datasets/{dataset}/split"),
    script:
        "../scripts/split_ratings.py"


rule export_fold:
    """One fold as a plain table of raw ids, for tools other than this one; test without ratings."""
    input:
        ratings=result("ratings"),
        users=result("users"),
        titles=result("items"),
        folds=result("folds"),
        rows=result("fold_rows"),
        code=code("export_fold"),
    output:
        table=result("fold_table"),
    log:
        log_of("export_fold"),
    benchmark:
        benchmark_of("export_fold")
    wildcard_constraints:
        format="csv|parquet",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=megabytes(500, 40),
        runtime=minutes(10, 0.5),
    script:
        "../scripts/export_fold.py"


rule plan_study:
    """What is compared and how, before any method is scored on test.

    Every rule that scores on test waits for it. It has no params and no code to be repeated for: a
    change of the plan would train everything again. `revise_plan` follows the config. Snakemake
    leaves the old output of both to the scripts, which keep what was planned.
    """
    input:
        folds=result("folds"),
    output:
        plan=updated(result("first_plan")),
    log:
        log_of("plan_study"),
    benchmark:
        benchmark_of("plan_study")
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=megabytes(500, 0),
        runtime=minutes(10, 0),
    script:
        "../scripts/plan_study.py"


rule revise_plan:
    """The plan as the config has it now; after scores on test, each earlier one is kept.

    Before scoring starts, to see whether it has.
    """
    input:
        first=result("first_plan"),
        folds=result("folds"),
        code=code("revise_plan"),
    output:
        plan=updated(result("plan")),
    log:
        log_of("revise_plan"),
    benchmark:
        benchmark_of("revise_plan")
    priority: 100
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=megabytes(500, 0),
        runtime=minutes(10, 0),
    params:
        declared=lambda job: plan.declared(job.dataset),
        is_open=lambda job: plan.is_open(job.dataset),
    script:
        "../scripts/revise_plan.py"
