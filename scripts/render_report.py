"""The report: one self-contained page, its light twin for `snakemake --report`, its origin."""

from pathlib import Path

from cfmf.reporting import crate, provenance
from cfmf.reporting.render import render
from cfmf.reporting.study import load
from cfmf.rules import job

with job(snakemake) as (log, params):
    known = provenance.collect(params.config, snakemake.input, params.command)
    provenance.write(snakemake.output.provenance, known)
    only = [*snakemake.input, *params.benchmarks]
    study = load(Path("results"), snakemake.wildcards.dataset, only)
    render(study, Path(snakemake.output.interactive), language=params.language)
    render(study, Path(snakemake.output.still), language=params.language, plotly="svg")
    crate.write(Path(snakemake.output.crate).parent, known)
