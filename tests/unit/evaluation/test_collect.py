"""Tables of all methods in one, and errors in slices."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cfmf.evaluation import collect, item_mean
from cfmf.evaluation.bootstrap import Resampling
from cfmf.selection import choose
from cfmf.tables import COLUMNS


def row(method, k, reg, seed, split, value, fold="u1", metric="rmse"):
    values = ["d", fold, method, k, reg, seed, split, metric, value]
    return dict(zip(COLUMNS["metrics"], values, strict=True))


def trials(settings, values, states=None, method="user-knn"):
    """Trials of one method in fold u1."""
    return pd.DataFrame(
        {
            "dataset": "d",
            "fold": "u1",
            "method": method,
            "trial": range(len(settings)),
            "state": states or "COMPLETE",
            "setting": settings,
            "metric": "validation_rmse",
            "value": values,
        }
    )


def test_trials_that_are_not_complete_are_counted():
    found = collect.stopped_trials(
        trials(["a=1", "a=2", "a=3"], 0.9, ["COMPLETE"] + ["OUT_OF_TIME"] * 2)
    )
    assert found.to_dict("records") == [{"method": "user-knn", "stopped": 2, "runs": 3}]


def test_the_same_fact_twice_is_refused():
    table = pd.DataFrame([row("mf", "4", "0.1", "1", "test", 0.9)])
    with pytest.raises(ValueError, match="report the same fact"):
        collect.collect([table, table])
    assert len(collect.collect([table, table.assign(method="als")])) == 2 * len(table)


def test_nothing_to_collect_is_refused():
    with pytest.raises(ValueError, match="run at least one method"):
        collect.collect([])


def test_bins_are_read_as_counts():
    assert collect.bin_names((0, 1, 10, 20)) == ["0", "1-9", "10-19", "20+"]


@pytest.fixture
def fold():
    rng = np.random.default_rng(2)
    kind = rng.random((30, 40))
    train = sparse.csr_array(np.where(kind < 0.5, 3.0, 0.0).astype(np.float32))
    test = sparse.csr_array(np.where(kind > 0.8, 4.0, 0.0).astype(np.float32))
    return train, test


def details(fold, seeds=("1", "2"), size=None, periods=None):
    test = fold[1]
    rng = np.random.default_rng(1)
    frame = pd.concat(
        pd.DataFrame(
            {"fold": "u1", "seed": seed, "prediction": rng.normal(3.5, 1, size or test.nnz)}
        )
        for seed in seeds
    )
    chosen = choose(pd.DataFrame([row("mf", "4", "0.1", s, "test", 1.0) for s in seeds]))
    found = collect.details(
        chosen, lambda *_: frame, lambda _: fold, Resampling(200), (1, 5), lambda _: periods
    )
    return found, frame


def test_slices_split_every_test_rating_once(fold):
    (slices, _, users), frame = details(fold)
    difference = frame["prediction"].to_numpy(dtype=np.float32).reshape(2, -1) - 4.0
    for _, rows in slices[slices["slice"] != "prediction"].groupby(["slice", "metric"]):
        assert rows["n"].sum() == fold[1].nnz
    rmse = slices[slices["metric"] == "rmse"]
    for _, rows in rmse.groupby("slice"):
        whole = np.sqrt(np.average(rows["value"] ** 2, weights=rows["n"]))
        assert whole == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-6)
    assert users["n"].sum() == fold[1].nnz
    assert users["squared_error"].sum() == pytest.approx(np.sum(difference**2) / 2, rel=1e-6)


def test_slice_holds_the_ratings_of_its_users(fold):
    (slices, _, _), _ = details(fold)
    counts = (fold[0].toarray() != 0).sum(axis=1)
    dense = fold[1].toarray() != 0
    found = slices[(slices["slice"] == "user_ratings") & (slices["metric"] == "mae")]
    found = found.set_index("level")["n"]
    assert found["10-19"] == dense[(counts >= 10) & (counts < 20)].sum()
    assert found["20-49"] == dense[counts >= 20].sum()


def test_predictions_of_other_folds_are_refused(fold):
    with pytest.raises(ValueError, match="the folds changed"):
        details(fold, size=7)


def test_intervals_pool_the_folds_and_hold_the_slices_values():
    rng = np.random.default_rng(3)
    order = rng.permuted(np.tile(np.arange(200), (400, 1)), axis=1)
    held = np.repeat([5, 15, 30, 70], 100)[:, None]
    train, test = (
        sparse.csr_array(np.where(part, value, 0.0).astype(np.float32))
        for part, value in ((order < held, 3.0), ((order >= held) & (order < held + 9), 4.0))
    )
    (slices, intervals, _), _ = details((train, test))
    slices = slices[slices["metric"] != "bias"]
    assert list(intervals.columns) == COLUMNS["intervals"]
    both = slices.merge(intervals, on=["method", "slice", "level", "metric"])
    over = intervals["metric"] == item_mean.OVER
    assert len(both) == len(slices) == len(intervals) - over.sum() - 2
    assert over.sum() == len(slices) / 2 >= 4
    np.testing.assert_allclose(both["value_x"], both["value_y"])  # there is one fold
    assert (both["n_x"] == both["n_y"]).all()
    assert set(intervals["fold"]) == {"all"}
    wide = intervals[intervals["users"] > 1]
    assert ((wide["ci_low"] <= wide["value"]) & (wide["value"] <= wide["ci_high"])).all()


def test_levels_of_few_users_are_merged(fold):
    (slices, intervals, _), _ = details(fold)
    assert len(slices[slices["metric"] != "bias"]) == 10
    rows = intervals[intervals["metric"] == "rmse"].set_index("slice")
    assert rows["level"].to_dict() == {"user_ratings": "10-49", "item_ratings": "1-49"}
    assert rows["users"].eq(30).all()
    assert rows["n"].eq(fold[1].nnz).all()


def test_each_user_counts_once(fold):
    (_, intervals, users), _ = details(fold)
    own = np.sqrt(users["squared_error"] / users["n"])
    found = intervals[intervals["slice"] == collect.EACH_USER].set_index("metric")
    mean, median = found.loc["user_rmse_mean"], found.loc["user_rmse_median"]
    assert mean["value"] == pytest.approx(own.mean(), rel=1e-12)
    assert median["value"] == pytest.approx(own.median(), rel=1e-12)
    assert (mean["users"], mean["n"]) == (len(own), fold[1].nnz)
    # The interval of the mean is near that of normal theory.
    half = 1.96 * own.std() / np.sqrt(len(own))
    assert mean["ci_low"] == pytest.approx(own.mean() - half, abs=half / 4)
    # That of the median ends at the order statistics that the binomial distribution tells: with
    # 30 users the 10th and the 21st hold it with 95.7 % (Conover 1999, sec. 3.2).
    assert len(own) == 30
    assert (median["ci_low"], median["ci_high"]) == tuple(np.sort(own)[[9, 20]])


def test_errors_by_date_leave_out_ratings_without_one(fold):
    test = fold[1]
    place = np.arange(test.nnz) % 3 - 1
    (slices, intervals, _), frame = details(fold, periods=(place, ["1997", "1998"]))
    rows = slices[(slices["slice"] == collect.BY_DATE) & (slices["metric"] == "rmse")]
    assert rows["level"].tolist() == ["1997", "1998"]
    squared = (frame["prediction"].to_numpy().reshape(2, -1) - 4.0) ** 2
    for level, value in zip((0, 1), rows["value"], strict=True):
        assert value == pytest.approx(np.sqrt(squared[:, place == level].mean()), rel=1e-6)
    assert collect.BY_DATE in set(intervals["slice"])


@pytest.mark.parametrize(
    ("first", "days", "names"),
    [
        ("1997-11-30", 40, ["1997-11", "1997-12", "1998-01"]),
        ("1998-01-01", 500, ["1998Q1", "1998Q2", "1998Q3", "1998Q4", "1999Q1", "1999Q2"]),
        ("1999-05-01", 2000, [str(year) for year in range(1999, 2005)]),
    ],
)
def test_periods_are_months_quarters_or_years(first, days, names):
    dates = pd.Series(pd.date_range(first, periods=days)).sample(frac=1, random_state=1)
    places, found = collect.rating_periods(dates)
    assert found == names
    year = [int(found[place][:4]) for place in places]
    assert year == dates.dt.year.tolist()


def test_unknown_dates_have_no_period():
    dates = pd.Series(pd.to_datetime(["1997-11-30", None, "1997-12-01"]))
    places, names = collect.rating_periods(dates)
    assert places.tolist() == [0, -1, 1]
    assert names == ["1997-11", "1997-12"]
    assert collect.rating_periods(dates[1:2]) is None
