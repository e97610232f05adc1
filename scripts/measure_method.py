"""One method, fitted again on one fold: cold start, order of items, explanations, and its cost."""

from dataclasses import replace

import pandas as pd

from cfmf.evaluation.bootstrap import Resampling
from cfmf.evaluation.fitting import Setting, predictions_of
from cfmf.evaluation.measurement import Measured, measure
from cfmf.files import load_matrix
from cfmf.methods import registry
from cfmf.selection import read_selection
from cfmf.side import load_side
from cfmf.tables import MEASURED, write_table
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import job
from cfmf.workflow.layout import settings_of

with job(snakemake) as (log, params):
    scale = tuple(params.scale)
    chosen = read_selection(snakemake.input.settings).set_index("fold", drop=False)
    row = chosen.loc[params.fold].to_dict()
    side = load_side(str(snakemake.input.side), registry.method(row["method"]).uses)
    setting = Setting.of(row, params.settings, scale, snakemake.threads, side)
    log.info("%s", setting)
    on = Measured(
        *(load_matrix(path) for path in (snakemake.input.train, snakemake.input.test)),
        predictions_of(setting, {settings_of(path): path for path in snakemake.input.predictions}),
        *(pd.read_parquet(path) for path in (snakemake.input.users, snakemake.input.titles)),
    )
    resampling = Resampling.of(params.resampling)

    def measured(device: str) -> dict[str, pd.DataFrame]:
        where = replace(setting, device=device)
        return measure(where, on, params.evaluation, resampling, scale)

    tables = of_job(snakemake, measured)
    if not len(tables["cold_start"]):
        log.warning("no history was cut: no test user has more ratings than the longest length")
    for name, kind in MEASURED.items():
        log.info("%s: %d rows", name, len(tables[name]))
        write_table(snakemake.output[name], tables[name], kind)
