"""A table of one's own on a scale of its own: the study without anything of the published one."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from cfmf.published.reporting.extension import EXTENSION
from cfmf.report.strings import Catalogue
from tests.checkout import Checkout

pytestmark = pytest.mark.slow

STUDY = {
    "study": {
        "datasets": ["jokes"],
        "methods": ["baseline", "user-cf-published", "user-knn", "mf"],
    },
    "datasets": {
        "jokes": {
            "label": "Jokes & more",
            "source": "table",
            "folder": "mine",
            "scale": {"minimum": -10, "maximum": 10, "step": 0},
            "split": {"kind": "kfold", "folds": 3, "validation": 0.1, "seed": 42},
        }
    },
    "methods": {
        "user-knn": {"similarity": ["pearson"], "neighbours": [5, 10], "shrinkage": [50]},
        "mf": {"k": [4], "reg": [0.2], "max_epochs": 60},
    },
    "tuning": {"grow": False},
    "published": {"enabled": False},
    "evaluation": {"trimming": {"rounds": 0}, "scaling": {"enabled": False}},
    "statistics": {"bootstrap_repeats": 100},
}
OF_THE_PUBLISHED = {
    "search_published", "compare_generators", "compare_backends", "predict_first_user"
}  # fmt: skip


@pytest.fixture(scope="module")
def jokes(tmp_path_factory):
    """A finished study of 40 users and 30 items, ratings from -10 to 10."""
    checkout = Checkout(tmp_path_factory.mktemp("jokes"))
    rng = np.random.default_rng(4)
    users, items = np.nonzero(rng.random((40, 30)) < 0.6)
    liked = rng.normal(0, 3, 40)[users] + rng.normal(0, 3, 30)[items]
    ratings = np.clip(liked + rng.normal(0, 2, len(users)), -10, 10).round(2)
    (checkout.folder / "mine").mkdir()
    table = pd.DataFrame({"user": users, "item": items, "rating": ratings})
    table.to_csv(checkout.folder / "mine/ratings.csv", index=False)
    (checkout.folder / "jokes.yaml").write_text(yaml.safe_dump(STUDY))
    status, output = checkout.run("--configfile", "jokes.yaml")
    assert status == 0, output
    return checkout


def test_report_has_nothing_of_the_published_study(jokes):
    home = jokes.folder / "results/jokes"
    page = (home / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    for language in ("en", "zh"):
        general = "\n".join(Catalogue(language).texts.values())
        for text in Catalogue(language, EXTENSION.strings).texts.values():
            if len(text) > 20 and "{" not in text and text not in general:
                assert text not in shown, text
    for word in ("as published", "published study", "Erratum", "errata", "原文", "勘误"):
        assert word not in shown, word
    assert not OF_THE_PUBLISHED & {path.stem for path in (home / "logs").rglob("*.log")}
    assert not (home / "published").exists()


def test_margins_follow_the_scale(jokes):
    """A quarter of a per cent of 20 units."""
    tests = pd.read_csv(jokes.folder / "results/jokes/statistics/tests.tsv", sep="\t")
    assert sorted(tests["margin"].dropna().unique()) == [0.05]


def test_label_is_the_name_in_the_report(jokes):
    page = (jokes.folder / "results/jokes/report.html").read_text(encoding="utf-8")
    assert "<title>Jokes &amp; more" in page


def test_the_rest_works_without_the_folder_of_the_published_study(tmp_path):
    checkout = Checkout(tmp_path)
    shutil.rmtree(checkout.folder / "cfmf/published")
    for name in ("config.yaml", "config/tiny.yaml"):
        config = yaml.safe_load((checkout.folder / name).read_text())
        config["published"] = {"enabled": False}
        config["study"]["methods"] = ["baseline", "user-knn", "mf", "gibbs"]
        config["methods"] = {
            method: block
            for method, block in config["methods"].items()
            if "published" not in method
        }
        (checkout.folder / name).write_text(yaml.safe_dump(config))
    status, output = checkout.planned("--configfile", "config/tiny.yaml")
    assert status == 0, output
    assert "render_report" in output
    assert not [rule for rule in OF_THE_PUBLISHED if f"rule {rule}:" in output]
