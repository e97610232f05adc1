"""What the published study adds to the report: its errata, claims, search, tests and trainings."""

import dataclasses
import re

import generated_study
import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from reading import read
from scipy import stats

from cfmf.published.printed import printed_numbers, quotes
from cfmf.published.reporting import (
    beside,
    errata,
    judgements,
    libraries,
    question,
    search_as_run,
    tests_as_run,
    training_as_run,
)
from cfmf.published.reporting.evidence import EVIDENCE
from cfmf.published.reporting.extension import EXTENSION
from cfmf.published.reporting.part import PARTS
from cfmf.published.reporting.part import blocks as parts_of
from cfmf.report.extension import catalogue
from cfmf.report.page import Collapsed, Note, Plot, Table
from cfmf.report.sections.factors import curve_choice

WORDS = catalogue("en", [EXTENSION])


def test_backends_and_generators_stand_in_the_tables(page, pages, results):
    home = results / generated_study.DATASET / "backends"
    for name in ("backends", "generators"):
        kept = pd.read_csv(home / f"{name}.tsv", sep="\t")
        shown = page.table(name)
        for column in shown.columns:
            written = (
                kept[column].astype(float) if kept[column].dtype.kind in "if" else kept[column]
            )
            read = shown[column].astype(written.dtype)
            assert read.to_list() == pytest.approx(written.to_list()), column
    assert "A large p is not evidence of agreement" in pages["en", "embedded"]
    assert "reported a statistic of 0.0192 for torch, 0.0344 for JAX" in re.sub(
        "<[^>]+>", "", pages["en", "embedded"]
    )


def test_statistics_of_the_studys_samples_are_those_of_its_generators():
    rows = [("42", "torch", "normal", 0.01), ("42", "jax-before-0.5", "normal", 0.02),
            ("42", "jax", "normal", 0.9), ("42", "torch", "jax-before-0.5", 0.03),
            ("43", "torch", "normal", 0.8)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["seed", "sample", "against", "statistic"])
    found = {name: str(value) for name, value in libraries._at_seed(table, 42).items()}
    assert [re.sub("<[^>]+>", "", text) for text in found.values()] == [
        "0.0100",
        "0.0200",
        "0.0300",
    ]
    assert libraries._at_seed(table[:1], 42)["jax_here"] == "–"


def test_variants_are_told_against_the_plain_model(study):
    """Half the folds of a variant are .01 better than `mf` and half .03 worse."""
    rows = study.tables["selected"]
    plain = rows[rows["method"] == "mf"]
    worse = np.where(plain["fold"].isin(["u1", "u2"]), -0.01, 0.03)
    variant = plain.assign(method="mf-cubic", value=plain["value"] + worse)
    points = study.tables["metrics"]
    tried = points[points["method"] == "mf"].assign(method="mf-cubic")
    tables = {
        **study.tables,
        "selected": pd.concat([rows, variant]),
        "metrics": pd.concat([points, tried]),
    }
    found = training_as_run._variants(dataclasses.replace(study, tables=tables), WORDS)
    (row,) = [row for row in found[-1].rows if row["method"] == "mf-cubic"]
    assert row["difference"] == pytest.approx((2 * -0.01 + 3 * 0.03) / 5)
    assert row["folds"] == 2
    assert row["trials"] == len(tried[["k", "reg"]].drop_duplicates())
    assert "lower in" in str(found[2].items[0])
    assert not training_as_run._variants(study, WORDS)


