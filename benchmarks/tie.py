"""Which differences on validation count as a tie: what a tolerance costs in the other folds.

For several values of `cfmf.selection.TIE`, every factorization that a finished study has tuned is
chosen on the validation part of each fold, and the choice is scored on the validation parts of the
other folds. Test parts are not looked at.

    python -m benchmarks.tie [results/ml-100k]

prints the table and writes benchmarks/results/tie.tsv: mean RMSE, a row for each method and a
column for each tolerance.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS
from cfmf import selection
from cfmf.tables import read_table

TOLERANCES = (0.0, 0.0001, 0.0002, 0.0005, 0.001, 0.002)


def elsewhere(errors: pd.DataFrame, tolerance: float) -> float:
    """Mean validation RMSE, in the other folds, of what each fold chooses.

    Parameters
    ----------
    errors
        As `cfmf.selection.validation_errors`, of one method.
    """
    with patch.object(selection, "TIE", tolerance):
        chosen = selection.best(errors, selection.FOLD)
    table = errors.pivot_table(index=["k", "reg"], columns="fold", values=selection.ERROR)
    return float(
        np.mean([table.loc[(row.k, row.reg)].drop(row.fold).mean() for row in chosen.itertuples()])
    )


def compare(metrics: pd.DataFrame) -> pd.DataFrame:
    """A row for each method with several points and for their mean, a column for each tolerance."""
    errors = selection.validation_errors(metrics).dropna()
    several = errors.groupby("method")["k"].transform("nunique") > 1
    table = pd.DataFrame(
        {
            str(tolerance): {
                method: elsewhere(rows, tolerance)
                for method, rows in errors[several].groupby("method")
            }
            for tolerance in TOLERANCES
        }
    ).rename_axis("method")
    return pd.concat([table, table.mean().to_frame("mean").T.rename_axis("method")])


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare tolerances, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path("results/ml-100k"))
    options = parser.parse_args(arguments)
    table = compare(read_table(options.results / "evaluation/metrics.tsv", "metrics"))
    print(table.round(5).to_string())
    table.to_csv(RESULTS / "tie.tsv", sep="\t", float_format="%.5f", lineterminator="\n")


if __name__ == "__main__":
    main()
