"""A forecast adds up what the jobs of a plan take, and reports what it does not know."""

import json
import math

import pandas as pd
import pytest
import yaml

from cfmf.imports import ROOT
from cfmf.tables import COLUMNS
from cfmf.workflow import forecast as forecasts
from cfmf.workflow.config import check
from cfmf.workflow.costs import Counts
from cfmf.workflow.forecast import Machine, counts_of, duration, forecast, megabytes, text

COUNTS = Counts(60, 80, 2000, 600)


@pytest.fixture
def config():
    found = yaml.safe_load((ROOT / "config/tiny.yaml").read_text("utf-8"))
    found["study"]["methods"] = ["baseline", "mf"]
    found["tuning"] |= {"grow": False, "adaptive": {"enabled": False}}
    check(found)
    return found


def costs(**seconds):
    """A table in which the jobs of a rule take a constant number of seconds and 100 MB."""
    rows = []
    for rule, taken in seconds.items():
        method = "mf" if rule == "train_factorization" else ""
        for quantity, value in (("seconds", taken), ("memory_mb", 100.0)):
            rows.append([rule, method, quantity, "1", value, 9, 1000.0, 4000.0])
    return pd.DataFrame(rows, columns=COLUMNS["job_costs"])


def of_rule(table, rule, method=""):
    [row] = table[(table["rule"] == rule) & (table["method"] == method)].to_dict("records")
    return row


def test_jobs_are_added_up(config):
    machine = Machine(2, 1000)
    table = costs(build_matrices=3.0, train_factorization=10.0)
    found = forecast(config, "tiny", COUNTS, table, machine)
    assert list(found.columns) == COLUMNS["forecast"]
    matrices = of_rule(found, "build_matrices")
    assert (matrices["jobs"], matrices["cpu_seconds"], matrices["wall_seconds"]) == (3, 9, 4.5)
    points = of_rule(found, "train_factorization", "mf")
    assert (points["jobs"], points["cpu_seconds"], points["memory_mb"]) == (4, 40, 100)
    assert points["wall_seconds"] == 20


@pytest.mark.parametrize(
    ("cores", "threads", "wall"), [(1, 1, 40), (4, 1, 10), (64, 1, 10), (64, 4, 2.5)]
)
def test_wall_clock_ends_at_the_longest_job(config, cores, threads, wall):
    config["threads"]["factorization"] = threads
    table = costs(train_factorization=10.0)
    found = forecast(config, "tiny", COUNTS, table, Machine(cores, 1e6))
    assert of_rule(found, "train_factorization", "mf")["wall_seconds"] == wall


def test_a_method_that_was_not_measured_is_unknown(config):
    found = forecast(config, "tiny", COUNTS, costs(train_factorization=1.0), Machine(2, 1e6))
    row = of_rule(found, "tune_neighbours", "baseline")
    assert row["jobs"] == 1
    assert all(math.isnan(row[name]) for name in ("cpu_seconds", "memory_mb", "disk_mb"))
    printed = text([found], ["tiny"], Machine(2, 1e6))
    assert "tune_neighbours of baseline" in printed
    assert "unknown" in printed


def test_a_search_that_grows_has_a_lower_and_an_upper_number_of_jobs(config):
    config["tuning"] |= {"grow": True, "trials": 40}
    found = forecast(config, "tiny", COUNTS, costs(train_factorization=1.0), Machine(2, 1e6))
    row = of_rule(found, "train_factorization", "mf")
    assert (row["jobs"], row["most_jobs"]) == (4, 40)
    assert of_rule(found, "extend_search")["jobs"] == 1
    assert "are possible" in text([found], ["tiny"], Machine(2, 1e6))


def test_blocks_of_predictions_share_the_work(config):
    table = costs(train_factorization=1.0)
    row = ["predict_neighbours", "baseline", "seconds", "folds ratings", 1e-3, 9, 1e3, 4e3]
    table.loc[len(table)] = row
    found = forecast(config, "tiny", COUNTS, table, Machine(2, 1e6), ["1-of-2", "2-of-2"])
    blocks = of_rule(found, "predict_block", "baseline")
    assert (blocks["jobs"], blocks["cpu_seconds"]) == (2, pytest.approx(3 * 2000 * 1e-3))


def test_data_beyond_those_measured_are_marked(config):
    table = costs(train_factorization=1.0)
    found = forecast(config, "tiny", Counts(1, 1, 40_000, 1), table, Machine(2, 1e6))
    assert of_rule(found, "train_factorization", "mf")["extrapolated"] == 10
    assert "x10 beyond" in text([found], ["tiny"], Machine(2, 1e6))


