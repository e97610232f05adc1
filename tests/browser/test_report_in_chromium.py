"""The report as a reader's browser shows it."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from chromium import Page

# One worker runs these tests: they share the pages, which take a minute to render.
pytestmark = pytest.mark.xdist_group("browser")

SIZES = [(1400, False), (390, True)]
AXE_FILE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = "<script>alert('title')</script> & Co."
SPEAK = "document.querySelector('.languages [data-language={0}]').click()"
SAID = """new Promise(done => setTimeout(done, 300)).then(() => JSON.stringify([
    document.documentElement.lang, document.title,
    document.getElementById('main').innerText, document.querySelector('.contents').innerText,
    Array.from(document.querySelectorAll('[aria-label]')).map(one => one.ariaLabel),
    Array.from(document.querySelectorAll('[data-label]')).map(one => one.dataset.label),
    Array.from(document.querySelectorAll('.plot text')).map(one => one.textContent)]))"""
AXE = """axe.run(document, {runOnly: [
    'wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
}).then(result => result.violations.map(one => `${one.impact} ${one.id}: `
    + one.nodes.slice(0, 3).map(node => node.failureSummary + node.html.slice(0, 150)).join()))"""
LAYERS = ", ".join(
    f".{layer}layer {trace}"
    for layer, trace in [
        ("scatter", ".trace"),
        ("bar", ".trace"),
        ("box", ".trace"),
        ("heatmap", ".hm"),
    ]
)
NOT_DRAWN = f"""Array.from(document.querySelectorAll('.plot')).filter(plot => {{
    const source = document.querySelector(`script[data-plot=${{plot.id}}]`).textContent;
    const traces = JSON.parse(source).data.filter(trace => trace.visible !== 'legendonly');
    const drawn = Array.from(plot.querySelectorAll('{LAYERS}')).filter(
        group => group.querySelector('path, image, text'));
    return !traces.length || drawn.length !== traces.length
        || plot.getBoundingClientRect().width < 300;
}}).map(plot => plot.id)"""
"""Figures where not every trace that they hold, but for those that wait, is on the page."""
STILL_NOT_DRAWN = """Array.from(document.querySelectorAll('.plot')).filter(plot => {
    const groups = Array.from(plot.querySelectorAll('[id*="-axes_"] > g, [id*="-axes_"] > image'));
    const axes = plot.querySelectorAll('[id*="-axes_"]').length;
    const frame = groups.filter(group => group.id.includes('matplotlib.axis')).length + 5 * axes;
    return groups.length <= frame;
}).map(plot => plot.id)"""
"""Still figures that hold nothing but axes: a background and four edges at most."""
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
        opened.run("document.getElementById('expand').click()")
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
    page.run("document.getElementById('expand').click()")
    page.run("report.drawAll()")
    assert page.run(NOT_DRAWN) == []
    assert page.run("document.querySelectorAll('.plot').length") > 15
    page.run("document.getElementById('expand').click()")


@pytest.mark.parametrize("emptied", ["figure", "trace"])
def test_figures_without_their_data_are_noticed(reports, tmp_path, emptied):
    """Of every figure all traces, or the points of the first that is shown, are taken away."""

    def changed(found):
        figure = json.loads(found[2])
        if emptied == "figure":
            figure["data"] = []
        else:
            shown = [trace for trace in figure["data"] if trace.get("visible") != "legendonly"]
            shown[0] |= {name: [] for name in ("x", "y", "z") if name in shown[0]}
        return found[1] + json.dumps(figure).replace("<", "\\u003c") + found[3]

    html = reports["report"].read_text(encoding="utf-8")
    source = '(<script type="application/json" data-plot="[^"]+">)(.*?)(</script>)'
    html, figures = re.subn(source, changed, html, flags=re.DOTALL)
    (tmp_path / "emptied.html").write_text(html, encoding="utf-8")
    with Page(1400) as opened:
        opened.open(tmp_path / "emptied.html")
        opened.run("document.getElementById('expand').click(); report.drawAll()")
        assert len(opened.run(NOT_DRAWN)) == figures


def test_waiting_lines_are_shown_by_keyboard(reports):
    with Page(1400) as opened:
        opened.open(reports["report"])
        opened.run("document.getElementById('expand').click(); report.drawAll()")
        button = "document.querySelector('[data-show-all]')"
        plot = f"document.getElementById({button}.dataset.showAll)"
        lines = f"{plot}.querySelectorAll('.scatterlayer .trace').length"
        every = opened.run(f"{plot}.data.length")
        before = opened.run(lines)
        assert before < every
        for left in (every, before):
            opened.run(f"{button}.focus()")
            opened.press("Enter")
            assert opened.run(lines) == left


def test_every_still_figure_is_drawn(reports):
    with Page(1400) as opened:
        opened.open(reports["static"])
        assert opened.run("document.querySelectorAll('.plot').length") > 3
        assert opened.run("typeof Plotly") == "undefined"
        assert opened.run(STILL_NOT_DRAWN) == []


def test_heading_sorts_up_then_down(page):
    heading = "document.querySelector('[data-name=summary] th[data-key=mae] button')"
    values = ROWS.format("summary") + ".map(row => Number(row.cells[3].dataset.value))"
    page.run(f"{heading}.click()")
    up = page.run(values)
    assert up == sorted(up)
    assert page.run(f"{heading}.parentElement.ariaSort") == "ascending"
    page.run(f"{heading}.click()")
    assert page.run(values) == sorted(up, reverse=True)


def test_a_third_click_restores_the_order(reports):
    with Page(1400) as opened:
        opened.open(reports["report"])
        heading = "document.querySelector('[data-name=summary] th[data-key=mae] button')"
        names = ROWS.format("summary") + ".map(row => row.cells[0].textContent)"
        before = opened.run(names)
        opened.run(f"{heading}.click(); {heading}.click()")
        assert opened.run(names) != before
        opened.run(f"{heading}.click()")
        assert opened.run(names) == before
        assert opened.run(f"{heading}.parentElement.ariaSort") is None
        assert "sort" not in opened.run("location.hash")


def test_what_a_reader_has_chosen_survives_a_reload(reports):
    """Language, order, filter, what is open and the place are in the address."""
    state = """JSON.stringify([document.documentElement.lang,
        document.querySelector('[data-name=summary] th[data-key=mae]').ariaSort,
        Array.from(document.querySelectorAll('[data-name=summary] tbody tr')).map(
            row => row.cells[0].textContent),
        document.querySelector('#table-errata [data-filter]').value,
        Array.from(document.querySelectorAll('[data-name=errata] tbody tr')).map(r => r.hidden),
        Array.from(document.querySelectorAll('details.collapsed')).map(one => one.open)])"""
    with Page(1400) as opened:
        opened.open(reports["report"], "#errata")
        untouched = opened.run(state)
        opened.run(SPEAK.format("zh"))
        heading = "document.querySelector('[data-name=summary] th[data-key=mae] button')"
        opened.run(f"{heading}.click(); {heading}.click()")
        opened.run(
            "(() => { const field = document.querySelector('#table-errata [data-filter]');"
            " field.value = '过弱的基线'; field.dispatchEvent(new Event('input'));"
            " document.getElementById('cite').open = true; })()"
        )
        opened.run("new Promise(done => setTimeout(done, 100))")
        chosen, address = opened.run(state), opened.run("location.hash")
    assert chosen != untouched
    with Page(1400) as opened:
        opened.open(reports["report"], address)
        assert opened.run(state) == chosen
        assert opened.run("location.hash") == address
        opened.run("document.querySelector('.contents a[href=\"#cost\"]').click()")
        opened.run("new Promise(done => setTimeout(done, 100))")
        assert opened.run("location.hash").startswith("#cost&")
        assert opened.run(state) == chosen


def test_highlighted_methods_stand_out_in_every_figure_and_after_a_reload(reports):
    seen = """Array.from(document.querySelectorAll('.js-plotly-plot')).flatMap(plot =>
        plot.data.filter(trace => trace.meta).map(
            trace => [[].concat(trace.meta).includes('mf'), trace.opacity]))"""
    fragment = "document.querySelector('.highlight').open && location.hash"
    with Page(1400) as opened:
        opened.open(reports["report"]).run("report.drawAll()")
        opened.run("document.querySelector('.highlight summary').click()")
        opened.run("document.querySelector('.highlight input[value=mf]').click()")
        first = opened.run(seen)
        address = opened.run(fragment)
        opened.run("report.drawAll(), document.querySelector('.highlight button').click()")
        cleared = opened.run(seen)
    assert {tuple(one) for one in first} == {(True, 1), (False, 0.15)}
    assert {shown for _, shown in cleared} == {1}
    with Page(1400) as opened:
        opened.open(reports["report"], address).run("report.drawAll()")
        assert opened.run(fragment) == address
        assert opened.run(seen) == first


def test_a_phone_shows_pairs_of_names_in_two_lines(reports):
    with Page(390) as opened:
        opened.open(reports["report"]).run("report.drawAll()")
        lines = opened.run(
            "Array.from(document.querySelectorAll('#plot-forest .ytick text')).map("
            "one => one.querySelectorAll('tspan').length)"
        )
        wide = opened.run(
            "document.querySelector('#plot-forest .nsewdrag').getBoundingClientRect().width"
        )
    assert set(lines) == {2}
    assert wide > 120


@pytest.mark.parametrize("width", [1400, 390])
def test_a_table_that_is_cut_off_says_so_and_keeps_its_first_column(reports, width):
    with Page(width) as opened:
        opened.open(reports["report"])
        opened.run("document.getElementById('expand').click()")
        opened.run("new Promise(done => setTimeout(done, 300))")
        told = """Array.from(document.querySelectorAll('.scroll')).filter(
            box => box.scrollWidth > box.clientWidth + 1).map(box => [
            box.classList.contains('more-right'),
            !box.parentElement.querySelector('.cue').hidden])"""
        cut = opened.run(told)
        assert width == 1400 or len(cut) > 10
        assert all(shadow and said for shadow, said in cut)
        kept = """Array.from(document.querySelectorAll('.scroll')).filter(
            box => box.scrollWidth > box.clientWidth + 40 && !box.querySelector('.cards')).map(
            box => { box.scrollLeft = 40; return Math.round(Math.abs(
                box.querySelector('tbody th').getBoundingClientRect().left
                - box.getBoundingClientRect().left)) })"""
        assert all(shift <= 2 for shift in opened.run(kept))


def test_the_lowest_error_is_bold_and_constant_columns_are_left_out(page):
    found = page.run(
        "Array.from(document.querySelectorAll('[data-name=summary] .best')).map("
        "cell => [cell.parentElement.parentElement.tagName, Number(cell.dataset.value),"
        " Math.min(...Array.from(cell.closest('tbody').rows).map("
        "row => Number(row.cells[cell.cellIndex].dataset.value)))])"
    )
    assert len(found) >= 2
    assert all(value == pytest.approx(lowest, abs=5e-5) for _, value, lowest in found)
    shown = """Array.from(document.querySelectorAll('table:not(.cards)')).flatMap(table =>
        Array.from(table.tHead.rows[0].cells).slice(1).filter((head, place) => !head.hidden
            && table.tBodies[0].rows.length > 1 && new Set(Array.from(table.tBodies[0].rows).map(
                row => row.cells[place + 1].dataset.value ?? row.cells[place + 1].innerHTML
                )).size === 1
            ).map(head => table.dataset.name + ' ' + head.dataset.key))"""
    assert page.run(shown) == []


def test_text_column_sorts_by_letters(page):
    page.run("document.querySelector('[data-name=summary] th[data-key=method] button').click()")
    names = page.run(ROWS.format("summary") + ".map(row => row.cells[0].textContent)")
    assert names == sorted(names)


def test_settings_sort_as_numbers(page):
    page.run("document.querySelector('[data-name=costs] th[data-key=reg] button').click()")
    values = page.run(ROWS.format("costs") + ".map(row => row.cells[2].textContent)")
    numbers = [float(value) for value in values if value]
    assert len(set(numbers)) > 1
    assert numbers == sorted(numbers)
    assert values[: len(numbers)] == [value for value in values if value]


def test_infinite_value_sorts_last(page):
    page.run(ROWS.format("summary") + "[0].cells[3].dataset.value = 'inf'")
    heading = "document.querySelector('[data-name=summary] th[data-key=mae] button')"
    page.run(f"{heading}.click()")
    if page.run(f"{heading}.parentElement.ariaSort") == "descending":
        page.run(f"{heading}.click()")
    values = page.run(ROWS.format("summary") + ".map(row => row.cells[3].dataset.value)")
    assert values[-1] == "inf"
    assert sorted(map(float, values)) == list(map(float, values))


def test_filter_hides_other_rows_and_says_how_many_are_left(page):
    page.run(
        "(() => { const field = document.querySelector('#table-errata [data-filter]');"
        " field.value = 'weak baseline'; field.dispatchEvent(new Event('input')); })()"
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


FILL = """(() => {{
    const texts = {texts}, table = document.querySelector('[data-name={table}]');
    Array.from(table.tBodies[0].rows).slice(0, texts.length).forEach((row, place) => {{
        row.cells[0].textContent = texts[place]; }});
    return report.download(table, '{kind}'); }})()"""
"""Texts in the place of a table's first cells, and the file that its button then saves."""


@pytest.mark.parametrize(("kind", "separator"), [("csv", ","), ("tsv", "\t")])
def test_saved_table_holds_nothing_that_a_spreadsheet_computes(page, kind, separator):
    """As OWASP advises on CSV injection; numbers stay numbers, and a quote hides no formula."""
    texts = ["=1+1", "+1 way", "-1", "@home", '"=1+1"', "＝1+1", 'a "b", c', "a\rb"]
    content = page.run(FILL.format(texts=json.dumps(texts), table="costs", kind=kind))
    quoting = csv.QUOTE_MINIMAL if kind == "csv" else csv.QUOTE_NONE
    lines = csv.reader(io.StringIO(content, newline=""), delimiter=separator, quoting=quoting)
    saved = [row[0] for row in lines][1 : len(texts) + 1]
    expected = ["'=1+1", "'+1 way", "-1", "'@home", '\'"=1+1"', "'＝1+1", 'a "b", c']
    assert saved == [*expected, "a\rb" if kind == "csv" else "a b"]


HOSTILE_TITLES = [
    r"\ $ & % _ { } ~ ^ #",
    r"\input{/etc/passwd} \end{tabular} \\[2cm] $$ ^^41 %",
    "[REC] (2007)",
    "*batteries not included (1987)",
    "Amélie — “Žižek” Łódź ßæœ ½ ¿Qué? …",
    "Wałęsa: Đorđe, Þór, Nguyễn «x» x⁻⁴",
    "七人の侍 – 아가씨 – Сталкер – Ελλάς",
    "\U0001f600 \U0001f469\u200d\U0001f680 cafe\u0301 \u202e\ufeff \u0000\u0007 end",
    "?` !` -- --- ,, '' `` << >> | \" < >",
]


def compiled(tables, folder):
    """The PDFs of a document with some tables, by every engine that is there."""
    text = "\\documentclass{article}\\usepackage{booktabs,longtable}\\begin{document}\\tiny\n"
    text += "\n\n".join(tables) + "\n\\end{document}\n"
    engines = list(filter(shutil.which, ("pdflatex", "xelatex", "lualatex", "tectonic")))
    if not engines:
        pytest.skip("no LaTeX: apt-get install texlive-latex-recommended")
    for engine in engines:
        (folder / f"{engine}.tex").write_text(text, encoding="utf-8")
        options = [] if engine == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
        command = [engine, *options, f"{engine}.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
        assert (folder / f"{engine}.pdf").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["report", "chinese"])
def test_every_table_is_latex_that_compiles(reports, tmp_path, name):
    with Page(1400) as opened:
        opened.open(reports[name])
        # one of more than 40 rows
        opened.run(
            "(() => { const body = document.querySelector('[data-name=summary]').tBodies[0];"
            " while (body.rows.length <= 40) body.append(body.rows[0].cloneNode(true)); })()"
        )
        tables = opened.run(
            "Array.from(document.querySelectorAll('table')).map("
            "table => report.download(table, 'tex'))"
        )
    assert len(tables) > 40
    assert all("\\toprule" in table and "\\bottomrule" in table for table in tables)
    assert any("{longtable}" in table for table in tables)
    compiled(tables, tmp_path)


def test_hostile_titles_are_latex_that_compiles_and_shows_them(page, tmp_path):
    fill = FILL.format(texts=json.dumps(HOSTILE_TITLES), table="costs", kind="tex")
    content = page.run(fill)
    compiled([content], tmp_path)
    rows = content.split("\\midrule\n")[1].splitlines()
    cells = [row.split(" & ")[0] for row in rows if row.endswith("\\\\")]
    assert cells[0] == r"\textbackslash{} \$ \& \% \_ \{ \} \textasciitilde{} \textasciicircum{} \#"
    assert cells[2] == "{[}REC{]} (2007)"
    assert "Wa\u0142\\cfmfunicode[e]{\u0119}sa" in cells[5]
    assert cells[6].startswith("\\cfmfunicode{七人の侍}")
    read = shutil.which("pdftotext")
    if read and (tmp_path / "pdflatex.pdf").exists():
        done = subprocess.run(
            [read, tmp_path / "pdflatex.pdf", "-"], capture_output=True, check=True
        )
        # Only how they begin: in a narrow column the rest is on lines among those of other columns.
        written = done.stdout.decode()
        assert "[REC]" in written
        assert "*bat" in written


def test_a_figure_is_saved_as_picture_and_as_numbers(reports):
    with Page(1400) as opened:
        opened.open(reports["report"])
        saved = "report.picture(document.getElementById('plot-answer'), '{}')"
        assert opened.run(saved.format("png")).startswith("data:image/png;base64,")
        assert "svg" in opened.run(saved.format("svg"))[:40]
        rows = list(csv.DictReader(io.StringIO(opened.run(saved.format("csv")))))
        shown = opened.run(ROWS.format("summary") + ".map(row => row.cells[1].dataset.value)")
        found = sorted(float(row["x"]) for row in rows)
        assert found == pytest.approx(sorted(map(float, shown)), rel=1e-8)
        assert all(float(r["low"]) < float(r["x"]) < float(r["high"]) for r in rows if r["low"])
        assert opened.console == []


def test_a_method_leads_to_its_card_with_a_tooltip(reports):
    with Page(1400) as opened:
        opened.open(reports["report"])
        links = "Array.from(document.querySelectorAll('a.method'))"
        known = f"{links}.every(link => document.querySelector(link.hash) && link.title)"
        assert opened.run(f"{links}.length") > 50
        assert opened.run(known)
        before = opened.run(f"{links}[0].title")
        opened.run(SPEAK.format("zh"))
        assert opened.run(known)
        assert opened.run(f"{links}[0].title") != before
        opened.run(f"{links}[0].click()")
        opened.run("new Promise(done => setTimeout(done, 100))")
        assert opened.run("document.getElementById(location.hash.slice(1).split('&')[0]).open")


@pytest.mark.parametrize("name", ["report", "static"])
def test_no_script_runs_that_the_page_was_not_made_with(reports, name):
    with Page(1400) as opened:
        opened.open(reports[name])
        policy = opened.run("document.querySelector('meta[http-equiv]').content")
        scripts = policy.split("script-src ")[1].split(";")[0]
        assert "unsafe" not in scripts
        assert scripts.count("sha256-") == (2 if name == "report" else 1)
        assert "base-uri 'none'; form-action 'none'" in policy
        opened.run(
            "(() => { const added = document.createElement('script');"
            " added.textContent = 'window.injected = true'; document.body.append(added); })()"
        )
        assert opened.run("window.injected") is None


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


@pytest.mark.parametrize("name", ["report", "static"])
def test_language_switch_gives_the_page_that_was_made_in_that_language(reports, name):
    with Page(1400) as other:
        other.open(reports["chinese" if name == "report" else "static-chinese"])
        other.run("document.getElementById('expand').click(); report.drawAll()")
        expected = other.run(SAID)
    with Page(1400) as opened:
        opened.open(reports[name])
        opened.run("document.getElementById('expand').click(); report.drawAll()")
        before = opened.run(SAID)
        opened.run(SPEAK.format("zh"))
        assert "lang=zh" in opened.run("location.hash")
        pressed = "document.querySelector('.languages [aria-pressed=true]').lang"
        assert opened.run(pressed) == "zh-CN"
        chinese = opened.run(SAID)
        opened.run(SPEAK.format("en"))
        assert opened.run(SAID) == before
        assert opened.console == []
    assert chinese == expected
    assert before != expected


def test_address_can_name_the_language(reports):
    with Page(1400) as opened:
        opened.open(reports["report"], "#zh")
        assert opened.run("document.documentElement.lang") == "zh-CN"
        opened.run("report.drawAll()")
        assert "评分" in opened.run("document.querySelector('#plot-ratings').textContent")


def test_sorting_and_filtering_go_on_in_the_other_language(reports):
    with Page(1400) as opened:
        opened.open(reports["report"], "#zh")
        opened.run("document.querySelector('[data-name=summary] th[data-key=mae] button').click()")
        values = opened.run(
            ROWS.format("summary") + ".map(row => Number(row.cells[3].dataset.value))"
        )
        assert values == sorted(values)
        opened.run(
            "(() => { const field = document.querySelector('#table-errata [data-filter]');"
            " field.value = '过弱的基线'; field.dispatchEvent(new Event('input')); })()"
        )
        status = "document.querySelector('#table-errata .status').textContent"
        errata = opened.run(ROWS.format("errata") + ".length")
        assert errata > 30
        assert opened.run(status) == f"{errata} 行中的 1 行"
        opened.run(SPEAK.format("en"))
        assert opened.run(status) == f"0 of {errata} rows"


def test_download_button_saves_a_file(page, tmp_path):
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.run("document.querySelector('#table-summary [data-download=tsv]').click()")
    saved = tmp_path / "summary.tsv"
    until = time.monotonic() + 10
    while not saved.exists() and time.monotonic() < until:
        time.sleep(0.05)
        page.run("0")
    shown = page.run("report.download(document.querySelector('[data-name=summary]'), 'tsv')")
    assert saved.read_text(encoding="utf-8") == shown


@pytest.mark.skipif("CFMF_REPORT" in os.environ, reason="only the generated study has such a title")
def test_title_that_looks_like_a_script_stays_text(page):
    cells = "Array.from(document.querySelectorAll('td, th')).map(cell => cell.textContent)"
    assert HOSTILE in page.run(cells)
    scripts = page.run("Array.from(document.scripts).map(one => one.textContent.slice(0, 99))")
    assert not any(text.startswith("alert") for text in scripts)


def test_all_can_be_reached_and_used_by_keyboard(reports):
    with Page(1400) as opened:
        opened.open(reports["report"])
        opened.press("Tab")
        assert opened.run("document.activeElement.className") == "skip"
        assert opened.run("document.activeElement.getBoundingClientRect().left >= 0")
        opened.press("Enter")
        assert opened.run("location.hash") == "#main"
        reached = opened.run(
            "Array.from(document.querySelectorAll('a[href], button, summary, input, .scroll'))"
            ".filter(one => one.offsetParent && one.tabIndex < 0).length"
        )
        assert reached == 0
        heading = "document.querySelector('[data-name=summary] th[data-key=mae] button')"
        opened.run(f"{heading}.focus()")
        outline = f"getComputedStyle({heading}).outlineStyle"
        opened.press("Enter")
        assert opened.run(outline) == "solid"
        assert opened.run(f"{heading}.parentElement.ariaSort") == "ascending"
        fold = "document.querySelector('details.collapsed')"
        opened.run(f"{fold}.querySelector('summary').focus()")
        opened.press("Enter")
        assert opened.run(f"{fold}.open")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        *(("report", *size) for size in SIZES),
        ("static", 1400, True),
        ("static", 390, False),
    ],
)
def test_axe_finds_no_serious_violation(reports, name, width, dark):
    """axe-core of the npm registry; tests/browser/package-lock.json holds its version and hash."""
    if not AXE_FILE.is_file():
        pytest.skip("axe-core is not there: npm ci --prefix tests/browser")
    with Page(width, dark=dark) as opened:
        opened.open(reports[name])
        opened.run("document.getElementById('expand').click()")
        opened.run("report.drawAll()")
        opened.run(AXE_FILE.read_text(encoding="utf-8") + "; true")
        for language in ("en", "zh"):
            opened.run(SPEAK.format(language))
            found = opened.run(AXE)
            assert [one for one in found if one.startswith(("serious", "critical"))] == []
