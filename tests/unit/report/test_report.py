"""The report holds the numbers of the tables, escapes titles, and needs no network."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser

import generated_study
import numpy as np
import pandas as pd
import pytest
from reading import read
from scipy import stats

from cfmf.methods.base import text_parts
from cfmf.published.reporting.extension import EXTENSION
from cfmf.report import numbers
from cfmf.report.context import EXTRA, load
from cfmf.report.extension import catalogue
from cfmf.report.page import Text, every, plots
from cfmf.report.render import render
from cfmf.report.sections import (
    calibration,
    cold_start,
    cost,
    effort,
    inference,
    ratings,
    sections,
)
from cfmf.report.sections.peeking import prices
from cfmf.report.sections.trainings import trainings
from cfmf.report.strings import DECIMALS, Catalogue
from cfmf.statistics.names import ESTIMANDS, POPULATIONS
from cfmf.workflow.layout import Results

LIMIT = {"embedded": 4.8e6, "svg": 1.5e6}


@pytest.mark.parametrize("key", ESTIMANDS)
def test_statistics_name_the_estimands_that_were_tested(study, key):
    tests = study.tables["tests"]
    blocked = tests["design"] == "by_fold"
    tests = tests.assign(estimand=tests["estimand"].where(~blocked, key))
    words = Catalogue("en")
    made = inference.blocks(
        dataclasses.replace(study, tables={**study.tables, "tests": tests}), words
    )
    text = " ".join(block.html for block in every(made) if isinstance(block, Text))
    for other in ESTIMANDS:
        assert (words(f"statistics.estimand_{other}") in text) == (other == key)


def test_report_does_without_the_tests_between_methods(study, tmp_path):
    tests = study.tables["tests"]
    kept = tests[tests["estimand"] != "E3"]
    assert len(kept) < len(tests)
    path = tmp_path / "report.html"
    render(dataclasses.replace(study, tables={**study.tables, "tests": kept}), path, plotly="svg")
    page = read(path.read_text(encoding="utf-8"))
    assert "contrasts" not in page.tables
    assert "summary" in page.tables


def test_summary_equals_the_tables(page, results):
    selected = pd.read_csv(results / generated_study.DATASET / "evaluation/selected.tsv", sep="\t")
    test = selected[selected["split"] == "test"]
    shown = page.table("summary").set_index("method")
    for metric, column in [("rmse", "rmse"), ("mae", "mae")]:
        rows = test[test["metric"] == metric]
        by_fold = rows.groupby(["method", "fold"])["value"].mean()
        expected = by_fold.groupby("method").mean()
        assert set(shown.index) == set(expected.index)
        np.testing.assert_allclose(shown[column].astype(float), expected[shown.index], rtol=1e-8)
    spread = test[test["metric"] == "rmse"].groupby("method")["value"].std()
    np.testing.assert_allclose(shown["sd"].astype(float), spread[shown.index], rtol=1e-8)
    assert shown["rmse"].astype(float).is_monotonic_increasing


def test_tables_that_stand_as_they_are_equal_their_files(page, results):
    home = results / generated_study.DATASET
    tests = pd.read_csv(home / "statistics/tests.tsv", sep="\t")
    published = tests[tests["design"] == "unblocked"]
    shown = page.table("published-1")
    named = catalogue("en", [EXTENSION]).terms("test", published["test"])
    assert shown["test"].str.replace("nan", "–").tolist() == named
    for column in ("stat", "p_raw"):
        np.testing.assert_allclose(
            shown[column].astype(float), published[column], rtol=1e-8, equal_nan=True
        )
    medians = pd.read_csv(home / "statistics/medians.tsv", sep="\t")
    corrected = medians.loc[medians["arm"] == "tuned_reg", "median"]
    np.testing.assert_allclose(page.table("medians")["median"].astype(float), corrected)


def test_rise_with_k_is_that_of_the_tables(page, study):
    """From the metrics, by the rule that the text states; the best k is chosen without test."""
    rows = study.tables["metrics"].query("metric == 'rmse' and k != ''")
    wide = rows.pivot_table(index=["method", "fold", "k", "reg"], columns="split", values="value")
    chosen = wide.loc[wide.groupby(["method", "fold", "k"])["validation"].idxmin()].reset_index()
    chosen["k"] = chosen["k"].astype(int)
    means = chosen.groupby(["method", "k"])[["validation", "test", "train"]].mean()
    shown = page.table("rises-with-k").set_index("method").astype(float)
    assert set(shown.index) == {"mf", "mf-published"}
    for method, row in shown.iterrows():
        curve = means.loc[method]
        best, largest = curve.loc[curve["validation"].idxmin()], curve.loc[curve.index.max()]
        assert row["best_k"] == best.name
        assert row["largest_k"] == largest.name
        for name, point in (("best", best), ("largest", largest)):
            assert row[name] == pytest.approx(point["test"])
            assert row[f"{name}_gap"] == pytest.approx(point["test"] - point["train"])
        assert row["rise"] == pytest.approx(largest["test"] - best["test"])
    assert shown.loc["mf-published", "rise"] > 0.2


def test_best_k_and_rise_do_not_follow_the_test_error(study):
    """Test errors turned round leave the best k where it was."""
    metrics = study.tables["metrics"].copy()
    of_test = (metrics["split"] == "test") & (metrics["metric"] == "rmse")
    metrics.loc[of_test, "value"] *= -1
    turned = numbers.rises(dataclasses.replace(study, tables={**study.tables, "metrics": metrics}))
    plain = numbers.rises(study)
    assert turned["best_k"].equals(plain["best_k"])
    np.testing.assert_allclose(turned["rise"], -plain["rise"])


def test_grid_search_and_folds_stand_in_the_tables(page, results):
    home = results / generated_study.DATASET
    trials = pd.concat(pd.read_csv(path, sep="\t") for path in home.glob("neighbours/*/trials.tsv"))
    expected = trials.groupby(["method", "setting"])["value"].mean()
    shown = page.table("neighbour-trials").set_index(["method", "setting"])["value"].astype(float)
    np.testing.assert_allclose(shown.sort_index(), expected.sort_index(), rtol=1e-8)
    assert page.table("folds")["fold"].tolist() == generated_study.FOLDS


def test_matrices_of_the_first_fold_are_described(study, page, results):
    """Shape, storage, dtype and ratings; without an audit of parts, what train and test share."""
    shown = page.table("matrices")
    assert shown["storage"].tolist() == ["CSR", "CSR"]
    assert shown["dtype"].tolist() == ["float32", "float32"]
    assert shown[["rows", "columns", "stored"]].astype(float).to_numpy().tolist() == [
        [90, 140, 2400],
        [90, 140, 600],
    ]
    assert "fold-overlap" not in page.tables
    bare = dataclasses.replace(study, audit={**study.audit, "overlap": {}})
    (table,) = [
        block for block in ratings._matrices(bare, Catalogue("en")) if block.name == "fold-overlap"
    ]
    rows = pd.read_parquet(results / generated_study.DATASET / "ratings/ratings.parquet")
    for row, name in zip(table.rows, ("user", "item"), strict=True):
        train, test = set(rows[name][600:]), set(rows[name][:600])
        sizes = [len(train), len(test), len(train & test), len(train | test)]
        assert [row[k] for k in ("train", "test", "intersection", "union")] == sizes


def test_the_audit_is_shown_as_the_study_published_it(page):
    """Shapes, distinct users and items of train, test, both and either, and the first rows."""
    shapes = page.table("audit-files")["shape"]
    assert ["".join(shape.split()) for shape in shapes] == ["3002×4", "140×3"]
    overlap = page.table("audit-overlap").set_index("what")
    assert overlap.loc["items"].astype(float).tolist() == [140, 17, 17, 140]
    assert page.table("audit-heads")["content"].tolist()[0] == "7 2 3.0 2005-01-01"


@pytest.mark.parametrize(
    ("known", "said", "unsaid"),
    [
        ({}, "No known checksum matches these files", "verified"),
        ({"genuine": {"a": "x"}}, "Checksum verified: a.", "all files verified"),
        (
            {"genuine": {"a": "x", "b": "y"}},
            "Checksums of all files verified",
            "matches the other files",
        ),
        (
            {"genuine": {"a": "x", "b": "x"}, "archives": {"z.zip": {"genuine": True}}},
            "archive, z.zip, matches",
            "matches the other files",
        ),
        (
            {"truth": {"best_rmse": 0.7251, "oracle_rmse": 0.7302}},
            "test part is 0.7251",
            "verified",
        ),
    ],
)
def test_files_are_called_genuine_only_if_known_to_be(known, said, unsaid):
    told = ratings._genuine({"files": {"a": {}, "b": {}}} | known, Catalogue("en")).striptags()
    assert said in told
    assert unsaid not in told
    ratings._genuine({"files": {"a": {}, "b": {}}} | known, Catalogue("zh"))


def test_titles_of_the_data_stay_text(pages):
    for html in pages.values():
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html


def test_figures_json_cannot_leave_its_element(pages):
    found = re.findall(
        r'<script type="application/json" data-plot="(.*?)">(.*?)</script>',
        pages["en", "embedded"],
        re.DOTALL,
    )
    assert len(found) > 10
    for _, text in found:
        assert "<" not in text
        assert json.loads(text)["data"]


@pytest.mark.parametrize("kind", ["embedded", "svg"])
def test_size_and_self_containment(pages, kind):
    html = pages["en", kind]
    assert len(html.encode()) < LIMIT[kind]
    assert read(html).fetched == []
    assert html.count("plotly.js (cartesian - minified) v") == (kind == "embedded")


def test_ids_are_unique_and_headings_do_not_skip(pages):
    for html in pages.values():
        reader = read(html)
        assert len(reader.ids) == len(set(reader.ids))
        assert reader.headings[0] == 1
        assert all(b - a <= 1 for a, b in zip(reader.headings, reader.headings[1:], strict=False))


def test_chinese_page_has_no_english_prose_left(pages):
    html = re.sub(" data-(en|words)=(\"[^\"]*\"|'[^']*')", "", pages["zh", "embedded"])
    assert re.search('<html [^>]*lang="zh-CN"', html)
    assert "主要结论" in html
    assert "Key findings" not in html


NAMES = set(
    """
    Anova AdamW ANOVA Bartlett Bengio Bonferroni Brown Cliff Conover CSV TSV Davenport Dunn
    Forsythe Friedman Geisser Gibbs Greenhouse Holm Hyperband Iman JAX Kendall Kolmogorov Kruskal
    Lilliefors MAE MovieLens Nadeau NDCG Nemenyi Netflix PyTorch Python RMSE SHA Shapiro Smirnov
    Snakemake TOST TPE Tukey Wald Wallis Welch Wilcoxon Wilk CPU GPU GiB Apache Goldberg GroupLens
    Linden Mersenne Philox Resnick Tapestry Twister Word cfmf git kNN als baseline Torch reg
    torch UTC LaTeX PNG SVG recall trained float pending doi cosine generated generator past
    English key set
    """.split()
)
"""Names of people, methods, libraries, measures, files and parameters: the same in any language."""
WORD = re.compile(r"(?<![\w.~/-])[A-Za-z]{3,}(?![\w=~-]|\.\w)")


class Prose(HTMLParser):
    """The text of a page that is neither code nor data, and the headings of its tables."""

    def __init__(self):
        super().__init__()
        self.silent, self.found = [], []

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        if self.silent:
            if tag == self.silent[-1]:
                self.silent.append(tag)
        elif tag in {"code", "style", "script", "cite", "q"} or known.get("data-name") in OF_DATA:
            self.silent.append(tag)
        self.found += [known[name] for name in ("aria-label", "alt", "title") if known.get(name)]

    def handle_endtag(self, tag):
        if self.silent and tag == self.silent[-1]:
            self.silent.pop()

    def handle_data(self, text):
        if not self.silent:
            self.found.append(text)


OF_DATA = {"head", "recommendations", "explanations", "factors", "similar-titles"}
"""Tables that hold titles."""


def test_chinese_page_holds_no_latin_words_but_names(pages):
    prose = Prose()
    prose.feed(pages["zh", "embedded"])
    drawn = re.findall(
        '<script type="application/json" data-plot="[^"]*">(.*?)</script>', pages["zh", "embedded"]
    )
    texts = [*prose.found, *(text for figure in drawn for text in words_of(json.loads(figure)))]
    words = {word for text in texts for word in WORD.findall(text)}
    assert sorted(words - NAMES) == []


def words_of(figure, key=""):
    """The titles, names, labels and annotations of a figure; not what it computes with."""
    if isinstance(figure, dict):
        for name, value in figure.items():
            yield from words_of(value, name)
    elif isinstance(figure, list):
        for value in figure:
            yield from words_of(value, key)
    elif isinstance(figure, str) and key in {"text", "name", "ticktext", "hovertemplate"}:
        yield re.sub(r"%{[^}]*}|<[^>]*>", " ", figure)


def test_the_light_page_draws_its_figures_and_counts_those_it_leaves_out(pages):
    every, still = (
        re.findall("<figure .*?</figure>", pages["en", kind], re.DOTALL)
        for kind in ("embedded", "svg")
    )
    assert all("<path" in figure for figure in still)
    left = re.findall(r"Collapsed figures: (?:<[^>]*>)*(\d+)", pages["en", "svg"])
    assert len(still) + sum(map(int, left)) == len(every) > len(still)


def test_two_renderings_are_the_same_bytes(study, tmp_path, pages):
    """The still figures have a test of their own."""
    render(study, tmp_path / "again.html", "en", extensions=[EXTENSION])
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == pages["en", "embedded"]


def test_only_what_tells_times_is_volatile(study, tmp_path, pages):
    """A run with other times differs in costs, provenance and the time columns alone."""
    costs = study.tables["costs"].assign(value=lambda rows: rows["value"] * 2)
    slower = dataclasses.replace(study, tables={**study.tables, "costs": costs}, provenance={})
    render(slower, tmp_path / "slower.html", "en", extensions=[EXTENSION])
    both = [
        re.split(r'<section id="([\w-]+)"', html)
        for html in (
            pages["en", "embedded"],
            (tmp_path / "slower.html").read_text(encoding="utf-8"),
        )
    ]
    first, second = (dict(zip(parts[1::2], parts[2::2], strict=True)) for parts in both)
    differing = {name for name in first if first[name] != second.get(name)}
    timed = {"answer", "questions", "summary", "cost", "absent"}
    assert differing <= {*timed, "published-study", "provenance"}
    assert "cost" in differing


def test_missing_optional_tables_leave_a_sentence(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    home = tmp_path / "results" / generated_study.DATASET
    for name in ("statistics", "similarity", "factorization", "raw", "benchmarks", "published"):
        shutil.rmtree(home / name)
    for name in ("slices", "costs", "selection", *EXTRA):
        (home / f"evaluation/{name}.tsv").unlink(missing_ok=True)
    (home / "provenance.json").unlink()
    bare = load(Results(tmp_path / "results", generated_study.DATASET))
    render(bare, tmp_path / "bare.html", extensions=[EXTENSION])
    html = (tmp_path / "bare.html").read_text(encoding="utf-8")
    for sentence in (
        "The statistics stage has not been run.",
        "This run has no user similarities.",
        "This run has no errors by length of history.",
        "This run recorded no provenance.",
    ):
        assert html.count(sentence) == 1
    shown = read(html)
    lacking = html[html.index('<section id="absent"') :]
    for name in ("statistics", "similarity", "cold-start", "provenance"):
        # No heading, but the anchor, as other sections link to it.
        assert f'<section id="{name}"' not in html
        assert f'<span id="{name}">' in lacking
    for target in re.findall('href="#([^"]+)"', html):
        assert target in shown.ids


def test_similarities_of_the_nearest_alone_are_told_to_be_so(page, pages, results, tmp_path):
    home = tmp_path / "results" / generated_study.DATASET
    shutil.copytree(results, tmp_path / "results")
    generated_study.similarity(home, full_limit=0, top=5)
    listed = load(Results(tmp_path / "results", generated_study.DATASET))
    assert listed.similarity.histogram["count"].sum() == 90 * 5
    assert listed.similarity.histogram["high"].max() <= 1
    render(listed, tmp_path / "listed.html")
    html = (tmp_path / "listed.html").read_text(encoding="utf-8")
    assert "similarity-corner" not in read(html).tables
    assert "most similar users of each user were stored" in html
    assert "most similar users of each user were stored" not in pages["en", "embedded"]
    matrix = np.load(results / generated_study.DATASET / "similarity/u1.npz")["matrix"]
    shown = page.table("similarity-corner").set_index("user").astype(float)
    np.testing.assert_allclose(shown, matrix[:5, :5], atol=1e-6)


@pytest.mark.parametrize(("highest", "decimals"), [(5, 4), (1.004, 7), (101, 3)])
def test_errors_are_written_in_the_unit_of_the_ratings(study, tmp_path, highest, decimals):
    scale = {"minimum": 1, "maximum": highest, "step": 1}
    other = dataclasses.replace(study, audit={**study.audit, "scale": scale})
    render(other, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    answer = html[html.index('id="answer"') : html.index('id="questions"')]
    shown = re.findall(r"<data value=.[\d.]+.>(?:0|1)\.(\d+)</data>", answer)
    assert {len(digits) for digits in shown} == {decimals}
    assert f":.{decimals}f}}" in html  # of what figures show on hovering
    assert DECIMALS.get() == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"s\th:m:s\n1\t0\n",
        b"s\tmax_rss\nx\t1\n",
        b"s\tmax_rss\n1\t2\n1\t2\t3\n",
    ],
)
def test_damaged_benchmark_is_named_and_left_out(results, caplog, content):
    home = results / generated_study.DATASET
    (home / "benchmarks/parse_ratings.tsv").write_bytes(content)
    study = load(Results.of_study(home, [one for one in results.rglob("*") if one.is_file()]))
    assert set(study.benchmarks["rule"]) == {"train_factorization"}
    assert "parse_ratings.tsv is not a benchmark table" in caplog.text


def test_results_that_another_config_left_are_not_read(results):
    home = results / generated_study.DATASET
    kept = [path for path in results.rglob("*") if path.is_file()]
    kept = [path for path in kept if "published" not in path.parts]
    kept.remove(home / "factorization/mf/k~64_reg~0.2/history.parquet")
    kept.remove(home / "neighbours/item-knn/trials.tsv")
    kept.remove(home / "benchmarks/parse_ratings.tsv")
    study = load(Results.of_study(home, kept))
    assert not EXTENSION.load(study, Results.of_study(home, kept)).added.keys() & {"frame", "curve"}
    assert ("mf", "64", "0.2") not in study.histories
    assert ("mf", "64", "0.05") in study.histories
    assert set(study.neighbour_trials["method"]) == {"user-knn"}
    assert set(study.benchmarks["rule"]) == {"train_factorization"}


@pytest.mark.parametrize("path", ["evaluation/metrics.tsv", "ratings/audit.json"])
def test_missing_mandatory_file_is_named(results, tmp_path, path):
    shutil.copytree(results, tmp_path / "results")
    (tmp_path / "results" / generated_study.DATASET / path).unlink()
    with pytest.raises(ValueError, match=rf"{path} is missing; run"):
        load(Results(tmp_path / "results", generated_study.DATASET))


def test_damaged_file_is_named(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    (tmp_path / "results" / generated_study.DATASET / "statistics/verdict.json").write_text("{")
    with pytest.raises(ValueError, match=r"verdict\.json is not JSON"):
        load(Results(tmp_path / "results", generated_study.DATASET))


def test_unknown_kind_of_figure_is_refused(study, tmp_path):
    with pytest.raises(ValueError, match="embedded, figures, svg"):
        render(study, tmp_path / "x.html", plotly="png")


def test_setting_is_taken_apart():
    assert text_parts("similarity=pearson-baseline neighbours=40 reg=0.1") == {
        "similarity": "pearson-baseline",
        "neighbours": "40",
        "reg": "0.1",
    }


def test_frontier_keeps_what_nothing_beats():
    points = pd.DataFrame({"seconds": [1.0, 2, 3, 2], "rmse": [0.95, 0.92, 0.93, 0.92]})
    assert numbers.frontier(points).tolist() == [True, True, False, True]


def test_measured_tables_stand_in_the_page(page, results):
    home = results / generated_study.DATASET / "evaluation"
    ranking = pd.read_csv(home / "ranking.tsv", sep="\t").query("metric == 'ndcg'")
    shown = page.table("ranking").set_index("method")["ndcg"].astype(float)
    expected = ranking.set_index("method")["value"]
    np.testing.assert_allclose(shown[expected.index], expected, rtol=1e-8)
    assert shown.is_monotonic_decreasing
    assert page.table("fits")["bytes"].astype(float).tolist() == [4000] * len(expected)
    assert page.table("explanations")["kind"].tolist() == [
        "factor",
        "similar user",
        "similar title",
    ]
    assert page.table("recommendations")["title"].tolist() == [generated_study.HOSTILE]


@pytest.mark.parametrize("kind", ["embedded", "svg"])
def test_cut_histories_are_told_of_every_method(pages, results, kind):
    home = results / generated_study.DATASET / "evaluation"
    trimmed = pd.read_csv(home / "cold_start.tsv", sep="\t").query("metric == 'rmse'")
    shown = read(pages["en", kind]).table("trimmed-rmse").set_index("method").astype(float)
    expected = trimmed.pivot_table(index="method", columns="level", values="value")
    np.testing.assert_allclose(shown.loc[expected.index, expected.columns], expected)
    assert shown.columns.tolist() == ["0", "2", "20", "all"]
    drawn = {"trimmed"} | ({"published-ratings-left"} if kind == "embedded" else set())
    assert drawn <= {name.removeprefix("figure-") for name in read(pages["en", kind]).ids}


def test_every_method_is_in_a_figure_of_cut_histories(study):
    made = cold_start.blocks(study, Catalogue("en"))
    names = {"trimmed", "published-ratings-left"}
    figures = [plot.figure for plot in plots(made) if plot.name in names]
    drawn = [trace.name for figure in figures for trace in figure.data]
    assert sorted(drawn) == sorted(generated_study.LEVEL)


@pytest.mark.parametrize("name", EXTRA)
def test_sections_stand_where_every_value_of_a_table_is_missing(study, name):
    """As the intervals of errors that are all 0 are."""
    table = study.extra[name]
    values = table.columns.intersection(["value", "ci_low", "ci_high", "rmse", "seconds"])
    extra = {**study.extra, name: table.assign(**dict.fromkeys(values, np.nan))}
    assert sections(dataclasses.replace(study, extra=extra), Catalogue("en"), [])


def test_measured_times_stand_about_the_line_of_their_exponent(study):
    points = cost.fitted(study)
    assert len(points) == len(study.extra["timings"])
    np.testing.assert_allclose(points["fitted"], points["seconds"], rtol=1e-6)
    timings = study.extra["timings"].copy()
    last = timings["size"] == 800
    timings.loc[last, "seconds"] = 0.0
    left = cost.fitted(dataclasses.replace(study, extra={**study.extra, "timings": timings}))
    assert left["size"].max() == 400
    figures = {plot.name for plot in plots(cost.blocks(study, Catalogue("en")))}
    assert {"growth-ratings", "growth-users", "growth-k"} <= figures


def test_both_searches_are_drawn_against_trials_and_seconds(study):
    points = effort.progress(study)
    assert set(points["method"]) == {"user-knn", "mf"}
    assert set(points["by"]) == {"grid", "search"}
    for (method, by), rows in points.groupby(["method", "by"]):
        assert rows["value"].is_monotonic_decreasing, (method, by)
        assert rows["seconds"].dropna().is_monotonic_increasing, (method, by)
    grid = points[(points["method"] == "mf") & (points["by"] == "grid")]
    assert grid["trials"].max() == len(generated_study.KS) * len(generated_study.REGS)
    metrics = study.tables["metrics"]
    errors = metrics[
        (metrics["method"] == "mf")
        & (metrics["metric"] == "rmse")
        & (metrics["split"] == "validation")
    ]
    means = errors.groupby(["fold", "k", "reg"])["value"].mean()
    assert grid["value"].iloc[-1] == pytest.approx(means.groupby("fold").min().mean())
    # The second trial of mf was pruned: it took time and counts no error.
    search = points[(points["method"] == "mf") & (points["by"] == "search")]
    assert len(set(search["value"])) == 1
    assert search["seconds"].tolist() == [7.0, 11.0]


def test_effort_of_tuning_is_counted_and_what_was_cut_is_told(page, pages, results):
    home = results / generated_study.DATASET
    shown = page.table("effort").set_index("method")
    for method in ("user-knn", "item-knn"):
        trials = pd.read_csv(home / f"neighbours/{method}/trials.tsv", sep="\t")
        assert int(shown.loc[method, "trials"]) == trials["setting"].nunique()
    grid = len(generated_study.KS) * len(generated_study.REGS)
    assert int(shown.loc["mf", "trials"]) == grid
    assert shown["budget"].astype(float).eq(90).all()
    costs = pd.read_csv(home / "evaluation/costs.tsv", sep="\t")
    fits = costs[(costs["method"] == "mf") & (costs["stage"] == "fit")]
    a_fold = fits["value"].sum() / len(generated_study.FOLDS)
    assert float(shown.loc["mf", "seconds"]) == pytest.approx(a_fold, rel=1e-8)
    cut = shown["stopped"].astype(int)
    assert cut["mf"] == len(generated_study.REGS)
    assert cut.sum() == cut["mf"]
    assert "training runs (methods: <code>mf</code>)" in pages["en", "embedded"]


def test_trainings_are_counted_from_the_table(page, study):
    table = trainings(study.tables["metrics"]).set_index("method")
    metrics = study.tables["metrics"]
    rows = metrics[(metrics["method"] == "mf") & (metrics["metric"] == "starts")]
    split = {name: group["value"] for name, group in rows.groupby("split")}
    assert table.loc["mf", "runs"] == len(split["fit"])
    assert table.loc["mf", "several"] == (split["fit"] > 1).sum() > 0
    assert table.loc["mf", "restarted"] == (split["train"] > 1).sum() > 0
    assert (table["unconverged"] > 0).to_dict() == {"mf": False, "mf-published": True}
    errors = metrics[(metrics["metric"] == "rmse") & (metrics["method"] == "mf")]
    wide = errors.pivot_table(index=["k", "reg", "fold"], columns="split", values="value")
    assert table.loc["mf", "ratio"] == pytest.approx((wide["train"] / wide["fit"]).max())
    shown = page.table("trainings").set_index("method").astype(float)
    pd.testing.assert_frame_equal(shown, table.astype(float), check_names=False)


def test_price_of_peeking_is_that_of_the_chosen_settings(page, study):
    table = prices(study)
    assert table["method"].to_list() == ["mf-published"]
    price = table.iloc[0]
    gaps = 0.002 * np.arange(1, len(generated_study.FOLDS) + 1)
    assert price["price"] == pytest.approx(gaps.mean())
    sizes = study.folds["folds"].values()
    ratio = np.mean([one["test"] / (one["fit"] + one["validation"]) for one in sizes])
    half = stats.t.isf(0.025, gaps.size - 1) * gaps.std(ddof=1) * (1 / gaps.size + ratio) ** 0.5
    assert (price["low"], price["high"]) == pytest.approx((gaps.mean() - half, gaps.mean() + half))
    assert price["rmse"] - price["lowest"] == pytest.approx(price["price"])
    metrics = study.tables["metrics"]
    tried = metrics[metrics["metric"] == "rmse_lowest_epoch"]
    least = tried.groupby("fold")["value"].min().mean()
    assert price["anywhere"] == pytest.approx(least)
    shown = page.table("peeking").set_index("method").astype(float)
    pd.testing.assert_frame_equal(shown, table.set_index("method").astype(float), check_names=False)


def test_split_schemes_are_compared(page, pages):
    shown = page.table("split-schemes-1").set_index("method").astype(float)
    for method, level in generated_study.LEVEL.items():
        assert shown.loc[method, "first"] == pytest.approx(level)
        assert shown.loc[method, "difference"] == pytest.approx(0.05)
    assert "methods on all of them: " in pages["en", "embedded"]


def test_a_study_of_one_data_set_takes_no_figures_of_another(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    path = tmp_path / "results" / generated_study.DATASET / "provenance.json"
    known = json.loads(path.read_text())
    known["config"]["study"]["datasets"] = [generated_study.DATASET]
    path.write_text(json.dumps(known))
    alone = load(Results(tmp_path / "results", generated_study.DATASET))
    assert not [name for name in alone.extra if name.startswith("across")]


def test_coverage_is_that_of_the_benchmark(page):
    rows = pd.read_csv(calibration.MEASURED, sep="\t")
    rows = rows[~rows["kind"].isin(["family", "omnibus"])]  # which are in the text
    shown = page.table("coverage")
    for name in POPULATIONS:
        found = shown[f"coverage_{name}"].astype(float)
        np.testing.assert_allclose(found, rows[f"coverage_{name}"])


def test_a_figure_has_the_same_number_on_every_page(pages):
    numbers = [
        dict(re.findall(r'id="words-([^"]+)"><strong>(?:<span[^>]*>)?Figure ([\d.]+)\.', html))
        for (language, _), html in pages.items()
        if language == "en"
    ]
    whole = max(numbers, key=len)
    assert len(set(whole.values())) == len(whole) > 15
    for page in numbers:
        assert page.items() <= whole.items()
