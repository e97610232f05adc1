"""The published battery and the tests that the design supports, with a verdict in words."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cfmf.evaluation.collect import collect
from cfmf.files import atomic_write
from cfmf.statistics.study import analyse
from cfmf.tables import read_table, write_table
from cfmf.workflow.job import job


def trials(paths: Sequence[str]) -> pd.DataFrame | None:
    """All tables of trials in one; None where there are none."""
    return collect([read_table(path, "trials") for path in paths], "trials") if paths else None


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
        trials=trials(snakemake.input.trials),
        searched=trials(snakemake.input.searched),
        ranges=params.ranges,
    )
    for kind in ("tests", "assumptions", "medians", "best_rows"):
        write_table(snakemake.output[kind], getattr(results, kind), kind)
    with atomic_write(snakemake.output.verdict) as beside:
        beside.write_text(json.dumps(results.verdict, indent=1, ensure_ascii=False))
    for sentence in results.verdict:
        log.info("%s", sentence["text"])
