"""Configs that cannot be run end in one message that names the key, before anything runs.

The cases are in docs/bad-input.md too. Whatever value any key is given, a config is either refused
with such a message or can be planned.
"""

import copy

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config

from cfmf.imports import ROOT
from cfmf.workflow.config import ConfigError, check
from cfmf.workflow.plan import Plan

BOMB = "\n".join(
    [
        "label: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]",
        *(f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)),
    ]
)
# YAML below a data set named `mine`, a table: text and what the message says.
TABLES = {
    "scale upside down": ("scale: {minimum: 5, maximum: 1}", "scale: minimum is 5 and maximum 1"),
    "scale of one rating": ("scale: {minimum: 3, maximum: 3}", "minimum must be the lower"),
    "steps that miss the end of the scale": (
        "scale: {minimum: 1, maximum: 5, step: 3}",
        "steps of 3 from 1 do not reach 5",
    ),
    "a scale of a billion steps": ("scale: {step: 1.0e-9}", "scale.step is 1e-09, too fine"),
    "a rating that is no number": ("scale: {maximum: .nan}", "scale.maximum is nan"),
    "an infinite rating": ("scale: {maximum: .inf}", "scale.maximum is inf"),
    "manifest.json as a file": (
        "table: {ratings: manifest.json}",
        "table.ratings is manifest.json",
    ),
    "one file for train and test": (
        "table: {ratings: a.csv, test: a.csv.gz}",
        "table.test is a.csv.gz, the name of table.ratings",
    ),
    "a folder in a file name": ("table: {ratings: ../a.csv}", "'../a.csv' is not a file name"),
    "no file of ratings": ('table: {ratings: ""}', "table.ratings: '' is not a file name"),
    "a column for two purposes": (
        "table: {columns: {user: 0, item: 0}}",
        "table.columns: two columns are the same",
    ),
    "one file for ratings and attributes": (
        "table: {ratings: a.csv, attributes: {users: {file: a.csv, columns: {age: {}}}}}",
        "table.attributes.users.file is a.csv, the name of table.ratings",
    ),
    "attributes without columns": (
        "table: {attributes: {items: {file: films.csv}}}",
        "table.attributes.items.columns is empty",
    ),
    "an attribute of an unknown kind": (
        "table: {attributes: {users: {file: a.csv, columns: {age: {kind: years}}}}}",
        "columns.age.kind is 'years'",
    ),
    "an unknown encoding": ("table: {encoding: utf-99}", "'utf-99' is not a text encoding"),
    "a format of dates with an unknown letter": ('table: {dates: "%Q"}', "'%Q' is no format"),
    "predefined parts without a test file": (
        "split: {kind: predefined}",
        "set table.test to its file",
    ),
    "a split by time without dates": ("split: {kind: timeline}", "table.columns.date is empty"),
    "latest ratings without dates": ("split: {kind: leave-last}", "table.columns.date is empty"),
    "one fold": ("split: {folds: 1}", "split.folds is 1, but kfold needs 2 or more"),
    "official folds drawn three times": (
        "split: {kind: official, repeats: 3}",
        "split.repeats is 3, but folds of official are not drawn at random",
    ),
    "six official folds": ("split: {kind: official, folds: 6}", "there are 5 official folds"),
    "saved folds of nowhere": ("split: {kind: saved}", "split.folder is empty"),
    "half a fold": ("split: {folds: 2.5}", "split.folds: 2.5 is not of type 'integer'"),
    "an address without a host": ('urls: [{url: "http://["}]', "urls: "),
    "a date as text": ("label: 2024-01-31", "label is a date"),
    "a truth value as text": (
        "label: no",
        "label: False is not of type 'string'; put it in quotes",
    ),
    "half a character": (
        'label: "\\ud800"',
        "contains '\\ud800', a character that cannot be shown",
    ),
    "a line feed in a name": ('label: "a\\nb"', "contains '\\n', a character that cannot be shown"),
    "an escape in a name": ('label: "\\e[31m"', "contains '\\x1b'"),
    "a name of ten thousand letters": (f"label: {'x' * 10_000}", "label has 10,000 characters"),
    "aliases that stand for a billion values": (BOMB, "more than 100,000 values"),
    "a list that contains itself": ("urls: &a [*a]", "contains itself"),
}
# YAML of a whole config, laid over the default one.
WHOLES = {
    "a number as a name": ("datasets: {2024: {source: table}}", "the key 2024"),
    "a line feed in the name of a data set": (
        'datasets: {"a\\nb": {source: table}}',
        "contains '\\n'",
    ),
    "a path as the name of a data set": (
        "datasets: {../a: {source: table}}",
        "'../a' does not match",
    ),
    "keys of several kinds": ("methods: {mf: {1: 2, k: [3], null: 4}}", "methods.mf has the key 1"),
    "a huge number of factors": (
        "methods: {mf: {k: [99999999999]}}",
        "methods.mf.k[0]: 99999999999",
    ),
    "a number beyond 64 bits": (
        "study: {seeds: [99999999999999999999]}",
        "study.seeds[0] is too large",
    ),
    "an exponent without a point": (
        "methods: {mf: {reg: [1e-3]}}",
        "write 0.001 (YAML reads exponents as in 1.0e-3",
    ),
    "a number or null as text": ("statistics: {margin: 1e-2}", "write 0.01 (YAML reads exponents"),
    "a vanishing number": ("methods: {mf: {reg: [1.0e-300]}}", "methods.mf.reg[0] is 1e-300"),
    "a factor given twice": ("methods: {mf: {k: [8, 8.0]}}", "methods.mf.k"),
    "a section left empty": ("evaluation:", "evaluation: None is not of type 'object'"),
    "a list for a map": ("methods: [mf]", "methods: ['mf'] is not of type 'object'"),
    "a fold that is not there": ("evaluation: {fold: u9}", "evaluation.fold is u9; choose from u1"),
    "an interval upside down": (
        "tuning: {adaptive: {k: [64, 1]}}",
        "tuning.adaptive.k is [64, 1]; the lower end comes first",
    ),
    "more burn-in than sweeps": (
        "methods: {gibbs: {sweeps: 20, burn_in: 30}}",
        "methods.gibbs: burn_in is 30",
    ),
    "a method that cannot be searched": (
        "tuning: {adaptive: {methods: [gibbs]}}",
        "tuning.adaptive.methods[0] is 'gibbs': choose from",
    ),
    "a class that is no class": (
        "methods: {mine: {class: nowhere}}",
        "methods.mine.class is 'nowhere'",
    ),
    "a method named as a blend": (
        'methods: {blend-a: {class: "cfmf.methods.mf:MF"}}',
        "methods.blend-a has the name of a blend",
    ),
    "a blend of a method that is not studied": (
        "blends: {mine: [mf, svd]}",
        "blends.mine lists svd; choose from",
    ),
    "a blend of nothing": ("blends: {mine: []}", "blends.mine"),
    "predictions named as a method": (
        "predictions: {mf: {files: 'a/{fold}.csv'}}",
        "predictions.mf has the name of a method",
    ),
    "predictions named as a blend": (
        "predictions: {blend-a: {files: 'a/{fold}.csv'}}",
        "predictions.blend-a has the name of a method or of a blend",
    ),
    "one file of predictions for all folds": (
        "predictions: {mine: {files: a.csv}}",
        "predictions.mine.files is 'a.csv', one file for every fold; add {fold}",
    ),
    "an unknown field in a path of predictions": (
        "predictions: {mine: {files: 'a/{fold}/{user}.csv'}}",
        "between braces it may have fold, dataset, seed only",
    ),
    "a brace left open in a path of predictions": (
        "predictions: {mine: {files: 'a/{fold.csv'}}",
        "between braces it may have fold, dataset, seed only",
    ),
    "predictions without files": ("predictions: {mine: {label: Mine}}", "predictions.mine"),
    "a blend named as a path": ("blends: {a/b: [mf]}", "blends: 'a/b'"),
    "a method named as a path": (
        'methods: {a/b: {class: "x:Y"}}',
        "methods.a/b has a class of its own",
    ),
}


