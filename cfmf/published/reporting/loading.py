"""What the rules of the published study have made of a data set."""

from __future__ import annotations

from dataclasses import replace

from cfmf.published import SEARCHED
from cfmf.report.context import Files, Study, parquet
from cfmf.tables import read_table

PARQUET = ("frame", "intermediate", "importances", "curve")
TABLES = {
    "trials": ("statistics", {"table": "trials"}, "trials"),
    "backends": ("backends", {"table": "backends"}, "backends"),
    "generators": ("backends", {"table": "generators"}, "generators"),
    "first_user": ("published", {"file": "first_user.tsv"}, "first_user"),
    "loop": ("published", {"file": "loop_costs.tsv"}, "costs"),
}
"""By the name here: the result, which of them, and the kind of table."""


def load(study: Study, files: Files) -> Study:
    """The study with the tables of the published one in `added`.

    The search leaves its trials as Optuna has them (`frame`), their reports (`intermediate`), the
    importances, and one whole learning curve, which is put among the histories.
    """
    found = {name: parquet(files.at("published", file=f"{name}.parquet")) for name in PARQUET}
    added = {name: table for name, table in found.items() if table is not None and len(table)}
    for name, (result, which, kind) in TABLES.items():
        if path := files.at(result, **which):
            added[name] = read_table(path, kind)
    curve = added.pop("curve", None)
    if curve is None:
        return replace(study, added=added)
    first = curve.iloc[0]
    point = (SEARCHED, str(first["k"]), str(first["reg"]))
    return replace(study, added=added, histories={point: curve} | study.histories)
