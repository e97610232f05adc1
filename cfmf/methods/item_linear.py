"""Item neighbours whose weights are learned from the ratings, not set to similarities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from cfmf.deadline import check_deadline
from cfmf.methods.base import Method, Model, Prediction, Progress, setting
from cfmf.neighbours.biases import Biases, fit_biases, tuned_regs
from cfmf.neighbours.compare import comparison_operations
from cfmf.neighbours.regression import ItemRegression, relations_of
from cfmf.observed import checked
from cfmf.threads import use_threads


class ItemLinear(Method):
    """Item neighbours with learned weights: all items that a user rated, weighted by a regression.

    x̂_ui = b_ui + Σ_{j ∈ R(u)} (w_uij r_uj + c_ij), where r are the residuals of the baseline
    predictor and R(u) the items that user u rated. As in Bell & Koren (2007), *Scalable
    collaborative filtering with jointly derived neighborhood interpolation weights*, a user's
    weights solve (S + λI) w = s, with similarities S of the items in R(u) and s of item i with
    them, so that neighbours that repeat each other share a weight. The c_ij are learned from who
    rated what, as in Koren (2010), *Factor in the neighbors*. Both are one kernel ridge
    regression on the observed ratings; a missing rating is missing, and never a zero.
    """

    name = "item-linear"
    label = "Item regression"
    equation = (
        "x̂<sub>ui</sub> = b<sub>ui</sub> + Σ<sub>j∈R(u)</sub> a<sub>uj</sub> s<sub>ij</sub> "
        "+ Σ<sub>v∈R(i)</sub> a<sub>vi</sub> t<sub>uv</sub>"
    )
    source = (
        "Bell & Koren (2007). Scalable collaborative filtering with jointly derived "
        "neighborhood interpolation weights. ICDM."
    )
    family = "neighbours"
    can = frozenset({"explain", "fold_in", "similar_items"})
    shared_pass = "implicit"

    reg: float = setting(
        1.0,
        "Strength λ of the penalty: variance of the noise, in that of what the similarities"
        " predict.",
        grid=[0.5, 1, 2],
        step=2,
        search=(0.0625, 1024),
        gt=0,
    )
    implicit: float = setting(
        0.3,
        "Weight of who rated what, whatever the rating, likewise in the variance of what the"
        " similarities predict; 0 is without.",
        ge=0,
    )
    agreement: float = setting(
        0.35,
        "Share of the similarities that is the cosine of residuals; the rest is that of who rated"
        " the two items, whatever the rating.",
        ge=0,
        le=1,
    )
    shrinkage: float = setting(
        5.0,
        "Ratings that are added to those of every item in the norms of the cosines, so that items"
        " with few ratings are little like others.",
        ge=0,
    )

    def fit(
        self,
        train: sparse.csr_array,
        validation: sparse.csr_array | None = None,
        *,
        seed: int = 1,
        threads: int = 1,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> ItemRegression:
        """Fit the biases and solve for the weights; see `Method.fit`."""
        [model] = _models([self], checked(train), threads)
        return model

    @classmethod
    def predict_grid(
        cls,
        candidates: Sequence[Method],
        train: sparse.csr_array,
        users: np.ndarray,
        items: np.ndarray,
        *,
        threads: int = 1,
        device: str = "cpu",
        until: float | None = None,
    ) -> list[Prediction]:
        """Penalties share their products with the similarities; see `Method.predict_grid`."""
        known = [one for one in candidates if isinstance(one, ItemLinear)]
        found = []
        for model in _models(known, checked(train), threads, until):
            check_deadline(until)
            found.append(model.predict(users, items))
        return found

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """See `Method.operations`: of every step, Σ over items and users of squared counts."""
        return sum(comparison_operations(side, train, train) for side in ("users", "items"))

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """The ratings, a weight for each, and a bias for each user and item."""
        return 2 * ratings + sum(shape)


def _models(
    candidates: Sequence[ItemLinear],
    train: sparse.csr_array,
    threads: int,
    until: float | None = None,
) -> list[ItemRegression]:
    """Models of settings that differ in their penalty only."""
    use_threads(threads)
    first = candidates[0]
    regs = tuned_regs(train)
    biases: Biases = fit_biases(train, *regs)
    declared = first.agreement, first.shrinkage, first.implicit
    relations, _ = relations_of(train, biases, *declared)
    solved = relations.solve([one.reg for one in candidates], until)
    return [
        ItemRegression(train, biases, weights, declared, one.reg, regs[0], threads)
        for one, weights in zip(candidates, solved, strict=True)
    ]
