"""What a larger study could detect, from the variance components of this one.

The variance of a difference between two methods comes from the test ratings, from the users and
items that they belong to, from the split into folds and from the seeds. Each shrinks with its own
number: ratings and users with the users, split and seeds with the folds. The table combines them
for designs of other sizes, as the intervals of `cfmf.statistics.populations` would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from cfmf.statistics import blocks
from cfmf.statistics.analysis import Measured, roles
from cfmf.statistics.names import NEW_RATINGS, NEW_USERS, NEW_USERS_AND_ITEMS, POPULATIONS
from cfmf.statistics.populations import TRAINING, Components, components
from cfmf.statistics.power import detectable_effect, power_of_equivalence
from cfmf.tables import COLUMNS

FOLDS = ((5, 1), (10, 1), (10, 3))
"""Folds and repeats of the designs."""

SEEDS, USERS = (1, 3, 10), (1, 2, 4, 10)
"""Seeds of each stochastic method, and multiples of the study's number of users."""

MOST_DF = 1e6


@dataclass(frozen=True)
class Sources:
    """Variances of the difference between two methods in one study.

    Attributes
    ----------
    users
        Number of users who have test ratings.
    rating, user, item
        Of the mean difference: from single test ratings, and in addition from users and from items.
    split, seed
        Of the difference in one fold: what neither test ratings nor seeds explain, and from one
        seed. `seed` is NaN with one seed of a stochastic method; `split` contains it then.
    df
        Degrees of freedom of the variance for new users, and for new users and items.
    """

    users: int
    rating: float
    user: float
    item: float
    split: float
    seed: float
    df: Mapping[str, float]


def sources(found: Components, users: int, seeds: tuple[float, float]) -> Sources:
    """Separate the variance components of a contrast.

    Parameters
    ----------
    found
        What `components` returned.
    users
        Number of users who have test ratings.
    seeds
        Variance of the difference in one fold from one seed of each stochastic method, NaN if
        unknown; and that of the fold's mean over its seeds, 0 if unknown.
    """
    single = found.single
    of = {NEW_USERS: found.users, NEW_USERS_AND_ITEMS: found.both}
    return Sources(
        users,
        single,
        max(found.users[0] - single, 0.0),
        max(found.both[0] - max(found.users[0], single), 0.0),
        max(found.between - found.folds * single - seeds[1], 0.0),
        seeds[0],
        {name: 2 * v**2 / u if u else MOST_DF for name, (v, u) in of.items()},
    )


def seed_variances(values: pd.DataFrame, methods: tuple[str, str]) -> tuple[float, float]:
    """The argument `seeds` of `sources`.

    Parameters
    ----------
    values
        Columns fold, method, seed (text, empty without seeds), value.
    methods
        The two methods.
    """
    one, mean = 0.0, 0.0
    for method in methods:
        runs = values[(values["method"] == method) & (values["seed"] != "")]
        if runs.empty:
            continue
        grouped = runs.groupby("fold")["value"]
        variance = float(grouped.var(ddof=1).mean())
        one += variance
        mean += float(np.nan_to_num(variance)) / float(grouped.size().mean())
    return one, (mean if np.isfinite(one) else 0.0)


def planned(
    found: Sources, population: str, design: tuple[int, int, int, int]
) -> tuple[dict[str, float], float]:
    """Variance of the mean difference in a design, by source, and its degrees of freedom.

    Parameters
    ----------
    population
        One of `cfmf.statistics.names.POPULATIONS`.
    design
        Folds, repeats, seeds, users.
    """
    folds, repeats, seeds, users = design
    scale = found.users / users
    known = np.isfinite(found.seed)
    of_fold = {"split": found.split, "seed": found.seed / seeds if known else 0.0}
    if population == NEW_RATINGS:
        # as Nadeau & Bengio (2003) correct the variance between folds
        factor = 1 / (folds * repeats) + 1 / (folds - 1)
        parts = {"rating": found.rating * scale * folds * factor, "user": 0.0, "item": 0.0}
        parts |= {name: value * factor for name, value in of_fold.items()}
        return parts, float(folds * repeats - 1)
    item = found.item if population == NEW_USERS_AND_ITEMS else 0.0
    parts = {"rating": found.rating * scale, "user": found.user * scale, "item": item}
    parts = {name: value * (1 + TRAINING) for name, value in parts.items()}
    parts |= {name: value / (folds * repeats) for name, value in of_fold.items()}
    return parts, min(found.df[population] / scale, MOST_DF)


def planning(found: Sources, margin: float, block: Mapping[str, Any]) -> pd.DataFrame:
    """What designs of several sizes would detect: the `planning` table.

    Parameters
    ----------
    margin
        Of equivalence, in rating units.
    block
        alpha and power, as in the `statistics` block of the config.

    Returns
    -------
    A row for each population, folds × repeats, seeds and users: standard deviations by source and
    standard `error` of the mean difference (in rating units), `df`, `detectable` (the minimum
    detectable difference of the two-sided t) and `equivalence` (power of TOST at no difference).
    """
    rows = []
    unknown = np.isnan(found.seed)
    seeds = SEEDS if found.seed > 0 else (1,)
    sizes = [found.users * times for times in USERS]
    for population, (folds, repeats), count, users in product(POPULATIONS, FOLDS, seeds, sizes):
        parts, df = planned(found, population, (folds, repeats, count, users))
        error = float(np.sqrt(sum(parts.values())))
        effect = detectable_effect(df + 1, block["alpha"], block["power"])
        rows.append(
            {"population": population, "folds": folds, "repeats": repeats, "seeds": count}
            | {"users": users, "margin": margin, "error": error, "df": df}
            | {f"sd_{name}": float(np.sqrt(value)) for name, value in parts.items()}
            | ({"sd_seed": np.nan} if unknown else {})
            | {
                "detectable": error * effect * float(np.sqrt(df + 1)),
                "equivalence": power_of_equivalence(margin / error, df, block["alpha"])
                if error
                else 1.0,
            }
        )
    return pd.DataFrame(rows)


def of_study(measured: Measured, block: Mapping[str, Any]) -> pd.DataFrame:
    """The `planning` table of the main question: the primary method against the control.

    Empty where there are no predictions, fewer than two methods, or fewer than two folds.
    """
    empty = pd.DataFrame(columns=COLUMNS["planning"])
    if min(measured.table.shape) < 2 or measured.influence is None:
        return empty
    control, primary = roles([str(name) for name in measured.table.columns], block)
    influence = measured.influence
    found = components(influence, primary, control, measured.repeats)
    if found is None or not found.users[0]:
        return empty
    users = int(np.count_nonzero(influence.users.any(axis=1)))
    seeds = seed_variances(blocks.of_methods(measured.compared), (primary, control))
    rows = planning(sources(found, users, seeds), block["margin"], block)
    return rows.assign(group_a=primary, group_b=control)[COLUMNS["planning"]]
