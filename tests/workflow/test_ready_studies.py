"""Every ready-made study is a valid config, and Snakemake can plan it."""

import json
import math
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

STUDIES = sorted((Path(__file__).resolve().parents[2] / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_ready_study_is_valid_and_can_be_planned(checkout, path):
    status, output = checkout.planned("--configfile", f"config/{path.name}")
    assert status == 0, output
    assert "retrieve_ratings" in output
    assert "render_report" in output


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_ready_study_says_what_it_is(path):
    assert path.read_text("utf-8").startswith("# ")


@pytest.mark.parametrize(
    "path",
    # the tiny study only shows that all runs
    [STUDIES[0].parents[1] / "config.yaml", *(one for one in STUDIES if one.stem != "tiny")],
    ids=lambda path: path.stem,
)
def test_neighbours_and_factorizations_get_equally_many_trials(path):
    config = yaml.safe_load((STUDIES[0].parents[1] / "config.yaml").read_text("utf-8"))
    update_config(config, yaml.safe_load(path.read_text("utf-8")))
    tuned = {"user-knn", "item-knn", "mf", "als", "mf-jax"} & set(config["study"]["methods"])
    trials = {}
    for method in tuned:
        settings = config["methods"].get(method) or config["methods"]["mf"]
        trials[method] = math.prod(len(one) for one in settings.values() if isinstance(one, list))
    assert len(set(trials.values())) <= 1, trials


def test_the_table_that_the_example_describes_is_read(checkout):
    mine = checkout.folder / "data" / "mine"
    mine.mkdir(parents=True)
    rows = [
        f"2024-05-{1 + (user + item) % 30:02d};{user};{1 + (user * item) % 9 / 2};{item}"
        for user in range(30)
        for item in range(20)
    ]
    # A pair rated once more, later.
    rows.append("2024-06-01;17;0.5;3")
    (mine / "ratings.csv").write_text("when;customer;stars;product\n" + "\n".join(rows) + "\n")
    products = [f"{item};Thing {item};" for item in range(20)]
    (mine / "products.csv").write_text("product;name;year\n" + "\n".join(products) + "\n")
    status, output = checkout.run("folds", "--configfile", "config/table.yaml")
    assert status == 0, output
    audit = json.loads((checkout.folder / "results/mine/ratings/audit.json").read_text())
    assert (audit["rows_read"], audit["rows_kept"], audit["rows_refused"]) == (601, 600, 1)
    assert audit["checks"]["duplicates"]["policy"] == "keep-last"
    assert audit["scale"] == {"minimum": 0.5, "maximum": 5, "step": 0.5}
