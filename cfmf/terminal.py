"""Text from elsewhere, made harmless for a terminal or a log."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    r"""Text in which every character that is not printable is written as its escape.

    Control characters (with which a name or a message could move the cursor, hide lines or change
    the title of a terminal), marks that reverse the direction of writing, and lone surrogates are
    replaced by `\x1b`, `\u202e` and so on.

    Parameters
    ----------
    keep
        Characters to leave as they are, such as the line feeds of a message of several lines.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode()
        for one in text
    )
