"""Item neighbours: the K most similar items that the user rated."""

from __future__ import annotations

from cfmf.methods.knn import KNN


class ItemKNN(KNN):
    """Prediction from the K most similar items."""

    name = "item-knn"
    label = "item kNN: nearest items about a baseline, tuned"
    equation = (
        "x̂<sub>ui</sub> = o<sub>ui</sub> + Σ<sub>j∈K(i,u)</sub> s<sub>ij</sub> "
        "(x<sub>uj</sub> − o<sub>uj</sub>) / (γ + Σ<sub>j∈K(i,u)</sub> s<sub>ij</sub>)"
    )
    source = (
        "Sarwar, Karypis, Konstan & Riedl (2001). Item-based collaborative filtering "
        "recommendation algorithms. WWW."
    )
    can = KNN.can | {"similar_items"}
    neighbours_of = "items"
