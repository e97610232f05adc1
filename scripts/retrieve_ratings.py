"""Raw files of a data set, from the first source that serves them unaltered."""

from pathlib import Path

from cfmf.data.manifest import verified_manifest
from cfmf.data.sources import retrieve
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    dataset = dict(params.dataset)
    if snakemake.input.fetched:
        verified_manifest(Path(str(snakemake.input.fetched)))
        dataset["folder"] = str(snakemake.input.fetched)
    manifest = retrieve(dataset, Path(snakemake.output.raw))
    log.info("served by %s %s", manifest["served_by"], manifest["address"])
