"""One self-contained HTML file from a study."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jinja2
import plotly.offline
from markupsafe import Markup

from cfmf.figures.static import to_svg
from cfmf.files import written_whole
from cfmf.reporting.page import Block, Fold, Plot, Table, Text, plots
from cfmf.reporting.sections import question, sections
from cfmf.reporting.strings import Catalogue, missing, number, raw, shown
from cfmf.reporting.study import Study

log = logging.getLogger(__name__)

EMBEDDED_LIMIT = 1_500_000
"""Bytes of a page that Snakemake's report.html still shows, with room to spare."""
LIGHT_ROWS = 40
TEMPLATES = Path(__file__).parents[2] / "report" / "templates"


def render(study: Study, output: Path, language: str = "en", plotly: str = "embedded") -> None:
    """Write the report of a study, whole or not at all.

    Parameters
    ----------
    study
        What `cfmf.reporting.study.load` returns.
    output
        The HTML file; it asks for nothing outside itself.
    language
        `en` or `zh`: a catalogue in report/strings.
    plotly
        `embedded`: interactive figures, plotly.js once in the file (4.8 MB). `svg`: the same
        figures as still SVG, without the longest folded tables, for pages that must stay under
        1.5 MB.

    Raises
    ------
    ValueError
        If there is no such language or kind of figure.
    """
    if plotly not in {"embedded", "svg"}:
        raise ValueError(f"figures are 'embedded' or 'svg', not {plotly!r}")
    words = Catalogue(language)
    parts = sections(study, words)
    if plotly == "svg":
        parts = [replace(part, blocks=light(part.blocks, words)) for part in parts]
    numbered = {
        plot.name: number
        for number, plot in enumerate(
            (plot for part in parts for plot in plots(part.blocks)), start=1
        )
    }
    page = _environment(plotly).get_template("report.html.j2")
    html = page.render(
        words=words,
        study=study,
        question=question(study, words),
        sections=parts,
        figure_number=numbered,
        interactive=plotly == "embedded",
        plotly_js=Markup(plotly_source()) if plotly == "embedded" else "",
        style=_asset("report.css"),
        script=_asset("report.js"),
    )
    with written_whole(output) as beside:
        beside.write_text(html, encoding="utf-8")
    if plotly == "svg" and len(html.encode()) > EMBEDDED_LIMIT:
        log.warning(
            "%s is over %.1f MB: Snakemake's report.html may not show it",
            output,
            EMBEDDED_LIMIT / 1e6,
        )
    log.info(
        "%s: %d sections, %d figures, %.1f MB",
        output,
        len(parts),
        len(numbered),
        len(html.encode()) / 1e6,
    )


def light(blocks: Sequence[Block], words: Catalogue) -> list[Block]:
    """The blocks without what is folded and heavy: further figures, and tables of many rows."""
    kept: list[Block] = []
    for block in blocks:
        if not isinstance(block, Fold):
            kept.append(block)
            continue
        inner: list[Block] = []
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


def plotly_source() -> str:
    """The plotly.js that Plotly ships, safe inside a script element."""
    return plotly.offline.get_plotlyjs().replace("</script", "<\\/script")


def _environment(plotly: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, raw=raw, kind=lambda block: type(block).__name__)
    environment.globals["still"] = _still
    environment.globals["figure_json"] = _figure_json
    environment.tests["missing"] = missing
    return environment


def _asset(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _still(plot: Plot) -> Markup:
    label = f"{plot.title.striptags()} {plot.caption.striptags()}"
    return Markup(to_svg(plot.figure, plot.name, label))


def _figure_json(plot: Plot) -> Markup:
    """A figure as JSON that no parser of HTML mistakes for markup."""
    return Markup(plot.figure.to_json(engine="json").replace("<", "\\u003c"))
