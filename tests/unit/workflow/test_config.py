"""A config is checked and filled in as Snakemake's own `validate` would do it."""

from copy import deepcopy

import jsonschema
import pytest
import yaml
from snakemake.utils import update_config, validate

from cfmf.imports import ROOT
from cfmf.workflow import config
from cfmf.workflow.config import ConfigError, check, complaint, pick, schema, without

STUDIES = sorted((ROOT / "config").glob("*.yaml"))


def study(*paths):
    """A study's config as Snakemake reads it: later files laid over the default one."""
    whole = {}
    for path in (ROOT / "config.yaml", *paths):
        update_config(whole, yaml.safe_load(path.read_text("utf-8")))
    return whole


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_defaults_are_filled_in_as_snakemake_does(path, tmp_path):
    checked, expected = study(path), study(path)
    check(checked)  # from then on, the schema knows the methods that the config names as classes
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(schema()))
    validate(expected, str(tmp_path / "schema.yaml"))
    if not expected["published"]["enabled"]:
        named = expected["study"]["methods"]
        expected["study"]["methods"] = [name for name in named if "published" not in name]
    assert checked == expected
    again = deepcopy(checked)
    check(again)
    assert again == checked


def test_schema_is_valid_and_whole():
    whole = schema()
    jsonschema.Draft202012Validator.check_schema(whole)
    assert "$ref" not in yaml.safe_dump(whole)


def test_two_configs_share_no_default():
    first, second = study(), study()
    check(first)
    check(second)
    first["evaluation"]["trimming"]["lengths"].append(99)
    assert 99 not in second["evaluation"]["trimming"]["lengths"]


def test_methods_that_share_a_yaml_alias_get_defaults_of_their_own():
    text = "study: {datasets: [a], methods: [mf, als]}\ndatasets: {a: {source: synthetic}}\n"
    given = yaml.safe_load(text + "methods: {mf: &grid {k: [3]}, als: *grid}")
    check(given)
    assert (given["methods"]["mf"]["k"], given["methods"]["als"]["k"]) == ([3], [3])
    assert "learning_rate" in given["methods"]["mf"]
    assert "learning_rate" not in given["methods"]["als"]


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "seeds": {"type": "array", "items": {"type": "integer", "description": "Seeds of starts"}},
        "device": {"enum": ["cpu", "cuda"]},
    },
}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sedes": []}, "sedes is not a key: did you mean seeds?"),
        ({"seeds": ["x"]}, "seeds[0]: 'x' is not of type 'integer' (Seeds of starts)"),
        ({"device": "cud"}, "device is 'cud': did you mean cuda?"),
        ({"device": "tpu!"}, "device is 'tpu!': choose from cpu, cuda"),
    ],
)
def test_complaint_says_where_what_and_what_to_do(given, told):
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(SCHEMA).iter_errors(given)
    )
    assert complaint(error) == told


def test_data_set_that_is_not_described_is_named():
    given = study()
    given["study"]["datasets"] = ["ml-2m"]
    with pytest.raises(ConfigError, match=r"names ml-2m.*choose from ml-100k"):
        check(given)


def test_renamed_key_names_the_new_one(monkeypatch):
    monkeypatch.setattr(config, "RENAMED", {"methods.*.beta": "shrinkage"})
    given = study()
    given["methods"]["user-knn"] = {"beta": [1]}
    with pytest.raises(ConfigError, match=r"methods\.user-knn\.beta is called shrinkage now"):
        check(given)


@pytest.mark.parametrize(
    ("old", "new"),
    [("search", "published.search"), ("backends", "published.backends"),
     ("tuning.search", "tuning.adaptive")],
)  # fmt: skip
def test_old_keys_are_refused_with_the_new_name(old, new):
    given = study()
    block = given
    *above, last = old.split(".")
    for key in above:
        block = block.setdefault(key, {})
    block[last] = {"enabled": True}
    with pytest.raises(ConfigError, match=rf"{old} is called {new} now"):
        check(given)


def test_the_published_study_is_off_by_default_and_on_in_the_default_study():
    bare = {key: value for key, value in study().items() if key != "published"}
    check(bare)
    assert bare["published"]["enabled"] is False
    whole, own = study(), study(ROOT / "config/table.yaml")
    check(whole)
    check(own)
    assert whole["published"]["enabled"] is True
    assert own["published"]["enabled"] is False
    assert not [name for name in own["study"]["methods"] if "published" in name]


def test_a_study_of_published_methods_only_is_refused_where_they_are_off():
    given = study() | {"published": {"enabled": False}}
    given["study"]["methods"] = ["mf-published"]
    with pytest.raises(ConfigError, match=r"set published\.enabled to true"):
        check(given)


def test_only_the_keys_of_a_rule_are_passed_on():
    block = {"source": "table", "label": "mine", "table": {"ratings": "r", "ids": "text"}}
    assert pick(block, "source", "table.ratings", "absent") == {
        "source": "table",
        "table": {"ratings": "r"},
    }
    assert without(block, "label", "table") == {"source": "table"}
