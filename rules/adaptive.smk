"""An adaptive search for each method and fold, where `tuning.adaptive` is enabled."""


rule tune_adaptively:
    input:
        **{part: result("matrix", part=part) for part in PARTS},
        plan=scoring_plan,
        side=lambda job: plan.side(job.dataset, job.method),
        code=code("tune_adaptively", "{method}"),
    output:
        trials=result("adaptive", file="trials.tsv"),
        metrics=result("adaptive", file="metrics.tsv"),
        costs=result("adaptive", file="costs.tsv"),
        storage=result("adaptive", file="study.db"),
    log:
        log_of("tune_adaptively"),
    benchmark:
        benchmark_of("tune_adaptively")
    conda:
        "../envs/search.yaml"
    threads: fitting_threads
    resources:
        gpu=gpus,
        # One fold and the largest k of the search, as training_megabytes counts them.
        mem_mb=megabytes(1000, 80),
        runtime=minutes(30 + config["tuning"]["seconds"] / 60, 5),
    params:
        settings=lookup(within=config, dpath="methods/{method}"),
        search=without(config["tuning"]["adaptive"], "enabled", "methods"),
        seconds=config["tuning"]["seconds"],
        seed=plan.seeds[0],
        scale=scale,
        device=config["device"],
    script:
        "../scripts/tune_adaptively.py"
