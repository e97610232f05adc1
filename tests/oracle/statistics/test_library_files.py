"""The rows of the tables against certified values that ship in the wheels of the libraries."""

from importlib import resources

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import AnovaRM

from cfmf.evaluation.bootstrap import Resampling
from cfmf.published import unblocked as published
from cfmf.statistics import blocked, blocks

RESAMPLING = Resampling(repeats=200)


def nist(name):
    """Groups of a NIST StRD file, its certified F and sums of squares between and within."""
    path = resources.files("scipy.stats") / "tests/data/nist_anova" / f"{name}.dat"
    lines = path.read_text(encoding="ascii").splitlines()
    certified = next(line for line in lines if line.startswith("Between"))
    pairs = [line.split() for line in lines[60:] if line.strip()]
    values = pd.DataFrame({"k": [k for k, _ in pairs], "value": [float(v) for _, v in pairs]})
    within = next(line for line in lines if line.startswith("Within"))
    squares = [float(line.split()[-3 + shift]) for line, shift in ((certified, 0), (within, 1))]
    return values, float(certified.split()[-1]), squares


@pytest.mark.parametrize(
    ("name", "f", "digits"),
    [("SiRstv", 1.18046237440255, 12), ("SmLs01", 21.0, 13), ("AtmWtAg", 15.9467335677930, 10)],
)
def test_nist_anova(name, f, digits):
    values, certified, (between, within) = nist(name)
    assert certified == pytest.approx(f, rel=1e-13)
    groups = blocks.grouped(values)
    row = next(r for r in published.one_way(groups, 0.95) if r.test == "one_way_anova")
    assert row.stat == pytest.approx(f, rel=10.0**-digits)
    found = published.sums_of_squares(groups)
    assert found["between"] == pytest.approx(between, rel=1e-9)
    assert found["within"] == pytest.approx(within, rel=1e-9)
    assert found["total"] == pytest.approx(between + within, rel=1e-9)


@pytest.fixture
def repeated():
    path = resources.files("statsmodels.stats") / "tests/results/anova-rm-test-data.csv"
    return pd.read_csv(path)


def test_one_factor_equals_ezanova(repeated):
    table = repeated.iloc[:16].pivot_table(index="id", columns="B", values="DV")
    (row,) = blocked.shared_anova(table, 0.0, 0.95)
    assert (row.df1, row.df2) == (1, 7)
    assert row.stat == pytest.approx(22.4, rel=1e-9)
    assert row.p_raw == pytest.approx(0.002125452, abs=5.1e-10)


def test_two_factors_equal_ezanova(repeated):
    found = AnovaRM(repeated.iloc[:48], "DV", "id", within=["A", "B"]).fit().anova_table["F Value"]
    np.testing.assert_allclose(
        found[["A", "B", "A:B"]], [40.14159, 29.21739, 17.10545], atol=5.1e-6, rtol=0
    )


def test_rank_comparisons_of_one_factor_with_three_levels(repeated):
    table = repeated.iloc[:48].pivot_table(index="id", columns="A", values="DV")
    (row,) = blocked.shared_anova(table, 0.0, 0.95)
    # The main effect of A is that of its means over B.
    assert row.stat == pytest.approx(40.14159, abs=5.1e-6)
