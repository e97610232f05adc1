"""Sizes by formula and by arrays, and energy counters as Linux writes them."""

import numpy as np
import pytest

from cfmf.evaluation import footprint


def test_costs_hold_the_stages_and_the_size_of_the_model(ratings, setting_of, name):
    train, test = ratings
    setting = setting_of(name)
    model = setting.fit(train).model
    stages = {"fit": {"seconds": 1.5}, "predict": {"seconds": 2.5, "pairs": test.nnz}}
    rows = footprint.cost_rows(setting, model, train, stages)
    found = rows.set_index(["stage", "measure"])["value"]
    assert found["fit", "seconds"] == 1.5
    assert found["predict", "pairs"] == test.nnz
    assert found["model", "bytes"] == sum(array.nbytes for array in model.arrays().values()) > 0
    numbers = setting.method.parameter_count(train.shape, train.nnz, model)
    assert found["model", "numbers"] == numbers > 0
    assert set(rows["seed"]) == {setting.seed}


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


def test_machine_without_counters_leaves_energy_out(tmp_path):
    assert footprint.joules_since({}, tmp_path) is None
    with footprint.measured(tmp_path / "nowhere") as found:
        np.linalg.svd(np.random.default_rng(0).random((200, 200)))
    assert set(found) == {"seconds", "cpu_seconds"}
    assert 0 < found["seconds"] < 60


def test_a_model_that_cannot_be_saved_has_no_size_in_bytes(ratings, setting_of, monkeypatch):
    def refused(self):
        raise NotImplementedError("needs pickle")

    train, _ = ratings
    setting = setting_of("baseline")
    model = setting.fit(train).model
    monkeypatch.setattr(type(model), "arrays", refused)
    rows = footprint.cost_rows(setting, model, train, {})
    assert rows[["stage", "measure"]].to_numpy().tolist() == [["model", "numbers"]]
