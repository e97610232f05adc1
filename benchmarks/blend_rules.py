"""How the weights of blends are found: rules and penalties, cross-validated inside validation.

For every blend of a finished study, the RMSE of each rule of `cfmf.evaluation.blending` on those
parts of validation that its weights were not learned on, with several penalties of `linear`. Test
parts are not looked at.

    python -m benchmarks.blend_rules [results/ml-100k]

prints the table and writes benchmarks/results/blend_rules.tsv: mean RMSE over folds and seeds, a
row for each rule and penalty and a column for each blend.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS
from cfmf.evaluation import blending
from cfmf.files import load_matrix
from cfmf.observed import root_mean_square
from cfmf.selection import read_selection
from cfmf.tables import read_table
from cfmf.workflow.layout import Results, settings_of

PENALTIES = (0.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def sources(results: Results) -> blending.Sources:
    """What the blends of a study are made of, without test predictions."""
    paths = results.all("neighbours", file="validation.parquet")
    paths += results.all("point", file="validation.parquet")
    known = {settings_of(path): path for path, _ in paths}

    def validation(method: str, k: str, reg: str) -> pd.DataFrame:
        return pd.read_parquet(known[method, k, reg])

    def matrices(fold: str):
        one = load_matrix(results.where("matrix", fold=fold, part="validation"))
        return one, one

    chosen = read_selection([results.where("evaluation", table="selection")])
    costs = pd.DataFrame()
    return blending.Sources(chosen, costs, validation, validation, matrices, (-np.inf, np.inf))


def compare(given: blending.Sources, members: Sequence[str]) -> pd.Series:
    """Mean cross-validated RMSE of every rule, and of `linear` with every penalty."""
    tried = [(rule, blending.PENALTY) for rule in blending.RULES if rule != "linear"]
    tried += [("linear", penalty) for penalty in PENALTIES]
    found: dict[str, list[float]] = {}
    for fold in given.chosen["fold"].unique():
        part = given.matrices(fold)[0]
        ratings = part.data.astype(np.float64)
        known = blending.predictions_of(members, fold, given, given.validation, part)
        for rule, penalty in tried:
            name = f"{rule} {penalty:g}" if rule == "linear" else rule
            with patch.object(blending, "PENALTY", penalty):
                found.setdefault(name, []).extend(
                    root_mean_square(blending.held_out(one, ratings, rule) - ratings)
                    for one in known.values()
                )
    return pd.Series({name: float(np.mean(errors)) for name, errors in found.items()})


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare rules and penalties, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path("results/ml-100k"))
    options = parser.parse_args(arguments)
    results = Results(options.results.parent, options.results.name)
    given = sources(results)
    weights = [read_table(path, "weights") for path, _ in results.all("blend", file="weights.tsv")]
    table = pd.DataFrame(
        {
            method: compare(given, [name for name in rows["member"].unique() if name])
            for method, rows in pd.concat(weights).groupby("method")
        }
    ).rename_axis("rule")
    print(table.round(5).to_string())
    table.to_csv(RESULTS / "blend_rules.tsv", sep="\t", float_format="%.5f", lineterminator="\n")


if __name__ == "__main__":
    main()
