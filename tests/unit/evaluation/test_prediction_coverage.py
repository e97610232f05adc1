"""Coverage of prediction intervals by a direct count, and at its nominal level where it holds."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cfmf.evaluation.conformal import Radii, interval
from cfmf.evaluation.prediction_coverage import Fold, prediction_intervals
from cfmf.tables import COLUMNS

SCALE = (1.0, 5.0)


def study(seed, users=200, items=120, sd=0.6):
    """Matrices of one fold, and predictions that are the truth beside noise of the ratings."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 0.8, (users, items))
    ratings = np.clip(truth + rng.normal(0, sd, truth.shape), *SCALE).astype("f4")
    active = rng.uniform(0.02, 0.6, (users, 1))
    part = np.where(rng.random(truth.shape) < active, rng.integers(0, 4, truth.shape), -1)

    def matrix(*wanted):
        rows, columns = np.nonzero(np.isin(part, wanted))
        found = sparse.csr_array((ratings[rows, columns], (rows, columns)), shape=part.shape)
        found.sort_indices()
        return found

    def predicted(matrix):
        rows, columns = matrix.tocoo().coords
        return truth[rows, columns].astype("f4")

    fold = Fold(matrix(0, 1), matrix(2), matrix(0, 1, 2), matrix(3))
    return fold, predicted(fold.validation), predicted(fold.test)


def table_of(folds, seeds=("",)):
    chosen = pd.DataFrame(
        [{"dataset": "d", "fold": fold, "method": "m", "k": "", "reg": ""} for fold in folds]
    )

    def frames(place):
        parts = [
            pd.DataFrame({"fold": fold, "seed": seed, "prediction": given[place]})
            for fold, given in folds.items()
            for seed in seeds
        ]
        return lambda *_: pd.concat(parts, ignore_index=True)

    given = frames(1), frames(2), lambda fold: folds[fold][0]
    return prediction_intervals(chosen, *given, SCALE)


def test_counts_are_those_of_a_direct_count():
    fold, known, queried = study(1)
    found = table_of({"f1": (fold, known, queried)})
    assert list(found) == COLUMNS["prediction_intervals"]
    histories = np.repeat(np.diff(fold.train.indptr), np.diff(fold.test.indptr))
    before = np.repeat(np.diff(fold.fit.indptr), np.diff(fold.validation.indptr))
    radii = Radii.learn(known, fold.validation.data, before, SCALE).of(histories)
    low, high = interval(queried, radii, SCALE)
    inside = (low <= fold.test.data) & (fold.test.data <= high)
    rows = found[(found["fold"] == "f1") & (found["radii"] == "by_history")].set_index("level")
    for level, chosen in (("all", histories >= 0), ("20-49", (histories > 19) & (histories < 50))):
        users = np.repeat(np.arange(fold.test.shape[0]), np.diff(fold.test.indptr))
        assert rows.loc[level, "users"] == len(set(users[chosen]))
        assert rows.loc[level, "n"] == chosen.sum()
        assert rows.loc[level, "coverage"] == pytest.approx(inside[chosen].mean())
        assert rows.loc[level, "width"] == pytest.approx((high - low)[chosen].mean())


def test_errors_that_are_alike_are_covered_nine_times_in_ten():
    found = table_of({f"f{seed}": study(seed) for seed in range(4)})
    rows = found[found["level"] == "all"].set_index(["fold", "radii"])
    for radii in ("by_history", "one"):
        whole = rows.loc["all", radii]
        assert whole["users"] <= 200
        assert whole["n"] == sum(rows.loc[f"f{seed}", radii]["n"] for seed in range(4))
        assert whole["coverage"] == pytest.approx(0.9, abs=0.02)


def test_values_are_means_over_seeds():
    one = study(3)
    pd.testing.assert_frame_equal(table_of({"f": one}), table_of({"f": one}, ("1", "2")))


def test_missing_predictions_are_refused():
    fold, known, queried = study(3)
    with pytest.raises(ValueError, match="predictions for"):
        table_of({"f": (fold, known[:-1], queried)})
