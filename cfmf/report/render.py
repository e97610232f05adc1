"""One self-contained HTML file from a study."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go
import plotly.offline

from cfmf.files import atomic_write
from cfmf.report.figures.static import to_svg
from cfmf.report.languages import figure_words, joined, still_words
from cfmf.report.page import Block, Fold, Heading, Plot, Section, Table, Text, plots
from cfmf.report.sections import question, sections
from cfmf.report.strings import Catalogue, languages, missing, number, raw, shown
from cfmf.report.study import Study

log = logging.getLogger(__name__)

KINDS = {"embedded", "svg", "folded"}
"""Of figures; see `render`."""
EMBEDDED_LIMIT = 1_500_000
"""Bytes of a page that Snakemake's report.html still shows, with room to spare."""
LIGHT_ROWS = 40
TEMPLATES = Path(__file__).with_name("assets") / "templates"


def render(study: Study, output: Path, language: str = "en", plotly: str = "embedded") -> None:
    """Write one page of a study's report; see `render_pages`."""
    render_pages(study, {output: plotly}, language)


def render_pages(study: Study, pages: Mapping[Path, str], language: str = "en") -> None:
    """Write the report of a study, in one or several pages, each whole or not at all.

    Parameters
    ----------
    study
        What `cfmf.report.study.load` returns.
    pages
        The HTML files, which ask for nothing outside themselves, and the kind of figures of each.
        `embedded`: interactive figures, plotly.js once in the file (4.8 MB). `svg`: the same
        figures as still SVG, without folded figures and the longest folded tables, for pages that
        must stay under 1.5 MB. `folded`: those folded figures alone, as still SVG.
    language
        `en` or `zh`: the catalogue in report/strings whose words are shown first; a reader can
        change to the others.

    Raises
    ------
    ValueError
        If there is no such language or kind of figure.
    """
    for kind in pages.values():
        if kind not in KINDS:
            raise ValueError(f"figures are 'embedded', 'svg' or 'folded', not {kind!r}")
    words = {name: Catalogue(name) for name in dict.fromkeys([language, *languages()])}
    whole = {name: sections(study, words[name]) for name in words}
    for output, kind in pages.items():
        parts = {name: _parts(whole[name], words[name], kind) for name in words}
        _write(study, output, language, words, parts, kind == "embedded")


def _write(
    study: Study,
    output: Path,
    language: str,
    words: Mapping[str, Catalogue],
    parts: Mapping[str, Sequence[Section]],
    interactive: bool,
) -> None:
    """Write one page of the given sections in every language."""
    figures = {name: _figures(parts[name]) for name in words}
    page = _environment().get_template("report.html.j2")
    pages = {
        name: page.render(
            words=words[name],
            languages={name: words[name] for name in languages()},
            first=language,
            study=study,
            question=question(study, words[name]),
            sections=parts[name],
            figure_number={figure: place for place, figure in enumerate(figures[name], start=1)},
            interactive=interactive,
        )
        for name in words
    }
    html, said = joined(pages)
    twins = {
        name: {"words": said[name], "figures": _figure_words(figures, language, name, interactive)}
        for name in said
    }
    html = _filled(html, figures[language], twins, interactive)
    with atomic_write(output) as beside:
        beside.write_text(html, encoding="utf-8")
    size = len(html.encode())
    if not interactive and size > EMBEDDED_LIMIT:
        limit = EMBEDDED_LIMIT / 1e6
        log.warning("%s is over %.1f MB: Snakemake's report.html may not show it", output, limit)
    log.info(
        "%s: %d sections, %d figures, %.1f MB",
        output,
        len(parts[language]),
        len(figures[language]),
        size / 1e6,
    )


def _parts(parts: list[Section], words: Catalogue, kind: str) -> list[Section]:
    if kind == "svg":
        return [replace(part, blocks=light(part.blocks, words)) for part in parts]
    if kind == "folded":
        return further(parts, words)
    return parts


def further(parts: Sequence[Section], words: Catalogue) -> list[Section]:
    """The figures that `light` leaves out, by section, after a sentence on what they are."""
    found = []
    for part in parts:
        folds = [block for block in part.blocks if isinstance(block, Fold)]
        blocks: list[Block] = []
        for fold in folds:
            if figures := plots([fold]):
                blocks += [Heading(fold.title), *figures]
        if blocks:
            found.append(replace(part, blocks=blocks))
    said = Text(words("page.further" if found else "page.no_further"))
    return [Section("further", words("page.further_title"), [said]), *found]


def _figures(parts: Sequence[Section]) -> dict[str, go.Figure]:
    """The figures by name, in reading order."""
    return {plot.name: plot.figure for part in parts for plot in plots(part.blocks)}


def _figure_words(
    figures: dict[str, dict[str, go.Figure]], first: str, other: str, interactive: bool
) -> dict[str, Any]:
    """What each figure of the first language says in another one, where it says anything else."""
    found: dict[str, Any] = {}
    for name, figure in figures[first].items():
        said = figure_words(figure, figures[other][name])
        if said:
            found[name] = said if interactive else still_words(figure, said)
    return found


def _filled(
    html: str, figures: dict[str, go.Figure], twins: dict[str, Any], interactive: bool
) -> str:
    """The page with what is heavy in it put where its comments say."""

    def fill(place: re.Match[str]) -> str:
        name = place[1]
        if name.startswith("figure "):
            figure = name.removeprefix("figure ")
            return (_figure_json if interactive else _still)(figure, figures[figure])
        return parts[name]() if name in parts else place[0]

    parts: dict[str, Callable[[], str]] = {
        "style": lambda: _asset("report.css"),
        "script": lambda: _asset("report.js"),
        "plotly": plotly_source,
        "twins": lambda: _json(json.dumps(twins, ensure_ascii=False, separators=(",", ":"))),
    }
    return re.sub("<!--([\\w -]+)-->", fill, html)


def light(blocks: Sequence[Block], words: Catalogue) -> list[Block]:
    """The blocks without what is folded and heavy: further figures, and tables of many rows."""
    kept: list[Block] = []
    for block in blocks:
        if not isinstance(block, Fold):
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
    """Whether some lines of a figure wait in its legend, where only a mouse finds them."""
    return any(trace.visible == "legendonly" for trace in figure.data)


def plotly_source() -> str:
    """The plotly.js that Plotly ships, safe inside a script element."""
    return plotly.offline.get_plotlyjs().replace("</script", "<\\/script")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, raw=raw, kind=lambda block: type(block).__name__)
    environment.filters["waiting"] = waiting
    environment.tests["missing"] = missing
    return environment


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _still(name: str, figure: go.Figure) -> str:
    return to_svg(figure, name, f"words-{name}")


def _figure_json(name: str, figure: go.Figure) -> str:
    return _json(figure.to_json(engine="json"))


def _json(text: str) -> str:
    """JSON that no parser of HTML mistakes for markup."""
    return text.replace("<", "\\u003c")
