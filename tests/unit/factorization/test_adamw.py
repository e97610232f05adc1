"""AdamW: gradients, steps, the published recipe, stopping, seeds and checkpoints."""

import subprocess
import sys

import numba
import numpy as np
import pytest
import torch
from scipy import sparse

from cfmf.factorization import adamw, torch_adamw
from cfmf.factorization.adamw import AdamW
from cfmf.factorization.curve import Curve, Stopping
from cfmf.factorization.objective import start_factors
from cfmf.factorization.torch_adamw import TorchAdamW
from cfmf.methods import registry
from cfmf.observed import pairs, root_mean_square
from cfmf.published.methods.mf_published import PUBLISHED
from cfmf.tasks import Task

BOUNDS = (0.0, 5.0)
OPTIONS = {
    "l2": {},
    "cubic": {"penalty": "cubic"},
    "plain": {"weighting": 0.0},
    "weighted": {"weighting": 1.0},
    "bounded": {"bounded": True},
    "no biases": {"biases": False},
    "decay": PUBLISHED,
}


def dense_loss(settings, x, mask, left, right):
    """The documented objective on dense tensors, for autograd."""
    k = settings.k
    N = mask.sum()
    observed = x[mask]
    mean = observed.mean() if settings.biases else 0.0
    slope = 1.0
    if settings.bounded:
        low, high = BOUNDS
        share = (mean - low) / (high - low)
        mean = torch.log(share / (1 - share)).detach().requires_grad_()
        [slope] = torch.autograd.grad(low + (high - low) * torch.sigmoid(mean), mean)
        mean = mean.detach()
    sums = mean + left[:, :k] @ right[:, :k].T
    if settings.biases:
        sums = sums + left[:, k, None] + right[None, :, k + 1]
    if settings.bounded:
        sums = low + (high - low) / (1 + torch.exp(-sums))
    loss = 0.5 * ((sums - x)[mask] ** 2).mean()
    if settings.penalty == "decay":
        return loss
    for block, axis, bias in ((left, 1, k), (right, 0, k + 1)):
        counts = mask.sum(axis).double()
        weights = counts.mean() * (counts / counts.mean()) ** settings.weighting
        lengths = (block[:, :k] ** 2).sum(1)
        power = lengths / 2 if settings.penalty == "l2" else lengths**1.5 / 3
        loss = loss + settings.reg * (weights * power).sum() / N
        if settings.biases:
            loss = loss + settings.bias_reg * ((slope * block[:, bias]) ** 2).sum() / 2 / N
    return loss


class OnCPU:
    """What tests read and change of a training in compiled kernels."""

    def __init__(self, settings, task):
        self.training = adamw._Training(AdamW(**settings), task)
        self.blocks = [torch.from_numpy(block) for block in self.training.blocks]

    def gradients(self):
        """By the first step, after which the mean of the gradients is a tenth of them."""
        self.training.step()
        return [torch.from_numpy(mean) / (1 - 0.9) for mean, _ in self.training.moments]


class InTorch:
    """The same of a training in torch."""

    def __init__(self, settings, task):
        self.training = torch_adamw._Training(TorchAdamW(**settings, device="cpu"), [task])
        self.blocks = self.training.blocks

    def gradients(self):
        return [gradient.clone() for gradient in self.training.gradients]


def at_work(kind, options, ratings):
    """A training in float64 from large factors, and biases at which their gradients matter."""
    settings = {"k": 3, "reg": 0.3, "dtype": np.float64, **options, "initial_scale": 1.0}
    found = kind(settings, Task(ratings, bounds=BOUNDS))
    if options.get("biases", True):
        found.blocks[0][:, 3] += torch.linspace(-1, 1, 12)
        found.blocks[1][:, 4] += torch.linspace(-1, 1, 9)
    return found


@pytest.fixture(params=[OnCPU, InTorch], ids=["compiled", "torch"])
def kind(request):
    return request.param


@pytest.fixture(params=OPTIONS)
def started(request, kind, ratings):
    return at_work(kind, OPTIONS[request.param], ratings)


def free_columns(settings):
    k = settings.k
    return ([*range(k), k], [*range(k), k + 1]) if settings.biases else ([*range(k)],) * 2


