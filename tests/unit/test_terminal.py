"""Nothing from elsewhere steers a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from cfmf.terminal import printable


@given(st.text(st.characters()))
def test_any_text_becomes_printable_and_printable_text_stays(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    kept = printable(text, keep="\n")
    assert kept.replace("\n", "").isprintable()
    assert kept.count("\n") == text.count("\n")


def test_escapes_are_those_of_python():
    assert printable("a\x1b[31m\u202e\ud800\n\té") == "a\\x1b[31m\\u202e\\ud800\\n\\té"
