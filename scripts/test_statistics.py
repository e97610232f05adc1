"""The tests that the design supports, and the published ones where the config enables them."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from cfmf.data.splits import repeats_of, size_ratio
from cfmf.evaluation.collect import collect
from cfmf.files import atomic_write, load_matrix
from cfmf.selection import read_selection
from cfmf.statistics import per_user, planning
from cfmf.statistics.analysis import Measured, analyse
from cfmf.statistics.populations import of_levels
from cfmf.tables import read_table, write_table
from cfmf.verdict import Known, of_dataset
from cfmf.workflow.job import job
from cfmf.workflow.layout import settings_of


def trials(paths: Sequence[str]) -> pd.DataFrame | None:
    """All tables of trials in one; None where there are none."""
    return collect([read_table(path, "trials") for path in paths], "trials") if paths else None


with job(snakemake) as (log, params):
    described = json.loads(Path(snakemake.input.folds).read_text())
    metrics = read_table(snakemake.input.metrics, "metrics")
    predicted = {settings_of(path): path for path in snakemake.input.predictions}
    tests = dict(zip(params.fold_names, snakemake.input.test, strict=True))
    measured = Measured(
        metrics,
        read_selection([snakemake.input.selection]),
        pd.read_parquet(snakemake.input.user_errors),
        trials(snakemake.input.trials),
        size_ratio(described, params.fold_names),
        partial(
            of_levels,
            predictions=lambda *setting: pd.read_parquet(predicted[setting]),
            tests=lambda fold: load_matrix(tests[fold]),
        ),
        repeats_of(described["rule"]),
        params.blends,
    )
    found = analyse(measured, params.settings)
    order = ()
    if params.published:
        from cfmf.published import uncorrected

        search = pd.read_parquet(snakemake.input.search) if snakemake.input.search else None
        as_published = uncorrected.analyse(metrics, params.settings, search)
        found = as_published + found
        order = uncorrected.order_of_k(as_published, params.settings["primary"])
    known = Known(trials(snakemake.input.adaptive), params.ranges, *order)
    messages = of_dataset(found, measured, params.settings, known)
    tables = found.tables() | {
        "planning": planning.of_study(measured, params.settings),
        "user_differences": per_user.of_study(measured, params.settings),
    }
    for kind, table in tables.items():
        write_table(snakemake.output[kind], table, kind)
    with atomic_write(snakemake.output.verdict) as temporary:
        temporary.write_text(json.dumps(messages, indent=1, ensure_ascii=False))
    for message in messages:
        log.info("%s %s", message["key"], json.dumps(message["numbers"], ensure_ascii=False))
