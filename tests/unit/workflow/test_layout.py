"""Every result has one path, and every path gives back what it was made of."""

from pathlib import Path

import pytest

from cfmf.workflow import layout
from cfmf.workflow.layout import Results, hash_file, job_path, prefix, result, run_folder, wildcards

WORDS = {
    "dataset": "ml-100k", "fold": "u1", "part": "fit", "method": "user-knn", "file": "x.tsv",
    "table": "metrics", "k": "4", "reg": "0.01", "scatteritem": "1-of-3", "job": "a/b/c",
    "round": "2", "format": "csv",
}  # fmt: skip


@pytest.mark.parametrize("name", layout.TEMPLATES)
def test_path_gives_back_its_wildcards(name):
    used = {key: word for key, word in WORDS.items() if f"{{{key}}}" in layout.TEMPLATES[name]}
    path = result(name, **used)
    assert "{" not in path
    for before in ("", "elsewhere/results/", "/home/results/"):
        assert wildcards(name, before + path) == used


def test_no_two_names_share_a_path():
    assert len(set(layout.TEMPLATES.values())) == len(layout.TEMPLATES)


def test_path_of_another_name_is_refused():
    with pytest.raises(ValueError, match=r"metrics\.tsv is not the path of a result named audit"):
        wildcards("audit", "results/tiny/evaluation/metrics.tsv")


def test_wildcards_that_are_not_given_stay():
    assert result("matrix", part="fit") == "results/{dataset}/matrices/{fold}/fit.npz"
    assert job_path("log", "retrieve_ratings") == "results/{dataset}/logs/retrieve_ratings.log"
    assert job_path("benchmark", "tune_neighbours", dataset="a") == (
        "results/a/benchmarks/tune_neighbours/{method}.tsv"
    )


@pytest.mark.parametrize(("reg", "text"), [("0.01", "0.01"), ("", "inferred")])
def test_settings_are_read_from_paths(reg, text):
    path = result("point", method="gibbs", file="metrics.tsv", k="4", reg=text)
    assert f"reg~{text}/" in path
    assert layout.settings_of(path.format(dataset="x")) == ("gibbs", "4", reg)
    path = result("neighbours", dataset="x", method="baseline", file="metrics.tsv")
    assert layout.settings_of(path) == ("baseline", "", "")


@pytest.mark.parametrize(
    "before", ["", "other/", "results/", "/home/results/x/", run_folder("grids/fine"), "a/runs/b/"]
)
@pytest.mark.parametrize("dataset", ["tiny", "results"])
def test_prefix_of_a_module_and_a_run_is_read_from_a_log(before, dataset):
    log = before + job_path("log", "build_matrices", dataset=dataset, fold="f1")
    assert prefix(log) == before
    path = before + result("matrix", dataset=dataset, fold="f1", part="fit")
    kept = Path(f"{before}results/{dataset}/hashes/matrices/f1/fit.npz.sha256")
    assert hash_file(path, before) == kept


@pytest.mark.parametrize(
    "path", ["data/results/mine/r.csv", "results/x.tsv", "results/a/logs/x.log", "cfmf/files.py"]
)
def test_other_files_have_no_hash(path):
    assert hash_file(path) is None


def test_results_are_found_by_name(tmp_path):
    names = [
        result("point", method="mf", file="history.parquet", k=k, reg="0.1") for k in ("16", "4")
    ]
    names += [job_path("benchmark", "build_matrices", fold="f1"), result("audit")]
    names += [result("across", file="tests.tsv")]
    paths = [tmp_path / name.format(dataset="tiny").removeprefix("results/") for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    files = Results(tmp_path, "tiny")
    point = {"method": "mf", "reg": "0.1"}
    assert files.all("point", file="history.parquet") == [
        (paths[0], {**point, "k": "16"}),
        (paths[1], {**point, "k": "4"}),
    ]
    assert files.all("benchmark") == [(paths[2], {"job": "build_matrices/f1"})]
    assert files.at("audit") == paths[3]
    assert files.at("verdict") is None
    assert files.at("across", file="tests.tsv") == paths[4]
    mine = Results.of_study(tmp_path / "tiny", [paths[1]])
    assert mine.all("point", file="history.parquet") == [(paths[1], {**point, "k": "4"})]
    assert mine.at("audit") is None
