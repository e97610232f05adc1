"""The setting that validation chose, fitted on train; the test part is predicted once.

Where the test part was split into blocks, their predictions are gathered instead.
"""

from dataclasses import replace

import pandas as pd

from cfmf.files import atomic_write
from cfmf.prediction import Part, join_parts, predict_part
from cfmf.tables import read_table, write_table
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import job
from cfmf.workflow.setup import setup_of

with job(snakemake) as (log, params):
    setup = setup_of(snakemake, "train", "test")
    settings = read_table(snakemake.input.settings, "selection")
    blocks = zip(*(snakemake.input[kind] for kind in Part._fields), strict=True)
    parts = [Part(*map(pd.read_parquet, paths)) for paths in blocks]

    def predicted(device: str) -> Part:
        return predict_part(replace(setup, device=device), settings)

    parts = parts or [of_job(snakemake, predicted)]
    outcome = join_parts(setup, settings, parts)
    for row in outcome.metrics.query("split == 'test' and metric == 'rmse'").itertuples():
        log.info("fold %s: test RMSE %.4f", row.fold, row.value)
    for kind in ("metrics", "costs"):
        write_table(snakemake.output[kind], getattr(outcome, kind), kind)
    with atomic_write(snakemake.output.predictions) as temporary:
        outcome.predictions.to_parquet(temporary, index=False)
