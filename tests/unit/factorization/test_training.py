"""One point of the study: its tables, its settings, and its figures on real ratings."""

import gc
import subprocess
import sys
import weakref
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cfmf.factorization import als
from cfmf.factorization.model import Factorization
from cfmf.methods import registry
from cfmf.methods.base import Method, setting
from cfmf.tables import COLUMNS
from cfmf.testing import informed
from cfmf.training import Limits, Run, train_point

ROOT = Path(__file__).resolve().parents[3]
FAST = {
    "mf-published": {"max_epochs": 600, "tolerance": 1e-6},
    "mf-published-jax": {"max_epochs": 600, "tolerance": 1e-6},
    "sparse-fc": {"max_epochs": 150, "learning_rate": 0.02},
    "autorec": {"max_epochs": 100, "learning_rate": 0.02},
    "gibbs": {"sweeps": 12, "burn_in": 4},
    "gibbs-implicit": {"sweeps": 12, "burn_in": 4},
    "gibbs-dated": {"sweeps": 12, "burn_in": 4},
    "gibbs-full": {"sweeps": 12, "burn_in": 4},
}
METHODS = registry.installed()
NAMES = [
    name for name in registry.of_family(METHODS, "factorization") if not METHODS[name].environment
]


def made(name, k=2, reg=0.05, scale=None, **settings):
    """A method at one setting; without `reg` where it has none; with what it uses of `low_rank`."""
    point = {"k": k, "reg": reg} if "reg" in METHODS[name].settings() else {"k": k}
    return informed(METHODS[name](**point, **settings, scale=scale), (150, 120))


@pytest.fixture
def runs(low_rank):
    fit, validation, test = low_rank
    train = sparse.csr_array((fit.tocoo() + validation.tocoo()).tocsr())
    train.sort_indices()
    return [Run("u1", seed, fit, validation, train, test) for seed in (1, 2)]


