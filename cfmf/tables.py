"""The tables that stages hand to each other: their columns, and how they are written and read.

A table is tidy, one fact a row, tab-separated, UTF-8. `k`, `reg` and `seed` are kept as the
canonical text of the config (`"0.01"`, never `1e-2`), and are empty where a method has none.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from cfmf.files import atomic_write

KEYS = ["dataset", "fold", "method", "k", "reg", "seed"]
COLUMNS = {
    kind: columns.split()
    for kind, columns in {
        "metrics": "dataset fold method k reg seed split metric value",
        "costs": "dataset fold method k reg seed stage measure value",
        "selection": "dataset fold method k reg setting seed start epochs out_of_time edge"
        " validation_rmse",
        "slices": "dataset fold method slice level n metric value",
        "intervals": "dataset fold method slice level users n metric value ci_low ci_high ci_level",
        "prediction_intervals": "dataset fold method radii level users n coverage width",
        "timings": "dataset fold method axis size seconds operations",
        "scaling": "dataset fold method axis points smallest largest exponent se theoretical",
        "recommendations": "dataset fold method user history rank item title prediction sd rating",
        "explanations": "dataset fold method user rank kind part similarity rating share"
        " contribution",
        "factors": "dataset fold method factor share end rank title loading",
        "similar_titles": "dataset fold method title rank similar similarity",
        "points": "k reg",
        "job_costs": "rule method quantity term coefficient jobs fewest_ratings most_ratings",
        "forecast": "dataset rule method jobs most_jobs cpu_seconds wall_seconds memory_mb disk_mb"
        " extrapolated",
        "weights": "dataset fold method k reg seed member weight",
        "trials": "dataset fold method trial state setting metric value",
        "tests": "family method estimand design population test function version factor group_a"
        " group_b n_blocks n_obs stat_name stat df1 df2 p_raw p_adj adj_method family_size"
        " effect_name effect ci_low ci_high ci_level ci_method ci_resamples margin verdict reject"
        " converged note note_value",
        "datasets": "dataset ratings split_scheme method folds rmse sd",
        "assumptions": "family method estimand design group check function n stat_name stat"
        " p_value threshold violation note note_value",
        "planning": "group_a group_b population folds repeats seeds users sd_rating sd_user sd_item"
        " sd_split sd_seed error df margin detectable equivalence",
        "user_differences": "group_a group_b users better worse share_better ci_low ci_high"
        " ci_level q05 q25 q50 q75 q95",
        "medians": "arm method k n median mean interquartile_mean minimum maximum",
        "first_user": "dataset fold item over_all_users over_raters",
        "backends": "backend device dtype epochs repeats setup_seconds compile_seconds"
        " epoch_seconds epoch_seconds_min epoch_seconds_max loss test_rmse loss_difference",
        "generators": "seed n sample against statistic p_raw p_adj",
        "best_rows": "arm method k reg fold seed validation_rmse test_rmse edge",
    }.items()
}
NAMES = ["user", "title", "similar", "part"]
"""Columns of ids and titles: of the user 0305344 and the film 1917 neither is a quantity."""
TEXT = dict.fromkeys([*KEYS, *NAMES, "member"], str)
WHOLE = re.compile("0|[1-9][0-9]{0,17}")
"""How an id that is a whole number is written."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of texts that spreadsheets compute."""
MEASURED = {
    "cold_start": "intervals",
    "ranking": "intervals",
    "recommendations": "recommendations",
    "explanations": "explanations",
    "factors": "factors",
    "similar_titles": "similar_titles",
    "fit_costs": "costs",
}
"""The tables that are made of each method at its chosen setting, and the kind of each."""


def write_table(path: str | Path, table: pd.DataFrame, kind: str) -> None:
    """Write a table of one `kind` of `COLUMNS`, whole or not at all, at nine significant digits.

    Raises
    ------
    ValueError
        If the columns are not those of the kind.
    """
    expected = COLUMNS[kind]
    if sorted(table.columns) != sorted(expected):
        raise ValueError(f"a {kind} table has columns {expected}, not {list(table.columns)}")
    texts = [name for name in NAMES if name in table]
    returns = any(table[name].astype(str).str.contains("\r").any() for name in texts)
    # Python's csv leaves a carriage return without quotes, and pandas ends a row there.
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    with atomic_write(path) as temporary:
        table[expected].to_csv(
            temporary, sep="\t", index=False, float_format="%.9g", quoting=quoting
        )


def whole_numbers(ids: list[Any]) -> list[Any]:
    """Ids as whole numbers, where all of them are written as such; else as they are."""
    if all(WHOLE.fullmatch(str(one)) for one in ids):
        return [int(one) for one in ids]
    return ids


def write_rows(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table for other programs, in the format that the name ends with, whole or not at all.

    Texts that a spreadsheet would compute, as `=1+1`, get an apostrophe in CSV and TSV.

    Raises
    ------
    ValueError
        If the name does not end in .csv, .tsv, .parquet or .jsonl.
    """
    path = Path(path)
    with atomic_write(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        elif path.suffix == ".jsonl":
            table.to_json(temporary, orient="records", lines=True, force_ascii=False)
        elif path.suffix in (".csv", ".tsv"):
            temporary.write_text(delimited(table, path.suffix), encoding="utf-8", newline="")
        else:
            raise ValueError(f"{path} must end in .csv, .tsv, .parquet or .jsonl; rename it")


def delimited(table: pd.DataFrame, suffix: str = ".csv") -> str:
    """A table as text, with numbers of six significant digits; see `write_rows`."""
    harmless = {
        name: table[name].map(lambda one: f"'{one}" if str(one).startswith(FORMULA) else one)
        for name in table.columns
        if not pd.api.types.is_numeric_dtype(table[name])
    }
    return table.assign(**harmless).to_csv(
        sep="," if suffix == ".csv" else "\t",
        index=False,
        float_format="%.6g",
        lineterminator="\n",
        quoting=csv.QUOTE_MINIMAL,
    )


def where(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows of a table whose columns hold these values."""
    kept = pd.Series(data=True, index=table.index)
    for name, value in values.items():
        kept &= table[name] == value
    return table[kept]


def cost_row(keys: Mapping[str, str], stage: str, seconds: float) -> dict[str, Any]:
    """A row of a `costs` table, the wall-clock seconds of a stage; `keys` are some of `KEYS`."""
    row = dict.fromkeys(KEYS, "") | dict(keys)
    return row | {"stage": stage, "measure": "seconds", "value": seconds}


def read_table(path: str | Path, kind: str) -> pd.DataFrame:
    """Read a table of one `kind`; keys, ids and titles as text, empty where there is no value.

    Raises
    ------
    ValueError
        If the columns are not those of the kind.
    """
    # Only an empty field is no value: a film may be called NA.
    table = pd.read_csv(path, sep="\t", dtype=TEXT, keep_default_na=False, na_values=[""])
    if list(table.columns) != COLUMNS[kind]:
        raise ValueError(
            f"{path} is not a {kind} table: its columns are {list(table.columns)},"
            f" not {COLUMNS[kind]}; delete it and run again"
        )
    keys = [name for name in table.columns if name in TEXT]
    table[keys] = table[keys].fillna("")
    return table
