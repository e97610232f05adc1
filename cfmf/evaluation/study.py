"""What is measured of one method at its chosen setting, on one fold: every table of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.config import registry
from cfmf.evaluation import ranking, reasons, trimming
from cfmf.evaluation.bootstrap import Resampling
from cfmf.evaluation.fitting import Setting, fit
from cfmf.evaluation.footprint import cost_rows, measured
from cfmf.evaluation.scaling import EPOCHS, brief
from cfmf.observed import pairs
from cfmf.tables import COLUMNS


def measure(
    setting: Setting,
    train: sparse.csr_array,
    test: sparse.csr_array,
    whole: NDArray[np.float32],
    users: pd.DataFrame,
    items: pd.DataFrame,
    options: Mapping[str, Any],
    resampling: Resampling,
    *,
    dataset: str = "",
    scale: tuple[float, float],
    threads: int = 1,
    device: str = "cpu",
) -> dict[str, pd.DataFrame]:
    """Fit a method again, to all of train and to train with histories cut short, and measure it.

    Parameters
    ----------
    whole
        The study's own predictions of the test ratings, in CSR order.
    users, items
        Columns user and user_id; item, item_id and perhaps title and year.
    options
        The `evaluation` block of the config.
    resampling
        How the intervals are made.

    Returns
    -------
    The tables that `cfmf.tables.MEASURED` names.
    """
    where: dict[str, Any] = {"scale": scale, "threads": threads, "device": device}
    titles = reasons.item_titles(items)
    told = reasons.numbers_of(options["reasons"]["users"], users, "user")
    told = told or reasons.typical_users(train, test)
    asked_pairs = reasons.pairs_of(options["reasons"]["pairs"], users, items)
    told = list(dict.fromkeys([*told, *(user for user, _ in asked_pairs)]))
    shown = reasons.numbers_of(options["reasons"]["titles"], items, "item")
    candidates = ranking.candidate_matrix(train, np.array(told, dtype=np.int64))
    top, seed = options["ranking"]["top"], options["seed"]
    threshold = ranking.relevance_threshold(scale)
    ranked = ranking.ranked_users(test, threshold, options["ranking"]["users"], seed)
    asked = ranking.candidate_matrix(train, ranked)
    _warm_up(setting, train, candidates, where)
    with measured() as fitting:
        found = fit(setting, train, candidates, **where)
    with measured() as predicting:
        predictions = found.model.predict(*pairs(asked)).values
    by_user = ranking.rank_users(asked, predictions, train, test, threshold, top)

    recommended, why = reasons.recommend(
        setting, found, candidates, train, test, users, titles, top, dataset, asked_pairs
    )
    keys = {"dataset": dataset, "fold": setting.fold, "method": setting.method}
    trimmed = pd.DataFrame(columns=COLUMNS["intervals"])
    if options["trimming"]["rounds"]:
        plan = trimming.design(train, test, **options["trimming"], seed=seed)
        trimmed = trimming.trimmed_errors(
            setting, train, test, whole, plan, resampling, dataset=dataset, seed=seed, **where
        )
    return {
        "cold_start": trimmed,
        "ranking": ranking.ranking_rows(by_user, top, resampling, **keys),
        "recommendations": recommended,
        "reasons": why,
        "factors": reasons.factor_titles(setting, found.model, train, titles, dataset),
        "similar_titles": reasons.similar_titles(
            setting, found.model, train, shown or reasons.typical_items(train), titles, dataset
        ),
        "fit_costs": cost_rows(setting, found.model, train, fitting, predicting, asked, dataset),
    }


def _warm_up(
    setting: Setting, train: sparse.csr_array, asked: sparse.csr_array, where: Mapping[str, Any]
) -> None:
    """Fit and predict once, so that what a process loads and compiles counts for no method."""
    neighbours = registry()[setting.method] == "neighbours"
    found = fit(setting if neighbours else brief(setting, EPOCHS[0]), train, asked, **where)
    found.model.predict(*pairs(asked))
