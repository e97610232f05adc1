"""The published search on a synthetic trainer whose end is known."""

import math
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml

from cfmf.published.importance import grid_importances
from cfmf.published.search import search, trials_table
from cfmf.published.uncorrected import trial_runs
from cfmf.tables import COLUMNS

SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "published.schema.yaml"
EPOCHS = 400
optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def block():
    definitions = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))["$defs"]
    properties = definitions["published"]["properties"]["search"]["properties"]
    found = {name: entry["default"] for name, entry in properties.items()}
    return {**found, "max_resource": EPOCHS}


def train(k, reg, report):
    """From the RMSE of an untrained N(0, 1) model down to one that falls with k."""
    start, end = math.sqrt(k + 13.3), 0.95 - 0.01 * math.log2(k)
    for epoch in range(EPOCHS):
        error = end + (start - end) * math.exp(-epoch / 60)
        report(epoch, {"loss": error, "delta_loss": 0.1, "train_rmse": 0.81, "test_rmse": error})


@pytest.fixture(scope="module")
def found(block):
    return search(train, block)


def test_layout_is_that_of_trials_dataframe(found, block):
    names = list(found.frame.columns)
    assert names[:4] == ["number", "value", "params_k", "params_lmd"]
    assert names[-1] == "state"
    assert {"user_attrs_test_rmse", "system_attrs_completed_rung_0"} <= set(names)
    assert len(found.frame) == block["trials"]
    assert found.frame["params_k"].isin(block["k"]).all()
    assert found.frame["params_lmd"].between(block["reg_low"], block["reg_high"]).all()
    assert set(found.frame["state"]) == {"COMPLETE", "PRUNED"}


def test_values_are_as_published(found):
    """Completed trials: the least report, rooted twice; pruned ones: the last report."""
    for trial in found.frame.to_dict("records"):
        reports = found.intermediate.loc[found.intermediate["trial"] == trial["number"], "value"]
        if trial["state"] == "COMPLETE":
            assert trial["value"] == reports.min()
            assert trial["value"] ** 2 == pytest.approx(
                0.95 - 0.01 * math.log2(trial["params_k"]), abs=0.02
            )
        else:
            assert trial["value"] == reports.iloc[-1]


def test_pruned_trials_turn_the_order_round(found):
    """Trained to the end 64 is better than 1; by the medians with pruned trials it is far worse."""
    medians = trial_runs(found.frame).groupby("k")["value"].median()
    assert medians["64"] > 1.5 * medians["1"]


def test_single_root_is_the_switch(block):
    few = {**block, "trials": 1, "k": [4]}
    twice, once = (search(train, {**few, "square_root_twice": on}) for on in (True, False))
    assert twice.frame["value"][0] == pytest.approx(math.sqrt(once.frame["value"][0]))
    tables = [
        trials_table(
            one, {**few, "square_root_twice": on}, dataset="d", fold="u1", method="mf-published-jax"
        )
        for one, on in ((twice, True), (once, False))
    ]
    rmse = [table.loc[table["metric"] == "test_rmse", "value"].iloc[0] for table in tables]
    assert rmse[0] == pytest.approx(rmse[1])


def test_two_searches_are_the_same(found, block):
    again = search(train, block)
    pd.testing.assert_frame_equal(found.frame, again.frame)
    pd.testing.assert_frame_equal(found.intermediate, again.intermediate)
    pd.testing.assert_frame_equal(found.importances, again.importances)


def test_study_is_kept_in_a_file_of_its_own(tmp_path, block):
    path = tmp_path / "study.db"
    few = {**block, "trials": 4}
    found = search(train, few, storage=path)
    kept = optuna.load_study(study_name=block["study_name"], storage=f"sqlite:///{path}")
    assert [trial.value for trial in kept.trials] == found.frame["value"].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_table_tells_every_trial_and_state(found, block):
    table = trials_table(found, block, dataset="d", fold="u1", method="mf-published-jax")
    assert list(table.columns) == COLUMNS["trials"]
    assert table.groupby("trial").size().eq(6).all()
    trained = table[table["metric"] == "train_rmse"]
    assert trained["value"].to_numpy() == pytest.approx(0.81)  # the true one, squared again
    assert found.frame["user_attrs_train_rmse"].to_numpy() == pytest.approx(0.9)
    epochs = table[table["metric"] == "epochs"]
    assert (epochs.loc[epochs["state"] == "COMPLETE", "value"] == EPOCHS).all()
    assert (epochs.loc[epochs["state"] == "PRUNED", "value"] < EPOCHS).all()


def test_trainer_that_reports_nothing_is_refused(block):
    with pytest.raises(ValueError, match="reported no finite test RMSE"):
        search(lambda k, reg, report: None, {**block, "trials": 1})


def test_block_without_a_key_is_refused(block):
    lacking = {key: value for key, value in block.items() if key != "seed"}
    with pytest.raises(ValueError, match=r"lacks \['seed'\]"):
        search(train, lacking)


def test_importances_of_an_additive_grid_are_the_shares_of_its_variances():
    k, reg = {"1": 0.0, "4": 3.0}, {"0.1": 0.0, "1": 4.0}
    cells = pd.DataFrame(
        [
            {"k": a, "reg": b, "fold": fold, "seed": "1", "test": x + y + shift}
            for a, x in k.items()
            for b, y in reg.items()
            for fold, shift in (("u1", 0.0), ("u2", 7.0))
        ]
    )
    shares = grid_importances(cells).set_index("parameter")["value"]
    assert shares["k"] == pytest.approx(9 / 25)
    assert shares["reg"] == pytest.approx(16 / 25)
    assert shares["k × reg"] == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="lacks a combination"):
        grid_importances(cells[(cells["k"] == "1") | (cells["reg"] == "1")])
