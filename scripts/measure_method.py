"""One method, fitted again on one fold: cold start, order of items, reasons, and what it takes."""

import pandas as pd

from cfmf.evaluation.bootstrap import Resampling
from cfmf.evaluation.fitting import predictions_of, read_setting
from cfmf.evaluation.study import measure
from cfmf.files import load_matrix
from cfmf.tables import MEASURED, write_table
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import job
from cfmf.workflow.layout import settings_of

with job(snakemake) as (log, params):
    setting = read_setting(
        snakemake.wildcards.method,
        params.fold,
        snakemake.input.metrics,
        snakemake.input.settings,
        params.settings,
    )
    log.info("%s", setting)
    study = (
        setting,
        *(load_matrix(path) for path in (snakemake.input.train, snakemake.input.test)),
        predictions_of(setting, {settings_of(path): path for path in snakemake.input.predictions}),
        *(pd.read_parquet(path) for path in (snakemake.input.users, snakemake.input.titles)),
        params.evaluation,
        Resampling.of(params.resampling),
    )

    def measured(device: str) -> dict[str, pd.DataFrame]:
        return measure(
            *study,
            dataset=snakemake.wildcards.dataset,
            scale=tuple(params.scale),
            threads=snakemake.threads,
            device=device,
        )

    tables = of_job(snakemake, measured)
    if not len(tables["cold_start"]):
        log.warning("no history was cut: no test user has more ratings than the longest length")
    for name, kind in MEASURED.items():
        log.info("%s: %d rows", name, len(tables[name]))
        write_table(snakemake.output[name], tables[name], kind)
