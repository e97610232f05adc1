"""The report: one self-contained page, its light twins for `snakemake --report`, its origin."""

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
    for page, plotly in (
        (snakemake.output.interactive, "embedded"),
        (snakemake.output.still, "svg"),
        (snakemake.output.further, "folded"),
    ):
        render(study, Path(page), language=params.language, plotly=plotly)
    crate.write(Path(snakemake.output.crate).parent, known)
