"""A search for each method and fold beside the grids, where the config asks for it."""


rule search_settings:
    input:
        **{part: f"results/{{dataset}}/matrices/{{fold}}/{part}.npz" for part in PARTS},
        code=code("search_settings", "{method}"),
    output:
        trials=report(
            "results/{dataset}/search/{method}/{fold}/trials.tsv",
            caption="../report/captions/trials.rst",
            category="Tuning",
            labels={
                "data set": "{dataset}",
                "method": "{method}, searched on fold {fold}",
            },
        ),
        metrics="results/{dataset}/search/{method}/{fold}/metrics.tsv",
        costs="results/{dataset}/search/{method}/{fold}/costs.tsv",
        storage="results/{dataset}/search/{method}/{fold}/study.db",
    log:
        logs("search_settings/{method}/{fold}"),
    benchmark:
        "results/{dataset}/benchmarks/search_settings/{method}/{fold}.tsv"
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
        search=config["tuning"]["search"],
        seconds=config["tuning"]["seconds"],
        seed=config["study"]["seeds"][0],
        scale=scale,
        device=config["device"],
    script:
        "../scripts/search_settings.py"
