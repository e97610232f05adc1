"""The published battery and the tests that the design supports, with a verdict in words."""

import json
from pathlib import Path

import pandas as pd

from cfmf.files import written_whole
from cfmf.rules import job
from cfmf.statistics.study import analyse
from cfmf.tables import read_table, write_table

with job(snakemake) as (log, params):
    folds = json.loads(Path(snakemake.input.folds).read_text())["folds"].values()
    ratios = [fold["test"] / (fold["fit"] + fold["validation"]) for fold in folds]
    results = analyse(
        read_table(snakemake.input.metrics, "metrics"),
        read_table(snakemake.input.selected, "metrics"),
        pd.read_parquet(snakemake.input.user_errors),
        params.settings,
        search=pd.read_parquet(snakemake.input.search) if snakemake.input.search else None,
        ratio=sum(ratios) / len(ratios),
    )
    for kind in ("tests", "assumptions", "medians", "best_rows"):
        write_table(snakemake.output[kind], getattr(results, kind), kind)
    with written_whole(snakemake.output.verdict) as beside:
        beside.write_text(json.dumps(results.verdict, indent=1, ensure_ascii=False))
    for sentence in results.verdict:
        log.info("%s", sentence["text"])
