"""Every benchmark starts: what it takes from the package is still there."""

import runpy
import sys

import numpy as np
import pytest

from benchmarks import common, factorization, neighbours
from benchmarks.common import store, stored
from cfmf.imports import ROOT

SCRIPTS = [
    path for path in sorted(ROOT.glob("benchmarks/*.py")) if "__main__" in path.read_text("utf-8")
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_benchmark_tells_its_options(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert not ended.value.code
    assert "usage:" in capsys.readouterr().out


def test_factorization_benchmark_measures_what_is_ours(tmp_path, monkeypatch):
    def in_this_process(module, python, folder, system, options, threads):
        curve = factorization.SYSTEMS[system](*common.stored(folder), options)
        return {"curve": curve, "peak_mb": common.peak_megabytes()}

    monkeypatch.setattr(factorization, "apart", in_this_process)
    for name, settings in factorization.SETTINGS["ml-1m"].items():
        if name.startswith("cfmf"):
            monkeypatch.setitem(settings, "max_epochs", 3)
    folder = common.store(tmp_path / "ml-1m", factorization.draw(300, 200, 6000, 600))
    bench = factorization.Bench(1, peers=None)
    for compare, _ in factorization.PARTS.values():
        compare(bench, folder)
    measured = {row[1] for row in bench.rows}
    assert measured == {name for name in factorization.SYSTEMS if "cfmf" in name} | {
        "dense masked step"
    }
    assert all(np.isfinite(row[5]) for row in bench.rows)
    epochs = [row[5] for row in bench.rows if row[0] == "epoch"]
    assert epochs[0] == pytest.approx(epochs[1], rel=1e-4)


@pytest.fixture
def tiny(tmp_path):
    # Three blocks of 256 users are what `products` works on.
    return store(tmp_path / "tiny", neighbours.draw(800, 50, 9000, 2000))


def test_drawn_ratings_are_as_many_as_asked_for_and_distinct(monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK", 700)
    train, test = neighbours.draw(300, 70, 3000, 700, seed=2)
    assert (train.nnz, test.nnz) == (3000, 700)
    assert train.has_canonical_format
    assert (abs(train) + abs(test)).nnz == 3700
    assert set(np.unique(train.data)) <= {1, 2, 3, 4, 5}


def test_pairs_are_drawn_by_their_weights():
    rng = np.random.default_rng(3)
    weights = np.array([1.0, 2.0, 8.0])
    counts = np.zeros(3)
    for _ in range(2000):
        _, items = neighbours.draw_pairs(np.ones(1), weights, 1, rng)
        counts[items] += 1
    np.testing.assert_allclose(counts / 2000, weights / weights.sum(), atol=0.04)


@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("ours", {"method": "user-cf-published", "parameters": {}, "threads": 1}),
        ("ours", {"method": "user-knn", "parameters": {"neighbours": 5}, "threads": 1}),
        ("one_block", {"threads": 1}),
        ("products", {"dense": 0}),
        ("products", {"dense": 1}),
    ],
)
def test_systems_of_neighbours_measure(monkeypatch, tiny, system, options):
    from cfmf.kernels import scatter

    for name in ("DENSE", "DENSE_BYTES"):  # which `products` sets
        monkeypatch.setattr(scatter, name, getattr(scatter, name))
    train, test = stored(tiny)
    found = neighbours.SYSTEMS[system](train, test, options)
    assert found["seconds"] > 0
    assert len(found["predicted"]) in (0, test.nnz)
    assert np.isfinite(found["predicted"]).all()


def test_ours_predicts_what_the_published_recipe_does(tiny):
    pytest.importorskip("sklearn")
    parts = stored(tiny)
    mine = {"method": "user-cf-published", "parameters": {}, "threads": 1}
    ours = neighbours.ours(*parts, mine)["predicted"]
    published = neighbours.published(*parts, {"dtype": "float64"})["predicted"]
    # Where nobody like the user rated the item the recipe has 0, ours a mean.
    np.testing.assert_allclose(ours[published > 0], published[published > 0], rtol=1e-4)


def test_quality_of_ours_is_told_over_the_pairs_of_a_peer(tiny):
    ratings = stored(tiny)[1].data
    theirs = np.where(np.arange(len(ratings)) < 20, 3.0, np.nan)
    ours = ratings + np.where(np.arange(len(ratings)) < 20, 0.5, 2)
    for name, predicted in (("mine", ours), ("theirs", theirs)):
        np.save(tiny / f"{name}.npy", predicted)
    bench = neighbours.Bench(None, 1, 10)
    bench.same_pairs(tiny, "peer", "mine", "theirs")
    assert bench.rows[0]["size"] == "tiny, 20 pairs"
    assert bench.rows[0]["quality"] == pytest.approx(0.5)


def test_table_keeps_the_rows_that_are_not_measured_again(tmp_path):
    table = tmp_path / "results" / "neighbours.tsv"
    for rows in (
        [("user-cf", "ours", "tiny", 1.0), ("agreement", "peer", "tiny, 5 pairs", 2.0)],
        [("user-cf", "ours", "tiny", 3.0), ("user-cf", "ours", "large", 4.0)],
        [("agreement", "peer", "tiny, 7 pairs", 5.0)],
    ):
        bench = neighbours.Bench(None, 1, 10)
        for benchmark, system, size, seconds in rows:
            bench.add(benchmark, system, size, None, seconds=seconds)
        bench.write(table)
    lines = [line.split("\t") for line in table.read_text().splitlines()]
    assert [line[2:4] for line in lines[1:]] == [
        ["tiny", "3"], ["large", "4"], ["tiny, 7 pairs", "5"]
    ]  # fmt: skip


def test_table_is_made_by_processes_of_their_own(tiny):
    bench = neighbours.Bench(None, 1, 10)
    bench.user_cf(tiny, double=True)
    [row] = bench.rows
    assert row["system"] == "ours"
    assert row["quality"] > 0
    assert row["peak_mb"] > 0
