"""Every method is fitted alike, at what validation chose, and predicts any pair."""

import numpy as np
import pandas as pd
import pytest

from cfmf.evaluation.fitting import Setting, predictions_of
from cfmf.observed import pairs


def test_every_method_predicts_any_pair(ratings, setting_of, name):
    train, test = ratings
    setting = setting_of(name)
    found = setting.fit(train, test)
    again = found.model.predict(*pairs(test))
    assert found.predictions.shape == again.values.shape == (test.nnz,)
    assert np.isfinite(again.values).all()
    if setting.method.iterates == "sweeps":
        # a few draws against every counted sweep
        assert np.sqrt(np.mean((found.predictions - again.values) ** 2)) < 0.2
    else:
        np.testing.assert_allclose(found.predictions, again.values, rtol=1e-5)
    assert (found.sd is not None) == ("sd" in setting.method.can)
    assert found.sd is None or (found.sd > 0).all()
    everything = np.indices(train.shape).reshape(2, -1)
    assert np.isfinite(found.model.predict(*everything).values).all()


def chosen(**changes):
    row = {"dataset": "d", "fold": "f1", "method": "mf", "k": "4", "reg": "0.1", "seed": "2"}
    row |= {"setting": "k=4 reg=0.1", "start": 1, "epochs": 42.0, "out_of_time": False}
    return row | changes


def test_setting_is_what_validation_chose():
    block = {"k": [4, 16], "reg": [0.1], "patience": 3}
    setting = Setting.of(chosen(), block, (1, 5), threads=2)
    assert (setting.k, setting.reg, setting.seed, setting.epochs) == ("4", "0.1", "2", 42)
    assert setting.start == 1
    method = setting.method
    assert (method.name, method.k, method.reg, method.patience) == ("mf", 4, 0.1, 3)
    assert (method.scale, setting.threads) == ((1, 5), 2)
    assert setting.keys == {"dataset": "d", "fold": "f1", "method": "mf"}
    with pytest.raises(ValueError, match="no setting of it any more"):
        Setting.of(chosen(setting="k=5"), block)
    with pytest.raises(ValueError, match="number of epochs of mf on fold f1 is not known"):
        Setting.of(chosen(epochs=np.nan), block)


@pytest.mark.parametrize(("late", "epochs"), [(False, None), (True, 42)])
def test_sampling_is_cut_only_where_time_ran_out(late, epochs):
    row = chosen(method="gibbs", reg="", setting="k=4", out_of_time=late)
    assert Setting.of(row, {"k": [4]}).epochs == epochs


def test_setting_without_settings(setting_of):
    row = chosen(method="user-cf-published", k="", reg="", seed="", setting="", epochs=np.nan)
    setting = Setting.of(row, {})
    assert setting.epochs is None
    assert setting.with_size(3) is None
    assert setting.shortened(3) == setting


def test_predictions_are_those_of_the_chosen_setting(tmp_path, setting_of):
    setting = setting_of("mf")
    paths = {}
    for k in ("4", "16"):
        paths["mf", k, "0.1"] = tmp_path / f"{k}.parquet"
        frame = pd.DataFrame(
            {
                "fold": ["f1", "f1", "f2", "f1"],
                "seed": ["1", "1", "1", "2"],
                "prediction": np.array([1, 2, 3, 4], "f4") * int(k),
            }
        )
        frame.to_parquet(paths["mf", k, "0.1"])
    assert predictions_of(setting, paths).tolist() == [4, 8]
