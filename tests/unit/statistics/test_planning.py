"""What a larger study could detect: variance components, and the power of equivalence."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cfmf.statistics import planning
from cfmf.statistics.names import POPULATIONS
from cfmf.statistics.populations import TRAINING, Components
from cfmf.statistics.power import power_of_equivalence, power_of_t

BLOCK = {"alpha": 0.05, "power": 0.8}
FOUND = Components(
    value=0.01,
    folds=5,
    between=25e-6,
    users=(6e-6, 0.4e-12),
    items=(5e-6, 0.5e-12),
    single=4e-6,
)


@pytest.mark.parametrize(
    ("margin", "df", "effect"), [(3, 4, 0), (4, 9, 1), (2.5, 50, 0), (6, 4, 3)]
)
def test_power_of_equivalence_is_that_of_simulated_studies(margin, df, effect):
    rng = np.random.default_rng(df)
    values = rng.normal(effect, 1, 400_000)
    half = margin - stats.t.isf(0.05, df) * np.sqrt(rng.chisquare(df, values.size) / df)
    found = power_of_equivalence(margin, df, 0.05, effect)
    assert found == pytest.approx(np.mean(np.abs(values) < half), abs=0.003)


def test_power_of_equivalence_of_a_known_error_is_exact():
    z = stats.norm.isf(0.05)
    expected = 2 * stats.norm.cdf(3 - z) - 1
    assert power_of_equivalence(3, 1e6, 0.05) == pytest.approx(expected, abs=1e-4)
    assert power_of_equivalence(1e-3, 4, 0.05) < 1e-3
    assert power_of_equivalence(100, 29, 0.05) == pytest.approx(1.0)


def test_components_add_up_to_the_variance_that_they_came_from():
    found = planning.sources(FOUND, 100, (0.0, 0.0))
    design = 5, 1, 1, 100
    ratings, df = planning.planned(found, "new_ratings", design)
    assert sum(ratings.values()) == pytest.approx(FOUND.between * (1 / 5 + 1 / 4))
    assert df == 4
    users, df = planning.planned(found, "new_users", design)
    assert users["rating"] + users["user"] == pytest.approx(FOUND.users[0] * (1 + TRAINING))
    assert df == pytest.approx(2 * 36e-12 / 0.4e-12)
    both, _ = planning.planned(found, "new_users_and_items", design)
    assert both["item"] == pytest.approx((5e-6 - 4e-6) * (1 + TRAINING))
    assert users["split"] == both["split"] == pytest.approx((25e-6 - 20e-6) / 5)


def test_each_source_shrinks_with_its_own_number():
    found = planning.sources(FOUND, 100, (2e-6, 1e-6))
    assert found.split == pytest.approx(25e-6 - 20e-6 - 1e-6)
    base, _ = planning.planned(found, "new_users_and_items", (10, 1, 1, 100))
    for design, name, factor in (
        ((10, 1, 1, 400), "user", 4),
        ((10, 1, 1, 400), "rating", 4),
        ((10, 1, 1, 400), "item", 1),
        ((10, 1, 5, 100), "seed", 5),
        ((10, 3, 1, 100), "split", 3),
    ):
        parts, _ = planning.planned(found, "new_users_and_items", design)
        assert base[name] / parts[name] == pytest.approx(factor)


def test_table_detects_with_the_power_and_has_every_design():
    table = planning.planning(planning.sources(FOUND, 100, (2e-6, 1e-6)), 0.01, BLOCK)
    designs = len(planning.FOLDS) * len(planning.SEEDS) * len(planning.USERS)
    assert table["population"].value_counts().to_dict() == dict.fromkeys(POPULATIONS, designs)
    parts = table.filter(like="sd_")
    np.testing.assert_allclose(np.sqrt((parts**2).sum(axis=1)), table["error"])
    for row in table.to_dict("records"):
        effect = row["detectable"] / row["error"] / np.sqrt(row["df"] + 1)
        assert power_of_t(effect, row["df"] + 1, 0.05) == pytest.approx(0.8, abs=1e-6)
    grouped = table.groupby(["population", "folds", "repeats", "seeds"])
    assert (grouped["detectable"].diff().dropna() < 0).all()
    assert (grouped["equivalence"].diff().dropna() > -1e-9).all()


def test_seeds_are_separated_where_there_are_several():
    rng = np.random.default_rng(1)
    runs = [
        {"fold": f, "method": "a", "seed": str(s), "value": f + rng.normal(0, 0.1)}
        for f in range(40)
        for s in range(4)
    ]
    known = [{"fold": f, "method": "b", "seed": "", "value": 1.0} for f in range(40)]
    one, mean = planning.seed_variances(pd.DataFrame(runs + known), ("a", "b"))
    assert one == pytest.approx(0.01, rel=0.3)
    assert mean == pytest.approx(one / 4)
    single = pd.DataFrame([row for row in runs if row["seed"] == "0"])
    one, mean = planning.seed_variances(single, ("a", "b"))
    assert np.isnan(one)
    assert mean == 0
    table = planning.planning(planning.sources(FOUND, 100, (one, mean)), 0.01, BLOCK)
    assert table["sd_seed"].isna().all()
    assert (table["seeds"] == 1).all()
    assert np.isfinite(table["error"]).all()


def test_equal_methods_need_nothing():
    same = Components(0.0, 5, 0.0, (0.0, 0.0), (0.0, 0.0), 0.0)
    table = planning.planning(planning.sources(same, 100, (0.0, 0.0)), 0.01, BLOCK)
    assert (table["detectable"] == 0).all()
    assert (table["equivalence"] == 1).all()
