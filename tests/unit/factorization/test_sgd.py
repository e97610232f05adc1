"""SGD: its average step is the gradient of the objective, whatever the number of threads."""

import itertools

import numba
import numpy as np
import pytest
import torch
from scipy import sparse

from cfmf.factorization import sgd
from cfmf.factorization.als import ALS
from cfmf.factorization.sgd import BLOCKS, SGD, _Training, even_groups
from cfmf.factorization.torch_adamw import TorchAdamW
from cfmf.factorization.torch_adamw import _Training as Descent
from cfmf.tasks import Task


@pytest.mark.parametrize("k", [3, 6, 7, 8, 15])  # where the biases are in vectors of 8 columns
def test_an_epoch_of_tiny_steps_goes_down_the_gradient(ratings, k):
    """For rates towards 0, an epoch moves by -rate · N · ∇J, biases and penalties included."""
    settings = SGD(k=k, reg=0.4, learning_rate=1e-7, initial_scale=1.0, dtype=np.float64)
    training = _Training(settings, Task(ratings))
    training.left[:, k] = np.linspace(-1, 1, 12)
    training.right[:, k + 1] = np.linspace(-1, 1, 9)
    before = training.left.copy(), training.right.copy()
    reference = TorchAdamW(k=k, reg=0.4, dtype=np.float64, device="cpu")
    descent = Descent(reference, [Task(ratings)])
    descent.left[:], descent.right[:] = (torch.from_numpy(block) for block in before)
    assert training.measure()[0, 0] == pytest.approx(descent.measure()[0, 0], rel=1e-6)
    rate = training.rate()
    assert rate == pytest.approx(1e-7)
    training.step()
    after = training.left, training.right
    for old, new, gradient in zip(before, after, descent.gradients, strict=True):
        moved = (new - old) / (-rate * ratings.nnz)
        np.testing.assert_allclose(moved, gradient, atol=2e-5)


def test_blocks_hold_every_pair_once_and_those_at_once_share_no_user_or_item(low_rank):
    train = low_rank[0]
    training = _Training(SGD(k=2, dtype=np.float64), Task(train, 4))
    dealt = sorted(
        zip(training.users, training.items, training.values + training.mean, strict=True)
    )
    whole = train.tocoo()
    expected = sorted(zip(whole.row, whole.col, whole.data.astype(float), strict=True))
    np.testing.assert_allclose(dealt, expected)
    assert training.starts[-1] == train.nnz
    blocks = [slice(*ends) for ends in itertools.pairwise(training.starts)]
    for shift in range(BLOCKS):
        for side in (training.users, training.items):
            held = [set(side[blocks[i * BLOCKS + (i ^ shift)]]) for i in range(BLOCKS)]
            assert sum(map(len, held)) == len(set.union(*held))


def test_pairs_that_follow_one_another_are_of_different_users():
    train = sparse.random_array((400, 300), density=0.2, rng=np.random.default_rng(2), format="csr")
    training = _Training(SGD(k=2), Task(train))
    blocks = [slice(*ends) for ends in itertools.pairwise(training.starts)]
    same = [np.diff(training.users[block]) == 0 for block in blocks]
    assert np.concatenate(same).mean() < 0.02  # 0.87 user by user


def test_groups_have_about_as_many_ratings():
    """Also where a few rows have most of them."""
    counts = np.sort(np.random.default_rng(3).pareto(1.2, 2000) * 10).astype(int)[::-1]
    groups = even_groups(counts, np.random.default_rng(4))
    assert np.bincount(groups).tolist() == [250] * BLOCKS
    held = np.bincount(groups, counts)
    # Rows of one rank in their group differ by no more than the most rated row has.
    assert held.max() - held.min() <= counts.max()


def test_large_penalties_do_not_throw_parameters_about():
    """Items rated once beside some that all have rated: weighting 0 charges their pairs a lot."""
    users = np.concatenate([np.repeat(np.arange(2000), 20), np.arange(20)])
    items = np.concatenate([np.tile(np.arange(20), 2000), 20 + np.arange(20)])
    values = np.random.default_rng(1).integers(1, 6, len(users)).astype(np.float32)
    train = sparse.csr_array((values, (users, items)))
    fitted = SGD(k=4, reg=0.15, weighting=0, max_epochs=10).fit(train)
    loss = fitted.history["loss"]
    assert loss.max() < 1.01 * loss.iloc[0]  # the noise of an epoch; it may rise by so little
    assert loss.iloc[-1] < 0.95 * loss.iloc[0]


def test_threads_do_not_change_a_bit(low_rank):
    train, validation, _ = low_rank
    found = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        found.append(SGD(k=4).fit(train, validation).model.user_factors.tobytes())
    assert found[0] == found[1]


def test_parts_at_once_do_not_change_a_bit(low_rank, monkeypatch):
    """However many threads there are: what they would do at once is done in turn."""
    found = []
    for threads in (1, 2, 5, 8, 100):
        monkeypatch.setattr(sgd.numba, "get_num_threads", lambda threads=threads: threads)
        training = _Training(SGD(k=4), Task(low_rank[0]))
        training.step()
        training.step()
        found.append(training.left.tobytes() + training.right.tobytes())
    assert len(set(found)) == 1


def test_small_steps_come_near_the_exact_minimum(low_rank):
    train = low_rank[0]
    exact = ALS(k=3, reg=0.1, tolerance=1e-8, max_epochs=300).fit(train)
    found = SGD(k=3, reg=0.1, decay=0.05, max_epochs=300).fit(train)
    least = exact.history["loss"].iloc[-1]
    assert least <= found.history["loss"].iloc[-1] * (1 + 1e-6)
    assert found.history["loss"].iloc[-1] == pytest.approx(least, rel=0.01)


def test_diverging_loss_says_what_to_lower(low_rank):
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        SGD(k=3, learning_rate=50.0).fit(low_rank[0])


@pytest.mark.parametrize(
    ("options", "message"), [({"k": 0}, "k is 0"), ({"k": 1, "reg": -1}, "must not be negative")]
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SGD(**options)
