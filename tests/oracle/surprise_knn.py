"""Predictions of Surprise's kNN algorithms, for test_surprise_knn.py to compare with.

    .venv-peers/bin/python tests/oracle/surprise_knn.py

in the environment that `make benchmark` makes (scikit-surprise 1.1.5) writes surprise_knn.json.
"""

import json
from pathlib import Path

import numpy as np

NEAREST = 4


def main() -> None:
    """Synthetic ratings, every tenth pair without one, and what Surprise predicts for it."""
    import pandas as pd
    import surprise

    rng = np.random.default_rng(31)
    held = rng.random((30, 20)) < 0.5
    rows = [(*map(int, pair), int(rng.integers(1, 6))) for pair in np.argwhere(held)]
    asked = [tuple(map(int, pair)) for pair in np.argwhere(~held)[::10]]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating"])
    reader = surprise.Reader(rating_scale=(1, 5))
    train = surprise.Dataset.load_from_df(frame, reader).build_full_trainset()
    predictions = {}
    for by in ("users", "items"):
        similarity = {"name": "pearson", "min_support": 1, "user_based": by == "users"}
        for name in ("KNNBasic", "KNNWithMeans", "KNNBaseline"):
            algorithm = getattr(surprise, name)(k=NEAREST, sim_options=similarity, verbose=False)
            algorithm.fit(train)
            found = [algorithm.predict(*pair, clip=False) for pair in asked]
            predictions[f"{by} {name}"] = [
                round(float(one.est), 7) if one.details.get("actual_k") else None for one in found
            ]
    stored = {"nearest": NEAREST, "ratings": rows, "asked": asked, "predictions": predictions}
    lines = [f'"{key}": {json.dumps(value)}' for key, value in stored.items()]
    Path(__file__).with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
