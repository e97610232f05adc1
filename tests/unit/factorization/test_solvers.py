"""What every solver owes: the noise floor, and going on after a kill as if nothing had happened."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from cfmf.factorization.adamw import AdamW
from cfmf.factorization.als import ALS
from cfmf.factorization.checkpoint import fingerprint
from cfmf.factorization.curve import Curve
from cfmf.factorization.gibbs import Gibbs, _Sampling
from cfmf.factorization.model import Factorization
from cfmf.factorization.posterior import Posterior
from cfmf.factorization.sgd import SGD
from cfmf.factorization.torch_adamw import TorchAdamW
from cfmf.files import sha256
from cfmf.methods import registry
from cfmf.observed import pairs, root_mean_square
from cfmf.tasks import Task

FACTORS = 2
PUBLISHED = {"learning_rate": 0.02, "max_epochs": 600, "tolerance": 1e-8}
SAMPLED = {"sweeps": 120, "burn_in": 40}
SETTINGS = {
    "mf-published": PUBLISHED,
    "mf-published-jax": PUBLISHED,
    "autorec": {"max_epochs": 40},
    "sparse-fc": {"max_epochs": 40},
    "gibbs": SAMPLED,
    "gibbs-implicit": SAMPLED,
}


def solver_of(name):
    """With the penalty that suits ratings of little noise: none as published, where it is decay."""
    found = registry.method(name)
    settings = {"k": FACTORS, "reg": 0.002, **SETTINGS.get(name, {})}
    if name.startswith("mf-published"):
        settings["reg"] = 0.0
    if "reg" not in found.settings():
        del settings["reg"]
    return found(**settings).solver("cpu")


METHODS = registry.of_family(registry.installed(), "factorization")
HERE = [
    name
    for name in METHODS
    if name != "als-spark"  # is compared with als
    and (name != "mf-jax" or importlib.util.find_spec("jax"))
]
SOLVERS = {name: solver_of(name) for name in HERE}
LOW_RANK = [name for name in SOLVERS if name not in ("autorec", "sparse-fc")]  # with few parameters


def noisy_products(m, n, bounded):
    """Products of rank `FACTORS`, and train, validation and test of them with noise of sd 0.5.

    Without means of users or items, which the published methods cannot express but by a factor;
    squashed onto 1 … 5 where the output is bounded.
    """
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(m, FACTORS)) @ rng.normal(size=(FACTORS, n)) / np.sqrt(FACTORS)
    if bounded:
        truth = 1 + 4 / (1 + np.exp(-2 * truth))
    ratings = (truth + rng.normal(0, 0.5, (m, n))).astype(np.float32)
    part = rng.choice(4, (m, n), p=[0.3, 0.6, 0.05, 0.05])
    places = [np.nonzero(part == number) for number in (1, 2, 3)]
    return truth, [sparse.csr_array((ratings[at], at), shape=(m, n)) for at in places]


@pytest.mark.parametrize("name", LOW_RANK)
def test_noise_floor_of_low_rank_ratings_is_reached(name):
    """The noise of the test ratings themselves, and what estimating the parameters adds to it.

    Least squares on N ratings err by the noise times √(1 + p / N) for p free parameters. Every
    method comes within 1 % of that, and none below the noise.
    """
    m, n = 300, 240
    truth, (train, validation, test) = noisy_products(m, n, name == "mf-bounded")
    noise = root_mean_square(truth[pairs(test)] - test.data)
    biases = not name.startswith("mf-published")
    floor = noise * np.sqrt(1 + (FACTORS + biases) * (m + n) / train.nnz)
    task = Task(train, 1, validation, test, bounds=(1.0, 5.0))
    [found] = SOLVERS[name].fit_tasks([task])
    rmse = root_mean_square(found.predictions["test"] - test.data)
    assert noise < rmse < 1.01 * floor
    assert floor < 1.02 * noise < 0.8 * root_mean_square(test.data - train.data.mean())


class KilledError(Exception):
    """A kill."""


@pytest.mark.parametrize("name", SOLVERS)
def test_killed_and_resumed_run_equals_an_uninterrupted_one(low_rank, tmp_path, monkeypatch, name):
    train, validation, test = low_rank
    solver, task = SOLVERS[name], Task(train, 2, validation, test)
    [whole] = solver.fit_tasks([task])
    monkeypatch.setattr("cfmf.factorization.checkpoint.EVERY_SECONDS", 0.0)
    kinds = (Curve, _Sampling)
    for kind in kinds:
        original = kind.record

        def record(self, epoch, *rest, original=original):
            if epoch == 4:
                raise KilledError
            return original(self, epoch, *rest)

        monkeypatch.setattr(kind, "record", record)
    path = tmp_path / "state.npz"
    with pytest.raises(KilledError):
        solver.fit_tasks([task], path)
    monkeypatch.undo()
    assert list(tmp_path.iterdir())
    counted = []

    def progress(items, label, total=None, before=0):
        counted.append(before)
        yield from items

    for module in ("curve", "gibbs"):
        monkeypatch.setattr(f"cfmf.factorization.{module}.progress", progress)
    for _ in range(2):  # the second time, everything is done already
        [resumed] = solver.fit_tasks([task], path)
        for part, expected in whole.predictions.items():
            assert resumed.predictions[part].tobytes() == expected.tobytes()
        assert resumed.epochs == whole.epochs
        curves = [found.history.drop(columns="seconds") for found in (whole, resumed)]
        assert curves[0].equals(curves[1])
    assert counted == [4, len(whole.history)]


@pytest.mark.parametrize(
    "solver",
    [
        AdamW(k=3, learning_rate=1e18),
        ALS(k=3, initial_scale=1e30),
        SGD(k=3, learning_rate=50.0),
        Gibbs(k=3, initial_scale=1e30),
    ],
    ids=lambda solver: type(solver).__name__,
)
@pytest.mark.parametrize("more", [{}, {"epochs": 6, "fitted_values": False}], ids=["", "unread"])
def test_what_is_no_longer_finite_stops_with_settings_and_epoch(low_rank, solver, more):
    """Also where nothing reads the curve, of which only the last epoch is measured then."""
    message = r"fold u1, seed 2.* at (epoch|sweep) \d+ \(\w+\(k=3, .*\); (lower|raise)"
    with pytest.raises(FloatingPointError, match=message), np.errstate(all="ignore"):
        solver.fit_tasks([Task(low_rank[0], 2, name="fold u1, seed 2", **more)])


def test_a_curve_that_nothing_reads_is_measured_at_its_end_only(low_rank):
    task = Task(low_rank[0], epochs=4, fitted_values=False)
    for solver in (ALS(k=2), SGD(k=2)):
        [unread] = solver.fit_tasks([task])
        [read] = solver.fit_tasks([replace(task, fitted_values=True)])
        assert unread.epochs == read.epochs == 4
        assert unread.history["loss"].notna().to_list() == [False] * 4 + [True]
        assert read.history["loss"].notna().all()
        assert unread.history["loss"].iloc[-1] == read.history["loss"].iloc[-1]


def test_a_gpu_without_memory_says_what_to_lower(low_rank, monkeypatch):
    def exhausted(*_):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr("cfmf.factorization.torch_adamw._Training", exhausted)
    with pytest.raises(MemoryError, match=r"k = 3, 2 runs .*: lower batch_size or k"):
        TorchAdamW(k=3).fit_tasks([Task(low_rank[0])] * 2)


def test_checkpoint_of_other_data_or_damaged_is_not_used(low_rank, tmp_path, caplog):
    train, validation, _ = low_rank
    path = tmp_path / "state.npz"
    solver = AdamW(k=3, max_epochs=5)
    solver.fit_tasks([Task(train, 1)], path)
    caplog.set_level("INFO")
    [other] = solver.fit_tasks([Task(validation, 1)], path)
    assert "other settings or data" in caplog.text
    [written] = tmp_path.iterdir()
    written.write_bytes(written.read_bytes()[:200])
    [again] = solver.fit_tasks([Task(validation, 1)], path)
    assert "is damaged" in caplog.text
    assert again.model.user_factors.tobytes() == other.model.user_factors.tobytes()


@pytest.fixture
def three_parts(ratings, validation, make_matrix):
    test = make_matrix(np.random.default_rng(6), *ratings.shape, 0.2)
    return Task(ratings, 1, validation, test)


def changed(matrix):
    """The matrix with its last rating one higher."""
    found = matrix.copy()
    found.data[-1] += 1
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda task: {"train": changed(task.train)},
        lambda task: {"validation": changed(task.validation)},
        lambda task: {"test": changed(task.test)},
        lambda task: {"validation": task.test, "test": task.validation},
        lambda task: {"validation": None, "test": task.validation},
        lambda task: {"watch_test": True},
        lambda task: {"seed": 2},
        lambda task: {"epochs": 7},
        lambda task: {"seconds": 7.0},
    ],
)
def test_checkpoint_of_another_task_is_not_resumed(three_parts, change):
    solver = ALS(k=2)
    alone = fingerprint(solver, [three_parts])
    assert fingerprint(ALS(k=2), [replace(three_parts, name="another")]) == alone
    assert fingerprint(solver, [replace(three_parts, **change(three_parts))]) != alone
    assert fingerprint(ALS(k=2, reg=0.2), [three_parts]) != alone
    assert fingerprint(solver, [three_parts] * 2) != alone
    read = replace(three_parts, validation=None, epochs=7)
    unread = replace(read, fitted_values=False)  # has no measures that `read` could go on with
    assert fingerprint(solver, [unread]) != fingerprint(solver, [read])


def test_checkpoint_of_other_code_is_not_resumed(three_parts, monkeypatch):
    solver = ALS(k=2)
    before = fingerprint(solver, [three_parts])
    code = {"curve.py": "an earlier state of the file"}
    monkeypatch.setattr(
        "cfmf.factorization.checkpoint.sha256", lambda path: code.get(path.name) or sha256(path)
    )
    assert fingerprint(solver, [three_parts]) != before
    code["curve.py"] = ""
    assert fingerprint(solver, [three_parts]) == before
    code["gibbs.py"] = "ALS does not import it"
    assert fingerprint(solver, [three_parts]) == before


def test_checkpoint_of_another_test_part_is_not_resumed(low_rank, tmp_path):
    """The curve that it holds was measured on the other."""
    train, validation, test = low_rank
    solver, path = AdamW(k=3, max_epochs=5), tmp_path / "state.npz"
    for part in (test, validation):
        [found] = solver.fit_tasks([Task(train, test=part, watch_test=True)], path)
        last = root_mean_square(found.predictions["test"] - part.data)
        assert found.history["test_rmse"].iloc[-1] == pytest.approx(last, rel=1e-5)


@pytest.mark.parametrize("bounds", [None, (1.0, 5.0)])
def test_model_survives_its_file(tmp_path, bounds):
    rng = np.random.default_rng(0)
    shapes = [(4, 2), (3, 2), (4,), (3,)]
    arrays = [rng.normal(size=shape).astype("f4") for shape in shapes]
    model = Factorization(*arrays, mean=3.5, bounds=bounds)
    model.save(tmp_path / "model.npz")
    again = Factorization.load(tmp_path / "model.npz")
    users, items = np.array([0, 3, 2]), np.array([2, 0, 1])
    np.testing.assert_array_equal(*(one.predict(users, items).values for one in (model, again)))
    noise = np.full(2, 4.0), np.ones((2, 4)), np.ones((2, 3))
    prior = np.zeros((2, 3)), np.ones((2, 3)), np.full(2, np.inf), np.zeros((2, 0, 3))
    posterior = Posterior((model, model), *noise, np.empty((2, 0)), *prior)
    U, V, b, c = arrays
    sums = 3.5 + b[users] + c[items] + (U[users].astype(float) * V[items]).sum(1)
    expected = sums if bounds is None else 1 + 4 / (1 + np.exp(-sums))
    np.testing.assert_allclose(model.predict(users, items).values, expected, rtol=1e-5)
    mean, _, deviation = posterior.predict(users, items)
    np.testing.assert_allclose(mean, expected, rtol=1e-5)
    np.testing.assert_allclose(deviation, 0.5, rtol=1e-5)


def test_file_that_is_no_model_is_refused(tmp_path):
    np.savez(tmp_path / "model.npz", something=np.zeros(3))
    with pytest.raises(ValueError, match="not a readable Factorization"):
        Factorization.load(tmp_path / "model.npz")
