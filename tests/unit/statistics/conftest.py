"""A synthetic study: RMSE of methods on folds, with what is better known beforehand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "statistics.schema.yaml"


@pytest.fixture(scope="session")
def block():
    definitions = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))["$defs"]
    properties = definitions["statistics"]["properties"]
    found = {name: entry["default"] for name, entry in properties.items()}
    return found | {"margin": 4 * found["margin"]}  # of a scale from 1 to 5


@pytest.fixture(scope="session")
def make_study():
    """Maker of (metrics, selected, user_errors) with effects of methods and of k as asked."""

    def make(
        grids=("mf", "mf-published"),
        singles=("baseline", "user-knn"),
        folds=5,
        seeds=2,
        ks=("1", "4", "16", "64"),
        regs=("0.01", "0.02", "0.05", "0.1", "0.2"),
        effects=None,
        slope=-0.01,
        noise=0.002,
    ):
        effects = effects or {"baseline": 0.02, "user-knn": 0.0, "mf": -0.03}
        rng = np.random.default_rng(5)
        rows, users = [], []
        for fold in (f"u{i + 1}" for i in range(folds)):
            of_fold = rng.normal(0, 0.01)

            def add(method, k, reg, seed, value, fold=fold):
                keys = {"dataset": "made", "fold": fold, "method": method}
                for split in ("validation", "test"):
                    found = value + rng.normal(0, noise)
                    rows.append(
                        {**keys, "k": k, "reg": reg, "seed": seed, "split": split}
                        | {"metric": "rmse", "value": found}
                    )

            for method in singles:
                add(method, "", "", "", 0.93 + of_fold + effects.get(method, 0))
            for method in grids:
                for i, k in enumerate(ks):
                    for j, reg in enumerate(regs):
                        for seed in range(1, seeds + 1):
                            centre = 0.93 + of_fold + effects.get(method, 0)
                            bend = 0.005 * (j - len(regs) // 2) ** 2
                            add(method, k, reg, str(seed), centre + slope * i + bend)
            for method in (*singles, *grids):
                n = np.arange(20, 60)
                users.append(
                    pd.DataFrame({"user": np.arange(n.size), "n": n})
                    .assign(dataset="made", fold=fold, method=method)
                    .assign(squared_error=n * (0.93 + effects.get(method, 0)) ** 2)
                    .assign(absolute_error=n * 0.7)
                )
        metrics = pd.DataFrame(rows)
        return metrics, pd.concat(users, ignore_index=True)

    return make
