"""The setting that validation chose, fitted on train; the test pairs of one block of rows."""

from dataclasses import replace

from cfmf.files import atomic_write
from cfmf.prediction import Part, predict_part
from cfmf.tables import read_table
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import job
from cfmf.workflow.setup import setup_of

with job(snakemake) as (log, params):
    block, blocks = map(int, snakemake.wildcards.scatteritem.split("-of-"))
    settings = read_table(snakemake.input.settings, "selection")

    def predicted(device: str) -> Part:
        setup = replace(setup_of(snakemake, "train", "test"), device=device)
        return predict_part(setup, settings, block - 1, blocks)

    part = of_job(snakemake, predicted)
    log.info("%d predictions", len(part.predictions))
    for kind, table in part._asdict().items():
        with atomic_write(snakemake.output[kind]) as temporary:
            table.to_parquet(temporary, index=False)