def test_loss_and_gradient_equal_autograd_of_the_dense_objective(started, ratings, dense_of):
    x, mask = (torch.from_numpy(array) for array in dense_of(ratings))
    settings = started.training.settings
    measured = started.training.measure()
    left, right = (block.clone().requires_grad_() for block in started.blocks)
    loss = dense_loss(settings, x, mask, left, right)
    loss.backward()
    assert measured[0, 0] == pytest.approx(loss.item(), rel=1e-12)
    gradients = zip(started.gradients(), (left, right), free_columns(settings), strict=True)
    for gradient, block, columns in gradients:
        torch.testing.assert_close(gradient[:, columns], block.grad[:, columns])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_gradient_equals_finite_differences(options, kind, ratings):
    started, other = (at_work(kind, options, ratings) for _ in range(2))
    started.training.measure()
    columns = free_columns(started.training.settings)
    for block, gradient, chosen in zip(other.blocks, started.gradients(), columns, strict=True):
        for row, column in [(0, chosen[0]), (4, chosen[-1]), (8, chosen[1])]:
            losses = []
            for step in (1e-5, -1e-5):
                block[row, column] += step
                losses.append(other.training.measure()[0, 0])
                block[row, column] -= step
            difference = (losses[0] - losses[1]) / 2e-5
            assert gradient[row, column].item() == pytest.approx(difference, abs=1e-8)


def test_steps_equal_torch_adamw_on_the_dense_objective(started, ratings, dense_of):
    x, mask = (torch.from_numpy(array) for array in dense_of(ratings))
    settings = started.training.settings
    k, columns = settings.k, free_columns(settings)
    blocks = [
        torch.nn.Parameter(block[:, chosen].clone())
        for block, chosen in zip(started.blocks, columns, strict=True)
    ]
    decay = settings.reg if settings.penalty == "decay" else 0.0
    optimizer = torch.optim.AdamW(
        blocks, lr=settings.learning_rate, eps=settings.epsilon, weight_decay=decay, foreach=False
    )
    for _ in range(20):
        optimizer.zero_grad()
        right = blocks[1]
        if settings.biases:  # the dense objective wants the right bias in column k + 1
            right = torch.cat([right[:, :k], torch.ones(9, 1, dtype=right.dtype), right[:, k:]], 1)
        dense_loss(settings, x, mask, blocks[0], right).backward()
        optimizer.step()
        started.training.measure()
        started.training.step()
    for block, chosen, expected in zip(started.blocks, columns, blocks, strict=True):
        torch.testing.assert_close(block[:, chosen], expected.detach(), rtol=1e-9, atol=1e-9)


COLUMNS = ["loss", "train_rmse", "validation_rmse", "test_rmse"]


