"""The report: one self-contained page, its light twins for `snakemake --report`, its origin."""

from pathlib import Path

from cfmf.report.context import load
from cfmf.report.render import render_pages
from cfmf.workflow import crate, provenance
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    origin = Path(snakemake.output.provenance)
    mine = [*snakemake.input, *snakemake.output]
    known = provenance.collect(
        params.config,
        snakemake.input,
        params.command,
        outputs=[path for path in crate.results(origin.parent, mine) if path != origin],
        logs=params.logs,
        extra_versions=params.versions,
    )
    provenance.write(origin, known)
    only = [*snakemake.input, *params.benchmarks]
    study = load(Path("results"), snakemake.wildcards.dataset, only)
    pages = {
        Path(snakemake.output.interactive): "embedded",
        Path(snakemake.output.still): "svg",
        Path(snakemake.output.further): "folded",
    }
    render_pages(study, pages, params.language)
    # The pages tell what they were made from; what they are themselves is told beside them.
    known["outputs"] |= provenance.hashes(pages)
    provenance.write(origin, known)
    crate.write(origin.parent, known, mine)
