"""The comparison of backends: what it says without JAX, and with it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cfmf.published import backends
from cfmf.published.generators import compare_generators
from cfmf.published.printed import printed_numbers
from cfmf.tables import COLUMNS
from cfmf.tasks import Fitted


def test_generators_are_tested_as_scipy_tests_them():
    table = compare_generators(range(42, 45), n=200)
    row = table[
        (table["seed"] == 43) & (table["sample"] == "torch") & (table["against"] == "normal")
    ]
    torch.manual_seed(43)
    expected = stats.kstest(torch.randn(200).numpy(), "norm")
    assert row["statistic"].item() == pytest.approx(expected.statistic)
    assert row["p_raw"].item() == pytest.approx(expected.pvalue)
    np.testing.assert_allclose(table["p_adj"], multipletests(table["p_raw"], method="holm")[1])
    assert len(table) == 3


def test_the_studys_own_sample_is_reproduced():
    """The published table has .0192 (p .848) for 1,000 numbers of torch at seed 42."""
    table = compare_generators(range(42, 43))
    assert round(table["statistic"][0], 4) == 0.0192
    assert round(table["p_raw"][0], 3) == 0.848


def test_the_studys_own_samples_of_jax_are_reproduced():
    """Published .0344 (p .182) and, against torch, .0410 (p .370); JAX drew so before 0.5."""
    pytest.importorskip("jax", reason="JAX is not installed")
    table = compare_generators(range(42, 43), with_jax=True).set_index(["sample", "against"])
    ours = table.loc[
        [("torch", "normal"), ("jax-before-0.5", "normal"), ("torch", "jax-before-0.5")]
    ]
    printed = printed_numbers()
    for column, name in (("statistic", ""), ("p_raw", "_p")):
        published = [
            printed[f"kolmogorov_smirnov{name}"][which] for which in ("torch", "jax", "both")
        ]
        np.testing.assert_allclose(ours[column], published, atol=5e-5)
    assert table.loc[("jax", "normal"), "statistic"] != ours["statistic"].iloc[1]
    assert len(table) == 5


def test_seconds_of_an_epoch_hold_neither_setup_nor_compiling(ratings, monkeypatch):
    """By a clock that says: 100 s of set-up, epochs of 2 s, 1 s or 3 s, the first ever of 50 s."""
    began, repeat = 0.0, iter([2.0, 1.0, 3.0])

    def fit_tasks(self, tasks):
        nonlocal began
        step = next(repeat)
        first = 50.0 if began == 0 else step
        seconds = first + step * np.arange(6)
        began += 100 + seconds[-1]
        history = pd.DataFrame({"seconds": seconds, "loss": 0.5, "test_rmse": 1.0})
        return [Fitted(None, history, 5, {})]

    monkeypatch.setattr(backends, "jax_is_installed", lambda: False)
    monkeypatch.setattr(backends.TorchAdamW, "fit_tasks", fit_tasks)
    monkeypatch.setattr(backends, "time", SimpleNamespace(perf_counter=lambda: began))
    [row] = backends.compare_backends(ratings, ratings, k=2, epochs=5, repeats=2).to_dict("records")
    assert row["setup_seconds"] == 100
    assert row["compile_seconds"] == 50 - 2
    assert [row[f"epoch_seconds{end}"] for end in ("", "_min", "_max")] == [2, 1, 3]


def test_backends_take_the_same_steps(parts):
    train, test = parts
    table = backends.compare_backends(train, test, k=4, epochs=5, repeats=2)
    assert (table["loss_difference"] < 1e-4).all()
    assert list(table.columns) == COLUMNS["backends"]
    assert (table["epoch_seconds"] > 0).all()
    assert table["backend"].to_list() == ["torch", "jax"][: 1 + backends.jax_is_installed()]
