"""A search for each method and fold beside the grids, where the config asks for it."""


rule search_settings:
    input:
        **{part: result("matrix", part=part) for part in PARTS},
        code=code("search_settings", "{method}"),
    output:
        trials=report(
            result("searched", file="trials.tsv"),
            caption="../report/captions/trials.rst",
            category="Tuning",
            labels={
                "data set": "{dataset}",
                "method": "{method}, searched on fold {fold}",
            },
        ),
        metrics=result("searched", file="metrics.tsv"),
        costs=result("searched", file="costs.tsv"),
        storage=result("searched", file="study.db"),
    log:
        log_of("search_settings"),
    benchmark:
        benchmark_of("search_settings")
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
        search=without(config["tuning"]["search"], "enabled", "methods"),
        seconds=config["tuning"]["seconds"],
        seed=plan.seeds[0],
        scale=scale,
        device=config["device"],
    script:
        "../scripts/search_settings.py"
