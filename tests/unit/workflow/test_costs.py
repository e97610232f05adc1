"""Costs of jobs are fitted to what studies took: known growth is found again, no more."""

import json

import numpy as np
import pandas as pd
import pytest

from cfmf.workflow import costs
from cfmf.workflow.costs import Counts, Study

SIZES = {"a": (100, 200, 2e4), "b": (1000, 500, 3e5), "c": (5000, 3000, 4e6)}
GRID = (4, 16, 64)


def quantities(users, items, ratings, k=1.0):
    return {
        "users": users, "items": items, "ratings": ratings, "rows": users + items, "k": k,
        "tested": ratings / 5, "folds": 5.0, "runs": 5.0, "passes": 1.0, "methods": 3.0,
    }  # fmt: skip


def made(rule, method, seconds, names=SIZES, grid=(1.0,)):
    """Jobs of synthetic studies that take exactly what a function says."""
    rows = []
    for name in names:
        for k in grid:
            known = quantities(*SIZES[name], k)
            row = {"study": name, "rule": rule, "method": method, "quantities": known}
            rows.append(row | {"seconds": seconds(known), "memory_mb": 100.0, "disk_mb": 0.0})
    return pd.DataFrame(rows)


def solving(q):
    return (
        2
        + 3e-8 * q["runs"] * q["ratings"] * q["k"] ** 2
        + 2e-9 * q["runs"] * q["rows"] * q["k"] ** 3
    )


def comparing(q):
    return 1 + 4e-8 * q["folds"] * q["ratings"] ** 2 / q["items"]


@pytest.mark.parametrize(
    ("rule", "method", "seconds", "grid"),
    [
        ("parse_ratings", "", lambda q: 0.5 + 3e-7 * q["ratings"], (1.0,)),
        ("tune_neighbours", "user-knn", comparing, (1.0,)),
        ("train_factorization", "als", solving, GRID),
    ],
)
def test_known_growth_is_found_again_beyond_what_was_measured(rule, method, seconds, grid):
    table = costs.coefficients(made(rule, method, seconds, "ab", grid))
    for k in grid:
        larger = quantities(20_000, 9_000, 2e6, k)
        found = costs.taken(table, rule, method, larger)
        assert found["seconds"] == pytest.approx(seconds(larger), rel=0.02)
        assert found["memory_mb"] == pytest.approx(100)
        assert found["disk_mb"] == 0


def test_a_method_without_solving_has_no_powers_of_k():
    assert "runs passes rows k^3" in costs.terms_of("train_factorization", "als", "seconds")
    for method in ("mf", "mf-sgd"):
        terms = costs.terms_of("train_factorization", method, "seconds")
        assert "runs passes ratings k" in terms
        assert not [one for one in terms if "k^" in one]


def test_no_coefficient_is_negative_whatever_the_noise():
    noise = iter(np.random.default_rng(1).lognormal(0, 0.5, 100))
    jobs = made("train_factorization", "als", lambda q: solving(q) * next(noise), SIZES, GRID)
    assert (costs.coefficients(jobs)["coefficient"] > 0).all()


def test_what_was_not_measured_is_unknown():
    table = costs.coefficients(made("train_factorization", "als", solving, "ab", GRID))
    near = quantities(*SIZES["b"], 4)
    assert costs.taken(table, "train_factorization", "als", near)["seconds"] > 0
    for rule, method in (("train_factorization", "mine"), ("tune_adaptively", "als")):
        assert np.isnan(costs.taken(table, rule, method, near)["seconds"])


@pytest.mark.parametrize(("studies", "most"), [("b", 3e6), ("ab", 4.5e6)])
def test_what_was_measured_reaches_a_limited_number_of_ratings(studies, most):
    table = costs.coefficients(made("train_factorization", "als", solving, studies, GRID))
    for ratings, known in ((0.99 * most, True), (1.01 * most, False)):
        found = costs.taken(table, "train_factorization", "als", quantities(1e3, 1e3, ratings))
        assert np.isfinite(found["seconds"]) == known


def test_a_study_is_compared_with_the_forecast_by_the_others():
    jobs = made("parse_ratings", "", lambda q: 0.5 + 3e-7 * q["ratings"], SIZES)
    jobs.loc[jobs["study"] == "c", "seconds"] *= 4
    factors = costs.left_out(jobs).set_index(["study", "quantity"])["factor"]
    assert factors["c", "seconds"] == pytest.approx(1 / 4, rel=0.01)
    assert factors["c", "memory_mb"] == pytest.approx(1)


def test_terms_are_products_of_powers():
    assert costs.value("1", {}) == 1
    assert costs.value("ratings^2 items^-1 k", {"ratings": 6, "items": 4, "k": 2}) == 18
    with pytest.raises(KeyError):
        costs.value("ratings", {})


