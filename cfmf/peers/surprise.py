"""Methods of Surprise (Hug 2020): SVD by stochastic gradient descent, and KNNBaseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from cfmf.methods.base import Model, Prediction, setting
from cfmf.observed import checked_pairs
from cfmf.peers.common import (
    PeerMethod,
    Rows,
    SteppedFactorization,
    UnsavedModel,
    factorization,
    rating_table,
)


def trainset(train: sparse.csr_array) -> Any:
    """Ratings as Surprise wants them; its raw ids are the numbers of users and items."""
    from surprise import Dataset, Reader

    reader = Reader(rating_scale=(float(train.data.min()), float(train.data.max())))
    return Dataset.load_from_df(rating_table(train), reader).build_full_trainset()


class SurpriseSVD(SteppedFactorization):
    """Surprise's SVD: biased matrix factorization by stochastic gradient descent."""

    name = "surprise-svd"
    label = "Surprise SVD"

    epochs: int = setting(
        80,
        "Passes over the ratings. Of 20, 40 and 80, 80 has the lowest RMSE on the validation part"
        " of the first fold of MovieLens 100K.",
        ge=1,
    )
    learning_rate: float = setting(0.005, "Learning rate of all parameters.", gt=0)

    def learn(self, train: sparse.csr_array, seed: int) -> Model:
        """Train by `surprise.SVD`; see `PeerMethod.learn`."""
        from surprise import SVD

        data = trainset(train)
        found = SVD(
            n_factors=self.k,
            n_epochs=self.epochs,
            lr_all=self.learning_rate,
            reg_all=self.reg,
            random_state=seed,
        ).fit(data)
        users = np.array([data.to_raw_uid(one) for one in data.all_users()])
        items = np.array([data.to_raw_iid(one) for one in data.all_items()])
        rows = Rows(users, found.pu, found.bu), Rows(items, found.qi, found.bi)
        return factorization(train, data.global_mean, *rows)


class SurpriseKNNBaseline(PeerMethod):
    """Surprise's KNNBaseline: deviations of similar users from their baselines."""

    name = "surprise-knn-baseline"
    label = "Surprise KNNBaseline"
    family = "neighbours"
    known_failures: ClassVar[Mapping[str, str]] = {
        "equal_ratings": "Surprise divides by the deviations of the ratings",
        "memory": "Surprise keeps the similarities of all pairs of users",
        "save_and_load": "Surprise's objects need pickle",
    }

    similarity: Literal["msd", "pearson_baseline"] = setting(
        "pearson_baseline",
        "How users are compared: mean squared difference, or correlation shrunk by 100 ratings.",
        grid=["msd", "pearson_baseline"],
    )
    neighbours: int = setting(
        40,
        "Most neighbours of a prediction.",
        grid=[20, 40, 80],
        step=2,
        search=(5, 320),
        ge=1,
    )

    def learn(self, train: sparse.csr_array, seed: int) -> Model:
        """Compare all users by `surprise.KNNBaseline`; see `PeerMethod.learn`."""
        from surprise import KNNBaseline

        options = {"name": self.similarity, "user_based": True}
        found = KNNBaseline(k=self.neighbours, sim_options=options, verbose=False)
        return SurpriseModel(found.fit(trainset(train)), train.shape)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """Ratings, baselines, and the similarities of all users, which Surprise keeps."""
        return ratings + sum(shape) + shape[0] ** 2


@dataclass(frozen=True, eq=False)
class SurpriseModel(UnsavedModel):
    """A fitted algorithm of Surprise, and the numbers of users and items."""

    algorithm: Any
    shape: tuple[int, int]

    def predict(self, users: np.ndarray, items: np.ndarray) -> Prediction:
        """One pair after the other; a fallback where no neighbour rated the item."""
        users, items = checked_pairs(users, items, self.shape)
        found = [
            self.algorithm.predict(user, item, clip=False)
            for user, item in zip(users.tolist(), items.tolist(), strict=True)
        ]
        values = np.array([one.est for one in found], np.float32)
        is_fallback = np.array([not one.details.get("actual_k") for one in found], bool)
        return Prediction(values, is_fallback)
