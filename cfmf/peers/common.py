"""What methods of other packages share: how they are fitted, and their parameters as one model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.extras import explained
from cfmf.factorization.model import Factorization, rated_rows
from cfmf.methods.base import Method, Model, Progress, setting
from cfmf.observed import checked, row_numbers


class PeerMethod(Method):
    """A method of another package, in the environment that has it."""

    environment = "peers"

    @abstractmethod
    def learn(self, train: sparse.csr_array, seed: int) -> Model:
        """What the package learns of ratings as `cfmf.observed.checked` has them."""

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
        """See `Method.fit`."""
        with explained():
            return self.learn(checked(train), seed)


class PeerFactorization(PeerMethod):
    """A factorization of another package, whose parameters are those of one of ours."""

    family = "factorization"
    can = frozenset({"explain", "similar_items", "factors"})
    job_per_point = True
    stochastic = True
    raw_values = True


class SteppedFactorization(PeerFactorization):
    """Trained by stochastic gradient descent, with one penalty for all parameters."""

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


class UnsavedModel(Model):
    """A model that is an object of another package, which only pickle could write."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Refused."""
        raise NotImplementedError("objects of other packages cannot be saved; fit them again")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Refused; see `arrays`."""
        raise NotImplementedError("objects of other packages cannot be loaded; fit them again")


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
