"""The catalogues agree, and numbers are written as people read them."""

import re

import pytest
from markupsafe import Markup

from cfmf.metrics import decimals
from cfmf.published.reporting.extension import EXTENSION
from cfmf.report.strings import CATALOGUES, Catalogue, decimal, number, raw, scale, shown

LANGUAGES = sorted(path.stem for path in CATALOGUES.glob("*.yaml"))


def test_english_and_chinese_are_there():
    assert {"en", "zh"} <= set(LANGUAGES)


@pytest.mark.parametrize("folder", [CATALOGUES, EXTENSION.strings], ids=["report", "published"])
@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_language_has_the_keys_and_placeholders_of_english(language, folder):
    english, other = Catalogue("en", folder).texts, Catalogue(language, folder).texts
    assert set(english) == set(other)
    placeholders = {key: set(re.findall(r"{(\w+)}", text)) for key, text in english.items()}
    assert {key: set(re.findall(r"{(\w+)}", other[key])) for key in english} == placeholders


HAN = "[\u4e00-\u9fff]"
FULL = "[。，、；：？！（）“”]"
ASCII_MARKS = rf"{HAN}[,;:?!()](?!/)|{HAN}\.(?![a-z])|[,;:?!()] ?{HAN}"
UNSPACED = f"{HAN}[A-Za-z0-9]|[A-Za-z0-9]{HAN}"


@pytest.mark.parametrize("folder", [CATALOGUES, EXTENSION.strings], ids=["report", "published"])
@pytest.mark.parametrize(
    "pattern",
    [ASCII_MARKS, UNSPACED, f"{FULL} | {FULL}", f"{HAN} {HAN}", r"\d %"],
    ids=["ASCII marks", "Latin letters", "spaces at marks", "spaces", "percent"],
)
def test_chinese_is_set_as_chinese(folder, pattern):
    # Tags and terms such as N(0, 1) are no prose.
    other = r"<[^>]*>|(?<=[A-Z])\([^()]*\)"
    texts = {key: re.sub(other, "", text) for key, text in Catalogue("zh", folder).texts.items()}
    assert not {key: text for key, text in texts.items() if re.search(pattern, text)}


def test_values_are_escaped_and_the_catalogue_is_not(tmp_path):
    (tmp_path / "xx.yaml").write_text("greeting:\n  film: '<em>{title}</em>'\n")
    words = Catalogue("xx", tmp_path)
    assert words("greeting.film", title="<script>") == "<em>&lt;script&gt;</em>"
    assert words("greeting.film", title=Markup("<b>x</b>")) == "<em><b>x</b></em>"


def test_missing_key_is_named():
    with pytest.raises(KeyError, match="no such key"):
        Catalogue("en")("no such key")


def test_unknown_language_tells_the_known_ones():
    with pytest.raises(ValueError, match=r"'xx'.*en"):
        Catalogue("xx")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.91234567, "rmse", "0.9123"),
        (-0.0123, "signed", "−0.0123"),
        (0.0123, "signed", "+0.0123"),
        (1234567, "count", "1\u202f234\u202f567"),
        (0.2345, "share", "23.4%"),
        (0.95, "percent", "95%"),
        (0.00001, "p", "<\u202f0.001"),
        (0.0312, "p", "0.031"),
        (0.5, "p", "0.500"),
        (0.00001, "p_in_text", "<\u202f0.001"),
        (0.0312, "p_in_text", "=\u00a00.031"),
        (1234.5, "seconds", "1\u202f234\u202fs"),
        (0.01234, "seconds", "0.0123\u202fs"),
        (0.52, "seconds", "0.520\u202fs"),
        (99.96, "seconds", "100\u202fs"),
        (1979173, "bytes", "1.98\u202fMB"),
        (4e12, "bytes", "4\u202fTB"),
        (4e12, "gib", "3725.29\u202fGiB"),
        (float("nan"), "rmse", "–"),
        (None, "count", "–"),
        (float("inf"), "rmse", "∞"),
        (8898, "", "8\u202f898"),
        (21.605648, "", "21.61"),
    ],
)
def test_numbers_as_people_read_them(value, kind, text):
    assert shown(value, kind) == text


@pytest.mark.parametrize(
    ("values", "kind", "name", "written"),
    [
        ([55.9, 53, 0.0158], "seconds", "s", ["55.90", "53.00", "0.02"]),
        ([1146, 79.5], "seconds", "s", ["1\u202f146", "80"]),
        ([90, 90], "seconds", "s", ["90", "90"]),
        ([23600, 644e3, 3.32e6], "bytes", "kB", ["24", "644", "3\u202f320"]),
        ([0.02198, 1.077], "fixed", "", ["0.02", "1.08"]),
        ([float("inf"), 0], "seconds", "s", ["∞", "0"]),
        ([], "seconds", "s", []),
    ],
)
def test_a_column_has_one_unit_and_one_number_of_decimals(values, kind, name, written):
    found, unit, decimals = scale(values, kind)
    assert found == name
    assert [decimal(value / unit, decimals) for value in values] == written


def test_raw_value_is_what_the_tables_write():
    assert raw(0.123456789012) == f"{0.123456789012:.9g}"
    assert number(0.123456789012, "rmse") == '<data value="0.123456789">0.1235</data>'


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        *[(4, 4), (4.5, 4), (9, 4), (20, 4), (99, 3), (100, 3), (1, 5), (0.99, 5), (0.004, 7)],
        *[(4000, 1), (4e6, 0), (0, 4), (float("nan"), 4), (float("inf"), 4)],
    ],
)
def test_errors_have_as_many_digits_on_every_scale(width, expected):
    assert decimals(width) == expected
