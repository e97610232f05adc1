"""One self-contained HTML file from a study."""

from __future__ import annotations

import base64
import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import replace
from functools import cache
from pathlib import Path

import jinja2
import plotly.graph_objects as go
import plotly.offline
from markupsafe import Markup

from cfmf.files import atomic_write
from cfmf.methods.registry import declared, is_blend, methods
from cfmf.metrics import decimals
from cfmf.report import ASSETS
from cfmf.report.context import Study
from cfmf.report.extension import Extension, catalogue
from cfmf.report.figures.static import to_file, to_svg
from cfmf.report.languages import Words, paired
from cfmf.report.page import (
    Block,
    Collapsed,
    Column,
    Plot,
    Section,
    Table,
    Text,
    plots,
)
from cfmf.report.places import PUBLISHED, SECTIONS, attachment
from cfmf.report.sections import question, sections
from cfmf.report.strings import DECIMALS, languages, missing, number, raw, shown

log = logging.getLogger(__name__)

KINDS = {"embedded", "svg", "figures"}
"""Of figures; see `render_pages`."""
EMBEDDED_LIMIT = 1_500_000
"""Bytes of a page that Snakemake's report.html still shows, with room to spare."""
LIGHT_ROWS = 40
TEMPLATES = ASSETS / "templates"
CARTESIAN = ASSETS / "vendor" / "plotly-cartesian.min.js"


def render(
    study: Study,
    output: Path,
    language: str = "en",
    plotly: str = "embedded",
    extensions: Sequence[Extension] = (),
) -> None:
    """Write one page of a study's report; see `render_pages`."""
    render_pages(study, {output: plotly}, language, extensions)


def render_pages(
    study: Study,
    pages: Mapping[Path, str],
    language: str = "en",
    extensions: Sequence[Extension] = (),
) -> None:
    """Write the report of a study, in one or several pages, each by an atomic write.

    Parameters
    ----------
    study
        The results to report.
    pages
        The HTML files, which load nothing from outside, and the kind of figures of each.
        `embedded`: interactive figures, plotly.js once in the file (4.8 MB). `svg`: the same
        figures as static SVG, without collapsed figures and the longest collapsed tables, for pages
        that must stay under 1.5 MB.
        `figures`: no page but a folder, with every figure as an SVG file of its own.
    language
        `en` or `zh`: the catalogue in report/strings that is shown first; a reader can change to
        the others.
    extensions
        What else is in the report.

    Raises
    ------
    ValueError
        If there is no such language or kind of figure.
    """
    for kind in pages.values():
        if kind not in KINDS:
            raise ValueError(f"figures are one of {', '.join(sorted(KINDS))}, not {kind!r}")
    scale = study.audit.get("scale") or {}
    width = scale.get("maximum", math.nan) - scale.get("minimum", math.nan)
    copy_context().run(_render, study, pages, language, extensions, decimals(width))


def _render(
    study: Study,
    pages: Mapping[Path, str],
    language: str,
    extensions: Sequence[Extension],
    error_decimals: int,
) -> None:
    DECIMALS.set(error_decimals)
    order = dict.fromkeys([language, *languages()])
    catalogues = {name: catalogue(name, extensions) for name in order}
    words = Words(catalogues)
    each = {name: sections(study, catalogues[name], extensions) for name in order}
    whole = paired(each)
    asked = paired({name: question(study, catalogues[name]) for name in catalogues})
    figures = {plot.name: plot.figure for part in whole for plot in plots(part.blocks)}

    @cache
    def drawing(name: str) -> Markup:
        return Markup(to_svg(figures[name], name, f"words-{name}"))

    shared = {
        "drawing": drawing,
        "words": words,
        "first": language,
        "languages": {name: catalogues[name] for name in languages()},
        "study": study,
        "question": asked,
        "figure_number": figure_numbers(whole),
        "drawn_methods": drawn_methods(figures.values()),
    }
    for output, kind in pages.items():
        if kind == "figures":
            _save_figures(output, each[language], drawing)
            continue
        html = _page(_parts(whole, words, kind), kind == "embedded", shared)
        with atomic_write(output) as temporary:
            temporary.write_text(html, encoding="utf-8")
        _log_size(output, len(html.encode()), kind)


def _page(parts: Sequence[Section], interactive: bool, shared: Mapping[str, object]) -> str:
    template = environment().get_template("report.html.j2")
    return template.render(**shared, sections=parts, interactive=interactive)


