"""The schema of a data set: closed, described and with defaults that are valid themselves."""

import jsonschema
import pytest


def objects(schema, path=""):
    """Every object schema, with its path."""
    if "properties" in schema:
        yield path, schema
    for key, one in schema.get("properties", {}).items():
        yield from objects(one, f"{path}/{key}")
        yield from objects(one.get("items", {}), f"{path}/{key}[]")


def test_every_key_is_described_and_has_a_default_and_no_other_is_allowed(schema):
    for path, one in objects(schema):
        assert one["additionalProperties"] is False, path
        for key, entry in one["properties"].items():
            assert entry["description"].endswith("."), f"{path}/{key}"
            assert "default" in entry, f"{path}/{key}"


@pytest.mark.parametrize("source", ["synthetic", "movielens-100k", "table"])
def test_a_block_completed_with_the_defaults_is_valid(dataset, schema, source):
    jsonschema.validate(dataset(source=source), schema)


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"source": "movielens"},
        {"source": "table", "folds": 3},
        {"source": "table", "split": {"kind": "random"}},
        {"source": "table", "split": {"validation": 1}},
        {"source": "table", "urls": [{"url": "ftp://example.org/x"}]},
        {"source": "table", "urls": [{"url": "https://example.org/x", "name": "../x"}]},
        {"source": "table", "audit": {"malformed": "keep"}},
        {"source": "synthetic", "synthetic": {"users": "many"}},
    ],
)
def test_what_is_no_data_set_is_refused(schema, block):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(block, schema)
