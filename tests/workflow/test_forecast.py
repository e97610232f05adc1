"""`snakemake forecast`: its jobs are those that Snakemake plans, and it is printed every time."""

import re
from collections import Counter

import pandas as pd
import yaml

METHODS = ["baseline", "user-knn", "mf", "als"]
TABLE = "results/{}/forecast.tsv"
ADDED = {
    "study": {"datasets": ["tiny", "other"], "methods": METHODS, "seeds": [1]},
    "datasets": {
        "other": {
            "source": "synthetic",
            "synthetic": {"users": 40, "items": 50, "train": 700, "test": 200, "seed": 8},
            "split": {"kind": "predefined", "validation": 0.1, "seed": 42},
        }
    },
    "tuning": {"grow": False},
}
SUMS = {"all", "total", "compare_datasets", "job"}


def stats(output):
    """Numbers of jobs by rule of Snakemake's own table."""
    lines = output.split("Job stats:")[1].split("total")[0].splitlines()
    found = [re.fullmatch(r"(\w+)\s+(\d+)", line) for line in lines]
    return Counter({one[1]: int(one[2]) for one in found if one and one[1] not in SUMS})


def test_jobs_are_those_that_snakemake_plans(checkout):
    (checkout.folder / "several.yaml").write_text(yaml.safe_dump(ADDED))
    configs = ("--configfile", "config/tiny.yaml", "several.yaml")
    status, output = checkout.planned(*configs)
    assert status == 0, output
    planned = stats(output)
    status, output = checkout.run("forecast", *configs)
    assert status == 0, output
    tables = [
        pd.read_csv(checkout.folder / TABLE.format(name), sep="\t") for name in ("tiny", "other")
    ]
    jobs = pd.concat(tables).groupby("rule")["jobs"].sum()
    assert Counter(jobs.to_dict()) == planned
    assert "tiny: 2,000 ratings, 60 users, 80 items (as its source or config states" in output
    assert "All data sets" in output
    assert not (checkout.folder / "results/tiny/raw").exists()
    # Nothing has changed, and it is printed once more; on other cores it is another forecast.
    status, output = checkout.run("forecast", *configs, cores=1)
    assert status == 0, output
    assert "Wall clock with --cores 1" in output