def default(text=""):
    """The default config with another laid over it, as Snakemake does."""
    whole = {}
    update_config(whole, yaml.safe_load((ROOT / "config.yaml").read_text("utf-8")))
    update_config(whole, yaml.safe_load(text) or {})
    return whole


def of_table(text):
    """The default config with a table named `mine` that has these keys."""
    whole = default("study: {datasets: [mine]}\npublished: {enabled: false}")
    whole["datasets"]["mine"] = {"source": "table"} | yaml.safe_load(text)
    return whole


def refused(config):
    with pytest.raises(ConfigError) as caught:
        check(config)
    message = str(caught.value)
    assert len(message) < 1000, message
    assert message.isprintable(), message
    return message


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_read_is_refused_by_its_key(name):
    text, words = TABLES[name]
    assert words in refused(of_table(text))


@pytest.mark.parametrize("name", WHOLES)
def test_a_config_that_cannot_be_run_is_refused_by_its_key(name):
    text, words = WHOLES[name]
    assert words in refused(default(text))


def test_whole_floats_are_integers():
    given = default("methods: {mf: {k: [8.0], reg: [1.0]}}\nstudy: {seeds: [1.0e+3]}")
    check(given)
    assert [type(one) for one in given["methods"]["mf"]["k"]] == [int]
    assert given["study"]["seeds"] == [1000]
    assert Plan(given, NotImplemented).tried("ml-100k", "mf", before=1) == [("8", "1")]