def test_cpu_seconds_after_the_last_look_are_added():
    assert costs.cpu_seconds(3, 4) == 3
    assert costs.cpu_seconds(15.5, 40) == pytest.approx(40)  # of one core, looked at after 15.5 s
    assert costs.cpu_seconds(91, 60) == pytest.approx(120)  # two cores, after 45.5 s


@pytest.mark.parametrize(
    ("path", "rule", "wildcards"),
    [
        ("parse_ratings", "parse_ratings", {}),
        ("build_matrices/f1", "build_matrices", {"fold": "f1"}),
        (
            "train_factorization/als/k~4_reg~0.1", "train_factorization",
            {"method": "als", "k": "4", "reg": "0.1"},
        ),
    ],
)  # fmt: skip
def test_rule_of_a_benchmark(path, rule, wildcards):
    assert costs.job_of(path) == (rule, wildcards)


def test_benchmark_of_no_rule_is_refused():
    with pytest.raises(ValueError, match="old_rule/x is the job of no rule"):
        costs.job_of("old_rule/x")


def test_passes_are_sweeps_of_chains_and_shared_passes_of_neighbours():
    methods = {
        "gibbs": {"k": [8, 32], "sweeps": 50, "chains": 4},
        "user-knn": {"similarity": ["a", "b"], "neighbours": [20, 80], "damping": [0.1]},
        "baseline": {"reg_user": [2, 5], "reg_item": [1, 2, 5]},
    }
    declared = {
        "folds": ["u1", "u2"],
        "methods": methods,
        "blends": {"blend-x": ["gibbs"]},
        "seeds": [1],
    }
    study = Study(Counts(10, 20, 100, 20), declared, {})
    point = study.quantities("train_factorization", {"method": "gibbs", "k": "8"})
    assert (point["passes"], point["k"], point["runs"]) == (200, 8, 2)
    assert study.quantities("measure_method", {"method": "gibbs"})["k"] == 32
    tuned = [
        study.quantities("tune_neighbours", {"method": one}) for one in ("user-knn", "baseline")
    ]
    assert [one["passes"] for one in tuned] == [2, 6]
    assert study.quantities("blend_methods", {"method": "blend-x"})["methods"] == 1
    assert study.quantities("evaluate_methods", {})["methods"] == 4


@pytest.fixture
def finished(tmp_path):
    """Results of a study with two measured jobs, one of another config and one of no rule."""
    home = tmp_path / "results" / "mine"
    for name in ("ratings", "folds", "benchmarks/train_factorization/als", "matrices/f1"):
        (home / name).mkdir(parents=True)
    counts = {"source": "table", "users": 10, "items": 20, "ratings": 100}
    declared = {"folds": ["f1"], "methods": {"als": {"k": [4]}}, "blends": {}, "seeds": [1]}
    (home / "ratings/audit.json").write_text(json.dumps(counts))
    (home / "plan.json").write_text(json.dumps({"plan": declared}))
    (home / "folds/folds.json").write_text(json.dumps({"folds": {"f1": {"test": 20}}}))
    (home / "matrices/f1/fit.npz").write_bytes(bytes(3_000_000))
    lines = "s\tmax_rss\tcpu_time\n2.0\t300\t1.5\n"
    for job in ("build_matrices/f1", "train_factorization/als/k~4_reg~1", "gone",
                "tune_neighbours/other"):  # fmt: skip
        path = home / "benchmarks" / f"{job}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(lines)
    return home


def test_jobs_of_a_study_are_read(finished):
    jobs = costs.measured(finished)
    assert list(jobs["rule"]) == ["build_matrices", "train_factorization"]
    assert list(jobs["method"]) == ["", "als"]
    assert list(jobs["seconds"]) == [1.5, 1.5]
    assert list(jobs["disk_mb"]) == [3, 0]
    assert jobs["quantities"][1]["tested"] == 20


def test_the_command_writes_the_table(finished, tmp_path):
    path = tmp_path / "costs.tsv"
    costs.main([str(finished.parent), "--to", str(path)])
    table = pd.read_csv(path, sep="\t", dtype={"term": str})
    assert set(table["rule"]) == {"build_matrices", "train_factorization"}
    with pytest.raises(SystemExit):
        costs.main([str(tmp_path / "nothing")])


def test_the_table_of_the_package_covers_the_default_study():
    table = costs.known_costs()
    assert set(table["quantity"]) == set(costs.QUANTITIES)
    assert (table["coefficient"] > 0).all()
    trained = table[table["rule"] == "train_factorization"]
    assert {"mf", "als", "gibbs", "gibbs-implicit"} <= set(trained["method"])
