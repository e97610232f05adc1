"""User neighbours: the K most similar users that rated the item."""

from __future__ import annotations

from cfmf.methods.knn import KNN


class UserKNN(KNN):
    """Prediction from the K most similar users."""

    name = "user-knn"
    label = "user kNN: nearest neighbours about a baseline, tuned"
    neighbours_of = "users"
