"""Columns of rows whose number is not known before the last one is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Columns:
    """Columns that grow block by block, without a second copy of what they hold.

    Memory for all expected rows is reserved at the first block; the system provides it only as it
    is written to.

    Parameters
    ----------
    kinds
        Type of each column. An int32 column becomes int64 at the first number that does not fit.
    """

    def __init__(self, kinds: Mapping[str, DTypeLike]) -> None:
        self.rows = 0
        self._arrays: dict[str, NDArray[Any]] = {
            name: np.empty(0, kind) for name, kind in kinds.items()
        }

    def append(self, block: Mapping[str, NDArray[Any]], expected: int) -> None:
        """Add rows.

        Parameters
        ----------
        block
            One array a column, of equal length.
        expected
            Estimate of the total number of rows; there may be more.
        """
        start = self.rows
        self.rows += len(next(iter(block.values())))
        for name, values in block.items():
            array = self._arrays[name]
            kind = array.dtype
            if kind == np.int32 and len(values) and values.max() > np.iinfo(np.int32).max:
                kind = np.dtype(np.int64)
            if len(array) < self.rows or kind != array.dtype:
                size = max(expected, self.rows + start // 2, len(array))
                array = np.empty(size, kind)
                array[:start] = self._arrays[name][:start]
                self._arrays[name] = array
            array[start : self.rows] = values

    def finished(self) -> dict[str, NDArray[Any]]:
        """The columns, each of `rows` values."""
        return {name: array[: self.rows] for name, array in self._arrays.items()}
