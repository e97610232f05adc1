"""Raw files of a data set, from the first source that serves them unaltered."""

from pathlib import Path

from cfmf.data.sources import retrieve
from cfmf.rules import job

with job(snakemake) as (log, params):
    manifest = retrieve(params.dataset, Path(snakemake.output.raw))
    log.info("served by %s %s", manifest["served_by"], manifest["address"])
