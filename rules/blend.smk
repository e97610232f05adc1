"""Blends: predictions of several methods, combined by weights learned on validation."""


rule blend_methods:
    input:
        settings=lambda job: filled(
            plan.selection(*plan.blends[job.method]), dataset=job.dataset
        ),
        # of every setting; only those of the chosen ones are read
        known=lambda job: plan.of_members(job, "validation.parquet"),
        queried=lambda job: plan.of_members(job, "predictions.parquet"),
        costs=lambda job: plan.of_members(job, "costs.tsv", "tuning_costs.tsv"),
        validation=of_folds("matrix", part="validation"),
        test=of_folds("matrix", part="test"),
        plan=scoring_plan,
        code=code("blend_methods"),
    output:
        **{
            file.split(".")[0]: result("blend", file=file)
            for file in [
                "metrics.tsv",
                "settings.tsv",
                "costs.tsv",
                "weights.tsv",
                "predictions.parquet",
                "validation.parquet",
            ]
        },
    log:
        log_of("blend_methods"),
    benchmark:
        benchmark_of("blend_methods")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 50),
        runtime=minutes(30, 1),
    params:
        members=lambda job: plan.blends[job.method],
        folds=folds_of_dataset,
        scale=scale,
    script:
        "../scripts/blend_methods.py"
