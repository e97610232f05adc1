"""Item neighbours: the K most similar items that the user rated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cfmf.methods.knn import KNN


class ItemKNN(KNN):
    """Prediction from the K most similar items."""

    name = "item-knn"
    label = "item kNN: nearest items about a baseline, tuned"
    can = KNN.can | {"similar_items"}
    neighbours_of = "items"
    known_failures: ClassVar[Mapping[str, str]] = {
        "memory": "a block of similarities between items takes up to 80 MB, however few ratings"
        " there are; to be fixed with blocks that suit small data"
    }
