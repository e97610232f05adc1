"""Torch against JAX: seconds an epoch from one start."""

from cfmf.files import load_matrix
from cfmf.published.backends import compare_backends, on_cores
from cfmf.published.generators import jax_is_installed
from cfmf.tables import write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    settings = params.settings
    on_cores(settings["threads"])
    if not jax_is_installed():
        log.warning("JAX is not installed (`make jax`): torch is timed alone")
    backends = compare_backends(
        load_matrix(snakemake.input.train),
        load_matrix(snakemake.input.test),
        k=settings["k"],
        epochs=settings["epochs"],
        repeats=settings["repeats"],
        seed=params.seed,
    )
    for row in backends.itertuples():
        log.info("%s: %.4f s an epoch", row.backend, row.epoch_seconds)
    write_table(snakemake.output.backends, backends, "backends")