def figure_numbers(whole: Sequence[Section], padded: bool = False) -> dict[str, str]:
    """The number of each figure by its name: that of its section and its own, on every page.

    `padded` gives the places in a section equally many digits, so that they sort as text.
    """
    numbers = {}
    for section, part in enumerate(whole, start=1):
        found = plots(part.blocks)
        digits = len(str(len(found))) if padded else 0
        for place, plot in enumerate(found, start=1):
            numbers[plot.name] = f"{section}.{place:0{digits}}"
    return numbers


def drawn_methods(figures: Iterable[go.Figure]) -> list[str]:
    """The methods and blends that lines and marks of the figures are about, in registry's order."""
    about = (trace.meta for figure in figures for trace in figure.data if trace.meta)
    found = {name for one in about for name in ([one] if isinstance(one, str) else one)}
    others = sorted(name for name in found - set(methods()) if is_blend(name) or declared(name))
    return [*(name for name in methods() if name in found), *others]


def _save_figures(folder: Path, whole: Sequence[Section], drawing: Callable[[str], Markup]) -> None:
    """Each figure as a file, in the category of its section, named by its number and title.

    Snakemake's report sorts them as text.
    """
    numbers = figure_numbers(whole, padded=True)
    for part in whole:
        for plot in plots(part.blocks):
            title = f"Figure {numbers[plot.name]} {plot.title.striptags()}"
            path = attachment(folder, SECTIONS.get(part.name, PUBLISHED), title, ".svg")
            with atomic_write(path) as temporary:
                temporary.write_text(to_file(drawing(plot.name), title), encoding="utf-8")


def _log_size(output: Path, size: int, kind: str) -> None:
    if kind == "svg" and size > EMBEDDED_LIMIT:
        limit = EMBEDDED_LIMIT / 1e6
        log.warning("%s is over %.1f MB: Snakemake's report.html may not show it", output, limit)
    log.info("%s: %.1f MB", output, size / 1e6)


def _parts(parts: list[Section], words: Words, kind: str) -> list[Section]:
    if kind == "svg":
        return [replace(part, blocks=light(part.blocks, words)) for part in parts]
    return parts


def light(blocks: Sequence[Block], words: Words) -> list[Block]:
    """The blocks without what is collapsed and heavy: figures, and tables of many rows."""
    kept: list[Block] = []
    for block in blocks:
        if not isinstance(block, Collapsed):
            kept.append(block)
            continue
        inner: list[Block] = []
        left = [part for part in block.blocks if isinstance(part, Plot)]
        if left:
            inner.append(Text(words("page.figures_elsewhere", figures=number(len(left)))))
        for part in light(block.blocks, words):
            if isinstance(part, Plot):
                continue
            if isinstance(part, Table) and len(part.rows) > LIGHT_ROWS:
                inner.append(Text(words("page.left_out", rows=number(len(part.rows), "count"))))
            else:
                inner.append(part)
        if inner:
            kept.append(replace(block, blocks=inner))
    return kept


def waiting(figure: go.Figure) -> bool:
    """Whether some lines of a figure are hidden until chosen in its legend, by mouse only."""
    return any(trace.visible == "legendonly" for trace in figure.data)


@cache
def plotly_source() -> Markup:
    """The plotly.js that draws the figures, safe inside a script element.

    Its cartesian bundle, which has the traces that the figures use and a third of the size, where
    it is of the version that Plotly makes figures for; otherwise what Plotly ships.
    """
    bundle = CARTESIAN.read_text("utf-8")
    if f"v{plotly.offline.get_plotlyjs_version()}\n" not in bundle[:200]:
        bundle = plotly.offline.get_plotlyjs()
    return Markup(bundle.replace("</script", "<\\/script"))


def allowed(*scripts: str) -> str:
    """Sources of a content security policy that allow these scripts and no other."""
    digests = (hashlib.sha256(text.encode()).digest() for text in scripts)
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)


def best_shown(table: Table, column: Column) -> str | None:
    """How the lowest value of a column is written, where lower is better of several methods."""
    values = [row[column.key] for row in table.rows]
    known = [value for value in values if not missing(value)]
    if not column.lower_is_better or table.columns[0].key != "method" or len(known) < 2:
        return None
    return column.shown(min(known, key=lambda value: float(str(value))))


def environment() -> jinja2.Environment:
    """Where the templates of the report's pages are, with what they use."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, raw=raw, kind=lambda block: type(block).__name__)
    environment.filters.update(waiting=waiting, json=_figure_json)
    environment.tests["missing"] = missing
    environment.globals.update(asset=_asset, plotly_source=plotly_source, allowed=allowed)
    environment.globals.update(best_shown=best_shown)
    return environment


def _asset(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _figure_json(plot: Plot) -> Markup:
    """The figure as JSON that no parser of HTML mistakes for markup."""
    return Markup(plot.figure.to_json(engine="json").replace("<", "\\u003c"))
