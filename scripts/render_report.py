"""The report: one self-contained page, what `snakemake --report` shows, provenance."""

from pathlib import Path

from cfmf.imports import ROOT
from cfmf.report.attachments import attach_tables
from cfmf.report.extension import load_extended
from cfmf.report.render import render_pages
from cfmf.workflow import crate, provenance
from cfmf.workflow.job import job
from cfmf.workflow.layout import Results

with job(snakemake) as (log, params):
    origin = Path(snakemake.output.provenance)
    files = [*snakemake.input, *snakemake.output]
    mine = Results.of_study(origin.parent, files)
    known = provenance.collect(
        params.config,
        snakemake.input,
        params.command,
        root=ROOT,
        outputs=[path for path in crate.results(mine) if path != origin],
        logs=params.logs,
        extra_versions=params.versions,
    )
    provenance.write(origin, known)
    extensions = []
    if params.config["published"]["enabled"]:
        from cfmf.published.reporting.extension import EXTENSION

        extensions.append(EXTENSION)
    results = Results.of_study(origin.parent, [*files, *params.benchmarks])
    study = load_extended(results, extensions)
    pages = {
        Path(snakemake.output.interactive): "embedded",
        Path(snakemake.output.static): "svg",
        Path(snakemake.output.attachments): "figures",
    }
    render_pages(study, pages, params.language, extensions)
    # The pages show the hashes of what they were made from; their own are in the file only.
    known["outputs"] |= provenance.hashes(pages)
    provenance.write(origin, known)
    attach_tables(Path(snakemake.output.attachments), results, study, params.language)
    crate.write(mine, known)
