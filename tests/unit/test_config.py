"""Texts of numbers in the config, and the settings of ready-made studies."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cfmf.methods.base import plain

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("value", "text"), [(0.01, "0.01"), (1.0, "1"), (1e-7, "0.0000001"), (20, "20")]
)
def test_plain_text(value, text):
    assert plain(value) == text


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_plain_text_is_the_number(value):
    text = plain(value)
    assert float(text) == value
    assert "e" not in text


@pytest.mark.parametrize("name", ["published", "netflix-subset"])
def test_study_that_repeats_the_published_one_has_its_settings(name):
    """k 50, λ .01, stop at 1e-6, seed 42; 60 trials over k 1, 4, 16, 64 that stop at 1e-4."""
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text("utf-8"))
    schema = yaml.safe_load((ROOT / "schemas/published.schema.yaml").read_text("utf-8"))
    defaults = schema["$defs"]["published"]["properties"]["search"]["properties"]
    search = {key: about["default"] for key, about in defaults.items()}
    search |= config["published"]["search"]
    for method in ("mf-published", "mf-published-jax"):
        assert method in config["study"]["methods"]
        assert config["methods"][method] == {"k": [50], "reg": [0.01], "tolerance": 1e-6}
    assert config["study"]["seeds"] == [42]
    told = {key: search[key] for key in ("k", "trials", "tolerance", "seed", "reg_low", "reg_high")}
    assert told == {
        "k": [1, 4, 16, 64], "trials": 60, "tolerance": 1e-4, "seed": 42, "reg_low": 0.001,
        "reg_high": 0.1,
    }  # fmt: skip
