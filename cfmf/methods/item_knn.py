"""Item neighbours: the K most similar items that the user rated."""

from __future__ import annotations

from cfmf.methods.knn import KNN


class ItemKNN(KNN):
    """Prediction from the K most similar items."""

    name = "item-knn"
    label = "item kNN: nearest items about a baseline, tuned"
    can = KNN.can | {"similar_items"}
    neighbours_of = "items"