@pytest.mark.parametrize(
    "options",
    [*OPTIONS.values(), PUBLISHED | {"loss": "rmse", "same_key": True}, {"penalty": "decay"}],
    ids=[*OPTIONS, "published in JAX", "decay of biases"],
)
def test_compiled_training_equals_that_in_torch(options, low_rank):
    """In float64, where the two differ by rounding only, over a whole training."""
    train, validation, test = low_rank
    task = Task(train, 3, validation, test, watch_test=True, bounds=(-5.0, 11.0), epochs=60)
    options = {"k": 5, "reg": 0.05, **options, "dtype": np.float64, "patience": None}
    [compiled] = AdamW(**options).fit_tasks([task])
    [in_torch] = TorchAdamW(**options, device="cpu").fit_tasks([task])
    np.testing.assert_allclose(compiled.history[COLUMNS], in_torch.history[COLUMNS], rtol=1e-7)
    np.testing.assert_allclose(
        compiled.predictions["test"], in_torch.predictions["test"], rtol=1e-5
    )


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_compiled_training_reaches_the_rmse_of_that_in_torch(options, low_rank):
    """In float32, until the validation RMSE no longer falls."""
    train, validation, test = low_rank
    task = Task(train, 3, validation, test, watch_test=True, bounds=(-5.0, 11.0))
    options = {"k": 5, "reg": 0.05, "max_epochs": 300, **options, "patience": 30}
    [compiled] = AdamW(**options).fit_tasks([task])
    [in_torch] = TorchAdamW(**options, device="cpu").fit_tasks([task])
    first = [found.history[COLUMNS].head(10) for found in (compiled, in_torch)]
    np.testing.assert_allclose(*first, rtol=2e-5)
    for part in ("train", "validation", "test"):
        ours, theirs = (
            root_mean_square(found.predictions[part] - getattr(task, part).data)
            for found in (compiled, in_torch)
        )
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_training_on_the_cpu_does_not_import_torch(tmp_path):
    code = """
import sys
import numpy as np
from scipy import sparse
from cfmf.methods.mf import MF
from cfmf.methods.mf_bounded import MFBounded
from cfmf.methods.mf_cubic import MFCubic
from cfmf.published.methods.mf_published import MFPublished

ratings = sparse.csr_array(np.arange(1.0, 13, dtype="f4").reshape(4, 3) % 5 + 1)
for method in (MF, MFBounded, MFCubic, MFPublished):
    method(k=2, max_epochs=3).fit(ratings, ratings)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("method", ["mf-published", "mf-published-jax"])
def test_published_recipe_equals_its_literal_dense_transcription(
    method, ratings, validation, dense_of
):
    """The study's torch code, and its JAX code written in torch: RMSE as loss, one key twice."""
    jax = method == "mf-published-jax"
    (x, observed), (x_test, observed_test) = dense_of(ratings), dense_of(validation)
    x, x_test = torch.from_numpy(x), torch.from_numpy(x_test)
    observed, observed_test = torch.from_numpy(observed), torch.from_numpy(observed_test)
    torch.manual_seed(42)
    U = torch.nn.Parameter(torch.randn(12, 4))
    if jax:
        torch.manual_seed(42)
    V = torch.nn.Parameter(torch.randn(9, 4))
    optimizer = torch.optim.AdamW([U, V], lr=5e-3, weight_decay=0.01)
    rows, previous = [], 0.0
    for _ in range(1000):
        optimizer.zero_grad()
        pred = U @ V.t()
        loss = torch.mean((pred[observed] - x[observed]) ** 2)
        loss = loss.sqrt() if jax else 0.5 * loss
        loss.backward()
        optimizer.step()
        train_rmse = torch.sqrt(torch.mean((pred[observed] - x[observed]) ** 2)).item()
        test = (pred[observed_test] - x_test[observed_test]) ** 2
        rows.append(
            [loss.item(), abs(loss.item() - previous), train_rmse, test.mean().sqrt().item()]
        )
        if abs(loss.item() - previous) < 2e-3:
            break
        previous = loss.item()
    settings = AdamW(4, 0.01, 5e-3, tolerance=2e-3, **registry.method(method).variant)
    [found] = settings.fit_tasks([Task(ratings, 42, test=validation, watch_test=True)])
    assert len(found.history) == len(rows) > 100
    columns = ["loss", "delta_loss", "train_rmse", "test_rmse"]
    np.testing.assert_allclose(found.history[columns], rows, rtol=2e-4, atol=2e-5)
    assert found.history["test_rmse"].iloc[-1] == pytest.approx(
        root_mean_square(found.predictions["test"] - validation.data), rel=1e-6
    )


def test_one_key_starts_users_and_items_alike():
    users, items = start_factors(6, 6, 3, 1.0, 42, same_key=True)
    np.testing.assert_array_equal(users, items)
    users, items = start_factors(6, 6, 3, 1.0, 42)
    assert np.abs(users - items).min() > 0


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1, 2**40 + 3])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(16, 32, 1), (6, 9, 3), (17, 11, 4), (943, 1682, 16), (60_000, 20_001, 24)]
)
def test_start_is_the_one_torch_draws_for_the_seed(m, n, k, seed):
    torch.manual_seed(seed)
    U, V = torch.randn(m, k), torch.randn(n, k)
    users, items = start_factors(m, n, k, 1.0, seed)
    np.testing.assert_allclose(users, U, rtol=0, atol=2e-6)
    np.testing.assert_allclose(items, V, rtol=0, atol=2e-6)
    assert users.dtype == items.dtype == np.float32


def test_a_start_of_few_numbers_is_standard_normal():
    # Torch draws fewer than 16 numbers by another method.
    drawn = [start_factors(3, 2, 1, 1.0, seed) for seed in range(2000)]
    numbers = np.concatenate([np.concatenate(one).ravel() for one in drawn])
    assert abs(numbers.mean()) < 0.04
    assert abs(numbers.std() - 1) < 0.03


