"""A page and its twin in another language: what is marked, what is kept, what is refused."""

import plotly.graph_objects as go
import pytest

from cfmf.report.languages import figure_words, joined, still_words


def test_words_attributes_and_what_is_equal():
    page, said = joined(
        {
            "en": '<main lang="en"><h1>Films</h1><p title="a">The <b>best</b> &amp; 6</p></main>',
            "zh": '<main lang="zh"><h1>电影</h1><p title="a">The <b>最好</b> &amp; 6</p></main>',
        }
    )
    assert page == (
        '<main data-words="0" lang="en"><h1 data-words="1">Films</h1>'
        '<p title="a">The <b data-words="2">best</b> &amp; 6</p></main>'
    )
    assert said == {
        "zh": [{"attributes": {"lang": "zh"}}, {"html": "电影"}, {"html": "最好"}],
    }


def test_other_order_of_words_takes_the_whole_element():
    page, said = joined(
        {"en": "<p><b>1</b> of <i>2</i><br></p>", "zh": "<p><i>2</i> 之 <b>1</b><br></p>"}
    )
    assert page == '<p data-words="0"><b>1</b> of <i>2</i><br></p>'
    assert said["zh"] == [{"html": "<i>2</i> 之 <b>1</b><br>"}]


def test_equal_differences_share_a_number_and_languages_their_numbers():
    page, said = joined(
        {
            "en": "<p>a</p><p>a</p><p>b</p>",
            "fr": "<p>A</p><p>A</p><p>b</p>",
            "zh": "<p>甲</p><p>甲</p><p>乙</p>",
        }
    )
    assert page == '<p data-words="0">a</p><p data-words="0">a</p><p data-words="1">b</p>'
    assert said == {"fr": [{"html": "A"}, {}], "zh": [{"html": "甲"}, {"html": "乙"}]}


def test_attribute_that_one_language_lacks():
    _, said = joined({"en": '<td class="prose">long</td>', "zh": "<td>短</td>"})
    assert said["zh"] == [{"attributes": {"class": None}, "html": "短"}]


@pytest.mark.parametrize(
    ("first", "other", "message"),
    [
        ("<p>a <button>b</button></p>", "<p>c <button>b</button></p>", "<button>"),
        ("<p>a</p>", "<p>a</p><p>b</p>", "words of <>"),
        ("<p>a</b>", "<p>a</p>", "<p> is open where </b> stands"),
    ],
)
def test_pages_that_cannot_be_told_apart_by_words_are_refused(first, other, message):
    with pytest.raises(ValueError, match=message):
        joined({"en": first, "zh": other})


def test_titles_of_a_figure_but_not_its_numbers():
    english, chinese = (
        go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name=name), {"xaxis": {"title": {"text": name}}})
        for name in ("epoch", "轮次")
    )
    said = figure_words(english, chinese)
    assert said == [(["data", 0, "name"], "轮次"), (["layout", "xaxis", "title", "text"], "轮次")]
    assert still_words(english, said) == {"epoch": "轮次"}
    longer = go.Figure(go.Scatter(x=[1, 2, 3], y=[3, 4, 5], name="epoch"))
    with pytest.raises(ValueError, match="more than words"):
        figure_words(english, longer)
