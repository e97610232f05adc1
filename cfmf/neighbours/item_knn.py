"""The registry entry `item-knn`: the K most similar items that the user rated."""

from __future__ import annotations

from typing import ClassVar

from cfmf.neighbours.knn import KNN


class ItemKNN(KNN):
    """`KNN` over items."""

    by: ClassVar[str] = "items"
