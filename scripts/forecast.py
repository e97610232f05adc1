"""What a study will take, printed: the forecasts of all data sets."""

from cfmf.tables import read_table
from cfmf.workflow.forecast import Machine, text
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    tables = [read_table(path, "forecast") for path in snakemake.input.forecasts]
    machine = Machine(params.cores, params.memory_mb)
    print(text(tables, params.heads, machine))
