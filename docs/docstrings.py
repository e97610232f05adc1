"""How docstrings and signatures of the package are shown."""

from __future__ import annotations

import re

from sphinx.ext.napoleon import NumpyDocstring

ARRAY = re.compile(
    r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[~?(?:\w+\.)*(\w+)\]\]"
)
ARRAY_LIKE = re.compile(
    r"~numpy\._typing\._array_like\._Buffer \| .*?_NestedSequence\[complex \| bytes \| str\]"
)


class Docstring(NumpyDocstring):
    """A numpy docstring whose Returns section is text, not a list of names and types."""

    def _parse_returns_section(self, section: str) -> list[str]:
        lines = self._dedent(self._consume_to_next_section())
        return [*self._format_block(":returns: ", lines), ""]


def numpy_docstring(app, what, name, obj, options, lines):
    """Turn the sections of a docstring into fields."""
    found = Docstring(lines, app.config, app, what, name, obj, options)
    lines[:] = found.lines()


def short_signature(app, what, name, obj, options, signature, annotation):
    """Arrays under the names that the code gives their types."""

    def shorter(text: str | None) -> str | None:
        return text and ARRAY_LIKE.sub("ArrayLike", ARRAY.sub(r"NDArray[\1]", text))

    return shorter(signature), shorter(annotation)


def setup(app):
    """Parse with `Docstring` in place of napoleon's own, whose options count."""
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("autodoc-process-docstring", numpy_docstring)
    app.connect("autodoc-process-signature", short_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
