"""The setting that validation chose, fitted on train; the test part is predicted once.

Where the test part was cut into blocks, their predictions are gathered instead.
"""

import pandas as pd

from cfmf.files import atomic_write
from cfmf.neighbours.study import Part, join_parts, predict_part
from cfmf.tables import read_table, write_table
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import folds_of, job

with job(snakemake) as (log, params):
    study = (
        snakemake.wildcards.method,
        folds_of(snakemake, "train", "test"),
        read_table(snakemake.input.trials, "trials"),
        params.settings,
    )
    dataset = snakemake.wildcards.dataset
    blocks = zip(*(snakemake.input[kind] for kind in Part._fields), strict=True)
    parts = [Part(*map(pd.read_parquet, paths)) for paths in blocks]

    def predicted(device: str) -> Part:
        return predict_part(*study, dataset=dataset, threads=snakemake.threads, device=device)

    parts = parts or [of_job(snakemake, predicted)]
    outcome = join_parts(*study, parts, dataset, tuple(params.scale))
    for row in outcome.metrics.query("split == 'test' and metric == 'rmse'").itertuples():
        log.info("fold %s: test RMSE %.4f", row.fold, row.value)
    for kind in ("metrics", "settings", "costs"):
        write_table(snakemake.output[kind], getattr(outcome, kind), kind)
    with atomic_write(snakemake.output.predictions) as beside:
        outcome.predictions.to_parquet(beside, index=False)
