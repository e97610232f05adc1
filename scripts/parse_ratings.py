"""Raw files to typed tables, with every row accounted for."""

from pathlib import Path

from cfmf.data.formats import parse
from cfmf.rules import job

with job(snakemake) as (log, params):
    audit = parse(Path(snakemake.input.raw), params.dataset, Path(snakemake.output.audit).parent)
    log.info("audit: %s", audit["total"])
