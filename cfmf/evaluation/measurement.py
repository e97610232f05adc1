"""What is measured of one method at its chosen setting, on one fold: every table of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation import ranking, recommendations, trimming
from cfmf.evaluation.bootstrap import Resampling
from cfmf.evaluation.fitting import Setting
from cfmf.evaluation.footprint import cost_rows, measured
from cfmf.evaluation.recommendations import Labels, Wanted
from cfmf.evaluation.scaling import PASSES
from cfmf.observed import pairs
from cfmf.tables import COLUMNS

WARMING = 1000
"""Users whose ratings a method is fitted to before its time is taken."""


class Measured(NamedTuple):
    """What a method is measured on.

    Attributes
    ----------
    train, test
        Of one fold: users × items, CSR.
    predictions
        The study's own predictions of the test ratings, in CSR order.
    users, items
        Columns user and user_id; item, item_id and perhaps title and year.
    """

    train: sparse.csr_array
    test: sparse.csr_array
    predictions: NDArray[np.float32]
    users: pd.DataFrame
    items: pd.DataFrame


def measure(
    setting: Setting,
    on: Measured,
    options: Mapping[str, Any],
    resampling: Resampling,
    scale: tuple[float, float],
) -> dict[str, pd.DataFrame]:
    """Fit a method again, to all of train and to train with truncated histories, and measure it.

    Parameters
    ----------
    options
        The `evaluation` block of the config.
    resampling
        How the intervals are made.
    scale
        Lowest and highest rating.

    Returns
    -------
    The tables that `cfmf.tables.MEASURED` names.
    """
    train, test = on.train, on.test
    labels, wanted, shown = _wanted(on, options)
    top, seed = options["ranking"]["top"], options["seed"]
    threshold = ranking.relevance_threshold(scale)
    ranked = ranking.ranked_users(test, threshold, options["ranking"]["users"], seed)
    queried = ranking.candidate_matrix(train, ranked)
    _warm(setting, train, wanted.candidates, queried)
    with measured() as fitting:
        found = setting.fit(train, wanted.candidates)
    model = found.model
    with measured() as predicting:
        predictions = model.predict(*pairs(queried)).values
    predicting["pairs"] = queried.nnz
    by_user = ranking.rank_users(queried, predictions, train, test, threshold, top)
    recommended, why = recommendations.recommend(setting, found, wanted, train, test, labels)
    similar = recommendations.similar_titles(setting, model, train, shown, labels)
    tables = {
        "ranking": ranking.ranking_rows(by_user, top, resampling, **setting.keys),
        "recommendations": recommended,
        "explanations": why,
        "factors": recommendations.factor_titles(setting, model, train, labels),
        "similar_titles": similar,
        "fit_costs": cost_rows(setting, model, train, {"fit": fitting, "predict": predicting}),
    }
    del found, model  # before the fits to truncated histories need the memory
    return {"cold_start": _cold_start(setting, on, options, resampling)} | tables


def _warm(
    setting: Setting,
    train: sparse.csr_array,
    candidates: sparse.csr_array,
    queried: sparse.csr_array,
) -> None:
    """Fit and predict once: what a process loads and compiles first is no method's work."""
    most = np.argsort(-np.diff(train.indptr), kind="stable")[:WARMING]
    found = setting.shortened(PASSES[0]).fit(trimming.rows_of(train, most), candidates)
    found.model.predict(*pairs(queried))


def _cold_start(
    setting: Setting, on: Measured, options: Mapping[str, Any], resampling: Resampling
) -> pd.DataFrame:
    """Errors with truncated histories; an empty table where no round of it is wanted."""
    if not options["trimming"]["rounds"]:
        return pd.DataFrame(columns=COLUMNS["intervals"])
    plan = trimming.design(on.train, on.test, **options["trimming"], seed=options["seed"])
    return trimming.trimmed_errors(setting, on.train, on.test, on.predictions, plan, resampling)


def _wanted(on: Measured, options: Mapping[str, Any]) -> tuple[Labels, Wanted, list[int]]:
    """Labels, the recommendations to list, and the items whose nearest are listed."""
    named = options["explanations"]
    listed = recommendations.numbers_of(named["users"], on.users, "user")
    listed = listed or recommendations.typical_users(on.train, on.test)
    pairs = recommendations.pairs_of(named["pairs"], on.users, on.items)
    listed = list(dict.fromkeys([*listed, *(user for user, _ in pairs)]))
    shown = recommendations.numbers_of(named["titles"], on.items, "item")
    candidates = ranking.candidate_matrix(on.train, np.array(listed, dtype=np.int64))
    wanted = Wanted(candidates, options["ranking"]["top"], pairs)
    labels = Labels.of(on.users, on.items)
    return labels, wanted, shown or recommendations.typical_items(on.train)
