"""Formulas as MathML, which browsers draw themselves: no script, and nothing from the network."""

from __future__ import annotations

import re

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

# docutils writes \hat{x}_u with u under the x; it belongs beside it.
ACCENT_AND_INDEX = re.compile(
    r"<munderover>\s*(?P<base><mi>\w</mi>)\s*(?P<index><mrow>(?:(?!mrow).)*</mrow>|<mi>\w</mi>)"
    r"\s*(?P<accent><mo stretchy=\"false\">.</mo>)\s*</munderover>",
    re.DOTALL,
)
BESIDE = r'<msub><mover accent="true">\g<base>\g<accent></mover>\g<index></msub>'


def mathml(node, block: bool) -> str:
    """A formula of a document."""
    return ACCENT_AND_INDEX.sub(BESIDE, tex2mathml(node.astext(), as_block=block))


def inline(translator, node):
    """Write a formula in running text."""
    translator.body.append(mathml(node, block=False))
    raise SkipNode


def display(translator, node):
    """Write a formula on a line of its own."""
    translator.body.append(f'<div class="formula">{mathml(node, block=True)}</div>')
    raise SkipNode


def setup(app):
    """Make it the way in which formulas are written."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
