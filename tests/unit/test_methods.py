"""Every built-in method has the properties of the contract, or fails them as it declares."""

import importlib.util

import numpy as np
import pytest

from cfmf.methods import registry
from cfmf.methods.base import Method, setting
from cfmf.models import Explanation, Model, Part, Prediction
from cfmf.observed import checked_pairs
from cfmf.tasks import Task
from cfmf.testing import (
    PropertyError,
    check_method,
    check_property,
    example,
    informed,
    properties,
)

SHORT = {
    "sweeps": {"sweeps": 8, "burn_in": 2, "draws": 3},
    "epochs": {"max_epochs": 8},
    "": {},
}


# Those of als-spark, which take minutes, are in tests/unit/factorization/test_spark_als.py.
QUICK = [name for name, one in registry.installed().items() if one.environment != "spark"]


@pytest.mark.parametrize("name", properties())
@pytest.mark.parametrize("method", QUICK)
def test_method_has_the_property(method, name):
    found = registry.method(method)
    if found.environment and importlib.util.find_spec(found.environment) is None:
        pytest.skip(f"{found.environment} is not installed")
    check_property(name, found, **SHORT[found.iterates])


@pytest.mark.parametrize("epochs", [None, 3])
@pytest.mark.parametrize("method", QUICK)
def test_fitted_values_are_left_out_and_nothing_else_changes(method, epochs):
    """Nor where, of a set number of epochs, all but the last need not be measured then."""
    found = registry.method(method)
    if found.environment and importlib.util.find_spec(found.environment) is None:
        pytest.skip(f"{found.environment} is not installed")
    ratings = example()
    given = informed(found(**SHORT[found.iterates]), ratings.train.shape)
    part = {"test" if epochs else "validation": ratings.validation}
    whole, less = (
        given.fit_tasks([Task(ratings.train, 1, **part, epochs=epochs, fitted_values=wanted)])[0]
        for wanted in (True, False)
    )
    assert set(whole.predictions) - set(less.predictions) == {"train"}
    for name, values in less.predictions.items():
        np.testing.assert_array_equal(values, whole.predictions[name])
    pairs = np.indices(ratings.train.shape).reshape(2, -1)
    np.testing.assert_array_equal(
        less.model.predict(*pairs).values, whole.model.predict(*pairs).values
    )


class MeanModel(Model):
    """The mean of every item's ratings."""

    def __init__(self, users, means):
        self.users, self.means = users, means

    def predict(self, users, items):
        users, items = checked_pairs(users, items, (self.users, len(self.means)))
        return Prediction(self.means[items], np.ones(len(items), bool))

    def explain(self, user, item):
        part = Part("item", item, float(self.means[item]), 1.0)
        return Explanation(0.0, float(self.means[item]), (part,))

    def arrays(self):
        return {"users": np.array(self.users), "means": self.means}

    @classmethod
    def from_arrays(cls, arrays):
        return cls(int(arrays["users"]), arrays["means"])


class ItemMean(Method):
    """The mean of every item's ratings."""

    name = "item-mean"
    label = "Item mean"
    family = "baseline"
    can = frozenset({"explain"})

    k: int = setting(1, "Not used.", ge=1)

    def fit(
        self,
        train,
        validation=None,
        *,
        seed=1,
        threads=1,
        device="cpu",
        progress=None,
        checkpoint=None,
    ):
        counts = np.bincount(train.indices, minlength=train.shape[1])
        sums = np.bincount(train.indices, train.data, train.shape[1])
        means = np.where(counts > 0, sums / np.maximum(counts, 1), train.data.mean())
        return MeanModel(train.shape[0], means.astype("f4"))


def test_method_of_somebody_else_passes():
    check_method(ItemMean)


def broken(name, **changes):
    """A method that is `ItemMean` but for `fit`, or whose models are but for their methods."""
    fit = changes.pop("fit", ItemMean.fit)
    model = type("Broken", (MeanModel,), changes)

    def other(self, train, validation=None, **options):
        found = fit(self, train, validation, **options)
        return model(found.users, found.means)

    return type(name, (ItemMean,), {"name": name, "fit": other, "__module__": __name__})


