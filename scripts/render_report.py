"""The report: one self-contained page, and its light twin for `snakemake --report`."""

from pathlib import Path

from cfmf.reporting.render import render
from cfmf.reporting.study import load
from cfmf.rules import job

with job(snakemake) as (log, params):
    study = load(Path("results"), snakemake.wildcards.dataset)
    render(study, Path(snakemake.output.interactive), language=params.language)
    render(study, Path(snakemake.output.static), language=params.language, plotly="svg")
