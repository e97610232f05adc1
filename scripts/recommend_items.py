"""The items that a model recommends to every user, with intervals and explanations."""

from cfmf.saved import load
from cfmf.tables import write_rows
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    model = load(snakemake.input.model)
    table = model.recommend(**params.options)
    log.info("%d recommendations of %d users", len(table), table["user"].nunique())
    for path in snakemake.output:
        write_rows(path, table)
