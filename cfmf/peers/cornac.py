"""The matrix factorization of Cornac (Salah, Truong and Lauw 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy import sparse

from cfmf.extras import explained
from cfmf.methods.base import Method, Model, Progress, setting
from cfmf.observed import checked
from cfmf.peers.common import ENVIRONMENT, Rows, factorization, rating_table


class CornacMF(Method):
    """Cornac's MF: biased matrix factorization by stochastic gradient descent."""

    name = "cornac-mf"
    label = "Cornac MF"
    family = "factorization"
    can = frozenset({"explain", "similar_items", "factors"})
    job_per_point = True
    stochastic = True
    environment = ENVIRONMENT
    raw_values = True
    known_failures: ClassVar[Mapping[str, str]] = {
        "order": "its steps follow the order of the ratings"
    }

    k: int = setting(20, "Number of factors.", grid=[20, 40], step=2, search=(5, 320), ge=1)
    reg: float = setting(
        0.1,
        "Regularization of all parameters.",
        grid=[0.05, 0.1],
        step=2,
        search=(0.00625, 1.6),
        ge=0,
    )
    epochs: int = setting(
        40,
        "Passes over the ratings. Of 20, 40 and 80, 40 has the lowest RMSE on the validation part"
        " of the first fold of MovieLens 100K.",
        ge=1,
    )
    learning_rate: float = setting(0.01, "Learning rate of all parameters.", gt=0)

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
    ) -> Model:
        """Train by `cornac.models.MF`; see `Method.fit`."""
        with explained():
            from cornac.data import Dataset
            from cornac.models import MF

        train = checked(train)
        triples = rating_table(train).itertuples(index=False, name=None)
        data = Dataset.build(triples, seed=seed)
        found = MF(
            k=self.k,
            max_iter=self.epochs,
            learning_rate=self.learning_rate,
            lambda_reg=self.reg,
            seed=seed,
        ).fit(data)
        users = Rows(np.array(list(data.uid_map)), found.u_factors, found.u_biases)
        items = Rows(np.array(list(data.iid_map)), found.i_factors, found.i_biases)
        return factorization(train, found.global_mean, users, items)
