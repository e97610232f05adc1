"""The random numbers that training starts from, tested against the normal distribution."""

from cfmf.published.generators import compare_generators
from cfmf.tables import write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    tests = compare_generators(with_jax=params.with_jax)
    log.info("%d tests, least p %.3g", len(tests), tests["p_raw"].min())
    write_table(snakemake.output.generators, tests, "generators")