@pytest.mark.parametrize(
    ("memory_mb", "message"),
    [(50, "more than the 50 MB here"), (150, "mem_mb=150"), (1000, "")],
)
def test_memory_is_compared_with_what_there_is(config, memory_mb, message):
    machine = Machine(2, memory_mb)
    found = forecast(config, "tiny", COUNTS, costs(train_factorization=1.0), machine)
    printed = text([found], ["tiny"], machine)
    assert message in printed
    assert ("Memory:" in printed) == bool(message)


def test_a_disk_that_is_too_small_is_reported(config, monkeypatch):
    table = costs(train_factorization=1.0)
    table.loc[len(table)] = ["parse_ratings", "", "disk_mb", "1", 5000.0, 9, 1e3, 4e3]
    found = forecast(config, "tiny", COUNTS, table, Machine(2, 1e6))
    monkeypatch.setattr(
        forecasts.shutil, "disk_usage", lambda _: forecasts.shutil._ntuple_diskusage(9, 9, 10**9)
    )
    assert "about 5.0 GB, more than the 1.0 GB" in text([found], ["tiny"], Machine(2, 1e6))


def test_stages_wait_for_one_another(config):
    table = costs(parse_ratings=100.0, train_factorization=10.0, test_statistics=50.0)
    found = forecast(config, "tiny", COUNTS, table, Machine(64, 1e6))
    printed = text([found], ["tiny"], Machine(64, 1e6))
    assert f"about {duration(160)}, between {duration(80)} and {duration(320)}" in printed


def test_data_sets_are_added_up(config):
    found = forecast(config, "tiny", COUNTS, costs(parse_ratings=90.0), Machine(1, 1e6))
    other = found.assign(dataset="other")
    printed = text([found, other], ["one", "two"], Machine(1, 1e6))
    assert printed.index("one") < printed.index("two") < printed.index("All data sets")
    assert duration(180) in printed.split("All data sets")[1]


SPLITS = {
    "kfold": ({"kind": "kfold", "folds": 4}, 25),
    "official": ({"kind": "official", "folds": 2}, 20),
    "leave-last": ({"kind": "leave-last", "leave": 3}, 30),
    "timeline": ({"kind": "timeline", "folds": 2, "test": 0.3}, 15),
    "predefined": ({"kind": "predefined"}, 40),
}


@pytest.mark.parametrize(("rule", "tested"), SPLITS.values(), ids=SPLITS)
def test_counts_of_synthetic_ratings_are_those_of_the_config(rule, tested):
    drawn = {"users": 10, "items": 20, "train": 60, "test": 40}
    described = {"source": "synthetic", "synthetic": drawn, "split": rule}
    assert counts_of(described) == Counts(10, 20, 100, tested)


def test_counts_of_a_table_are_those_of_its_audit(tmp_path):
    described = {
        "source": "table", "table": {"test": "t.csv"}, "split": {"kind": "predefined"}
    }  # fmt: skip
    with pytest.raises(ValueError, match="not known before they are parsed"):
        counts_of(described)
    audit = tmp_path / "audit.json"
    found = {"users": 3, "items": 4, "ratings": 9, "files": {"t.csv": {"rows_kept": 2}}}
    audit.write_text(json.dumps(found))
    assert counts_of(described, audit) == Counts(3, 4, 9, 2)


def test_counts_that_a_publisher_states_are_those_of_the_files():
    described = {"source": "movielens-1m", "split": {"kind": "kfold", "folds": 10}}
    assert counts_of(described) == Counts(6040, 3706, 1_000_209, 100_020.9)


def test_limits_of_the_machine():
    assert Machine.of_limits(None, 500) == Machine(1, 500)
    assert Machine.of_limits(4, None).memory_mb > 100


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [(0.46, "0.5 s"), (59, "59 s"), (150, "2.5 min"), (3600 * 30, "30 h"), (86400 * 3, "3.0 d"),
     (math.nan, "unknown")],
)  # fmt: skip
def test_durations_are_short(seconds, printed):
    assert duration(seconds) == printed


def test_sizes_are_in_mb_or_gb():
    assert [megabytes(one) for one in (0.6, 999, 2500, math.nan)] == [
        "1 MB", "999 MB", "2.5 GB", "unknown"
    ]  # fmt: skip
