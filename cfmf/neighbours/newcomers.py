"""New users of a neighbour model, whose ratings stand below those that it was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from scipy import sparse


def stacked(train: sparse.csr_array, new: sparse.csr_array) -> sparse.csr_array:
    """The training ratings with those of new users below them."""
    return sparse.csr_array(sparse.vstack([train, new], format="csr"))


def fitted_users(arrays: Mapping[str, NDArray[Any]]) -> int:
    """How many of the users in a model's arrays it was fitted to; the rest were folded in.

    Raises
    ------
    ValueError
        If there are not so many.
    """
    found = int(arrays["fitted_users"])
    if not 0 < found <= len(arrays["user_bias"]):
        raise ValueError(f"the model was not fitted to {found} users")
    return found
