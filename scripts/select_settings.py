"""The setting that validation chooses on every fold, of a method with a job for each point."""

from cfmf.evaluation.collect import collect
from cfmf.lattice import axes
from cfmf.methods import registry
from cfmf.selection import choose
from cfmf.tables import read_table, write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    metrics = collect([read_table(path, "metrics") for path in snakemake.input.metrics])
    name = snakemake.wildcards.method
    along = axes(registry.method(name), params.settings) if params.trials else ()
    chosen = choose(metrics, axes={name: along})
    for row in chosen.itertuples():
        log.info("fold %s: %s, validation RMSE %.4f", row.fold, row.setting, row.validation_rmse)
    write_table(snakemake.output.settings, chosen, "selection")
