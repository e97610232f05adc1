"""For how many users one method is better than another, and by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cfmf.statistics.analysis import Measured, roles
from cfmf.tables import COLUMNS

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


def user_differences(
    errors: pd.DataFrame, pairs: Sequence[tuple[str, str]], level: float
) -> pd.DataFrame:
    """Differences of the users' own RMSE between two methods, as fitted.

    A user's RMSE is over all their test ratings in all folds. It is noisy where these are few, so
    the quantiles spread more than the users' expected errors do, and the share of users is nearer
    to one half.

    Parameters
    ----------
    errors
        Columns fold, method, user, n, squared_error (the sum over n test ratings).
    pairs
        Methods to compare, first minus second; a pair that `errors` lacks is left out.
    level
        Of the interval of the share (Wilson 1927), for users drawn at random.

    Returns
    -------
    `user_differences` table: a row a pair, with the number of users, how many have a lower RMSE
    with the first method and how many with the second, the share of the first among these, its
    interval, and quantiles of the difference in rating units. NaN where no user's RMSE differs.
    """
    sums = errors.groupby(["user", "method"], as_index=False)[["squared_error", "n"]].sum()
    sums["rmse"] = np.sqrt(sums["squared_error"] / sums["n"])
    own = sums.pivot_table(index="user", columns="method", values="rmse")
    rows = []
    for first, second in pairs:
        if not {first, second} <= set(own.columns):
            continue
        difference = (own[first] - own[second]).dropna()
        better, worse = int((difference < 0).sum()), int((difference > 0).sum())
        share, ends = math.nan, (math.nan, math.nan)
        if better + worse:
            found = stats.binomtest(better, better + worse)
            share, ends = found.statistic, found.proportion_ci(level, "wilson")
        row = {"group_a": first, "group_b": second, "users": len(difference)}
        row |= {"better": better, "worse": worse, "share_better": share}
        row |= {"ci_low": ends[0], "ci_high": ends[1], "ci_level": level}
        rows.append(row | {name: difference.quantile(at) for name, at in QUANTILES.items()})
    return pd.DataFrame(rows, columns=COLUMNS["user_differences"])


def of_study(measured: Measured, block: Mapping[str, Any]) -> pd.DataFrame:
    """The `user_differences` table of every compared method against the control."""
    compared = [str(name) for name in measured.compared["method"].unique()]
    control = roles(compared, block)[0] if len(compared) > 1 else ""
    pairs = [(name, control) for name in compared if control and name != control]
    return user_differences(measured.user_errors, pairs, block["ci_level"])