def test_numpys_own_memory_error_is_told_too(runs, monkeypatch):
    """Its class wants a shape and a dtype, not a message."""

    def huge(*arguments):
        return np.zeros(2**50)

    monkeypatch.setattr(als.ALS, "fit_tasks", huge)
    with pytest.raises(MemoryError, match=r"als, k 2, reg 0.05: Unable to allocate 8.00 PiB"):
        train_point(made("als"), runs)


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_as_promised_and_follow_from_the_predictions(runs, name):
    method = made(name, scale=(1, 5), **FAST.get(name, {}))
    found = train_point(method, runs, "tiny")
    assert list(found.metrics.columns) == COLUMNS["metrics"]
    assert list(found.costs.columns) == COLUMNS["costs"]
    assert set(found.metrics["method"]) == {name}
    assert set(found.metrics["reg"]) == {"0.05" if "reg" in method.settings() else ""}
    assert list(found.predictions.columns) == ["fold", "seed", "prediction"]
    value = found.metrics.set_index(["seed", "split", "metric"])["value"]
    for run in runs:
        mine = found.predictions[found.predictions["seed"] == str(run.seed)]["prediction"]
        error = mine.to_numpy(float) - run.test.data
        clipped = np.clip(mine.to_numpy(float), 1, 5) - run.test.data
        seed = str(run.seed)
        assert value[seed, "test", "rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
        assert value[seed, "test", "mae"] == pytest.approx(np.mean(np.abs(error)))
        assert value[seed, "test", "rmse_clipped"] == pytest.approx(np.sqrt(np.mean(clipped**2)))
        assert value[seed, "train", "rmse"] < value[seed, "test", "rmse"]
        known = found.validation[found.validation["seed"] == seed]["prediction"].to_numpy(float)
        of_fit = np.sqrt(np.mean((known - run.validation.data) ** 2))
        assert value[seed, "validation", "rmse"] == pytest.approx(of_fit)
    phases = found.history.groupby(["seed", "phase"])
    assert (phases["epoch"].min() == 0).all()
    assert set(found.history["phase"]) == {"fit", "refit"}
    watched = found.history.groupby("phase")["test_rmse"].apply(lambda column: column.notna().any())
    assert watched["refit"] == method.watches_test
    assert not watched["fit"]
    assert (found.costs["value"] > 0).all()


class Averages(Method):
    """A method that writes `fit` only: a factorization of no factors, whatever its k."""

    name = "averages"
    label = "Averages"
    family = "factorization"
    job_per_point = True
    stops_on_validation = True
    k: int = setting(1, "Not used.", grid=[1])

    def fit(self, train, validation=None, **options):
        m, n = train.shape
        sums = np.asarray(train.sum(axis=0)).ravel()
        means = sums / np.maximum(np.bincount(train.indices, minlength=n), 1)
        factors = np.ones((m, 1), "f4"), means.astype("f4")[:, None]
        return Factorization(*factors, np.zeros(m, "f4"), np.zeros(n, "f4"))


def test_method_that_writes_fit_only_is_trained_alike(runs):
    found = train_point(Averages(k=1), runs, "tiny")
    value = found.metrics.set_index(["seed", "split", "metric"])["value"]
    means = Averages().fit(runs[0].train)
    error = means.predict(*runs[0].test.nonzero()).values - runs[0].test.data
    assert value["1", "test", "rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6)
    assert set(found.metrics["reg"]) == {""}
    assert len(found.history) == 0
    assert (found.costs["value"] > 0).all()


def test_pairs_of_a_new_user_or_item_are_fallbacks(runs):
    run = runs[0]
    train = run.train.toarray()
    users, items = run.test.nonzero()
    train[users[0], :] = 0
    train[:, items[-1]] = 0
    new = [not train[u].any() or not train[:, i].any() for u, i in zip(users, items, strict=True)]
    train = sparse.csr_array(train)
    found = train_point(made("als", max_epochs=3), [replace(run, train=train)])
    rows = found.metrics[found.metrics["metric"] == "fallback_share"]
    assert rows["split"].tolist() == ["test"]
    assert 0 < np.mean(new) < 1
    assert rows["value"].iloc[0] == pytest.approx(np.mean(new))


def test_validation_decides_the_epochs_of_the_refit(runs):
    found = train_point(made("mf"), runs)
    epochs = found.metrics[found.metrics["metric"] == "epochs"].set_index("split")["value"]
    assert epochs["fit"].to_list() == epochs["train"].to_list()
    assert epochs.min() > 1


@pytest.mark.parametrize("name", NAMES)
def test_what_the_limit_of_time_ends_is_flagged_and_kept(runs, name):
    settings = FAST.get(name, {})
    if METHODS[name].iterates == "epochs":
        settings = {**settings, "max_epochs": 30}
    cut, free, ample = (
        train_point(made(name, **settings), runs, limits=Limits(seconds=seconds)).metrics
        for seconds in (0, None, 60)
    )
    assert free.equals(ample)
    late = [table[table["metric"] == "out_of_time"]["value"].tolist() for table in (cut, free)]
    assert late == [[1, 1], [0, 0]]
    epochs = cut[cut["metric"] == "epochs"].set_index("split")["value"]
    # The refit goes as far as the fit came: not a step, or the first sweep that counts.
    expected = 1 + settings["burn_in"] if name.startswith("gibbs") else 0
    assert set(epochs) == {expected}
    assert np.isfinite(cut["value"]).all()


def test_limit_of_time_keeps_the_best_epoch_so_far(runs):
    alone = train_point(made("mf"), runs[:1]).history.query("phase == 'fit'")
    at = int(alone["validation_rmse"].idxmin()) // 2
    seen = iter(range(10**6))
    with pytest.MonkeyPatch.context() as patch:
        told = SimpleNamespace(perf_counter=lambda: float(next(seen)))
        patch.setattr("cfmf.factorization.curve.time", told)
        found = train_point(made("mf"), runs[:1], limits=Limits(seconds=at))
    curve = found.history.query("phase == 'fit'")
    assert len(curve) == at  # the clock ticks once before the first epoch, and once an epoch
    kept = found.metrics.query("split == 'fit' and metric == 'epochs'")["value"].item()
    rmse = curve["validation_rmse"].to_numpy()
    assert rmse[int(kept)] <= rmse.min() + 1e-5
    last = found.metrics.query("split == 'validation' and metric == 'rmse'")["value"].item()
    assert last == pytest.approx(rmse[int(kept)], rel=1e-5)


def test_two_runs_give_the_same_bytes(runs):
    texts = [train_point(made("mf"), runs).metrics.to_csv() for _ in range(2)]
    assert texts[0] == texts[1]


def test_a_run_lets_go_of_its_posterior_before_the_next_is_trained(runs, monkeypatch):
    """It holds many draws: of thirty folds, gigabytes."""
    method = made("gibbs", **FAST["gibbs"])
    whole, models, held = type(method).fit_tasks, [], []

    def watched(self, tasks, **options):
        gc.collect()
        held.append(sum(model() is not None for model in models))
        found = whole(self, tasks, **options)
        models.extend(weakref.ref(one.model) for one in found)
        return found

    monkeypatch.setattr(type(method), "fit_tasks", watched)
    train_point(method, runs)
    assert held == [0, 1, 0, 1]  # on fit and on train, of two runs


def test_batches_give_what_single_runs_give(runs):
    alone, together = (
        train_point(made("mf", batch_size=size), runs).metrics["value"] for size in (1, 2)
    )
    np.testing.assert_allclose(alone, together, rtol=2e-4)


def test_a_failure_names_the_point(runs):
    with pytest.raises(
        FloatingPointError, match=r"mf, k 2, reg 0\.05: the loss of fold u1, seed 1"
    ):
        train_point(made("mf", learning_rate=1e30), runs)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mff", {}, "no method is named 'mff'"),
        ("mf", {"sweeps": 3}, "mf has no setting sweeps; it has k, reg"),
        ("mf-published", {"biases": True}, "mf-published has no setting biases"),
        ("gibbs", {"reg": 0.1}, "gibbs has no setting reg"),
        ("als", {"reg": 0.0}, "greater than 0"),
    ],
)
def test_bad_points_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        registry.method(name).candidates({"k": 2, **settings})


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_a_method_and_of_its_solver_have_the_same_defaults(name):
    """The solver is also used by itself, in benchmarks."""
    method = METHODS[name]()
    solver = method.solver("cpu")
    fixed = getattr(method, "variant", {})
    for one in fields(solver):
        if one.name in fixed:
            assert getattr(solver, one.name) == fixed[one.name]
        elif one.name in method.settings() and one.name != "k" and not method.raw_values:
            assert getattr(method, one.name) in (one.default, None), one.name


