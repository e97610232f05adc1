"""Sizes by formula and by arrays, and energy counters as Linux writes them."""

import numpy as np
import pytest

from cfmf.config import registry
from cfmf.evaluation import footprint
from cfmf.evaluation.fitting import fit

METHODS = [name for name in registry() if name not in ("mf-jax", "mf-sgd")]


@pytest.mark.parametrize("method", METHODS)
def test_formula_counts_the_numbers_in_the_arrays(ratings, setting_of, method):
    train, test = ratings
    setting = setting_of(method)
    model = fit(setting, train, scale=(1, 5)).model
    arrays = footprint.kept_arrays(model)
    draws = model.draws() if hasattr(model, "draws") else 1
    formula = footprint.parameter_count(method, *train.shape, train.nnz, int(setting.k or 0), draws)
    # where the ratings lie is not a number that was learned
    places = train.nnz + train.shape[0] + 1 if hasattr(model, "train") else 0
    assert sum(array.size for array in arrays) == formula + places
    assert footprint.size_in_bytes(model) == sum(array.nbytes for array in arrays) > 0
    rows = footprint.cost_rows(setting, model, train, {"seconds": 1}, {"seconds": 2}, test)
    found = rows.set_index(["stage", "measure"])["value"]
    assert found["model", "numbers"] == formula
    assert found["predict", "pairs"] == test.nnz


def zone(folder, name, energy, most=10**9):
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{energy}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{most}\n")


def test_energy_is_summed_over_packages_and_survives_a_counter_that_starts_again(tmp_path):
    zone(tmp_path, "intel-rapl:0", 5_000_000)
    zone(tmp_path, "intel-rapl:1", 999_000_000)
    zone(tmp_path, "intel-rapl:0:0", 1)  # a part of package 0
    before = footprint.energy_counters(tmp_path)
    assert before == {"intel-rapl:0": 5_000_000, "intel-rapl:1": 999_000_000}
    zone(tmp_path, "intel-rapl:0", 7_500_000)
    zone(tmp_path, "intel-rapl:1", 2_000_000)
    assert footprint.joules_since(before, tmp_path) == pytest.approx(2.5 + 3.0)


def test_machine_that_tells_no_energy_leaves_it_out(tmp_path):
    assert footprint.joules_since({}, tmp_path) is None
    with footprint.measured(tmp_path / "nowhere") as found:
        np.linalg.svd(np.random.default_rng(0).random((200, 200)))
    assert set(found) == {"seconds", "cpu_seconds"}
    assert 0 < found["seconds"] < 60
