"""The published study, repeated in addition to the corrected one; included where the config enables it."""

from cfmf.published import SEARCHED

JAX_COMPARED = ["mf-jax"] if config["published"]["backends"]["enabled"] else []


rule predict_first_user:
    input:
        train=of_first_fold("matrix", part="train"),
        code=code("predict_first_user"),
    output:
        row=result("published", file="first_user.tsv"),
        costs=result("published", file="loop_costs.tsv"),
    log:
        log_of("predict_first_user"),
    benchmark:
        benchmark_of("predict_first_user")
    conda:
        "../envs/neighbours.yaml"
    resources:
        mem_mb=megabytes(1000, 20),
        runtime=minutes(30, 0.1),
    params:
        fold=lambda job: plan.folds[job.dataset][0],
    script:
        "../scripts/predict_first_user.py"


rule search_published:
    input:
        train=of_fold("published.search", "matrix", part="train"),
        test=of_fold("published.search", "matrix", part="test"),
        plan=scoring_plan,
        code=code("search_published", SEARCHED),
    output:
        trials=result("statistics", table="trials"),
        frame=result("published", file="frame.parquet"),
        intermediate=result("published", file="intermediate.parquet"),
        importances=result("published", file="importances.parquet"),
        curve=result("published", file="curve.parquet"),
        storage=result("published", file="search.db"),
    log:
        log_of("search_published"),
    benchmark:
        benchmark_of("search_published")
    # It takes long on one core: better in parallel with the others than after them.
    priority: 10
    conda:
        "../envs/search.yaml"
    resources:
        mem_mb=megabytes(1500, 50),
        # Seconds a trial on MovieLens 100K, 0.6 MB: 1.6.
        runtime=minutes(
            60, config["published"]["search"]["trials"] / 2, "train", "test"
        ),
    params:
        search=without(config["published"]["search"], "enabled", "fold"),
        method=lookup(within=config, dpath=f"methods/{SEARCHED}"),
        seed=plan.seeds[0],
        fold=lambda job: plan.fold("published.search", job.dataset),
    script:
        "../scripts/search_published.py"


rule compare_backends:
    input:
        train=of_fold("published.backends", "matrix", part="train"),
        test=of_fold("published.backends", "matrix", part="test"),
        plan=scoring_plan,
        code=code("compare_backends"),
    output:
        backends=result("backends", table="backends"),
    log:
        log_of("compare_backends"),
    benchmark:
        benchmark_of("compare_backends")
    conda:
        "../envs/jax.yaml"
    # It measures times: nothing else should run at the same time.
    threads: workflow.resource_settings.cores or 1
    resources:
        # JAX gathers the factors of every rating: see training_megabytes.
        mem_mb=megabytes(2000, 12 * config["published"]["backends"]["k"]),
        runtime=minutes(60, 10),
    params:
        settings=without(config["published"]["backends"], "enabled", "fold"),
        seed=plan.seeds[0],
    script:
        "../scripts/compare_backends.py"


rule compare_generators:
    """The random numbers that training starts from: torch's, and JAX's where it is compared."""
    input:
        code=code("compare_generators"),
    output:
        generators=result("backends", table="generators"),
    log:
        log_of("compare_generators"),
    benchmark:
        benchmark_of("compare_generators")
    conda:
        f"../envs/{environment('factorization', *JAX_COMPARED)}.yaml"
    resources:
        # Nothing here grows with the data: ten samples of 1,000 numbers.
        mem_mb=megabytes(1000, 0),
        runtime=minutes(10, 0),
    params:
        with_jax=config["published"]["backends"]["enabled"],
    script:
        "../scripts/compare_generators.py"
