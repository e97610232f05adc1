"""Published figures: whole, quoted where they peek, and beside a run of the same protocol only."""

import dataclasses

import pytest

from cfmf.methods import registry
from cfmf.report.page import Collapsed, Note, Table, every
from cfmf.report.sections import literature, ratings
from cfmf.report.strings import Catalogue
from cfmf.side import USES

WORDS = Catalogue("en")
FIGURES = [
    (name, one) for name, protocol in literature.protocols().items() for one in protocol["figures"]
]


@pytest.fixture
def official(study):
    """The study on the official folds of MovieLens 100K."""
    folds = {**study.folds, "rule": {"kind": "official", "folds": 5}}
    audit = {**study.audit, "source": "movielens-100k", "left_out": {"ratings": 0}}
    return dataclasses.replace(study, folds=folds, audit=audit)


@pytest.mark.parametrize(("protocol", "one"), FIGURES, ids=lambda one: str(one)[:40])
def test_a_figure_has_its_source_and_what_it_is_worth(protocol, one):
    known = {"method", "rmse", "knows", "chosen", "here", "source", "url", "quote", "quoted_from"}
    assert set(one) <= known
    assert 0.7 < one["rmse"] < 1
    assert one["source"]
    assert one["url"].startswith("http")
    assert set(one.get("knows", [])) <= set(USES)
    # The nearest method here knows no more than the published one.
    assert set(registry.method(one.get("here", "baseline")).uses) <= set(one.get("knows", []))
    assert f"term.chosen.{one['chosen']}" in WORDS
    assert ("quote" in one) == ("quoted_from" in one)
    assert "quote" in one or one["chosen"] != "test"
    assert f"literature.protocol.{protocol}" in WORDS


def tables(study):
    found = every(literature.blocks(study, WORDS))
    return {one.name: one for one in found if isinstance(one, Table)}


def test_a_run_of_the_same_protocol_stands_beside_them(official, monkeypatch):
    [name, *others] = tables(official)
    assert (name, others) == ("literature-ml-100k-u1", ["literature-ml-100k-official"])
    [note] = [one for one in every(literature.blocks(official, WORDS)) if isinstance(one, Note)]
    assert "0.0050" in note.html.striptags()
    monkeypatch.setattr(
        literature, "protocols", lambda: {"ml-100k-official": {
            "source": "movielens-100k", "split": {"kind": "official"}, "folds": ["u1", "u2"],
            "figures": [{"method": "X", "rmse": 0.9, "chosen": "test", "here": "item-knn",
                         "source": "Y"}],
        }}
    )  # fmt: skip
    [row] = tables(official)["literature-ml-100k-official"].rows
    errors = official.tables["selected"].query("split == 'test' and metric == 'rmse'")
    errors = errors[errors["fold"].isin(["u1", "u2"])].groupby(["method", "fold"])["value"].mean()
    assert row["best"] == pytest.approx(errors["mf"].mean())
    assert row["here"] == pytest.approx(errors["item-knn"].mean())
    assert row["paired"] == pytest.approx((errors["mf"] - errors["item-knn"]).mean())
    gaps = (errors["mf"] - errors["item-knn"]).to_numpy()
    ratio = official.folds["folds"]["u1"]["test"] / 2400
    half = 12.7062 * gaps.std(ddof=1) * (1 / 2 + ratio) ** 0.5  # t of 0.975 with 1 degree
    ends = [row["low"], row["high"]]
    assert ends == pytest.approx([gaps.mean() - half, gaps.mean() + half], rel=1e-4)
    monkeypatch.setattr(registry.method("mf"), "uses", frozenset({"dates"}))
    [row] = tables(official)["literature-ml-100k-official"].rows
    assert row["paired"] != pytest.approx((errors["mf"] - errors["item-knn"]).mean())


def test_the_best_here_is_chosen_on_validation(official):
    """A method that is lowest on test by chance is not taken for it."""
    rows = official.tables["selected"].copy()
    lucky = (rows["method"] == "item-knn") & (rows["split"] == "test")
    rows.loc[lucky & (rows["metric"] == "rmse"), "value"] = 0.5
    turned = dataclasses.replace(official, tables={**official.tables, "selected": rows})
    assert "<code>mf</code>" in literature.blocks(turned, WORDS)[2].html
    before, after = (tables(one)["literature-ml-100k-official"].rows for one in (official, turned))
    assert [row["best"] for row in before] == [row["best"] for row in after]


@pytest.mark.parametrize(
    ("source", "rule", "left_out"),
    [
        ("movielens-1m", {"kind": "official"}, 0),
        ("movielens-100k", {"kind": "kfold", "folds": 5}, 0),
        ("movielens-100k", {"kind": "official"}, 7),
    ],
)
def test_another_protocol_has_none(official, source, rule, left_out):
    audit = {**official.audit, "source": source, "left_out": {"ratings": left_out}}
    other = dataclasses.replace(official, audit=audit, folds={**official.folds, "rule": rule})
    assert literature.blocks(other, WORDS) == []


def test_the_audit_counts_what_is_known_beside_the_ratings(study):
    about = {"kind": "number", "columns": 10, "known": 89}
    side = {
        "ratings": 3000,
        "dated": 2000,
        "users": {"rows": 90, "attributes": {"age": about}},
        "items": {"rows": 140, "attributes": {}},
    }
    found = ratings.blocks(dataclasses.replace(study, side=side), WORDS)
    [table] = [
        table
        for block in found
        if isinstance(block, Collapsed)
        for table in block.blocks
        if isinstance(table, Table) and table.name == "beside"
    ]
    assert [(row["name"], row["known"], row["of"]) for row in table.rows] == [
        ("dates", 2000, 3000),
        ("age", 89, 90),
    ]
