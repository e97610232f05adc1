"""What user and item neighbours have in common: their settings and how they are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import sparse

from cfmf.methods.base import Method, Model, Prediction, Progress, setting
from cfmf.neighbours.biases import REGS, fit_biases, tuned_regs
from cfmf.neighbours.compare import comparison_operations
from cfmf.neighbours.kept import Where
from cfmf.neighbours.knn import Averaging, NearestNeighbours, predict_settings
from cfmf.observed import checked


class KNN(Method):
    """Prediction from the K most similar users or items."""

    family = "neighbours"
    can = frozenset({"explain", "fold_in"})
    on_gpu = True
    shared_pass = "similarity"

    similarity: Literal["cosine", "adjusted-cosine", "pearson", "pearson-baseline"] = setting(
        "pearson-baseline",
        "How alike two users or items are. cosine is of raw ratings, adjusted-cosine of ratings"
        " minus their user's mean, both with norms over all ratings; pearson is the correlation"
        " over the ratings that the two share, pearson-baseline the same of residuals of the"
        " baseline predictor, uncentred.",
        grid=["adjusted-cosine", "pearson-baseline"],
    )
    prediction: Literal["raw", "centred", "baseline"] = setting(
        "baseline",
        "What the neighbours' ratings are averaged as: raw ratings, deviations from the mean of"
        " the user (of the item, for item neighbours), or deviations from the baseline predictor.",
        grid=["baseline"],
    )
    shrinkage: float = setting(
        100.0,
        "β in s·c/(c + β), where c is the number of ratings that two neighbours share; 0 leaves"
        " similarities unchanged.",
        grid=[10, 100],
        step=4,
        search=(2.5, 10000),
        ge=0,
    )
    neighbours: int = setting(
        40,
        "K, how many of the most similar users (or items) with a rating are averaged.",
        grid=[20, 80],
        step=2,
        search=(5, 640),
        ge=1,
    )
    damping: float = setting(
        0.1,
        "γ in Σ s·deviation / (γ + Σ s), a weight for no deviation at all; 0 is the plain weighted"
        " mean. With raw predictions it pulls towards 0, so leave it at 0 there.",
        grid=[0.1],
        step=4,
        search=(0.025, 100),
        ge=0,
    )
    reg_user: float | None = setting(
        None,
        "Weight of the squared user biases of the baseline predictor, in ratings: a user with that"
        " many ratings keeps half of their mean deviation. null tunes it on a tenth of the training"
        " ratings.",
        ge=0,
    )
    reg_item: float | None = setting(
        None,
        "Weight of the squared item biases of the baseline predictor, in ratings; null tunes it"
        " likewise.",
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
    ) -> NearestNeighbours:
        """Keep the ratings and fit the biases; see `Method.fit`."""
        train = checked(train)
        averaging = self.averaging(_regs([self], train))
        biases = fit_biases(train, averaging.reg_user, averaging.reg_item)
        where = Where(threads, device)
        return NearestNeighbours(self._side(), train, averaging, biases, where)

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
        """Settings of one similarity share its computation; see `Method.predict_grid`."""
        train = checked(train)
        neighbours = [one for one in candidates if isinstance(one, KNN)]
        regs = _regs(neighbours, train)
        settings = [one.averaging(regs) for one in neighbours]
        where = Where(threads, device, until)
        return predict_settings(cls._side(), train, users, items, settings, where)

    def averaging(self, regs: tuple[float, float]) -> Averaging:
        """The settings as the model keeps them, with these weights of biases where none are set."""
        weights = dict(zip(("reg_user", "reg_item"), regs, strict=True))
        return Averaging(**(weights | self.model_dump(exclude_none=True)))

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """Those of the similarities and of the queried predictions."""
        return comparison_operations(self._side(), train, queried)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """The ratings and a bias for each user and item; similarities follow from them."""
        return ratings + sum(shape)

    def with_size(self, k: int) -> Method:
        """The method with k neighbours."""
        return self.model_copy(update={"neighbours": k})

    @classmethod
    def _side(cls) -> Literal["users", "items"]:
        assert cls.neighbours_of
        return cls.neighbours_of


def _regs(candidates: Sequence[KNN], train: sparse.csr_array) -> tuple[float, float]:
    """The tuned weights of biases, if a candidate wants them."""
    free = any(None in (one.reg_user, one.reg_item) for one in candidates)
    return tuned_regs(train) if free else REGS
