"""The random numbers that training starts from, tested against the normal distribution."""

from cfmf.published.generators import compare_generators, jax_is_installed
from cfmf.tables import write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    with_jax = params.with_jax and jax_is_installed()
    if params.with_jax and not with_jax:
        log.warning("JAX is not installed (`make jax`): its random numbers are not tested")
    tests = compare_generators(with_jax=with_jax)
    log.info("%d tests, least p %.3g", len(tests), tests["p_raw"].min())
    write_table(snakemake.output.generators, tests, "generators")
