"""The Bayesian factorization machine of myFM (Ohtsuki 2020), of users and items."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO

import numpy as np
from scipy import sparse

from cfmf.methods.base import Model, setting
from cfmf.observed import row_numbers
from cfmf.peers.common import PeerFactorization, Rows, factorization


class MyFM(PeerFactorization):
    """myFM's Gibbs sampler of a factorization machine whose features are users and items."""

    name = "myfm"
    label = "myFM"
    can = frozenset()

    k: int = setting(8, "Number of factors.", grid=[8, 16], step=2, search=(1, 64), ge=1)
    sweeps: int = setting(300, "Draws, of which the last are kept.", ge=2)
    kept: int = setting(150, "Number of the last draws that are averaged.", ge=1)

    def learn(self, train: sparse.csr_array, seed: int) -> Model:
        """Sample by `myfm.MyFMGibbsRegressor`; see `PeerMethod.learn`.

        The mean of the draws' predictions is that of one factorization whose factors are those of
        all draws, one beside the other, each divided by the root of their number.
        """
        from myfm import MyFMGibbsRegressor

        m, n = train.shape
        columns = np.column_stack([row_numbers(train), m + train.indices]).ravel()
        rows = np.repeat(np.arange(train.nnz), 2)
        design = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(train.nnz, m + n))
        sampler = MyFMGibbsRegressor(rank=self.k, random_seed=seed)
        kept = min(self.kept, self.sweeps - 1)
        with redirect_stderr(StringIO()):  # its bar of progress cannot be switched off
            sampler.fit(
                design,
                train.data.astype(np.float64),
                group_shapes=[m, n],
                n_iter=self.sweeps,
                n_kept_samples=kept,
            )
        draws = sampler.predictor_.samples
        factors = np.hstack([draw.V for draw in draws]) / np.sqrt(len(draws))
        biases = np.mean([draw.w for draw in draws], axis=0)
        users = Rows(np.arange(m), factors[:m], biases[:m])
        items = Rows(np.arange(n), factors[m:], biases[m:])
        return factorization(train, float(np.mean([draw.w0 for draw in draws])), users, items)