@pytest.mark.parametrize("solver", [AdamW, TorchAdamW])
def test_same_seed_same_bits_and_threads_do_not_matter(low_rank, solver, monkeypatch):
    monkeypatch.setattr(adamw, "PART", 100)
    monkeypatch.setattr(adamw, "PARTS", 3)
    train, validation, _ = low_rank
    settings = {"k": 1, "max_epochs": 30}
    if solver is TorchAdamW:
        settings["device"] = "cpu"
    runs = []
    for threads in (1, 1, 2):
        torch.set_num_threads(threads)
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        runs.append(solver(**settings).fit(train, validation, seed=7))
    first, second, third = runs
    assert first.model.user_factors.tobytes() == second.model.user_factors.tobytes()
    columns = ["loss", "delta_loss", "train_rmse", "validation_rmse"]
    assert first.history[columns].equals(second.history[columns])
    np.testing.assert_allclose(first.model.item_factors, third.model.item_factors, atol=1e-6)
    other = solver(**settings).fit(train, validation, seed=8)
    assert not np.allclose(first.model.user_factors, other.model.user_factors)


def test_parts_add_up_to_the_whole_in_any_number_of_threads(low_rank, monkeypatch):
    train, validation, _ = low_rank
    options = {"k": 5, "max_epochs": 40, "dtype": np.float64}
    whole = AdamW(**options).fit(train, validation)
    monkeypatch.setattr(adamw, "PART", 1)
    monkeypatch.setattr(adamw, "PARTS", 4)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    assert len(adamw.Pairs(train, np.float64).cuts(960)) == 5
    parts = [AdamW(**options).fit(train, validation) for _ in range(2)]
    columns = ["loss", "train_rmse", "validation_rmse"]
    np.testing.assert_allclose(parts[0].history[columns], whole.history[columns], rtol=1e-8)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 1)
    parts.append(AdamW(**options).fit(train, validation))
    for one in parts[1:]:
        assert one.model.item_factors.tobytes() == parts[0].model.item_factors.tobytes()
        assert one.history[columns].equals(parts[0].history[columns])


@pytest.mark.parametrize("held", [0, 10, 10**6])
def test_parts_cover_all_rows_and_hold_no_more_than_the_ratings(make_matrix, held, monkeypatch):
    monkeypatch.setattr(adamw, "PART", 50)
    matrix = make_matrix(np.random.default_rng(0), 40, 30, 0.5)
    pairs = adamw.Pairs(matrix, np.float32)
    cuts = pairs.cuts(held)
    assert (cuts[0], cuts[-1]) == (0, 40)
    assert cuts == sorted(cuts)
    assert len(cuts) - 1 == (1 if held > matrix.nnz else adamw.PARTS)
    assert np.diff(matrix.indptr[cuts]).max() <= matrix.nnz / (len(cuts) - 1) + 30
    assert adamw.Pairs(matrix[:3], np.float32).cuts(held)[-1] == 3


@pytest.mark.parametrize("indices", [np.int32, np.int64])
def test_width_of_the_indices_changes_nothing(low_rank, indices):
    train, validation, _ = low_rank
    wide = sparse.csr_array(train.shape, dtype=np.float32)
    wide.data, wide.indices = train.data, train.indices.astype(indices)
    wide.indptr = train.indptr.astype(indices)
    found, expected = (AdamW(k=3, max_epochs=5).fit(one, validation) for one in (wide, train))
    assert found.model.item_factors.tobytes() == expected.model.item_factors.tobytes()


def test_runs_in_one_batch_equal_runs_alone(low_rank):
    train, validation, test = low_rank
    tasks = [
        Task(train, 1, validation, test),
        Task(train, 2, test, validation),
        Task(train, 1, validation, test, epochs=17),
    ]
    settings = TorchAdamW(k=4, patience=5, device="cpu")
    together = settings.fit_tasks(tasks)
    assert len({len(found.history) for found in together}) > 1
    for task, found in zip(tasks, together, strict=True):
        [alone] = settings.fit_tasks([task])
        assert found.epochs == alone.epochs
        assert len(found.history) == len(alone.history)
        np.testing.assert_allclose(found.predictions["test"], alone.predictions["test"], atol=2e-4)


def test_minimum_of_validation_is_kept(low_rank):
    train, validation, _ = low_rank
    found = AdamW(k=20, reg=0.01, patience=10).fit(train, validation)
    curve = found.history["validation_rmse"].to_numpy()
    assert curve[found.epochs] == pytest.approx(curve.min(), abs=1e-5)
    assert len(curve) == found.epochs + 11
    assert curve[-1] > curve[found.epochs]
    mine = root_mean_square(found.predictions["validation"] - validation.data)
    assert mine == pytest.approx(curve[found.epochs], rel=1e-6)


def test_epochs_of_a_task_are_taken_exactly(low_rank):
    train, validation, _ = low_rank
    free = AdamW(k=4, patience=5).fit(train, validation)
    [told] = AdamW(k=4, patience=5).fit_tasks([Task(train, epochs=free.epochs)])
    np.testing.assert_array_equal(told.model.user_factors, free.model.user_factors)


