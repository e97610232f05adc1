"""The report as a reader's browser shows it."""

import csv
import io
import os
from pathlib import Path

import pytest
from chromium import Page

SIZES = [(1400, False), (390, True)]
AXE = """axe.run(document, {runOnly: [
    'wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
}).then(result => result.violations.map(one => `${one.impact} ${one.id}: `
    + one.nodes.slice(0, 3).map(node => node.failureSummary + node.html.slice(0, 150)).join()))"""
ROWS = "Array.from(document.querySelectorAll('[data-name={0}] tbody tr'))"


@pytest.fixture(scope="module")
def page(reports):
    with Page(1400) as opened:
        yield opened.open(reports["report"])


@pytest.mark.parametrize(("width", "dark"), SIZES)
@pytest.mark.parametrize("name", ["report", "static", "chinese"])
def test_no_error_no_request_no_sideways_scroll(reports, name, width, dark):
    with Page(width, dark=dark) as opened:
        opened.open(reports[name])
        opened.run("document.getElementById('unfold').click()")
        opened.run("report.drawAll()")
        assert opened.console == []
        outside = [
            url for url in opened.requests if not url.startswith(("file:", "data:", "blob:"))
        ]
        assert outside == []
        assert [url for url in opened.requests if url.startswith("file:")] == [
            reports[name].as_uri()
        ]
        assert opened.run("document.documentElement.scrollWidth") <= width
        paper = opened.run("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")


def test_every_figure_is_drawn(page):
    page.run("document.getElementById('unfold').click()")
    page.run("report.drawAll()")
    empty = page.run(
        "Array.from(document.querySelectorAll('.plot')).filter(plot =>"
        " plot.querySelectorAll('svg path, svg .point, svg image').length < 3 ||"
        " plot.getBoundingClientRect().width < 300).map(plot => plot.id)"
    )
    assert empty == []
    assert page.run("document.querySelectorAll('.plot').length") > 15
    page.run("document.getElementById('unfold').click()")


def test_every_still_figure_is_drawn(reports):
    with Page(1400) as opened:
        opened.open(reports["static"])
        assert opened.run("typeof Plotly") == "undefined"
        empty = opened.run(
            "Array.from(document.querySelectorAll('.plot')).filter("
            "plot => plot.querySelectorAll('svg path').length < 3).length"
        )
        assert empty == 0


def test_heading_sorts_up_then_down(page):
    heading = "document.querySelector('[data-name=summary] th[data-key=mae] button')"
    values = ROWS.format("summary") + ".map(row => Number(row.cells[3].dataset.value))"
    page.run(f"{heading}.click()")
    up = page.run(values)
    assert up == sorted(up)
    assert page.run(f"{heading}.parentElement.ariaSort") == "ascending"
    page.run(f"{heading}.click()")
    assert page.run(values) == sorted(up, reverse=True)


def test_text_column_sorts_by_letters(page):
    page.run("document.querySelector('[data-name=summary] th[data-key=method] button').click()")
    names = page.run(ROWS.format("summary") + ".map(row => row.cells[0].textContent)")
    assert names == sorted(names)


def test_filter_hides_other_rows_and_says_how_many_are_left(page):
    page.run(
        "(() => { const field = document.querySelector('#table-errata [data-filter]');"
        " field.value = 'untuned'; field.dispatchEvent(new Event('input')); })()"
    )
    left = page.run(ROWS.format("errata") + ".filter(row => !row.hidden).length")
    assert left == 1
    assert page.run("document.querySelector('#table-errata .status').textContent").startswith("1 ")


def test_download_holds_what_is_shown(page):
    content = page.run("report.download(document.querySelector('[data-name=summary]'), 'csv')")
    rows = list(csv.reader(io.StringIO(content)))
    assert rows[0][:2] == ["method", "rmse"]
    shown = page.run(ROWS.format("summary") + ".map(row => row.cells[1].dataset.value)")
    assert [row[1] for row in rows[1:]] == shown


def test_contents_follow_the_scroll(page):
    page.run("document.documentElement.style.scrollBehavior = 'auto'")
    page.run("document.getElementById('statistics').scrollIntoView()")
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    current = page.run("document.querySelector('.contents [aria-current]').hash")
    assert current == "#statistics"


def test_theme_switch_turns_the_page_and_back(page):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.run(colour)
    page.run("document.getElementById('theme').click()")
    assert page.run(colour) != light
    page.run("document.getElementById('theme').click()")
    assert page.run(colour) == light


def test_prints_without_tools(page):
    page.call("Emulation.setEmulatedMedia", media="print")
    hidden = page.run(
        "['.contents', '.table-tools'].every("
        "name => getComputedStyle(document.querySelector(name)).display === 'none')"
    )
    assert hidden
    printed = page.call("Page.printToPDF", printBackground=True)
    assert len(printed["data"]) > 50_000
    page.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report", "static", "chinese"])
@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_axe_finds_no_serious_violation(reports, name, width, dark):
    """axe-core of the npm registry, its file named by CFMF_AXE."""
    axe = os.environ.get("CFMF_AXE")
    if not axe:
        pytest.skip("CFMF_AXE does not name axe.min.js (npm pack axe-core)")
    with Page(width, dark=dark) as opened:
        opened.open(reports[name])
        opened.run("document.getElementById('unfold').click()")
        opened.run("report.drawAll()")
        opened.run(Path(axe).read_text(encoding="utf-8") + "; true")
        found = opened.run(AXE)
        assert [one for one in found if one.startswith(("serious", "critical"))] == []
