"""What a neighbour model predicts from: who is compared, who is a neighbour, and what is averaged.

Pairs are of the users of the training ratings, or of new users. A new user is nobody's neighbour.
For user neighbours they are compared with the users of the training; for item neighbours items are
as alike as they were, and the neighbours are among the items that the new user rated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.kernels.similarities import Comparison, Query, transposed
from cfmf.neighbours.biases import Biases
from cfmf.neighbours.compare import compare
from cfmf.neighbours.newcomers import stacked
from cfmf.observed import means, row_numbers

Floats = NDArray[np.float32]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
Side = Literal["users", "items"]


@dataclass(frozen=True, eq=False)
class Known:
    """Ratings and biases that predictions are made from.

    Attributes
    ----------
    by
        Whose neighbours.
    train
        Users × items, checked.
    biases
        Of the users of `train`, then of those of `new`, and of items.
    new
        Ratings of new users where the pairs are of these, numbered after those of `train`.
    """

    by: Side
    train: sparse.csr_array
    biases: Biases
    new: sparse.csr_array | None = None

    def comparison(self, kind: str, counted: bool = True) -> Comparison:
        """The rows whose similarities are wanted; see `compare`."""
        rows = self._everyone if self.by == "users" else self.train
        return compare(rows, self.by, kind, self.biases, counted)

    def query(self, pairs: Pairs, predictions: Sequence[str]) -> Query:
        """Pairs as the kernels take them, and the deviations x − o for each kind of prediction."""
        users, items = pairs
        if self.by == "users":
            held, order = transposed(self.train)
            targets = [self._deviations(kind, self.train)[order] for kind in predictions]
            return Query.of(users, items, held, targets)
        ratings, first = self.train, 0
        if self.new is not None:
            ratings, first = self.new, self.train.shape[0]
        targets = [self._deviations(kind, ratings, first) for kind in predictions]
        return Query.of(items, users - first, ratings, targets)

    def offset(self, prediction: str, pairs: Pairs) -> Floats:
        """o_ui of queried pairs: nothing, the mean of the user or item, or the biases."""
        users, items = pairs
        if prediction == "raw":
            return np.zeros(len(users), dtype=np.float32)
        if prediction == "centred":
            return self._means[users if self.by == "users" else items].astype(np.float32)
        return self.biases.predict(users, items)

    def _deviations(self, prediction: str, ratings: sparse.csr_array, first: int = 0) -> Floats:
        """X − o of ratings, whose rows are users from `first` on, in CSR order."""
        if prediction == "raw":
            return ratings.data
        if prediction == "centred":
            groups = row_numbers(ratings) if self.by == "users" else ratings.indices
            return (ratings.data - self._means[groups]).astype(np.float32)
        return self.biases.residuals(ratings, first)

    @cached_property
    def _means(self) -> NDArray[np.float64]:
        """Mean rating of each user or, by the training ratings, of each item."""
        if self.by == "items":
            return means(self.train.indices, self.train.data, self.train.shape[1])
        everyone = self._everyone
        return means(row_numbers(everyone), everyone.data, everyone.shape[0])

    @cached_property
    def _everyone(self) -> sparse.csr_array:
        return self.train if self.new is None else stacked(self.train, self.new)
