"""Trainings reach what they should, from several starts if need be, and the tables say so."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cfmf.convergence import SAME, SMALL_K, STARTS, best_starts, from_start, reach
from cfmf.data.matrices import fold_matrices
from cfmf.data.splits import split
from cfmf.evaluation.fitting import Setting
from cfmf.factorization import adamw, als, sgd
from cfmf.methods import registry
from cfmf.selection import choose
from cfmf.tasks import HISTORY, Fitted, Task
from cfmf.training import Run, train_point

METHODS = registry.installed()
SEVERAL = sorted(
    name for name, one in METHODS.items() if one.several_starts and not one.environment
)
MODULES = (adamw, als, sgd)


def made(name, k):
    """A method at a setting where every start is trained to convergence."""
    settings = {"mf-cubic": {"reg": 0.03}, "mf-sgd": {"reg": 0.1, "max_epochs": 1000}}
    return METHODS[name](k=k, scale=(-10, 10), **settings.get(name, {"reg": 0.1}))


def value_of(found, split, metric):
    rows = found.metrics[(found.metrics["split"] == split) & (found.metrics["metric"] == metric)]
    [value] = rows["value"]
    return value


@pytest.fixture(scope="module")
def run():
    """Mean + rank 2 + noise of deviation 0.5: biases alone are far from it."""
    rng = np.random.default_rng(8)
    m, n = 120, 90
    scores = 3 + rng.normal(size=(m, 2)) @ rng.normal(size=(2, n)) + rng.normal(0, 0.5, (m, n))
    part = rng.choice(4, (m, n), p=[0.5, 0.4, 0.05, 0.05])

    def matrix(*numbers):
        users, items = np.nonzero(np.isin(part, numbers))
        values = scores[users, items].astype(np.float32)
        return sparse.csr_array((values, (users.astype("i4"), items.astype("i4"))), shape=(m, n))

    return Run("f1", 1, matrix(1), matrix(2), matrix(1, 2), matrix(3))


def stall(monkeypatch, stalls):
    """Let factors start at 0, a saddle, at those of the starts, counted from 0, that `stalls`."""
    made = []
    for module in MODULES:

        def start_factors(*arguments, original=module.start_factors):
            factors = original(*arguments)
            made.append(None)
            return [0 * one for one in factors] if stalls(len(made) - 1) else factors

        monkeypatch.setattr(module, "start_factors", start_factors)


@pytest.mark.parametrize("name", SEVERAL)
def test_refit_that_stalls_is_restarted(run, monkeypatch, name):
    method = made(name, 8)
    normal = train_point(method, [run])
    assert (value_of(normal, "train", "starts"), value_of(normal, "train", "converged")) == (1, 1)
    stall(monkeypatch, lambda start: start == 1)  # the first is that on the fit part
    found = train_point(method, [run])
    assert value_of(found, "train", "rmse") < 1.1 * value_of(normal, "train", "rmse")
    assert value_of(found, "test", "rmse") < 1.1 * value_of(normal, "test", "rmse")
    assert (value_of(found, "train", "starts"), value_of(found, "train", "converged")) == (2, 1)


@pytest.mark.parametrize("name", SEVERAL)
def test_refit_that_stalls_from_every_start_begins_at_the_solution_on_fit(run, monkeypatch, name):
    method = made(name, 8)
    normal = train_point(method, [run])
    stall(monkeypatch, lambda start: start > 0)
    found = train_point(method, [run])
    assert value_of(found, "train", "starts") == STARTS + 1
    assert value_of(found, "train", "rmse") < 1.15 * value_of(normal, "train", "rmse")
    assert value_of(found, "test", "rmse") < 1.1 * value_of(normal, "test", "rmse")


@pytest.mark.parametrize("name", SEVERAL)
def test_few_factors_are_fitted_from_several_starts(run, monkeypatch, name):
    method = made(name, 2)
    normal = train_point(method, [run])
    assert value_of(normal, "fit", "starts") in (2, STARTS)
    stall(monkeypatch, lambda start: start == 0)
    found = train_point(method, [run])
    assert value_of(found, "fit", "starts") == STARTS  # the first two differed
    assert value_of(found, "validation", "rmse") < 1.1 * value_of(normal, "validation", "rmse")
    many = train_point(made(name, SMALL_K + 1), [run])
    assert value_of(many, "fit", "starts") == 1


@pytest.mark.parametrize("name", [*SEVERAL, *({"mf-jax"} & set(METHODS))])
def test_training_begins_where_it_is_told(run, name):
    """The loss of a start is the loss that the training which found it ended with."""
    method = METHODS[name](k=3, reg=0.1, max_epochs=60, scale=(-10, 10))
    [first] = method.fit_tasks([Task(run.train, 2, epochs=20)])
    [again] = method.fit_tasks([Task(run.train, 2, start=first.model, epochs=0)])
    np.testing.assert_allclose(again.predictions["train"], first.predictions["train"], atol=1e-5)
    assert again.history["loss"].item() == pytest.approx(first.history["loss"].iloc[-1], rel=1e-5)
    [on] = method.fit_tasks([Task(run.train, 2, start=first.model, epochs=20)])
    assert on.history["loss"].iloc[on.epochs] == on.history["loss"].min()


def test_a_setting_chosen_by_validation_is_fitted_from_the_start_that_was_kept(run, monkeypatch):
    method = made("als", 2)
    stall(monkeypatch, lambda start: start == 0)
    found = train_point(method, [run], "d")
    monkeypatch.undo()
    [row] = choose(found.metrics).to_dict("records")
    assert row["start"] == value_of(found, "train", "start") > 0
    setting = Setting.of(row, {"k": [2], "reg": [0.1]}, (-10, 10))
    predicted = setting.fit(run.train, run.test).predictions
    np.testing.assert_allclose(predicted, found.predictions["prediction"], rtol=1e-5)


def fitted(loss, validation=1.0, **changes):
    """A training of one epoch with this loss and validation RMSE."""
    row = dict.fromkeys(HISTORY, 0.0) | {"loss": loss, "validation_rmse": validation}
    return replace(Fitted(None, pd.DataFrame([row, row]), 0, {}), **changes)


def script(phases):
    """`train` that gives what `phases` lists, and the phases that it was called with."""
    called = []

    def train(tasks, phase):
        called.append((phase, [task.seed for task in tasks]))
        return phases[phase]

    return train, called


@pytest.fixture
def task():
    return Task(sparse.csr_array(np.eye(3, dtype=np.float32)), 7, epochs=5, name="fold f1, seed 7")


def test_what_never_reaches_the_fit_fails_with_names_and_numbers(task):
    behind = [fitted(1.2)]
    phases = {"refit": behind, "goal": [fitted(1.0)]}
    phases |= {f"refit-{number}": behind for number in range(1, STARTS + 1)}
    train, called = script(phases)
    with pytest.raises(FloatingPointError, match=r"fold f1, seed 7: .* 1\.2 .* 4 starts.* the 1 "):
        reach([task], [fitted(0.9)], train)
    assert [phase for phase, _ in called] == list(phases)


def test_only_what_is_behind_is_trained_again(task):
    tasks = [replace(task, seed=seed) for seed in (1, 2)]
    train, called = script(
        {
            "refit": [fitted(1.0), fitted(1.2)],
            "goal": [fitted(1.0), fitted(1.0)],
            "refit-1": [fitted(0.95)],
        },
    )
    fits = [fitted(0.9), fitted(0.9, converged=False, start=1)]
    found = reach(tasks, fits, train)
    assert called[-1] == ("refit-1", [from_start(tasks[1], 0).seed])
    assert [one.start for one in found] == [0, 0]
    assert [one.starts for one in found] == [1, 2]
    assert [one.converged for one in found] == [True, False]


def test_third_start_only_where_two_differ_and_the_first_is_kept_where_none_is_better(task):
    tasks = [replace(task, epochs=None)] * 2
    first = [fitted(1.0, 1.0), fitted(1.0, 1.0)]
    second = [fitted(1 - SAME / 2, 1 - SAME / 2), fitted(0.9, 0.9)]
    third = [fitted(1.0, 0.95)]
    train, called = script({"fit": first, "fit-1": second, "fit-2": third})
    found = best_starts(METHODS["mf"](k=1), tasks, train)
    assert called[-1] == ("fit-2", [from_start(task, 2).seed])
    assert [one.starts for one in found] == [2, 3]
    assert [one.start for one in found] == [0, 1]


def test_starts_share_the_time_of_their_run(task):
    late = fitted(1.0, out_of_time=True)
    train, called = script({"fit": [late]})
    assert best_starts(METHODS["mf"](k=1), [replace(task, seconds=9.0)], train) == [late]
    assert len(called) == 1


def test_seeds_of_starts_are_distinct_and_the_first_is_the_runs_own(task):
    seeds = [
        from_start(replace(task, seed=seed), number).seed
        for seed in range(50)
        for number in range(STARTS)
    ]
    assert seeds[::STARTS] == list(range(50))
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) < 2**31


def test_refit_of_movielens_reaches_the_fit(real_data):
    """With one factor and λ 0.1, this fold's training on all training ratings met a saddle."""
    table = pd.read_csv(real_data / "ml-100k" / "u.data", sep="\t", header=None)
    columns = {"user": table[0] - 1, "item": table[1] - 1, "rating": table[2].astype("f4")}
    ratings = pd.DataFrame(columns).astype({"user": "i4", "item": "i4"})
    rule = {"kind": "official", "folds": 5, "validation": 0.1, "seed": 42}
    parts = dict(fold_matrices(ratings, split(ratings, rule)["u2"], 943, 1682))
    found = train_point(METHODS["mf"](k=1, reg=0.1, scale=(1, 5)), [Run("u2", 1, **parts)])
    assert value_of(found, "fit", "rmse") == pytest.approx(0.866, abs=0.004)
    assert value_of(found, "train", "rmse") < 1.006 * value_of(found, "fit", "rmse")
    assert value_of(found, "test", "rmse") < 0.926
    assert value_of(found, "train", "converged") == 1