def keys(block, path=()):
    """Every key of a complete config, those of lists with a number."""
    if path:
        yield path
    items = block.items() if isinstance(block, dict) else enumerate(block)
    if isinstance(block, dict | list):
        for key, below in items:
            yield from (
                keys(below, (*path, key)) if isinstance(below, dict | list) else [(*path, key)]
            )


COMPLETE = of_table("table: {test: test.csv, columns: {date: when}}\nscale: {step: 0.5}")
COMPLETE["tuning"] = {"grow": False, "adaptive": {"enabled": True}}
del COMPLETE["datasets"]["ml-100k"]
check(COMPLETE)
PLACES = list(keys(COMPLETE))
TEXT = st.text(st.characters(codec=None), max_size=8) | st.sampled_from(
    ["", "mf", "kfold", "saved", "/etc", "..", "manifest.json", "1e-3", "\ud800", "%", "a" * 5000]
)
NUMBERS = (
    st.integers(-3, 40)
    | st.integers()
    | st.floats()
    | st.sampled_from([8.0, 1e300, 2**31, 2**63, 2**64, -(10**30), 1e-300])
)
PLAIN = st.none() | st.booleans() | NUMBERS | TEXT | st.dates() | st.binary(max_size=3)
VALUES = st.recursive(
    PLAIN,
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(TEXT | st.integers() | st.none() | st.dates(), below, max_size=3)
    ),
    max_leaves=8,
)


def altered(path, value):
    """The complete config with another value of one key."""
    config = copy.deepcopy(COMPLETE)
    block = config
    for key in path[:-1]:
        block = block[key]
    block[path[-1]] = value
    return config


@given(st.sampled_from(PLACES), VALUES)
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@example(("methods",), [])
@example(("datasets", "mine", "table", "separator"), "\n")
@example(("datasets", "mine", "urls"), [{"url": "https://a/b", "name": ".."}])
def test_a_config_with_any_value_in_any_key_is_planned_or_refused_by_that_key(path, value):
    config = altered(path, value)
    try:
        check(config)
    except ConfigError as error:
        message = str(error)
        named = [str(key) for key in path if not isinstance(key, int)]
        assert named[0] in message or named[-1] in message or "mine" in message, message
        assert len(message) < 1500
        assert message.isprintable()
    else:
        plan = Plan(config, NotImplemented)
        assert plan.studied("report")
        plan.published()
        for dataset in plan.datasets:
            plan.statistics(dataset)
            plan.local_files(dataset)
            plan.fold("evaluation", dataset)
            assert all(plan.tried(dataset, one, 1) for one in plan.in_area("factorization"))
