"""What methods of other packages share: ratings as tables, and parameters back as one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.factorization.model import Factorization, rated_rows
from cfmf.observed import row_numbers

ENVIRONMENT = "peers"


class Rows(NamedTuple):
    """Parameters of users or of items as a package has them: a row for each that it knows.

    Attributes
    ----------
    numbers
        Of these users or items, in the order of the rows.
    factors
        Rows × k.
    biases
        One a row.
    """

    numbers: NDArray[np.integer]
    factors: NDArray[np.floating]
    biases: NDArray[np.floating]

    def spread(self, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Factors and biases of `size` users or items, zero for those that the package lacks."""
        factors = np.zeros((size, self.factors.shape[1]), np.float32)
        biases = np.zeros(size, np.float32)
        factors[self.numbers], biases[self.numbers] = self.factors, self.biases
        return factors, biases


def rating_table(train: sparse.csr_array, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The stored entries of a matrix: columns user, item (numbers) and rating (float64).

    Parameters
    ----------
    names
        New names of the columns.
    """
    numbers = {"user": row_numbers(train).astype(np.int64), "item": train.indices.astype(np.int64)}
    table = pd.DataFrame({**numbers, "rating": train.data.astype(np.float64)})
    return table.rename(columns=dict(names or {}))


def factorization(train: sparse.csr_array, mean: float, users: Rows, items: Rows) -> Factorization:
    """The model mean + biases + product of factors of what a package learned from `train`."""
    left, user_bias = users.spread(train.shape[0])
    right, item_bias = items.spread(train.shape[1])
    rated = rated_rows(train)
    return Factorization(left, right, user_bias, item_bias, mean=float(mean), rated=rated)
