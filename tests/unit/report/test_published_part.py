"""What the published study adds to the report: its errata, claims, search, tests and trainings."""

import dataclasses
import re

import generated_study
import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from reading import read

from cfmf.published.printed import printed_numbers, quotes
from cfmf.published.reporting import (
    beside,
    errata,
    judgements,
    question,
    search_as_run,
    tests_as_run,
    training_as_run,
)
from cfmf.published.reporting.evidence import EVIDENCE
from cfmf.published.reporting.extension import EXTENSION
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


def test_claims_are_judged_by_their_rule(study):
    """Turn the errors of one family round and the judgement turns with them."""
    assert judgements.RULES["mf1"](study).status == "supported"
    selected = study.tables["selected"].copy()
    worse = (selected["method"] == "mf") & (selected["metric"] == "rmse")
    selected.loc[worse, "value"] += 0.2
    turned = dataclasses.replace(
        study,
        tables={**study.tables, "selected": selected, "tests": study.tables["tests"].iloc[:0]},
    )
    assert judgements.RULES["mf1"](turned).status == "contradicted"


def turned_round(study, name, change):
    """The study with one of its measured tables changed."""
    return dataclasses.replace(study, extra={**study.extra, name: change(study.extra[name].copy())})


def of_knn(factor):
    """Multiplies the values of user-knn's first rows of a table, and their intervals."""

    def change(table):
        rows = (table["method"] == "user-knn") & table["level"].astype(str).isin(["0", "10"])
        table.loc[rows, ["value", "ci_low", "ci_high"]] *= factor
        return table

    return change


@pytest.mark.parametrize(
    ("claim", "table", "supported", "contradicted"),
    [("cf3", "cold_start", 1.5, 0.5), ("cf4", "ranking", 2, 0.5)],
)
def test_claims_are_judged_by_what_was_measured(study, claim, table, supported, contradicted):
    for factor, status in ((supported, "supported"), (contradicted, "contradicted")):
        judged = judgements.RULES[claim](turned_round(study, table, of_knn(factor)))
        assert (judged.status, judged.measured) == (status, True)
    bare = dataclasses.replace(study, extra={})
    judged = judgements.RULES[claim](bare)
    assert judged is None or not judged.measured


def test_claims_about_space_are_judged_by_the_models(study):
    """90 users: their matrix takes 32,400 bytes, both models 4,000 bytes."""
    assert judgements.RULES["cf2"](study).status == "supported"
    assert judgements.RULES["mf4"](study).status == "undecided"

    def sized(**sizes):
        def change(table):
            for method, size in sizes.items():
                rows = (table["method"] == method.replace("_", "-")) & (table["measure"] == "bytes")
                table.loc[rows, "value"] = size
            return table

        return turned_round(study, "fit_costs", change)

    assert judgements.RULES["mf4"](sized(mf=3000)).status == "supported"
    assert judgements.RULES["mf4"](sized(mf=10**6)).status == "contradicted"
    assert judgements.RULES["cf2"](sized(user_knn=10**6)).status == "contradicted"


def with_slices(study, change):
    slices = change(study.tables["slices"].copy())
    return dataclasses.replace(study, tables={**study.tables, "slices": slices})


def test_claim_about_rare_items_is_judged_by_items_with_ratings(study):
    """Of items with no rating at all, which nobody knows, every method is made to say the same."""
    items = study.tables["slices"]["slice"] == "item_ratings"

    def turned(factor):
        def change(slices):
            rare = items & slices["level"].isin(["1-9", "10-19"])
            slices.loc[rare & (slices["method"] == "user-knn"), "value"] *= factor
            nobody = slices[items & (slices["level"] == "1-9")].assign(level="0", value=1.0)
            return pd.concat([nobody, slices])

        return judgements.RULES["cf6"](with_slices(study, change))

    assert turned(1.5).status == "supported"
    assert turned(0.5).status == "contradicted"
    assert vars(turned(1.5))["values"]["level"] == "1-19"

    def lacking(slices):
        gone = items & slices["level"].isin(["1-9", "10-19"]) & (slices["fold"] == "u2")
        return slices[~gone]

    assert judgements.RULES["cf6"](with_slices(study, lacking)) is None


def test_claim_of_overfitting_follows_the_best_k(study):
    metrics = study.tables["metrics"].copy()
    assert judgements.RULES["mf3"](study).status == "contradicted"  # generated: 64 is best
    at_64 = (metrics["method"] == "mf") & (metrics["k"] == "64") & (metrics["split"] == "test")
    metrics.loc[at_64 & (metrics["metric"] == "rmse"), "value"] += 0.1
    turned = dataclasses.replace(study, tables={**study.tables, "metrics": metrics})
    assert judgements.RULES["mf3"](turned).status == "supported"


