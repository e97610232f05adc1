"""Studies of several data sets; apart from test_study.py, so that another worker can run them."""

import hashlib
import json

import pandas as pd
import pytest
import yaml

from cfmf.tables import COLUMNS
from tests.unit.data.hostile import answer, answering

SEVERAL = {
    "study": {
        "datasets": ["one", "two", "three"],
        "methods": ["baseline", "user-cf-published", "item-knn"],
    },
    "datasets": {
        name: {
            "source": "synthetic",
            "synthetic": {"users": 40, "items": 50, "train": 700, "test": 200, "seed": seed},
            "split": {"kind": "predefined", "validation": 0.1, "seed": 42},
        }
        for seed, name in enumerate(["one", "two", "three"])
    },
    "published": {"search": {"enabled": False}},
}


@pytest.mark.slow
def test_several_data_sets_are_compared(checkout):
    (checkout.folder / "several.yaml").write_text(yaml.safe_dump(SEVERAL))
    target = "results/across_datasets/tests.tsv"
    status, output = checkout.run(target, "--configfile", "several.yaml")
    assert status == 0, output
    tests = pd.read_csv(checkout.folder / target, sep="\t")
    assert list(tests.columns) == COLUMNS["tests"]
    friedman = tests[tests["test"] == "friedman"].iloc[0]
    assert (friedman["n_blocks"], friedman["df1"]) == (3, 2)
    assert 0 <= friedman["p_raw"] <= 1


def test_temporal_track_fetches_no_rating_twice(checkout):
    arguments = ["results/ml-100k-past/raw", "--configfile", "config/temporal.yaml"]
    status, output = checkout.planned(*arguments)
    assert status == 0, output
    assert "input: results/ml-100k/raw" in output


def test_an_edited_file_of_a_local_folder_is_read_again(checkout):
    mine = checkout.folder / "mine"
    mine.mkdir()
    rows = [f"{user},{item},{1 + item % 5}" for user in range(10) for item in range(10)]
    config = {"study": {"datasets": ["mine"]}}
    config["datasets"] = {"mine": {"source": "table", "folder": "mine"}}
    (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    audit = checkout.folder / "results/mine/ratings/audit.json"
    for more in ([], ["11,1,3"]):
        (mine / "ratings.csv").write_text("\n".join(["user,item,rating", *rows, *more]))
        status, output = checkout.run("ratings", "--configfile", "mine.yaml")
        assert status == 0, output
        assert json.loads(audit.read_text())["rows_read"] == len(rows + more)
    config["datasets"]["mine"]["label"] = "Our shop"
    (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    status, output = checkout.run("ratings", "--configfile", "mine.yaml")
    assert "Nothing to be done" in output, "an edited label repeats nothing"


TRIED = ["retrieve_ratings", "parse_ratings", "split_ratings"]


def jobs_run(output):
    """The rules of the data stage that a run executed, in order."""
    return [rule for rule in TRIED if f"rule {rule}:" in output]


@pytest.mark.slow
def test_a_rerun_keeps_what_is_good_also_offline(checkout):
    """Edits of a label or a split fetch and parse nothing; a new fetch that fails loses nothing."""
    rows = "".join(f"{user},{item},{1 + user % 5}\n" for user in range(12) for item in range(9))
    content = ["user,item,rating\n" + rows]
    block = {"source": "table", "split": {"kind": "kfold", "folds": 3}}

    def run(url, *arguments, **changed):
        config = {"study": {"datasets": ["mine"]}}
        config["datasets"] = {"mine": block | {"urls": [{"url": url}]} | changed}
        (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(config))
        return checkout.run("folds", *arguments, "--configfile", "mine.yaml")

    def script(*_):
        return [answer("200 OK", content[0].encode())] if content[0] else []

    raw = checkout.folder / "results/mine/raw/ratings.csv"
    with answering(script) as (port, asked):
        url = f"http://127.0.0.1:{port}/ratings.csv"
        status, output = run(url)
        assert (status, jobs_run(output), len(asked)) == (0, TRIED, 1), output
        content[0] = ""  # offline from now on
        status, output = run(url, label="Our shop")
        assert "Nothing to be done" in output
        status, output = run(url, label="Our shop", split={"kind": "kfold", "folds": 4})
        assert (status, jobs_run(output)) == (0, ["split_ratings"]), output
        assert len(asked) == 1
        status, output = run(url, "--forcerun", "retrieve_ratings")
        assert (status, len(asked)) == (0, 2), output
        assert raw.read_text().endswith(rows)
        status, output = run(url + ".moved")
        assert status != 0
        status, output = run(url)
        assert (status, raw.read_text().endswith(rows)) == (0, True), output


def test_files_laid_into_the_raw_folder_are_used_if_a_checksum_confirms_them(checkout):
    rows = "".join(f"{user},{item},{1 + user % 5}\n" for user in range(12) for item in range(9))
    content = f"user,item,rating\n{rows}".encode()
    raw = checkout.folder / "results/mine/raw"
    raw.mkdir(parents=True)
    urls = [
        {"url": "http://127.0.0.1:9/ratings.csv", "sha256": hashlib.sha256(content).hexdigest()}
    ]
    config = {"study": {"datasets": ["mine"]}}
    config["datasets"] = {"mine": {"source": "table", "urls": urls}}
    (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    (raw / "ratings.csv").write_bytes(content + b"1,99,3\n")
    status, output = checkout.run("ratings", "--configfile", "mine.yaml")
    assert status != 0
    assert "set it as `folder` of the data set" in output
    (raw / "ratings.csv").write_bytes(content)
    status, output = checkout.run("ratings", "--configfile", "mine.yaml")
    assert (status, jobs_run(output)) == (0, ["parse_ratings"]), output