def test_torch_and_numba_use_the_threads_they_are_told():
    """In a process of its own: numba's pool, when it starts, may undo what torch was told."""
    code = (
        "from cfmf.methods.mf import MF\n"
        "from cfmf.threads import use_threads\n"
        "MF().solver('cuda')\n"  # imports torch; nothing runs on a GPU
        "use_threads(1)\n"
        "import numba, torch\n"
        "print(torch.get_num_threads(), numba.get_num_threads())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["1", "1"]


def test_importing_the_registry_is_cheap():
    heavy = "{'torch', 'numba', 'jax'}"
    code = "import sys; from cfmf.methods import registry; registry.installed()"
    command = f"{code}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True, cwd=ROOT)


@pytest.fixture
def movielens(real_data):
    def read(name):
        table = pd.read_csv(real_data / "ml-100k" / name, sep="\t", header=None)
        places = (table[0].to_numpy() - 1, table[1].to_numpy() - 1)
        found = sparse.csr_array((table[2].to_numpy("f4"), places), shape=(943, 1682))
        found.sort_indices()
        return found

    def run(fold):
        train, test = read(f"{fold}.base"), read(f"{fold}.test")
        chosen = np.random.default_rng(0).random(train.nnz) < 0.1
        users = np.repeat(np.arange(943), np.diff(train.indptr))
        parts = [
            sparse.csr_array((train.data[at], (users[at], train.indices[at])), shape=(943, 1682))
            for at in (~chosen, chosen)
        ]
        return Run(fold, 1, *parts, train, test)

    return run


@pytest.mark.parametrize(
    ("name", "k", "reg", "settings", "most"),
    [
        ("mf", 16, 0.15, {}, 0.910),
        ("mf-cubic", 16, 0.2, {}, 0.910),
        ("mf-bounded", 16, 0.12, {}, 0.912),
        ("mf-sgd", 16, 0.1, {}, 0.908),
        ("als", 16, 0.15, {}, 0.910),
        ("gibbs", 4, None, {"sweeps": 80}, 0.905),
        ("gibbs-implicit", 4, None, {"sweeps": 80}, 0.892),
    ],
)
def test_real_ratings_are_predicted_well(movielens, name, k, reg, settings, most):
    found = train_point(made(name, k, reg, (1, 5), **settings), [movielens("u3")])
    value = found.metrics.set_index(["split", "metric"])["value"]
    assert value["test", "rmse"] < most
    if name.startswith("gibbs"):
        assert value["test", "coverage_90"] == pytest.approx(0.9, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "k", "reg", "settings", "most"),
    [
        ("mf", 16, 0.15, {}, 0.912),
        ("als", 16, 0.15, {}, 0.915),
        ("gibbs", 8, None, {"sweeps": 150}, 0.898),
        ("gibbs-implicit", 8, None, {"sweeps": 100}, 0.894),
    ],
)
def test_mean_over_the_five_folds_is_what_was_promised(movielens, name, k, reg, settings, most):
    """At one setting for all folds; the study, which tunes on validation, may do better."""
    runs = [movielens(f"u{number}") for number in range(1, 6)]
    found = train_point(made(name, k, reg, (1, 5), **settings), runs).metrics
    errors = found.query("split == 'test' and metric == 'rmse'")["value"]
    assert len(errors) == 5
    assert errors.mean() < most