def with_errors(study, values, methods):
    """The study with these RMSE on test and validation by k and reg, in every fold."""
    metrics = study.tables["metrics"].copy()
    rows = metrics["method"].isin(methods) & (metrics["metric"] == "rmse")
    points = zip(metrics.loc[rows, "k"], metrics.loc[rows, "reg"], strict=True)
    metrics.loc[rows, "value"] = [values(int(k), float(reg)) for k, reg in points]
    return dataclasses.replace(study, tables={**study.tables, "metrics": metrics})


@pytest.mark.parametrize(
    ("claim", "method", "supported", "contradicted"),
    [
        ("v1", "mf-published", lambda k, reg: 0.95, lambda k, reg: 1.2),
        ("v3", "mf", lambda k, reg: 0.9 + k / 100, lambda k, reg: 0.9 + reg),
        # tuned, 64 is best; over the grid, 4 is
        ("v4", "mf", lambda k, reg: 0.9 + abs(k - 4) * reg / 64, lambda k, reg: 0.9 + 1 / k),
        ("v5", "mf", lambda k, reg: 0.9 + abs(k - 16) / 64, lambda k, reg: 0.9 + 1 / k),
    ],
)
def test_conclusions_of_the_experiment_follow_the_numbers(
    study, claim, method, supported, contradicted
):
    for values, status in ((supported, "supported"), (contradicted, "contradicted")):
        judged = judgements.RULES[claim](with_errors(study, values, [method]))
        assert judged.status == status
    lacking = study.tables["metrics"]
    lacking = lacking[lacking["method"] != method]
    bare = dataclasses.replace(study, tables={**study.tables, "metrics": lacking})
    assert judgements.RULES[claim](bare) is None


def test_conclusion_that_holds_in_some_folds_stays_open(study):
    metrics = with_errors(study, lambda k, reg: 0.9 + abs(k - 16) / 64, ["mf"]).tables["metrics"]
    other = (metrics["fold"] == "u1") & (metrics["method"] == "mf") & (metrics["k"] == "4")
    metrics.loc[other & (metrics["metric"] == "rmse"), "value"] = 0.8
    turned = dataclasses.replace(study, tables={**study.tables, "metrics": metrics})
    judged = judgements.RULES["v5"](turned)
    assert judged.status == "undecided"
    assert vars(judged)["values"]["folds"].striptags() == "4"


def test_the_untuned_point_is_the_one_nearest_to_the_published(study):
    shown = vars(judgements.RULES["v1"](study))["values"]
    assert (shown["k"].striptags(), shown["reg"].striptags()) == ("64", "0.01")


@pytest.mark.parametrize(("seconds", "status"), [(1e6, "supported"), (1e-9, "contradicted")])
def test_slowest_step_is_told_by_the_seconds(study, seconds, status):
    similarity = dataclasses.replace(study.similarity, seconds=seconds)
    judged = judgements.RULES["v2"](dataclasses.replace(study, similarity=similarity))
    assert judged.status == status
    assert judgements.RULES["v2"](dataclasses.replace(study, similarity=None)) is None


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
    assert search_as_run.doubly_rooted(runs)
    np.testing.assert_allclose(runs["test_rmse"], runs["value"] ** 2, rtol=1e-8)
    table = study.added["trials"].copy()
    both = table.pivot_table(index="trial", columns="metric", values="value")
    rooted = table["metric"] == "test_rmse"
    table.loc[rooted, "value"] = table.loc[rooted, "trial"].map(both["value"])
    once = dataclasses.replace(study, added={**study.added, "trials": table})
    assert not search_as_run.doubly_rooted(search_as_run.trials(once))
    text = str(search_as_run._text(search_as_run.trials(once), WORDS))
    assert "square root taken once" in text
    assert "is the square root" not in text


def test_every_published_part_is_followed_by_its_erratum_and_the_correction(study):
    blocks = tests_as_run.blocks(study, WORDS)
    assert isinstance(blocks[1], Note)  # the label, before anything else
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
    assert (
        sum(int(count) for count in re.findall(r"\b(\d+) (?:are|contra|inconclusive|not)", text))
        == 12
    )


def test_the_claim_is_answered_by_the_pair_that_the_study_compared(study):
    numbers = {
        "first": "mf", "low": 0.01, "high": 0.03, "level": 0.95, "p": 0.001, "probability": 0.99,
        "rope": 0.005,
    }  # fmt: skip
    pairs = [
        {"key": "lower", "numbers": numbers | {"second": rival, "size": size}}
        for rival, size in (("item-knn", 0.015), ("user-knn", 0.025))
    ]
    text = answered(dataclasses.replace(study, verdict=pairs))
    assert "mf predicts better than user-knn: its RMSE is lower by 0.025" in text
    assert "item-knn" not in text
