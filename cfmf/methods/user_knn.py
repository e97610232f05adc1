"""User neighbours: the K most similar users that rated the item."""

from __future__ import annotations

from cfmf.methods.knn import KNN


class UserKNN(KNN):
    """Prediction from the K most similar users."""

    name = "user-knn"
    label = "user kNN: nearest neighbours about a baseline, tuned"
    equation = (
        "x̂<sub>ui</sub> = o<sub>ui</sub> + Σ<sub>v∈K(u,i)</sub> s<sub>uv</sub> "
        "(x<sub>vi</sub> − o<sub>vi</sub>) / (γ + Σ<sub>v∈K(u,i)</sub> s<sub>uv</sub>)"
    )
    source = (
        "Resnick et al. (1994). GroupLens: an open architecture for collaborative filtering "
        "of netnews. CSCW. Koren (2010). Factor in the neighbors. TKDD 4(1)."
    )
    neighbours_of = "users"
