"""Similarities that a model keeps once it has computed all of them, where they are few enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cfmf.kernels.similarities import Comparison, Query

Floats = NDArray[np.float32]
Compared = Callable[[], Comparison]


@dataclass(frozen=True)
class Where:
    """Where predictions are computed, and until when.

    Attributes
    ----------
    threads
        Cores to use; no result depends on it.
    device
        `cpu` for `cfmf.kernels.scatter`, a torch device such as `cuda` for `cfmf.kernels.dense`.
    until
        When to give up, by the monotonic clock; None: never.
    """

    threads: int = 1
    device: str = "cpu"
    until: float | None = None


@dataclass(eq=False)
class Kept:
    """All similarities of one comparison and one shrinkage, from their first use on.

    They are kept on the CPU, where `cfmf.kernels.scatter.whole_pays`; otherwise they are computed
    where they are used.
    """

    matrix: Floats | None = field(default=None, repr=False)

    def similar(
        self, compared: Compared, shrinkage: float, query: Query, where: Where
    ) -> Comparison | Floats:
        """Similarities for queried pairs as the kernels take them: all, or what to compare.

        `compared` is called only where nothing is kept.
        """
        if self.matrix is not None:
            return self.matrix
        comparison = compared()
        if where.device != "cpu":
            return comparison
        from cfmf.kernels import few, scatter

        if few.pays(comparison, query) or not scatter.whole_pays(comparison, query):
            return comparison
        given = where.threads, where.until
        self.matrix = scatter.full_similarity(comparison, shrinkage, *given)
        return self.matrix

    def row(self, compared: Compared, shrinkage: float, row: int) -> Floats:
        """Similarities of one row with all rows, 0 with itself: just those that predictions use."""
        if self.matrix is not None:
            return self.matrix[row]
        from cfmf.kernels.scatter import similarity_row

        return similarity_row(compared(), row, shrinkage)
