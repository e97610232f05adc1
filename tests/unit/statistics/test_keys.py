"""What statistics write are keys that every catalogue names."""

import ast
import re
from pathlib import Path

import pytest

import cfmf.published
import cfmf.statistics
import cfmf.verdict
from cfmf.published import keys
from cfmf.published.reporting.extension import EXTENSION
from cfmf.report.extension import catalogue
from cfmf.report.strings import languages
from cfmf.statistics import names
from cfmf.statistics.results import Result

COLUMNS = {"note": "note", "why": "note", "stat_name": "stat_name", "effect_name": "effect_name"}
SYMBOLS = {"F", "H", "z", "t", "W", "D", "T"}
"""Statistics that are letters in any language."""
POSITIONAL = {"interval": ("ci_method", 3, ""), "within": ("ci_method", 4, ""),
              "no_interval": ("ci_method", 0, "none_"), "Result": ("test", 0, ""),
              "Check": ("check", 0, ""), "_tested": ("check", 0, "")}  # fmt: skip
"""Functions whose argument at this place is a key of a column, after a prefix."""


def constants(node):
    """The texts of an expression, split where it holds several keys."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [part for part in node.value.split(";") if part]
    if isinstance(node, ast.IfExp):
        return constants(node.body) + constants(node.orelse)
    module = {"names": names, "keys": keys}.get(getattr(getattr(node, "value", None), "id", ""))
    if isinstance(node, ast.Attribute) and module is not None:
        return [getattr(module, node.attr)]
    return []


def written():
    """The keys that the source of both packages writes, with their columns."""
    found = set()
    for package in (cfmf.statistics, cfmf.published):
        for path in Path(package.__file__).parent.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg in COLUMNS:
                    found |= {(COLUMNS[node.arg], key) for key in constants(node.value)}
                if isinstance(node, ast.Dict):
                    for key, value in zip(node.keys, node.values, strict=True):
                        name = getattr(key, "value", None)
                        if name in COLUMNS:
                            found |= {(COLUMNS[name], text) for text in constants(value)}
                function = getattr(getattr(node, "func", None), "id", "")
                if function in POSITIONAL:
                    column, place, prefix = POSITIONAL[function]
                    if len(node.args) > place:
                        texts = constants(node.args[place])
                        found |= {(column, prefix + text) for text in texts}
    return sorted(found)


def test_the_source_was_read():
    assert {
        ("test", "friedman"), ("note", "lowest_p"), ("ci_method", "none_not_finite"),
        ("effect_name", "rank_biserial"), ("check", "sphericity"), ("stat_name", "F"),
    } <= set(written())  # fmt: skip


@pytest.mark.parametrize("language", languages())
def test_every_key_in_the_source_has_words(language):
    texts = catalogue(language, [EXTENSION]).texts
    more = [("ci_method", f"percentile_{unit}") for unit in ("folds", "runs")]
    more += [("ci_method", f"none_{unit}_all_equal") for unit in ("folds", "runs")]
    more += [("stat_name", f"ss_{source}") for source in ("between", "within", "total")]
    more += [("estimand", estimand) for estimand in (*names.ESTIMANDS, keys.PUBLISHED)]
    lacking = {
        f"{column}.{key}"
        for column, key in (*written(), *more)
        if key not in SYMBOLS and f"term.{column}.{key}" not in texts
    }
    assert not lacking


@pytest.mark.parametrize("language", languages())
def test_every_message_in_the_source_has_a_sentence(language):
    texts = catalogue(language, [EXTENSION]).texts
    found = set()
    for path in (cfmf.verdict.__file__, Path(cfmf.published.__file__).with_name("uncorrected.py")):
        for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "message":
                found.update(constants(node.args[0]))
    assert len(found) > 20
    assert not [key for key in found if f"verdict.{key}" not in texts]


def texts_of(value):
    """The texts in the values of a message."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [text for part in inner for text in texts_of(part)]
    return [str(value)]


def test_cells_are_keys_and_numbers(make_study, block):
    from tests.unit.statistics.test_analysis import analysed

    made = make_study(("mf", "mf-published"), ("user-knn",), ks=("1", "4"), regs=("0.1", "1"))
    found = analysed(made, block)
    numbers = {"k", "reg", "n", "seed"}
    for table in (found.tests, found.assumptions, found.medians, found.best_rows):
        for column in table.columns.difference([*numbers, "function"]):
            texts = [cell for cell in table[column] if isinstance(cell, str)]
            assert not [text for text in texts if re.search(r"\s", text)], column
    for message in found.verdict:
        assert set(message) == {"key", "numbers"}
        assert not re.search(r"\s", "".join(texts_of(message["numbers"]))), message


def test_a_result_refuses_a_column_that_it_does_not_have():
    with pytest.raises(TypeError, match="colour"):
        Result("t", colour=1)
