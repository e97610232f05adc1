"""Predictions of other tools, taken from files and judged as those of the study's methods are."""


rule score_predictions:
    input:
        files=lambda job: local(plan.foreign_files(job.dataset, job.method)),
        users=result("users"),
        titles=result("items"),
        test=of_folds("matrix", part="test"),
        plan=scoring_plan,
        code=code("score_predictions"),
    output:
        **{
            file.split(".")[0]: result("foreign", file=file)
            for file in [
                "metrics.tsv",
                "settings.tsv",
                "costs.tsv",
                "predictions.parquet",
            ]
        },
    log:
        log_of("score_predictions"),
    benchmark:
        benchmark_of("score_predictions")
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 20),
        runtime=minutes(30, 1),
    params:
        seeds=lambda job: plan.foreign_seeds(job.method),
        folds=folds_of_dataset,
        scale=scale,
    script:
        "../scripts/score_predictions.py"
