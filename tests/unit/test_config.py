"""Canonical texts of the config, and what it complains of."""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfmf.config import canonical, complaint, points


@pytest.mark.parametrize(
    ("value", "text"), [(0.01, "0.01"), (1.0, "1"), (1e-7, "0.0000001"), (20, "20")]
)
def test_canonical_text(value, text):
    assert canonical(value) == text


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_canonical_text_is_the_number(value):
    text = canonical(value)
    assert float(text) == value
    assert "e" not in text


def test_points_cross_k_and_reg():
    assert points({"k": [1, 4], "reg": [0.1]}) == [("1", "0.1"), ("4", "0.1")]
    assert points({"k": [8]}) == [("8", "inferred")]


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "seeds": {"type": "array", "items": {"type": "integer", "description": "Seeds of starts"}},
        "device": {"enum": ["cpu", "cuda"]},
    },
}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"sedes": []}, "sedes is not a key: did you mean seeds?"),
        ({"seeds": ["x"]}, "seeds[0]: 'x' is not of type 'integer' (Seeds of starts)"),
        ({"device": "cud"}, "device is 'cud': did you mean cuda?"),
        ({"device": "tpu!"}, "device is 'tpu!': choose from cpu, cuda"),
    ],
)
def test_complaint_says_where_what_and_what_to_do(config, told):
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(SCHEMA).iter_errors(config)
    )
    assert complaint(error) == told
