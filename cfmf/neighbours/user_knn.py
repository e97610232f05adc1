"""The registry entry `user-knn`: the K most similar users that rated the item."""

from __future__ import annotations

from typing import ClassVar

from cfmf.neighbours.knn import KNN


class UserKNN(KNN):
    """`KNN` over users."""

    by: ClassVar[str] = "users"