def shifted(amount):
    """A fit whose means are moved by what `amount` makes of the arguments."""

    def fit(self, train, validation=None, **options):
        model = ItemMean.fit(self, train, validation)
        moved = model.means + amount(self, train, **{"threads": 1, **options})
        return MeanModel(model.users, moved.astype("f4"))

    return fit


def raises(when):
    """A fit that fails on some ratings."""

    def fit(self, train, validation=None, **options):
        if when(self, train):
            raise RuntimeError("not these ratings")
        return ItemMean.fit(self, train, validation)

    return fit


def predicting(change):
    """A model whose predictions are changed."""

    def predict(self, users, items):
        found = MeanModel.predict(self, users, items)
        return change(self, np.asarray(users), found)

    return {"predict": predict}


def peeking(self, tasks, **options):
    """Learns from the test ratings."""
    found = Method.fit_tasks(self, tasks, **options)
    for one, task in zip(found, tasks, strict=True):
        if task.test is not None:
            one.predictions["test"] += task.test.data
    return found


class Peeking(ItemMean):
    name = "peeking"
    fit_tasks = peeking


class Watching(ItemMean):
    """Learns from the days of all pairs."""

    name = "watching"
    uses = frozenset({"dates"})
    fit = shifted(lambda s, train, **_: s.known(train.shape).days.sum(axis=0) % 7)


rng = np.random.default_rng()
BROKEN = {
    "same_seed": broken("same_seed", fit=shifted(lambda *_, **__: rng.random())),
    "threads": broken("threads", fit=shifted(lambda *_, threads, **__: 1e-4 * threads)),
    "unseen_test": Peeking,
    "unseen_days": Watching,
    "queried_pairs": broken(
        "queried", **predicting(lambda s, u, p: p._replace(values=p.values + np.float32(len(u))))
    ),
    "refusals": broken(
        "refusals",
        predict=lambda self, users, items: Prediction(
            np.resize(self.means, len(items)), np.ones(len(items), bool)
        ),
    ),
    "affine": broken("affine", fit=shifted(lambda self, train, **_: 0.1)),
    "order": broken("order", fit=shifted(lambda s, train, **_: np.arange(train.shape[1]) * 0.1)),
    "one_user": broken("one_user", fit=raises(lambda s, train: train.shape[0] == 1)),
    "one_item": broken("one_item", fit=raises(lambda s, train: train.shape[1] == 1)),
    "one_rating": broken("one_rating", fit=raises(lambda s, train: train.nnz == 1)),
    "large_k": broken("large_k", fit=raises(lambda s, train: s.k > min(train.shape))),
    "empty_rows": broken(
        "empty_rows", **predicting(lambda s, u, p: p._replace(is_fallback=np.zeros(len(u), bool)))
    ),
    "equal_ratings": broken("equal", fit=raises(lambda s, train: np.ptp(train.data) == 0)),
    "finite": broken("finite", fit=shifted(lambda *_, **__: np.nan)),
    "unchanged_input": broken(
        "unchanged", fit=shifted(lambda s, train, **_: train.data.__setitem__(0, 9) or 0)
    ),
    "save_and_load": broken(
        "save", arrays=lambda s: {"users": np.array(s.users), "means": s.means[::-1]}
    ),
    "explanation": broken(
        "explanation", explain=lambda s, u, i: Explanation(1.0, float(s.means[i]), ())
    ),
    "declarations": broken("declarations", similar_items=lambda s, item: s.means),
    "memory": broken("memory", fit=shifted(lambda s, train, **_: train.toarray().mean() * 0)),
}


@pytest.mark.parametrize("name", properties())
def test_method_without_the_property_is_found_out(name):
    with pytest.raises(PropertyError, match=name):
        check_property(name, BROKEN[name])


def test_failure_is_known_only_while_it_lasts():
    class Known(BROKEN["affine"]):
        known_failures = {"affine": "to be fixed"}  # noqa: RUF012

    check_property("affine", Known)

    class Fixed(ItemMean):
        known_failures = {"affine": "to be fixed"}  # noqa: RUF012

    with pytest.raises(PropertyError, match="remove the declaration"):
        check_method(Fixed)
    with pytest.raises(ValueError, match="no property bits"):
        check_property("bits", ItemMean)
