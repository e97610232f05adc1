"""The whole workflow on the tiny study: what it writes, and what is asked of it afterwards."""

import base64
import json
import re
import shutil
import zipfile

import pandas as pd
import pytest
import yaml

from cfmf.report.places import CATEGORIES
from tests.checkout import SMALL, TINY

# One worker runs these tests: they share one run of the tiny study.
pytestmark = pytest.mark.xdist_group("workflow")

CONTRACT = [
    "report.html",
    "report-static.html",
    "raw/manifest.json",
    "ratings/audit.json",
    "ratings/ratings.parquet",
    "folds/folds.json",
    "matrices/f1/train.npz",
    "similarity/f1.npz",
    "blends/blend-both/weights.tsv",
    "evaluation/metrics.tsv",
    "evaluation/selected.tsv",
    "evaluation/intervals.tsv",
    "evaluation/cold_start.tsv",
    "evaluation/ranking.tsv",
    "evaluation/recommendations.tsv",
    "evaluation/explanations.tsv",
    "evaluation/factors.tsv",
    "evaluation/similar_titles.tsv",
    "evaluation/fit_costs.tsv",
    "evaluation/scaling.tsv",
    "statistics/tests.tsv",
    "statistics/assumptions.tsv",
    "statistics/medians.tsv",
    "statistics/best_rows.tsv",
    "statistics/verdict.json",
]
STAGES = [
    "ratings", "folds", "matrices", "similarity", "neighbours", "factorization", "blends",
    "evaluation", "statistics",
]  # fmt: skip


@pytest.mark.parametrize("path", CONTRACT)
def test_file_is_written(study, path):
    assert study.results()[path].stat().st_size > 0


def test_every_job_logs_and_is_measured(study):
    logs = study.results("*.log")
    measured = study.results("benchmarks/**/*.tsv")
    assert len(logs) == len(measured) > 10
    assert all(path.stat().st_size for path in logs.values())


def test_jobs_stay_below_the_memory_that_they_ask_for(study):
    asked = dict(
        re.findall(
            r"^    benchmark: results/tiny/(\S+)$.*?\bmem_mb=(\d+)",
            study.output,
            re.MULTILINE | re.DOTALL,
        )
    )
    measured = study.results("benchmarks/**/*.tsv")
    assert set(asked) == set(measured)
    took = {name: pd.read_csv(path, sep="\t")["max_rss"].max() for name, path in measured.items()}
    assert sum(value > 0 for value in took.values()) > 10  # the shortest jobs are over unmeasured
    assert {name: value for name, value in took.items() if value > int(asked[name])} == {}


def test_report_tells_what_jobs_took_and_when_the_first_started(study):
    found = study.results()
    page = found["report.html"].read_text(encoding="utf-8")
    (table,) = re.findall('<table data-name="jobs".*?</table>', page, re.DOTALL)
    for rule in ("retrieve_ratings", "train_factorization", "measure_method"):
        assert rule in table
    run = json.loads(found["provenance.json"].read_text())["run"]
    assert run["started"] < run["reported"]


def test_second_run_has_nothing_to_do(study):
    status, output = study.tiny()
    assert status == 0
    assert "Nothing to be done" in output


def test_blocks_of_users_change_no_prediction(study, checkout):
    shutil.copytree(study.folder / "results", checkout.folder / "results")
    methods = ["user-cf-published", "item-knn"]
    paths = [f"neighbours/{method}/predictions.parquet" for method in methods]
    paths += [f"neighbours/{method}/metrics.tsv" for method in methods]
    targets = [f"results/tiny/{path}" for path in paths]
    for target in targets:
        (checkout.folder / target).unlink()
    status, output = checkout.tiny(*targets, "--set-scatter", "neighbours=3")
    assert status == 0, output
    assert "8 of 8 steps" in output  # three blocks and a gathering job each
    for path in paths:
        assert checkout.results()[path].read_bytes() == study.results()[path].read_bytes(), path


def test_report_is_of_this_config_and_of_no_earlier_one(study, checkout):
    """Similarities kept as lists are told to be so; a search that is switched off is gone."""
    shutil.copytree(study.folder / "results", checkout.folder / "results")
    known = yaml.safe_load((checkout.folder / "config/tiny.yaml").read_text())
    known |= {
        "similarity": {"full_limit_mb": 0, "top": 5},
        "published": {"search": {"enabled": False}},
    }
    (checkout.folder / "other.yaml").write_text(yaml.safe_dump(known))
    target = "results/tiny/report.html"
    # Copied results lack Snakemake's records, by which it would know of the other config itself.
    again = ("--forcerun", "compute_similarity", "render_report")
    status, output = checkout.run(target, *again, "--configfile", "other.yaml")
    assert status == 0, output
    before, after = ((made.folder / target).read_text() for made in (study, checkout))
    for sentence in (
        "most similar users of each user were stored",
        "did not repeat the search of the published study",
    ):
        assert (sentence in before, sentence in after) == (False, True), sentence
    assert "published/frame.parquet" in checkout.results()


def test_every_stage_is_a_target(study):
    """After the whole study, only the folds are still to be exported, which no stage reads."""
    status, output = study.planned(*STAGES, *TINY)
    assert status == 0, output
    assert {*re.findall(r"^(?:local)?rule (\w+):", output, re.MULTILINE)} == {
        "export_fold",
        "folds",
    }


def test_jobs_that_tune_ask_for_their_budget_of_time(study):
    status, output = study.planned("--forcerun", "tune_neighbours", *TINY)
    assert status == 0, output
    asked = re.findall(r"rule tune_neighbours:.*?runtime=(\d+)", output, re.DOTALL)
    assert len(asked) == 5  # the baseline and four neighbour methods
    assert min(map(int, asked)) >= 3 * 36000 / 60  # three folds, the default tuning.seconds


