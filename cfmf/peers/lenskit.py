"""Methods of LensKit (Ekstrand 2020): biased factorization by ALS, and item-based neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from cfmf.methods.base import Model, Prediction, setting
from cfmf.observed import checked_pairs
from cfmf.peers.common import (
    PeerFactorization,
    PeerMethod,
    Rows,
    UnsavedModel,
    factorization,
    rating_table,
)


def dataset(train: sparse.csr_array) -> Any:
    """Ratings as LensKit wants them; its ids are the numbers of users and items."""
    from lenskit.data import from_interactions_df

    return from_interactions_df(rating_table(train, {"user": "user_id", "item": "item_id"}))


class LensKitALS(PeerFactorization):
    """LensKit's BiasedMF: biases first, then factors by alternating least squares."""

    name = "lenskit-als"
    label = "LensKit ALS"

    k: int = setting(20, "Number of factors.", grid=[10, 20], step=2, search=(5, 320), ge=1)
    reg: float = setting(
        0.1,
        "Regularization, times the number of ratings of the user or item.",
        grid=[0.1, 0.2],
        step=2,
        search=(0.0125, 3.2),
        ge=0,
    )
    epochs: int = setting(10, "Sweeps over users and items.", ge=1)
    damping: float = setting(5.0, "Damping of the biases, in ratings.", ge=0)

    def learn(self, train: sparse.csr_array, seed: int) -> Model:
        """Train by `lenskit.als.BiasedMFScorer`; see `PeerMethod.learn`."""
        from lenskit.als import BiasedMFScorer
        from lenskit.training import TrainingOptions

        found = BiasedMFScorer(
            embedding_size=self.k,
            epochs=self.epochs,
            regularization=self.reg,
            damping=self.damping,
        )
        found.train(dataset(train), TrainingOptions(rng=seed))
        users = Rows(found.users.ids(), found.user_embeddings, found.bias.user_biases)
        items = Rows(found.items.ids(), found.item_embeddings, found.bias.item_biases)
        return factorization(train, found.bias.global_bias, users, items)


class LensKitItemKNN(PeerMethod):
    """LensKit's ItemKNN: the user's ratings of the items most similar to the queried one."""

    name = "lenskit-item-knn"
    label = "LensKit item kNN"
    family = "neighbours"
    known_failures: ClassVar[Mapping[str, str]] = {"save_and_load": "LensKit's objects need pickle"}

    neighbours: int = setting(
        20,
        "Most neighbours of a prediction.",
        grid=[10, 20, 40, 80],
        step=2,
        search=(5, 320),
        ge=1,
    )
    damping: float = setting(5.0, "Damping of the biases of a fallback, in ratings.", ge=0)

    def learn(self, train: sparse.csr_array, seed: int) -> Model:
        """Compare all items by `lenskit.knn.ItemKNNScorer`; see `PeerMethod.learn`."""
        from lenskit.basic import BiasScorer
        from lenskit.knn import ItemKNNScorer

        data = dataset(train)
        found = ItemKNNScorer(max_nbrs=self.neighbours, feedback="explicit")
        rest = BiasScorer(damping=self.damping)
        for one in (found, rest):
            one.train(data)
        return LensKitModel(found, rest, train)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """Ratings, biases, and the similarities of all pairs of items, at most."""
        return ratings + sum(shape) + shape[1] ** 2


@dataclass(frozen=True, eq=False)
class LensKitModel(UnsavedModel):
    """A scorer of LensKit, another for what it does not score, and the training ratings."""

    scorer: Any
    rest: Any
    train: sparse.csr_array

    def predict(self, users: np.ndarray, items: np.ndarray) -> Prediction:
        """One user after the other; a fallback, biases only, where no neighbour was rated."""
        from lenskit.data import ItemList, RecQuery

        users, items = checked_pairs(users, items, self.train.shape)
        values = np.empty(len(users), np.float32)
        is_fallback = np.zeros(len(users), bool)
        order = np.argsort(users, kind="stable")
        starts = np.flatnonzero(np.diff(users[order], prepend=-1))
        for places in np.split(order, starts[1:]) if len(order) else []:
            user = users[places[0]]
            own = slice(self.train.indptr[user], self.train.indptr[user + 1])
            rated = ItemList(
                item_ids=self.train.indices[own].astype(np.int64), rating=self.train.data[own]
            )
            query = RecQuery(user_id=int(user), user_items=rated)
            asked = ItemList(item_ids=items[places])
            scores, known = (one(query, asked).scores() for one in (self.scorer, self.rest))
            lacking = ~np.isfinite(scores)
            values[places], is_fallback[places] = np.where(lacking, known, scores), lacking
        return Prediction(values, is_fallback)
