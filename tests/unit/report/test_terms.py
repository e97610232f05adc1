"""Every word that the statistics stage writes into its tables has one in every catalogue."""

import ast
import re
from pathlib import Path

import pytest

import cfmf.statistics
from cfmf.published.reporting.extension import EXTENSION
from cfmf.report.extension import catalogue
from cfmf.report.strings import Catalogue, languages
from cfmf.report.terms import family_title, term
from cfmf.statistics import names

SYMBOLS = {"", "F", "H", "z", "t", "W", "D", "T", "W/(K-1)", "tau"}
"""Statistics that are letters in any language."""
WRITTEN = {"note", "stat_name", "effect_name", "estimand", "design"}


def said_of(node):
    """The texts of an expression, a number in place of each value that is put into one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "2" for part in node.values]
        return ["".join(parts)]
    if isinstance(node, ast.IfExp):
        return said_of(node.body) + said_of(node.orelse)
    return []


def written():
    """What cfmf.statistics writes: names of tests and checks, statistics, effects and notes."""
    found = {text for name, text in vars(names).items() if name.isupper() and type(text) is str}
    for path in Path(cfmf.statistics.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
                "test_row", "check_row", "_cannot",
            }:  # fmt: skip
                found.update(said_of(node.args[0]))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
                "interval", "within",
            }:  # fmt: skip
                found.update(said_of(node.args[-1]))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "no_interval":
                found.update(f"none: {text}" for text in said_of(node.args[0]))
            if isinstance(node, ast.keyword) and node.arg in WRITTEN:
                found.update(said_of(node.value))
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in {
                "AGREE", "ADDED", "why", "clipped", "note",
            }:  # fmt: skip
                found.update(said_of(node.value))
    return sorted(found - SYMBOLS)


def test_the_source_was_read():
    assert {"Friedman", "sphericity", "epsilon 2", "SS 2", "blocked by fold"} <= set(written())


@pytest.mark.parametrize("text", [text for text in written() if text != "SS 2"])
def test_every_text_has_words_in_chinese(text):
    said = term(text, Catalogue("zh")).striptags()
    assert said != text or text == "Kendall W"
    assert re.search("[一-鿿²δεηωχτ]|^Kendall W$|ε =|–", said) or text in {"CD", "Kendall W"}


@pytest.mark.parametrize("source", ["between", "within", "total"])
def test_sums_of_squares_have_words(source):
    assert term(f"SS {source}", Catalogue("zh")).endswith("平方和")


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        ("epsilon 0.3773", "ε = 0.3773", "ε = 0.3773"),
        ("folds random; one run a cell", "folds random; one run a cell",
         "折为随机效应；每格一次运行"),
        (
            "takes folds as independent; with 5 folds p cannot be below 0.0625",
            "takes folds as independent; with 5 folds p cannot be below 0.0625",
            "把各折当作独立；5 折时 p 不可能小于 0.0625",
        ),
        ("not computed: needs two blocks", "not computed: needs two blocks",
         "未计算：需要两个区组"),
        ("highest k, lowest reg", "largest k, least reg", "k 最大端，reg 最小端"),
        ("k of mf, E1 tuned reg", "k of mf, E1, reg tuned", "mf 的各个 k，E1，reg 经调参"),
        ("mf with k=64", "mf with k = 64", "mf（k = 64）"),
        (
            "not computed: 2 of the 10 runs at the chosen settings of mf are not COMPLETE"
            " (2 OUT_OF_TIME); raise tuning.seconds: only complete runs are compared",
            "not computed: 2 of 10 runs at the chosen settings of mf were ended by the time for"
            " tuning; with more of it they can be compared (tuning.seconds)",
            "未计算：mf 的选定设置中，10 次运行有 2 次被调参时间提前结束；"
            "给足时间（tuning.seconds）才能比较",
        ),
        ("500 or more", "500 or more", "500 及以上"),
        ("a library's <b>own</b> words", "a library's <b>own</b> words",
         "a library's <b>own</b> words"),
    ],
)  # fmt: skip
def test_texts_with_parts(text, english, chinese):
    for language, said in (("en", english), ("zh", chinese)):
        found = term(text, Catalogue(language))
        assert (found.unescape() if "<b>" in text else found.striptags()) == said
        assert "<b>" not in found


@pytest.mark.parametrize(
    ("unit", "chinese"),
    [("users", "用户"), ("folds", "折"), ("blocks", "区组"), ("runs", "运行")],
)
def test_every_resampling_names_what_it_resamples(unit, chinese):
    words = Catalogue("zh")
    found = term(f"percentile of 2000 resamples of {unit}", words)
    assert found == f"对{chinese}重抽样 2000 次的百分位"
    found = term(f"none: resamples of {unit} all give the same", words)
    assert found == f"无：对{chinese}的重抽样结果全都相同"


@pytest.mark.parametrize("language", languages())
def test_family_of_the_published_battery_names_method_and_arm(language):
    title = family_title(
        "published: k of mf-published-jax, search, pruned trials kept",
        catalogue(language, [EXTENSION]),
    )
    assert "<code>mf-published-jax</code>" in title
    assert ("搜索，保留被剪枝的试验" in title) == (language == "zh")
