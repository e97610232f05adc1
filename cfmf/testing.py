"""Properties that every method must have, checked on small ratings: for one's own methods too.

    from cfmf.testing import check_method

    check_method(MyMethod, neighbours=5)

or, from a shell, `python -m cfmf.testing module:Class`.

A method lists what it cannot do yet in `known_failures`; those properties are checked as well and
must fail, so that no declaration outlives its fault.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from cfmf.methods.base import Method
from cfmf.methods.registry import load
from cfmf.models import Model, Prediction
from cfmf.observed import pairs
from cfmf.side import Side
from cfmf.tasks import Task

KINDS = {"neighbour_user", "neighbour_item", "factor", "user", "item"}
TOLERANCE = 1e-4  # of the range of the ratings: what rounding may change
THREADS = 1e-6  # what the number of threads may change
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PropertyError(AssertionError):
    """A method lacks a property, or has one that it declares not to have."""


Check = Callable[[Method], None]
_checks: dict[str, Check] = {}


def properties() -> tuple[str, ...]:
    """Names of all properties, as `check_property` and `Method.known_failures` use them."""
    return tuple(_checks)


def check_method(found: type[Method], **settings: object) -> None:
    """Check all properties of a method.

    Parameters
    ----------
    found
        The class.
    settings
        Settings to check it at: few passes make the check fast.

    Raises
    ------
    PropertyError
        If it lacks properties, or has one that it declares not to have; all are listed.
    """
    failures = []
    for name in properties():
        try:
            check_property(name, found, **settings)
        except PropertyError as error:
            failures.append(str(error))
    if failures:
        raise PropertyError("\n".join(failures))


def check_property(name: str, found: type[Method], **settings: object) -> None:
    """Check one property of a method; see `check_method`.

    Raises
    ------
    PropertyError
        If the method lacks it, or declares to lack it and does not.
    ValueError
        If there is no such property.
    """
    unknown = sorted({name, *found.known_failures} - set(_checks))
    if unknown:
        raise ValueError(f"there is no property {', '.join(unknown)}; there are {list(_checks)}")
    reason = found.known_failures.get(name, "")
    if found.raw_values and name == "affine":
        reason = "raw_values is set"
    try:
        _checks[name](found(**settings))  # type: ignore[arg-type]
    except Exception as error:
        if not reason:
            raise PropertyError(f"{found.name}, property {name}: {error!r}") from error
    else:
        if reason:
            raise PropertyError(
                f"{found.name} has the property {name} although it declares not to ({reason});"
                " remove the declaration"
            )


def _property(check: Check) -> Check:
    _checks[check.__name__] = check
    return check


@dataclass(frozen=True)
class Ratings:
    """Training and validation ratings, and pairs to predict with synthetic ratings."""

    train: sparse.csr_array
    validation: sparse.csr_array
    test: sparse.csr_array

    def changed(self, change: Callable[[sparse.csr_array], sparse.csr_array]) -> Ratings:
        """The same change made to each."""
        return Ratings(*(change(part) for part in (self.train, self.validation, self.test)))


def example(m: int = 40, n: int = 30, seed: int = 0) -> Ratings:
    """Ratings of 1 to 5 with two tastes and noise, in steps of 1/64: nearly no ties, no rounding.

    User 2 and item 3 have no training rating.
    """
    rng = np.random.default_rng(seed)
    scores = 3 + rng.normal(0, 0.4, (m, 1)) + rng.normal(0, 0.4, (1, n))
    scores = scores + rng.normal(size=(m, 2)) @ rng.normal(size=(2, n)) * 0.5
    scores = np.clip(np.round(scores * 64 + rng.normal(0, 15, (m, n))) / 64, 1, 5)
    part = rng.choice(4, (m, n), p=[0.4, 0.4, 0.1, 0.1])
    part[2], part[:, 3] = np.minimum(part[2] * 3, 3), 3
    return Ratings(*(_matrix(np.where(part == number, scores, 0)) for number in (1, 2, 3)))


def _matrix(dense: np.ndarray) -> sparse.csr_array:
    users, items = np.nonzero(dense)
    places = users.astype(np.int32), items.astype(np.int32)
    found = sparse.csr_array((dense[users, items].astype(np.float32), places), shape=dense.shape)
    found.sort_indices()
    return found


def informed(method: Method, shape: tuple[int, int], moved: Any = None) -> Method:
    """The method with what it uses beside the ratings: synthetic days and attributes.

    Every pair but one in eight has a day, and every user and item one of three attributes.

    Parameters
    ----------
    moved
        Users and items in the order of the matrix, where that is another one.
    """
    if not method.uses:
        return method
    rng, (m, n) = np.random.default_rng(4), shape
    if m * n <= 1 << 20:
        users, items = np.nonzero(rng.random(shape) < 0.875)
    else:
        users, items = (rng.integers(0, size, m + n) for size in shape)
        users, items = np.divmod(np.unique(users * n + items), n)
    days = rng.integers(1, 400, len(users)).astype(np.int32)
    of_users, of_items = (
        sparse.csr_array(np.eye(3, dtype=np.float32)[rng.integers(0, 3, size)]) for size in shape
    )
    names = tuple(f"kind={value}" for value in "abc")
    side = Side(sparse.csr_array((days, (users, items)), shape), of_users, of_items, names, names)
    side = side.only(method.uses) if moved is None else side.only(method.uses).rows(*moved)
    return method.model_copy(update={"side": side})


def _all_pairs(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    users, items = np.indices(shape).reshape(2, -1)
    return users, items


def _everything(
    method: Method, ratings: Ratings, seed: int = 1, threads: int = 1, moved: Any = None
) -> Prediction:
    """Predictions of all pairs after a fit; see `informed` for `moved`."""
    method = informed(method, ratings.train.shape, moved)
    model = method.fit(ratings.train, ratings.validation, seed=seed, threads=threads)
    return model.predict(*_all_pairs(ratings.train.shape))


def _fitted(method: Method, ratings: Ratings) -> Model:
    return informed(method, ratings.train.shape).fit(ratings.train, ratings.validation)


def _require(held: object, message: str) -> None:
    if not held:
        raise AssertionError(message)


def _require_close(found: np.ndarray, wanted: np.ndarray, tolerance: float, what: str) -> None:
    error = float(np.max(np.abs(np.asarray(found, float) - np.asarray(wanted, float)), initial=0))
    _require(error <= tolerance, f"{what}: predictions differ by up to {error:.3g}")


def _require_finite(predicted: Prediction, count: int) -> None:
    values, is_fallback, sd = predicted
    _require(values.shape == is_fallback.shape == (count,), "one prediction for each pair")
    _require(values.dtype == np.float32, f"values are {values.dtype} in place of float32")
    _require(is_fallback.dtype == np.bool_, f"is_fallback is {is_fallback.dtype}")
    _require(np.isfinite(values).all(), "a prediction is not finite")
    if sd is not None:
        _require(np.isfinite(sd).all() and (sd >= 0).all(), "an sd is negative or not finite")


def _same_bytes(one: Prediction, other: Prediction) -> bool:
    arrays = [(a, b) for a, b in zip(one, other, strict=True) if a is not None or b is not None]
    return all(a is not None and b is not None and a.tobytes() == b.tobytes() for a, b in arrays)


@_property
def same_seed(method: Method) -> None:
    """Two fits with one seed predict the same bytes."""
    ratings = example()
    first, second = (_everything(method, ratings, seed=3) for _ in range(2))
    _require(_same_bytes(first, second), "two fits with one seed predict different bytes")


@_property
def threads(method: Method) -> None:
    """The number of threads changes no prediction by more than 1e-6."""
    ratings = example(150, 120)
    one, two = (_everything(method, ratings, threads=number).values for number in (1, 2))
    _require_close(two, one, THREADS, "with 2 threads in place of 1")


@_property
def unseen_test(method: Method) -> None:
    """Test ratings change nothing, whether a curve shows them or not."""
    ratings = example()
    tests = [ratings.test, sparse.csr_array(ratings.test * 3), None]
    found, method = [], informed(method, ratings.train.shape)
    for test in tests:
        watch = method.watches_test and test is not None
        task = Task(ratings.train, 1, ratings.validation, test, watch)
        [fitted] = method.fit_tasks([task])
        everything = fitted.model.predict(*_all_pairs(ratings.train.shape))
        parts = {part: values.tobytes() for part, values in fitted.predictions.items()}
        found.append((parts.pop("test", b""), everything, parts))
    _require(found[0][0] == found[1][0], "other test ratings, other predictions")
    for _, everything, parts in found[1:]:
        _require(_same_bytes(everything, found[0][1]), "the test part changes the model")
        _require(parts == found[0][2], "the test part changes predictions of other parts")


@_property
def unseen_days(method: Method) -> None:
    """The days of pairs outside the training ratings change no prediction but those of the pairs.

    A method is given the days of test ratings too, and may learn from none of them.
    """
    if "dates" not in method.uses:
        return
    ratings = example()
    given = informed(method, ratings.train.shape)
    side = given.known(ratings.train.shape)
    assert side.days is not None
    days = side.days.copy()
    users, items = pairs(days)
    unseen = np.flatnonzero(np.asarray(ratings.train[users, items]) == 0)[::5]
    days.data[unseen] = days.data[unseen][::-1]
    other = given.model_copy(update={"side": replace(side, days=days)})
    same = np.ones(days.shape, bool)
    same[users[unseen], items[unseen]] = False
    first, second = (
        one.fit(ratings.train, ratings.validation).predict(*_all_pairs(days.shape)).values
        for one in (given, other)
    )
    kept = same.ravel()
    _require(
        np.array_equal(first[kept], second[kept]), "days of test pairs change other predictions"
    )


@_property
def queried_pairs(method: Method) -> None:
    """A prediction does not depend on which other pairs are queried, nor on their order."""
    ratings = example()
    model = _fitted(method, ratings)
    users, items = _all_pairs(ratings.train.shape)
    whole = model.predict(users, items)
    order = np.random.default_rng(1).permutation(len(users))
    for name, place in (("shuffled", order), ("some", order[:50]), ("one", order[:1])):
        part = Prediction(*(None if one is None else one[place] for one in whole))  # type: ignore[arg-type]
        found = model.predict(users[place], items[place])
        _require(_same_bytes(found, part), f"{name} pairs are predicted differently")
    none = model.predict(users[:0], items[:0])
    _require(len(none.values) == 0, "no pairs, yet there are predictions")


@_property
def refusals(method: Method) -> None:
    """Pairs outside the training matrix, or of unequal lengths, raise ValueError."""
    ratings = example()
    model = _fitted(method, ratings)
    m, n = ratings.train.shape
    for users, items in ([0], [0, 1]), ([m], [0]), ([0], [n]), ([-1], [0]), ([0], [-1]):
        try:
            model.predict(np.array(users), np.array(items))
        except ValueError:
            continue
        _require(False, f"users {users} and items {items} are predicted")


@_property
def affine(method: Method) -> None:
    """Ratings a·x + b give predictions a·x̂ + b."""
    ratings = example()
    plain = _everything(method, ratings).values
    for a, b in ((1.0, 8.0), (4.0, -2.0)):

        def change(part: sparse.csr_array, a: float = a, b: float = b) -> sparse.csr_array:
            values = np.float32(a) * part.data + np.float32(b)
            return sparse.csr_array((values, part.indices, part.indptr), shape=part.shape)

        found = _everything(method, ratings.changed(change)).values
        _require_close(found, a * plain + b, 4 * a * TOLERANCE, f"ratings {a:g}·x + {b:g}")


@_property
def order(method: Method) -> None:
    """Users and items in another order give the same predictions."""
    ratings = example()
    shape = ratings.train.shape
    rng = np.random.default_rng(2)
    users, items = rng.permutation(shape[0]), rng.permutation(shape[1])

    def change(part: sparse.csr_array) -> sparse.csr_array:
        moved = sparse.csr_array(part[users][:, items])
        moved.sort_indices()
        return moved

    plain = _everything(method, ratings).values.reshape(shape)[users][:, items]
    found = _everything(method, ratings.changed(change), moved=(users, items)).values
    _require_close(found, plain.ravel(), 4 * TOLERANCE, "in another order")


def _check_small(method: Method, dense: np.ndarray) -> Prediction:
    train = _matrix(np.asarray(dense, float))
    predicted = informed(method, train.shape).fit(train).predict(*_all_pairs(train.shape))
    _require_finite(predicted, train.shape[0] * train.shape[1])
    return predicted


@_property
def one_user(method: Method) -> None:
    """One user with ratings is enough."""
    _check_small(method, np.array([[4, 0, 2, 5, 1, 3]]))


@_property
def one_item(method: Method) -> None:
    """One item with ratings is enough."""
    _check_small(method, np.array([[4], [0], [2], [5], [1], [3]]))


@_property
def one_rating(method: Method) -> None:
    """One rating is enough, in a matrix of one pair or of several."""
    _check_small(method, np.array([[4]]))
    _check_small(method, np.diag([0, 4, 0]))


@_property
def large_k(method: Method) -> None:
    """More factors or neighbours than users and items are no error."""
    dense = example().train.toarray()[:7, :5]
    sized = method.with_size(20)
    if sized is not None:
        _check_small(sized, dense)


@_property
def empty_rows(method: Method) -> None:
    """Users and items without ratings have finite predictions, marked as fallbacks."""
    dense = example().train.toarray()
    dense[[0, -1]], dense[:, [1, -1]] = 0, 0
    is_fallback = _check_small(method, dense).is_fallback
    empty = ~np.logical_and.outer(dense.any(axis=1), dense.any(axis=0)).ravel()
    _require(is_fallback[empty].all(), "a pair without ratings of its user or item is no fallback")


@_property
def equal_ratings(method: Method) -> None:
    """Ratings that are all equal are no error."""
    _check_small(method, np.where(example().train.toarray() > 0, 3, 0))


@_property
def finite(method: Method) -> None:
    """Every value is finite, of the promised type and shape; an sd is there where declared."""
    ratings = example()
    predicted = _everything(method, ratings)
    _require_finite(predicted, ratings.train.shape[0] * ratings.train.shape[1])
    _require((predicted.sd is not None) == ("sd" in method.can), "sd is not as declared in `can`")


@_property
def unchanged_input(method: Method) -> None:
    """Fitting and predicting change no matrix that they are given."""
    ratings, before = example(), example()
    _everything(method, ratings)
    for part, copy in ((ratings.train, before.train), (ratings.validation, before.validation)):
        for name in ("data", "indices", "indptr"):
            same = np.array_equal(getattr(part, name), getattr(copy, name))
            _require(same, f"{name} of a matrix was changed")


@_property
def save_and_load(method: Method) -> None:
    """A model kept as arrays, without pickle, predicts the same bytes."""
    ratings = example()
    model = _fitted(method, ratings)
    file = BytesIO()
    np.savez(file, allow_pickle=False, **model.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = type(model).from_arrays(dict(arrays))
    found = [one.predict(*_all_pairs(ratings.train.shape)) for one in (model, again)]
    _require(_same_bytes(*found), "the loaded model predicts other bytes")


@_property
def explanation(method: Method) -> None:
    """Explanations state the prediction, and their parts add up to it where they claim so."""
    if "explain" not in method.can:
        return
    ratings = example()
    model = _fitted(method, ratings)
    users, items = pairs(ratings.test)
    predicted = model.predict(users, items).values
    for user, item, value in list(zip(users, items, predicted, strict=True))[::7]:
        found = model.explain(int(user), int(item))
        _require_close(np.array(found.prediction), value, TOLERANCE, "the explained prediction")
        _require({part.kind for part in found.parts} <= KINDS, "a part is of no known kind")
        shares = np.abs([part.share for part in found.parts])
        _require((np.diff(shares) <= 1e-9).all(), "parts are not in order of decreasing share")
        if found.adds_up:
            total = found.expected + sum(part.contribution for part in found.parts)
            _require_close(np.array(total), value, TOLERANCE, "parts added up")


@_property
def declarations(method: Method) -> None:
    """What is declared works, and what is not declared raises NotImplementedError."""
    _require(method.name and method.label and method.family, "name, label or family is missing")
    ratings, passes = example(), []
    method = informed(method, ratings.train.shape)
    model = method.fit(
        ratings.train, ratings.validation, progress=lambda number, measured: passes.append(number)
    )
    _require(bool(passes) == bool(method.iterates), "progress is not called as `iterates` declares")
    tries: dict[str, Callable[[], None]] = {
        "explain": lambda: _require(model.explain(0, 0), "no explanation"),
        "fold_in": lambda: _check_fold_in(model, ratings),
        "predict_training": lambda: _check_predict_training(model, ratings.train),
        "similar_items": lambda: _check_similar_items(model, ratings.train),
        "factors": lambda: _check_factors(model, ratings.train),
    }
    for name, attempt in tries.items():
        try:
            attempt()
        except NotImplementedError:
            _require(name not in method.can, f"{name} is declared in `can` and not implemented")
        else:
            _require(name in method.can, f"{name} is implemented and not declared in `can`")
    shape, nnz = ratings.train.shape, ratings.train.nnz
    _require(model.draws() >= 1, "draws() is below 1")
    _require(method.parameter_count(shape, nnz, model) >= 0, "parameter_count is negative")
    _require(method.operations(ratings.train, ratings.test) > 0, "operations are not positive")
    _require(type(method.shortened(2)) is type(method), "shortened() gives another method")


def _check_fold_in(model: Model, ratings: Ratings) -> None:
    (m, n), own = ratings.train.shape, ratings.train[:5]
    wider = model.fold_in(own)
    known = [one.predict(*_all_pairs((m, n))) for one in (model, wider)]
    _require(_same_bytes(*known), "fold_in changes predictions of known users")
    users, items = _all_pairs((5, n))
    found = wider.predict(m + users, items)
    _require_finite(found, 5 * n)
    _require(found.is_fallback[users == 2].all(), "a new user without ratings is no fallback")
    turned = [np.arange(*own.indptr[[user, user + 1]])[::-1] for user in range(5)]
    order = np.concatenate(turned)
    mixed = sparse.csr_array((own.data[order], own.indices[order], own.indptr), shape=own.shape)
    again = model.fold_in(mixed).predict(m + users, items)
    _require(_same_bytes(found, again), "the order of a new user's ratings changes predictions")
    twice = model.fold_in(own[:2]).fold_in(own[2:]).predict(m + users, items)
    _require_close(twice.values, found.values, TOLERANCE, "users folded in one after another")
    file = BytesIO()
    np.savez(file, allow_pickle=False, **wider.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        loaded = type(wider).from_arrays(dict(arrays)).predict(m + users, items)
    _require(_same_bytes(found, loaded), "a loaded model predicts new users otherwise")
    _check_similarly(model, found.values, own)


def _check_similarly(model: Model, found: np.ndarray, own: sparse.csr_array) -> None:
    """Known users who are folded in as new ones are predicted much as before, where not rated.

    As training is not at its end, and a neighbour may be the user, only much as before.
    """
    users, items = np.nonzero(own.toarray() == 0)
    kept = np.diff(own.indptr)[users] > 0
    known = model.predict(users[kept], items[kept]).values.astype(np.float64)
    new = found.reshape(own.shape)[users[kept], items[kept]]
    spread = float(np.ptp(own.data)) or 1.0
    apart = float(np.sqrt(np.mean((new - known) ** 2)))
    _require(apart <= spread / 4, f"known users folded in are predicted {apart:.2g} apart")


def _check_predict_training(model: Model, train: sparse.csr_array) -> None:
    found = model.predict_training(train)
    _require("rmse" in found, "predict_training gives no `rmse`")
    for values in found.values():
        _require(values.shape == (train.nnz,), "one prediction for each training rating")
    start, stop = train.indptr[[3, 9]]
    part = model.predict_training(train, 3, 9)["rmse"]
    _require_close(part, found["rmse"][start:stop], 0, "a part of the training users")


def _check_similar_items(model: Model, train: sparse.csr_array) -> None:
    found = model.similar_items(0)
    _require(found.shape == (train.shape[1],), "one similarity for each item")
    _require(np.isfinite(found).all(), "a similarity is not finite")


def _check_factors(model: Model, train: sparse.csr_array) -> None:
    left, right = model.factors()
    shapes = (len(left), len(right), left.shape[1])
    _require(shapes == (*train.shape, right.shape[1]), "factors do not have users and items rows")
    _require(np.isfinite(left).all() and np.isfinite(right).all(), "a factor is not finite")


@_property
def memory(method: Method) -> None:
    """A fit and a few predictions take less than a byte for each pair of users and items."""
    m, n, count = 2000, 20_000, 6000
    rng = np.random.default_rng(0)
    cells = np.sort(rng.choice(m * n, count, replace=False))
    values = rng.integers(1, 6, count).astype(np.float32)
    places = (cells // n).astype(np.int32), (cells % n).astype(np.int32)
    train = sparse.csr_array((values, places), shape=(m, n))
    small = informed(method.with_size(4) or method, (m, n))

    def run() -> None:
        small.shortened(3).fit(train).predict(np.arange(20), np.arange(20))

    run()  # so that compilation and imports are not measured
    taken = _peak_bytes(run)
    _require(taken < m * n, f"{taken / 1e6:.0f} MB for {m} × {n} with {count} ratings")


def _peak_bytes(run: Callable[[], None]) -> int:
    """Most bytes that a call takes at a time: those of numpy and Python, and on Linux of all."""
    before = _resident(reset=True)
    tracemalloc.start()
    try:
        run()
        traced = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return max(traced, _resident() - before)


def _resident(reset: bool = False) -> int:
    """Highest resident memory of this process in bytes, since a reset; 0 where unknown."""
    try:
        if reset:
            CLEAR.write_text("5")
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main(paths: list[str]) -> int:
    """Check methods given as `module:Class` and print every property; 1 if any fails, else 0."""
    failed = 0
    for found in (load("", path) for path in paths):
        for name in properties():
            try:
                check_property(name, found)
            except PropertyError as error:
                failed = 1
                print(f"fails  {error}")
            else:
                print(f"passes {found.name}, property {name}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
