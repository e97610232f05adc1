"""The setting that validation chose, fitted on train; the test pairs of one block of rows."""

from cfmf.files import atomic_write
from cfmf.neighbours.study import Part, predict_part
from cfmf.tables import read_table
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import folds_of, job

with job(snakemake) as (log, params):
    block, blocks = map(int, snakemake.wildcards.scatteritem.split("-of-"))

    def predicted(device: str) -> Part:
        return predict_part(
            snakemake.wildcards.method,
            folds_of(snakemake, "train", "test"),
            read_table(snakemake.input.trials, "trials"),
            params.settings,
            block - 1,
            blocks,
            dataset=snakemake.wildcards.dataset,
            threads=snakemake.threads,
            device=device,
        )

    part = of_job(snakemake, predicted)
    log.info("%d predictions", len(part.predictions))
    for kind, table in part._asdict().items():
        with atomic_write(snakemake.output[kind]) as beside:
            table.to_parquet(beside, index=False)
