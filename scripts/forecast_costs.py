"""What a study will take on one data set, forecast from measured costs."""

from cfmf.tables import read_table, write_table
from cfmf.workflow.forecast import Machine, counts_of, forecast
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    dataset = snakemake.wildcards.dataset
    counts = counts_of(params.config["datasets"][dataset], str(snakemake.input.audit) or None)
    log.info("%s", counts)
    costs = read_table(str(snakemake.input.costs), "job_costs")
    machine = Machine(params.cores, params.memory_mb)
    found = forecast(params.config, dataset, counts, costs, machine, params.blocks)
    write_table(snakemake.output.forecast, found, "forecast")
