"""Raw files to typed tables, with every row accounted for."""

from pathlib import Path

from cfmf.data.formats import parse
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    folder = Path(snakemake.output.audit).parent
    audit = parse(Path(snakemake.input.raw), params.dataset, folder, threads=snakemake.threads)
    log.info("%s", {name: audit[name] for name in ("rows_read", "rows_kept", "rows_refused")})
