"""Texts paired by language: what becomes a pair, what stays, what is refused."""

import plotly.graph_objects as go
import pytest
from markupsafe import Markup

from cfmf.report.languages import Words, figure_words, paired
from cfmf.report.page import Column, Plot, Section, Table, Text
from cfmf.report.strings import Catalogue


def test_texts_that_differ_become_pairs_and_equal_ones_stay():
    assert paired({"en": "k", "zh": "k"}) == "k"
    assert paired({"en": "a < b", "zh": Markup("<b>甲</b>")}) == (
        '<span data-zh="<b>甲</b>">a &lt; b</span>'
    )


def test_attribute_cannot_be_left():
    found = paired({"en": "a", "zh": Markup('<data value="1">1</data> &amp; "x"')})
    assert found == (
        '<span data-zh="<data value=&quot;1&quot;>1</data> &amp;amp; &quot;x&quot;">a</span>'
    )


def test_third_language_has_an_attribute_only_where_it_differs():
    assert paired({"en": "a", "fr": "a", "zh": "甲"}) == '<span data-zh="甲">a</span>'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("甲。 乙， 丙", "甲。乙，丙"),
        ("最佳方法 与 <code>mf</code> 的差异", "最佳方法与 <code>mf</code> 的差异"),
        ("k = 4 时", "k = 4 时"),
        ('说：<q lang="zh">使用 测试集， 等</q>。 完', '说：<q lang="zh">使用 测试集， 等</q>。完'),
    ],
)
def test_chinese_takes_no_space_beside_marks_or_between_words_but_in_quotations(text, shown):
    found = paired({"en": Markup("x"), "zh": Markup(text)})
    assert found == f'<span data-zh="{shown.replace(chr(34), "&quot;")}">x</span>'


def test_sections_are_paired_inside():
    english, chinese = (
        Section(
            "data",
            Markup(title),
            [
                Text(Markup("same")),
                Table("t", Markup(title), [Column("n", title, "count")], [{"n": float("nan")}]),
            ],
        )
        for title in ("Data", "数据")
    )
    found = paired({"en": english, "zh": chinese})
    pair = '<span data-zh="数据">Data</span>'
    assert found.title == found.blocks[1].title == found.blocks[1].columns[0].heading == pair
    assert found.blocks[0].html == "same"


@pytest.mark.parametrize(
    ("first", "other"), [([1, 2], [1]), ({"a": 1}, {"b": 1}), (1.0, 2.0), ((1,), [2])]
)
def test_what_differs_in_more_than_words_is_refused(first, other):
    with pytest.raises(ValueError, match="more than words"):
        paired({"en": first, "zh": other})


def test_words_of_all_catalogues():
    words = Words({"zh": Catalogue("zh"), "en": Catalogue("en")})
    assert words("page.theme") == (
        f'<span data-en="{Catalogue("en")("page.theme")}">{Catalogue("zh")("page.theme")}</span>'
    )


def test_titles_of_a_figure_but_not_its_numbers():
    english, chinese = (
        go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name=name), {"xaxis": {"title": {"text": name}}})
        for name in ("epoch", "轮次")
    )
    assert figure_words(english, chinese) == {"epoch": "轮次"}
    plots = {"en": Plot("p", "", "", english), "zh": Plot("p", "", "", chinese)}
    assert paired(plots).words == {"zh": {"epoch": "轮次"}}
    longer = go.Figure(go.Scatter(x=[1, 2, 3], y=[3, 4, 5], name="epoch"))
    with pytest.raises(ValueError, match="more than words"):
        figure_words(english, longer)


def test_text_of_a_figure_with_two_translations_is_refused():
    english, chinese = (
        go.Figure([go.Scatter(name=name) for name in names]) for names in (("a", "a"), ("甲", "乙"))
    )
    with pytest.raises(ValueError, match="two ways"):
        figure_words(english, chinese)
