"""The matrix factorization of Cornac (Salah, Truong and Lauw 2020)."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cfmf.methods.base import Model, setting
from cfmf.peers.common import Rows, SteppedFactorization, factorization, rating_table


class CornacMF(SteppedFactorization):
    """Cornac's MF: biased matrix factorization by stochastic gradient descent."""

    name = "cornac-mf"
    label = "Cornac MF"

    epochs: int = setting(
        40,
        "Passes over the ratings. Of 20, 40 and 80, 40 has the lowest RMSE on the validation part"
        " of the first fold of MovieLens 100K.",
        ge=1,
    )
    learning_rate: float = setting(0.01, "Learning rate of all parameters.", gt=0)

    def learn(self, train: sparse.csr_array, seed: int) -> Model:
        """Train by `cornac.models.MF`; see `PeerMethod.learn`."""
        from cornac.data import Dataset
        from cornac.models import MF

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