def test_small_study_has_the_rules_of_the_tiny_one(study):
    """What is tried on the small one, kills and clusters, is tried on every rule."""
    asked = (study.planned("--forceall", *configs) for configs in (TINY, SMALL))
    tiny, small = ({*re.findall(r"^rule (\w+):", output, re.MULTILINE)} for _, output in asked)
    assert tiny == small
    assert len(tiny) > 15


def test_dag_is_drawn(study):
    status, output = study.tiny("--dag")
    assert status == 0
    assert "digraph" in output
    assert "render_report" in output


def test_audit_accounts_for_every_row(study):
    total = json.loads(study.results()["ratings/audit.json"].read_text())
    assert total["rows_read"] == total["rows_kept"] + total["rows_refused"] > 0
    ratings = pd.read_parquet(study.results()["ratings/ratings.parquet"])
    assert total["rows_kept"] == len(ratings)


def test_selected_setting_has_the_least_validation_error(study):
    tables = {
        name: pd.read_csv(study.results()[f"evaluation/{name}.tsv"], sep="\t", dtype={"reg": str})
        for name in ("metrics", "selected")
    }
    rmse = "method == 'mf' and metric == 'rmse' and split == "
    metrics = tables["metrics"].query(rmse + "'validation'")
    grid = metrics.groupby(["fold", "k", "reg"])["value"].mean()
    chosen = tables["selected"].query(rmse + "'test'")
    assert set(chosen["fold"]) == set(metrics["fold"])
    for row in chosen.itertuples():
        assert (row.k, row.reg) == grid[row.fold].idxmin()


def test_every_method_is_measured_and_errors_are_sane(study):
    tables = {
        name: pd.read_csv(study.results()[f"evaluation/{name}.tsv"], sep="\t")
        for name in ("selected", "cold_start", "ranking", "recommendations", "scaling", "intervals")
    }
    scored = set(tables["selected"]["method"])
    blends = {one for one in scored if one.startswith("blend-")}
    assert len(blends) == 3
    for name, table in tables.items():
        of_all = name in ("selected", "intervals")
        assert set(table["method"]) == (scored if of_all else scored - blends), name
    cold = tables["cold_start"].query("metric == 'rmse'")
    assert set(cold["level"].astype(str)) == {"0", "2", "8", "all"}
    assert ((cold["ci_low"] <= cold["value"]) & (cold["value"] <= cold["ci_high"])).all()
    sane = cold[~cold["method"].str.endswith("-published")]
    assert sane["value"].between(0.4, 2).all()
    assert tables["ranking"].query("metric != 'popularity'")["value"].between(0, 1).all()
    assert set(tables["intervals"]["slice"]) >= {"date", "user_ratings"}
    ratings = pd.read_parquet(study.results()["ratings/ratings.parquet"])
    users = pd.read_parquet(study.results()["ratings/users.parquet"])
    items = pd.read_parquet(study.results()["ratings/items.parquet"])
    told = tables["recommendations"]
    assert set(told["user"]) <= set(users["user_id"])
    assert told.groupby(["method", "user"]).size().eq(10).all()
    assert set(told["item"]) <= set(items["item"])
    pairs = told.merge(users, left_on="user", right_on="user_id")[["user_y", "item", "rating"]]
    known = ratings.set_index(["user", "item"])["rating"]
    for user, item, rating in pairs.itertuples(index=False):
        # what is recommended was rated in test with this rating, or not at all
        assert known.get((user, item), float("nan")) == rating or pd.isna(rating)
        assert pd.notna(rating) or (user, item) not in known.index


def test_snakemake_report_has_pages_and_figures_in_reading_order(study, tmp_path):
    """In both forms: no TSV or JSON, which it only offers to save; no two files of one label."""
    for name in ("report.html", "report.zip"):
        status, output = study.tiny("--report", str(tmp_path / name))
        assert status == 0, output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "System Message" not in page
    metrics = pd.read_csv(study.results()["evaluation/metrics.tsv"], sep="\t")
    methods = {path.parent.name for path in study.results("neighbours/*/trials.tsv").values()}
    methods |= set(metrics.dropna(subset="k")["method"])
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        zipped = archive.read("report/report.html").decode()
        for text in (page, zipped):
            categories, results = (snakemake_says(text, name) for name in ("categories", "results"))
            assert sorted(categories) == CATEGORIES
            assert {one["mime_type"] for one in results.values()} == {"text/html", "image/svg+xml"}
            labels = [tuple(one["labels"].items()) for one in results.values()]
            assert {keys for ((keys, _),) in labels} == {"content"}
            for (category,) in map(dict.values, categories.values()):
                shown = [results[path]["labels"]["content"] for path in category]
                assert len(set(shown)) == len(shown) > 0
                assert not any(re.search(r"[{}]", label) for label in shown)
            tuned = {label for ((_, label),) in labels if label.endswith(" (settings tried)")}
            assert tuned == {f"{name} (settings tried)" for name in methods}
        for path, about in results.items():
            made = (study.folder / path).read_bytes()
            assert len(made) < 1.5e6, path
            assert archive.read("report/" + about["data_uri"]) == made
    embedded = snakemake_says(page, "results")
    for path, about in embedded.items():
        head, _, data = about["data_uri"].partition(",")
        assert head.endswith(";base64"), head
        assert base64.b64decode(data) == (study.folder / path).read_bytes()
        assert len(about["data_uri"]) < 2 * 1024**2  # what a browser opens as an address


def snakemake_says(page, name):
    """A variable of the script in Snakemake's own report."""
    start = re.search(rf"\bvar {name} = *(?={{)", page).end()
    return json.JSONDecoder().raw_decode(page[start:])[0]
