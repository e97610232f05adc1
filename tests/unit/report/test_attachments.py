"""Tables as pages and figures as files, as Snakemake's own report shows them."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import generated_study
import pandas as pd
import plotly.graph_objects as go
import pytest
from reading import read

from cfmf.published.reporting.extension import EXTENSION
from cfmf.report import attachments
from cfmf.report.attachments import attach_tables
from cfmf.report.figures.static import to_file, to_svg
from cfmf.report.places import ACROSS, CATEGORIES, SECTIONS, TABLES, attachment
from cfmf.report.render import render_pages
from cfmf.report.sections import ORDER
from cfmf.report.strings import Catalogue
from cfmf.workflow.layout import Results

HOSTILE = "A<b>&\"'</svg> $x_1$ \\frac{ {x} \x07\x1b[31m ]]> 七人の侍 \U0001f600"
XML = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def attached(results, study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attached") / "report"
    render_pages(study, {folder: "figures"}, "en", [EXTENSION])
    attach_tables(folder, Results(results, generated_study.DATASET), study)
    return folder


def test_every_table_of_the_study_is_a_page_in_its_category(attached, results):
    pages = {path.relative_to(attached).as_posix() for path in attached.glob("*/*.html")}
    home = results / generated_study.DATASET
    words = Catalogue("en")
    for key, (category, result, wildcards) in TABLES.items():
        path = Results(results, generated_study.DATASET).at(result, **wildcards)
        assert (f"{category}/{words.plain(f'attached.{key}.title')}.html" in pages) == bool(path)
    methods = {path.parent.name for path in home.glob("neighbours/*/trials.tsv")}
    metrics = (home / "evaluation/metrics.tsv").read_text().splitlines()[1:]
    methods |= {line.split("\t")[2] for line in metrics if line.split("\t")[3]}
    assert methods
    assert {f"6 Tuning/{method} (settings tried).html" for method in methods} <= pages
    adaptive = home.glob("adaptive/*/*/trials.tsv")
    assert {
        f"6 Tuning/{one.parts[-3]} (search on fold {one.parts[-2]}).html" for one in adaptive
    } <= pages


def test_figures_sorted_as_text_are_in_reading_order(attached):
    most = 0
    for category in attached.iterdir():
        names = sorted(path.name for path in category.glob("*.svg"))
        places = [tuple(map(int, re.findall(r"\d+", name)[:2])) for name in names]
        assert places == sorted(places)
        most = max([most, *(place for _, place in places)])
    assert most > 9


def test_links_of_the_report_lead_to_pages_with_all_rows(attached, study, pages, results):
    links = {unquote(link) for link in re.findall(r'href="([^"#:]+)"', pages["en", "embedded"])}
    assert len(links) == 4
    home = results / generated_study.DATASET
    for link in links:
        html = (attached.parent / link).read_text(encoding="utf-8")
        [source] = re.findall(r"<code>([^<]+/([a-z_]+)\.(?:tsv|json))</code>", html)
        if source[0].endswith(".tsv"):
            rows = pd.read_csv(home / f"evaluation/{source[1]}.tsv", sep="\t", dtype=str)
            assert len(read(html).table(source[1])) == len(rows)
    assert not re.findall(r'href="([^"#:]+)"', pages["en", "svg"])


def test_pages_have_the_rows_of_the_files_and_load_nothing(attached, results):
    for name, source in [
        ("2 Evaluation/Metrics of every setting", "evaluation/metrics"),
        ("4 Explanations/Recommendations", "evaluation/recommendations"),
        ("7 Tests/Tests", "statistics/tests"),
    ]:
        html = (attached / f"{name}.html").read_text(encoding="utf-8")
        path = results / generated_study.DATASET / f"{source}.tsv"
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        shown = read(html).table(path.stem)
        assert list(shown.columns) == [name for name in table.columns if name != "dataset"]
        assert shown.to_numpy().tolist() == table[shown.columns].to_numpy().tolist()
        assert "script-src &#39;sha256-" in html
        assert not re.search(r'(src|href)="?(https?:|//)', html)
    hostile = (attached / "4 Explanations/Recommendations.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert" in hostile
    assert "<script>alert" not in hostile


def test_a_long_table_is_cut_and_says_so(results, study, tmp_path, monkeypatch):
    shutil.copytree(results / generated_study.DATASET, tmp_path / "results/generated")
    path = tmp_path / "results/generated/evaluation/metrics.tsv"
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    many = 1 + 2_000_000 // sum(map(len, rows))
    path.write_text("\n".join([head, *rows * many]) + "\n", encoding="utf-8")
    made = attach_tables(tmp_path / "report", Results(tmp_path / "results", "generated"), study)
    (page,) = [one for one in made if one.stem == "Metrics of every setting"]
    assert page.stat().st_size < 1.5e6  # times 4/3 is what a browser opens as an address
    text = page.read_text(encoding="utf-8")
    left = int(re.search(r"The last .*?value=\"(\d+)\"", text)[1])
    assert text.count("<tr><th scope=row>") == len(rows) * many - left > 1000
    assert all(one.stat().st_size < 1.5e6 for one in made)


def test_json_is_a_table_of_its_leaves(tmp_path):
    path = tmp_path / "audit.json"
    path.write_text(json.dumps({"a": {"b": 1, "c": [1, "x"]}, "d": None, "e": {}}))
    columns, rows = attachments._read(path)
    assert columns == ["name", "value"]
    assert rows == [["a.b", "1"], ["a.c", '[1, "x"]'], ["d", ""], ["e", "{}"]]
    path.write_text(json.dumps([{"a": 1}, {"b": {"c": 2}}]))
    assert attachments._read(path) == (["a", "b"], [["1", ""], ["", '{"c": 2}']])
    path.write_text("{")
    with pytest.raises(ValueError, match=r"audit.json is not JSON.*run again"):
        attachments._read(path)


def test_tables_of_all_data_sets_are_with_the_first_one_only(results, study, tmp_path):
    (tmp_path / "across_datasets").mkdir()
    shutil.copytree(results / generated_study.DATASET, tmp_path / generated_study.DATASET)
    for _, _, wildcards in ACROSS.values():
        kept = tmp_path / "across_datasets" / wildcards["file"]
        kept.write_text("[]" if kept.suffix == ".json" else "method\tvalue\nmf\t1\n")
    files = Results(tmp_path, generated_study.DATASET)
    for names, expected in [(["generated", "other"], 3), (["other", "generated"], 0)]:
        study.provenance["config"]["study"]["datasets"], kept = (
            names,
            study.provenance["config"]["study"]["datasets"],
        )
        made = attach_tables(tmp_path / "report", files, study)
        study.provenance["config"]["study"]["datasets"] = kept
        assert (
            sum("data sets" in one.stem or "every data set" in one.stem for one in made) == expected
        )


def test_figures_are_files_of_valid_svg_with_their_title(attached):
    figures = sorted(attached.glob("*/*.svg"))
    assert len(figures) == len({path.stem for path in figures}) > 15
    assert {path.parent.name for path in figures} <= set(CATEGORIES)
    for path in figures:
        tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert tree.tag == f"{XML}svg"
        title = tree.find(f"{XML}title").text
        assert path == attachment(attached, path.parent.name, title, ".svg")
        assert re.match(r"Figure \d+\.\d+ \w", title)
        assert float(tree.get("width").removesuffix("pt")) > 300
        assert "var(--" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["scatter", "bar"])
def test_hostile_texts_of_a_figure_stay_texts(kind):
    trace = {"scatter": go.Scatter, "bar": go.Bar}[kind](x=["a", HOSTILE], y=[1, 2], name=HOSTILE)
    figure = go.Figure([trace, trace])
    figure.update_layout(xaxis_title=HOSTILE, height=300)
    tree = ElementTree.fromstring(to_file(to_svg(figure, "one", "words"), HOSTILE))
    clean = re.sub("[\x07\x1b]", "", HOSTILE)
    assert tree.find(f"{XML}title").text == clean
    texts = ["".join(one.itertext()) for one in tree.iter(f"{XML}text")]
    assert texts.count(clean) >= 2
    assert not list(tree.iter(f"{XML}script"))


@pytest.mark.parametrize("content", [HOSTILE, "../../etc/passwd", "a, b; c: d%2F#?*", "x" * 400])
def test_a_name_is_one_part_of_a_path_that_an_address_can_hold(content):
    path = attachment(Path("report"), CATEGORIES[0], content, ".svg")
    assert path.parent == Path("report") / CATEGORIES[0]
    assert not re.search(r"[,;%#?*:\\{}<>\x00-\x1f]", path.name)
    assert len(path.name.encode()) < 255


def test_every_section_and_every_table_has_its_place():
    assert sorted(CATEGORIES) == CATEGORIES
    assert set(SECTIONS) <= set(ORDER)
    assert set(ORDER) - set(SECTIONS) <= {"provenance"}
    for language in ("en", "zh"):
        texts = Catalogue(language).texts
        for key in [*TABLES, *ACROSS, "tuned", "searched", "weighted"]:
            assert f"attached.{key}.title" in texts
    titles = [Catalogue("en").plain(f"attached.{key}.title") for key in [*TABLES, *ACROSS]]
    assert [attachment(Path(), "c", title, "").name for title in titles] == titles
    assert len(set(titles)) == len(titles)