def test_ends_of_the_published_training_are_shown(study, page):
    point = curve_choice(study, "mf-published")
    history = study.histories[point[len(point) // 2]]
    shown = page.table("history-mf-published").astype(float)
    assert shown["epoch"].tolist() == [0, 1, 2, 3, 4, 595, 596, 597, 598, 599]
    ends = history[history["epoch"].isin(shown["epoch"])]
    for column in ("loss", "train_rmse", "test_rmse", "delta_loss"):
        np.testing.assert_allclose(shown[column], ends[column], rtol=1e-8)
    text, _ = training_as_run._history(study, point[len(point) // 2], WORDS)[0].blocks
    assert "100</data> it/s" in text.html  # 0.01 s an epoch
    assert "26.98</data> it/s" in text.html


def test_peeking_at_test_is_never_worse_than_validation(study):
    """The least over settings of a fold's test RMSE cannot exceed that of any one setting."""
    found = EVIDENCE[4](study)
    values = {name: float(re.search(r'value="(.*?)"', found[name])[1]) for name in found}
    assert values["peeked"] <= values["honest"]
    assert values["gain"] == pytest.approx(values["honest"] - values["peeked"], abs=1e-8)


def test_double_root_of_the_published_trial_is_undone():
    """From the study's own trial 0: the root of its loss is its train 'RMSE'."""
    printed = printed_numbers()
    assert printed["trial_0_loss"] ** 0.5 == pytest.approx(printed["trial_0_train"], abs=2e-6)
    assert printed["jax_test"] ** 2 == pytest.approx(0.9571, abs=5e-5)
    assert [round(v**2, 4) for v in printed["best_by_k"].values()] == [
        0.9181,
        0.9251,
        0.8389,
        0.8794,
    ]


@pytest.mark.parametrize(
    ("verdict", "difference", "status"),
    [
        ("better_and_matters", -0.02, "supported"),
        ("better_and_matters", 0.02, "contradicted"),
        ("better_below_margin", -0.002, "immaterial"),
        ("equivalent", 0.001, "immaterial"),
        ("inconclusive", -0.02, "undecided"),
        (np.nan, -0.02, "undecided"),
    ],
)
def test_status_is_that_of_the_verdict_on_the_pair(verdict, difference, status):
    assert judgements.status(verdict, difference) == status


def test_the_widest_interval_of_a_pair_judges():
    """Of two populations; either side of the pair may come first."""
    rows = pd.DataFrame(
        [
            ("a", "b", -0.02, -0.021, -0.019, "better_and_matters", "new_ratings"),
            ("b", "a", 0.02, -0.01, 0.05, "inconclusive", "new_users"),
            ("a", "c", 0.5, 0.1, 0.9, "better_and_matters", "new_users"),
        ],
        columns="group_a group_b effect ci_low ci_high verdict population".split(),
    ).assign(margin=0.01)
    found = judgements.of_pair(rows, "a", "b")
    assert (found.status, found.values["population"]) == ("undecided", "new_users")
    ends = [float(re.search('value="(.*?)"', found.values[name])[1]) for name in ("low", "high")]
    assert ends == [-0.05, 0.01]
    assert judgements.of_pair(rows, "b", "c") is None


CONTRASTED = {
    "cf5": ("against_control", "", "item-knn", "user-knn"),
    "mf1": ("primary", "", "best_factorization", "best_neighbours"),
    "mf3": ("k", "mf", "16", "64"),
    "v5": ("k", "mf", "16", "64"),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("claim", CONTRASTED)
def test_claims_are_judged_by_their_one_contrast(study, claim, turned):
    """Whichever side of the contrast comes first in the table."""
    family, method, first, second = CONTRASTED[claim]
    known = {"family": family, "method": method, "test": "corrected_t", "estimand": "E1"}
    known |= {"factor": "k" if method else "method", "effect": -0.02, "ci_low": -0.025}
    known |= {"ci_high": -0.015, "group_a": first, "group_b": second, "margin": 0.01}
    if turned:
        known |= {"effect": 0.02, "ci_low": 0.015, "ci_high": 0.025}
        known |= {"group_a": second, "group_b": first}
    tests = study.tables["tests"]
    kept = tests[tests["test"] != "corrected_t"]

    def judged(verdict):
        row = pd.DataFrame([{**known, "verdict": verdict, "population": "new_ratings"}])
        tables = study.tables | {"tests": pd.concat([kept, row]).reset_index(drop=True)}
        return judgements.RULES[claim](dataclasses.replace(study, tables=tables))

    assert judged("better_and_matters").status == "supported"
    assert judged("inconclusive").status == "undecided"
    assert judged("equivalent").status == "immaterial"
    values = {name: str(value) for name, value in judged("inconclusive").values.items()}
    assert (values["first"], values["second"]) == (
        f"<code>{first}</code>",
        f"<code>{second}</code>",
    )
    assert ">−0.0250<" in values["low"]
    bare = dataclasses.replace(study, tables=study.tables | {"tests": kept})
    assert judgements.RULES[claim](bare) is None


def test_equal_methods_support_no_claim(study):
    """Methods equal by construction are equivalent or inconclusive, and no claim is a finding."""
    tests = study.tables["tests"].copy()
    of_pairs = tests["test"] == "corrected_t"
    for verdict in ("equivalent", "inconclusive"):
        tests.loc[of_pairs, "verdict"] = verdict
        noise = dataclasses.replace(study, tables=study.tables | {"tests": tests})
        found = judgements.judge(noise, ["cf5", "mf1", "mf3"])
        assert {one.status for one in found.values() if one} <= {"immaterial", "undecided"}


def of_published(study, gains, k="50", tolerance=1e-6):
    """The study with the published factorization better than its user CF by these, fold by fold."""
    rows = [
        ("ml-100k", fold, method, *point, "1", "test", "rmse", 1.0 - gain)
        for fold, each in zip(["u1", "u2", "u3", "u4", "u5"], gains, strict=True)
        for method, point, gain in (
            ("mf-published", (k, "0.01"), each),
            ("user-cf-published", ("", ""), 0),
        )
    ]
    names = ["dataset", "fold", "method", "k", "reg", "seed", "split", "metric", "value"]
    config = {
        "study": {"methods": ["mf-published"]},
        "methods": {"mf-published": {"tolerance": tolerance}},
        "statistics": {"alpha": 0.05, "ci_level": 0.95, "power": 0.8}
        | {"bootstrap_repeats": 100, "seed": 1},
    }
    return dataclasses.replace(
        study,
        tables=study.tables | {"metrics": pd.DataFrame(rows, columns=names)},
        folds={"folds": {f"u{i}": {"fit": 70, "validation": 10, "test": 20} for i in range(1, 6)}},
        provenance={"config": config},
    )


def test_untuned_factorization_is_compared_at_the_published_setting_only(study):
    """The interval is that of Nadeau and Bengio, by the formula."""
    gains = np.array([0.05, 0.06, 0.05, 0.07, 0.06])
    judged = judgements.RULES["v1"](of_published(study, gains))
    assert judged.status == "supported"
    half = stats.t.isf(0.025, 4) * gains.std(ddof=1) * (1 / 5 + 20 / 80) ** 0.5
    ends = sorted([-gains.mean() - half, -gains.mean() + half])
    shown = [float(re.search('value="(.*?)"', judged.values[name])[1]) for name in ("low", "high")]
    assert shown == pytest.approx(ends, rel=1e-6)
    assert judgements.RULES["v1"](of_published(study, -gains)).status == "contradicted"
    assert judgements.RULES["v1"](of_published(study, gains, k="64")) is None
    assert judgements.RULES["v1"](of_published(study, gains, tolerance=1e-4)) is None
    assert judgements.RULES["v1"](study) is None


def test_claims_about_space_are_counts(study):
    """90 users: 8,100 similarities, and 1,000 numbers in every model."""
    judged = judgements.RULES["mf4"](study)
    assert judged.status == "supported"
    counts = [float(re.search('value="(.*?)"', value)[1]) for value in judged.values.values()]
    assert counts == [1000, 1000, 8100]
    table = study.extra["fit_costs"].copy()
    table.loc[(table["method"] == "mf") & (table["measure"] == "numbers"), "value"] = 9000
    larger = dataclasses.replace(study, extra={**study.extra, "fit_costs": table})
    assert judgements.RULES["mf4"](larger).status == "contradicted"
    assert judgements.RULES["cf2"](study).status == "untestable"


@pytest.mark.parametrize("claim", ["cf1", "cf2", "cf4", "v2"])
def test_descriptions_judge_nothing(study, claim):
    """Numbers without a contrast are shown, and the claim is not testable."""
    assert judgements.RULES[claim](study).status == "untestable"


def test_every_claim_has_its_reason_where_it_is_not_testable():
    for claim in [*judgements.CLAIMS, *judgements.EXPERIMENT]:
        assert f"discussion.untestable_{claim}" in WORDS
        assert (f"discussion.evidence_{claim}" in WORDS) == (claim in judgements.RULES)


def test_conclusions_stand_in_the_page(pages):
    for language in ("en", "zh"):
        table = read(pages[language, "embedded"]).table("conclusions")
        assert len(table) == len(judgements.EXPERIMENT)


def test_medians_of_a_search_with_and_without_pruned_trials():
    frame = pd.DataFrame(
        {
            "number": range(6),
            "params_k": [1, 1, 1, 64, 64, 64],
            "state": ["COMPLETE", "PRUNED", "PRUNED", "COMPLETE", "PRUNED", "PRUNED"],
            "value": [0.95, 1.9, 1.95, 0.9, 2.9, np.nan],
        }
    )
    table = search_as_run.medians(frame)
    assert table["all"].tolist() == [1.9, 1.9]
    assert table["complete"].tolist() == [0.95, 0.9]
    assert table["pruned"].tolist() == [2, 1]
    assert search_as_run.order(table, "complete") == "64 < 1"


def searched(study, state, values):
    """The study after a search of one trial for each k, and with this state."""
    frame = pd.DataFrame(
        {"number": range(4), "state": state, "params_k": [1, 4, 16, 64], "params_lmd": 0.01}
    )
    return dataclasses.replace(study, added={"frame": frame.assign(value=values)})


def test_order_of_k_is_laid_to_the_recipe_or_to_pruning_by_the_complete_runs(study):
    """In the generated grid of mf-published RMSE rises with k; trials follow it or do not."""
    rising, falling = [0.91, 0.92, 0.93, 0.94], [0.94, 0.93, 0.92, 0.91]
    pruned = ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED"]
    alike, other = searched(study, pruned, rising), searched(study, pruned, falling)
    assert search_as_run.orders(alike)["grid"] == "1 < 4 < 16 < 64"
    assert (search_as_run.cause(alike), search_as_run.cause(other)) == ("recipe", "pruning")
    metrics = study.tables["metrics"]
    bare = {**study.tables, "metrics": metrics[metrics["method"] != "mf-published"]}
    assert (
        search_as_run.cause(dataclasses.replace(searched(study, "PRUNED", rising), tables=bare))
        == ""
    )
    told = [
        {str(block.html) for block in tests_as_run.blocks(found, WORDS) if isinstance(block, Note)}
        for found in (alike, other)
    ]
    for part in ("give the same order of k here", "Here the order does not depend on this"):
        assert any(part in text for text in told[0])
        assert not any(part in text for text in told[1])


def test_values_rooted_once_are_not_called_roots(study, results):
    runs = search_as_run.trials(study)
    assert search_as_run.square_root_twice(runs)
    np.testing.assert_allclose(runs["test_rmse"], runs["value"] ** 2, rtol=1e-8)
    table = study.added["trials"].copy()
    both = table.pivot_table(index="trial", columns="metric", values="value")
    rooted = table["metric"] == "test_rmse"
    table.loc[rooted, "value"] = table.loc[rooted, "trial"].map(both["value"])
    once = dataclasses.replace(study, added={**study.added, "trials": table})
    assert not search_as_run.square_root_twice(search_as_run.trials(once))
    text = str(search_as_run._text(search_as_run.trials(once), WORDS))
    assert "square root taken once" in text
    assert "is the square root" not in text


def test_every_published_part_is_followed_by_its_erratum_and_the_correction(study):
    blocks = tests_as_run.blocks(study, WORDS)
    names = [getattr(block, "name", block.__class__.__name__) for block in blocks]
    for kind in ("scatter", "box", "density"):
        at = names.index(f"{kind}-by-k")
        assert names[at + 1 : at + 3] == ["Note", f"{kind}-corrected"]
    shown = [b for b in blocks if isinstance(b, Plot | Table) and "corrected" not in b.name]
    for block in shown:
        following = blocks[blocks.index(block) + 1]
        assert isinstance(following, Note), block.name
        assert following.kind == "erratum"
        assert "as published" in block.title


def test_the_label_is_before_every_part_and_the_parts_are_collapsed(study):
    text, label, *parts = parts_of(study, WORDS)
    assert len(re.findall(r"\.(?= |$)", text.html.striptags())) == 3
    assert isinstance(label, Note)
    assert label.kind == "erratum"
    assert {one.name for one in parts if isinstance(one, Collapsed)} == set(PARTS)
    assert len(parts) == len(PARTS)


def test_tables_of_the_search_are_followed_by_their_erratum_and_the_correction(study):
    blocks = search_as_run.blocks(study, WORDS)
    (fold,) = (block for block in blocks if isinstance(block, Collapsed))
    for name, found in (("search-best", blocks), ("search-trials", fold.blocks)):
        names = [getattr(block, "name", block.__class__.__name__) for block in found]
        at = names.index(name)
        assert names[at + 1 : at + 3] == ["Note", f"{name}-corrected"]
        assert found[at + 1].kind == "erratum"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_all_errata_stand_in_the_report(study, language):
    words = catalogue(language, [EXTENSION])
    (table,) = (b for b in errata.blocks(study, words) if getattr(b, "name", "") == "errata")
    assert [row["number"] for row in table.rows] == list(range(1, 36))
    for row in table.rows:
        place, published = row["number"], str(row["published"])
        for line, quote in quotes()[place].items():
            assert str(line) in published
            assert str(escape(quote)) in published
        assert published.endswith(words(f"errata.published.e{place}"))
        assert row["correct"] == words(f"errata.correct.e{place}")
        assert row["here"]


def compared(study):
    """What the report puts beside the published figures: here, by what it is."""
    found = beside.blocks(study, WORDS)
    (table,) = (block for block in found if getattr(block, "name", "") == "beside-figures")
    return {row["what"]: row["here"] for row in table.rows}


def trained_as_published(study, method, k, reg, tolerance):
    """The study after one training of two epochs with these settings."""
    curve = pd.DataFrame({"epoch": [0, 1], "loss": [8.0, 0.5], "delta_loss": [8.0, 7.5]})
    curve = curve.assign(train_rmse=[4.0, 0.64], test_rmse=[4.1, 0.81], phase="refit")
    config = {"study": {"methods": [method]}, "methods": {method: {"tolerance": tolerance}}}
    return dataclasses.replace(
        study,
        histories={(method, k, reg): curve.assign(validation_rmse=np.nan)},
        provenance={"config": config},
    )


@pytest.mark.parametrize(
    ("k", "reg", "tolerance", "there"),
    [
        ("50", "0.01", 1e-6, True),
        ("64", "0.01", 1e-6, False),
        ("50", "0.1", 1e-6, False),
        ("50", "0.01", 1e-4, False),
    ],
)
@pytest.mark.parametrize(
    ("method", "name", "power"), [("mf-published", "torch", 1), ("mf-published-jax", "jax", 0.5)]
)
def test_trainings_are_compared_at_the_published_setting_only(
    study, method, name, power, k, reg, tolerance, there
):
    found = compared(trained_as_published(study, method, k, reg, tolerance))
    for part, value in (
        ("start_loss", 8.0), ("start_train", 4.0**power), ("start_test", 4.1**power),
        ("loss", 0.5), ("train", 0.64**power), ("test", 0.81**power), ("epochs", 1),
    ):  # fmt: skip
        here = found[WORDS.plain(f"errata.figure_{name}_{part}")]
        assert here == (pytest.approx(value) if there else None), part


def test_published_tables_stand_beside_those_of_this_run(page, study):
    printed = printed_numbers()
    medians = page.table("beside-medians").set_index("what")
    assert medians["published"].astype(float).tolist() == list(printed["medians"].values())
    assert len(page.table("beside-dunn")) == 6
    assert len(page.table("beside-corner")) == 10
    deltas = page.table("beside-deltas")["published"].astype(float)
    assert deltas[5:].round(3).tolist() == [21, 23, 20, 18, 14]


def test_medians_of_this_run_are_those_of_the_search(study):
    rows = pd.DataFrame({"k": ["1", "64"], "median": [1.9, 2.9]})
    rows = rows.assign(arm="search_all_trials", method="mf-published-jax")
    tables = study.tables | {"medians": pd.concat([study.tables["medians"], rows])}
    found = beside._by_k(dataclasses.replace(study, tables=tables), printed_numbers(), WORDS)
    assert [row["here"] for row in found.rows] == [1.9, None, None, 2.9]


def test_decay_of_the_published_training_is_reported_by_its_ends(study):
    metrics = study.tables["metrics"]
    rows = metrics[metrics["method"] == "mf-published"]
    other = rows.assign(reg="0.1", value=rows["value"] / 2)
    tables = study.tables | {"metrics": pd.concat([other, metrics])}
    found = EVIDENCE[18](dataclasses.replace(study, tables=tables))
    shown = {name: float(re.search(r'value="(.*?)"', value)[1]) for name, value in found.items()}
    assert (shown["k"], shown["low"], shown["high"]) == (64, 0.01, 0.1)
    at_64 = rows[(rows["k"] == "64") & (rows["split"] == "test") & (rows["metric"] == "rmse")]
    assert shown["at_low"] == pytest.approx(at_64["value"].mean())
    assert shown["at_high"] == pytest.approx(at_64["value"].mean() / 2)
    assert EVIDENCE[18](study) is None


def answered(study):
    (block,) = question.blocks(study, WORDS)
    ((asked, answer, links),) = block.items
    assert asked == WORDS("questions.claim")
    assert re.findall('href="#([a-z-]+)"', links) == ["errata", "discussion"]
    return answer.striptags()


def test_claims_are_counted(study):
    text = answered(study)
    counts = re.findall(r"\b(\d+) (?:supported|contra|about|inconclusive|not)", text)
    assert sum(int(count) for count in counts) == 12


def test_the_claim_is_answered_by_the_pair_that_the_study_compared(study):
    numbers = {
        "first": "mf", "low": 0.01, "high": 0.03, "level": 0.95, "p": 0.001, "margin": 0.005,
        "population": "new_ratings",
    }  # fmt: skip
    pairs = [
        {"key": "better", "numbers": numbers | {"second": rival, "size": size}}
        for rival, size in (("item-knn", 0.015), ("user-knn", 0.025))
    ]
    text = answered(dataclasses.replace(study, verdict=pairs))
    assert (
        "mf predicts better than user-knn, and the difference matters: its RMSE is lower by 0.025"
        in text
    )
    assert "item-knn" not in text