def test_unrated_rows_are_predicted_by_the_other_side_alone(make_matrix):
    rng = np.random.default_rng(1)
    train = make_matrix(rng, 20, 15, 0.5)
    train = train * 1  # drop nothing, own the arrays
    train.data[:] = 3 + rng.normal(size=train.nnz)
    train.indptr[:] = np.concatenate([train.indptr[:-1], [train.indptr[-2]]])
    train.indices, train.data = train.indices[: train.indptr[-1]], train.data[: train.indptr[-1]]
    model = AdamW(k=3, max_epochs=50).fit(train).model
    items = np.arange(15)
    expected = np.float32(model.mean) + model.item_bias
    np.testing.assert_array_equal(model.predict(np.full(15, 19), items).values, expected)


def test_bounded_predictions_stay_on_the_scale(ratings):
    settings = AdamW(k=8, reg=0.0, bias_reg=0.0, bounded=True, max_epochs=500)
    [found] = settings.fit_tasks([Task(ratings, bounds=BOUNDS)])
    assert found.predictions["train"].min() >= 0
    assert found.predictions["train"].max() <= 5
    assert root_mean_square(found.predictions["train"] - ratings.data) < 0.3


def test_diverging_loss_names_the_run_and_what_to_do(ratings):
    settings = AdamW(k=3, reg=0.5, learning_rate=1e18)
    with pytest.raises(FloatingPointError, match=r"fold u1.*epoch \d+.*k=3.*reg=0.5.*lower"):
        settings.fit_tasks([Task(ratings, name="fold u1, seed 1")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 2, "reg": -1}, "reg is -1"),
        ({"k": 2, "penalty": "l3"}, "penalty is 'l3'"),
        ({"k": 2, "loss": "mae"}, "loss is 'mae'"),
        ({"k": 2, "loss": "rmse"}, "needs penalty decay"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AdamW(**options)


def test_settings_for_wider_ratings_are_as_documented(low_rank):
    """Of ratings 16 times as wide: errors 16 times as large, at 4 times the steps and the start."""
    train, validation, _ = low_rank
    wide = [part.copy() for part in (train, validation)]
    for part in wide:
        part.data *= 16
    settings = {"learning_rate": 0.05, "initial_scale": 0.1}
    plain = AdamW(k=3, reg=0.05, **settings).fit(train, validation).history
    wider = {name: 4 * value for name, value in settings.items()}
    found = AdamW(k=3, reg=16 * 0.05, **wider).fit(*wide).history
    least = found["validation_rmse"].min()
    assert least == pytest.approx(16 * plain["validation_rmse"].min(), rel=0.005)


def test_ratings_that_cannot_be_learned_from_are_refused(ratings):
    with pytest.raises(ValueError, match="no rating"):
        Task(ratings[:, :0])
    with pytest.raises(ValueError, match="fold u1: validation has no rating"):
        Task(ratings, validation=ratings[:, :0], name="fold u1")


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_ratings_that_are_no_finite_numbers_are_refused(ratings, part, value):
    parts = {name: ratings.copy() for name in ("train", "validation", "test")}
    parts[part].data[3] = value
    with pytest.raises(ValueError, match=f"of the {part} part is not a finite number"):
        Task(**parts)


def test_validation_error_that_is_no_longer_finite_stops_with_settings_and_epoch(low_rank):
    """Else no epoch would ever be the best, and the start would be kept without a word."""
    train, validation, _ = low_rank
    solver = AdamW(k=3)
    curve = Curve([Task(train, 2, validation, name="fold u1")], Stopping(9), solver, "lower it")
    message = r"validation RMSE of fold u1 is nan at epoch 4 \(AdamW\(k=3, .*\); lower it"
    with pytest.raises(FloatingPointError, match=message):
        curve.report(4, np.array([[0.5, 1.0, np.nan, np.nan]]))


def test_predictions_of_cold_pairs_equal_the_formula(low_rank):
    train, _, test = low_rank
    found = AdamW(k=4, max_epochs=20).fit(train, test=test)
    model = found.model
    dense = model.mean + model.user_bias[:, None] + model.item_bias
    dense = dense + model.user_factors.astype(float) @ model.item_factors.T
    np.testing.assert_allclose(found.predictions["test"], dense[pairs(test)], rtol=1e-5)
