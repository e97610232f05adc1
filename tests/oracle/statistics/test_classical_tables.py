"""The rows of the tables against published worked examples and what R gives for small data sets.

Sources of the data, all of them facts in print:
- PlantGrowth: Dobson (1983), An Introduction to Statistical Modelling; R's `datasets`.
- InsectSprays: Beall (1942), Biometrika 32, 243-262; R's `datasets`.
- RoundingTimes: Hollander & Wolfe (1973), p. 140; R's `friedman.test` help page.
- Classifiers: Demšar (2006), JMLR 7, table 6 (voting, C4.5+cf, with the digit that breaks the
  printed tie).
- Penicillin: Davies & Goldsmith (1972), Statistical Methods in Research and Production, table 6.6;
  lme4's `Penicillin`.
- the study's own analysis of variance: its sums of squares, degrees of freedom, H and n.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cfmf.evaluation.bootstrap import Resampling
from cfmf.published import unblocked as published
from cfmf.statistics import assumptions, blocked, effects
from cfmf.statistics.families import adjust
from cfmf.statistics.results import Analysis, Family

RESAMPLING = Resampling(repeats=200)
PLANTS = {
    "ctrl": [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14],
    "trt1": [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    "trt2": [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
}
SPRAYS = {
    "A": [10, 7, 20, 14, 14, 12, 10, 23, 17, 20, 14, 13],
    "B": [11, 17, 21, 11, 16, 14, 17, 17, 19, 21, 7, 13],
    "C": [0, 1, 7, 2, 3, 1, 2, 1, 3, 0, 1, 4],
    "D": [3, 5, 12, 6, 4, 3, 5, 5, 5, 5, 2, 4],
    "E": [3, 5, 3, 5, 3, 6, 1, 1, 3, 2, 6, 4],
    "F": [11, 9, 15, 22, 15, 16, 13, 10, 26, 26, 24, 13],
}
ROUNDING = """
5.40 5.50 5.55  5.85 5.70 5.75  5.20 5.60 5.50  5.55 5.50 5.40  5.90 5.85 5.70  5.45 5.55 5.60
5.40 5.40 5.35  5.45 5.50 5.35  5.25 5.15 5.00  5.85 5.80 5.70  5.25 5.20 5.10  5.65 5.55 5.45
5.60 5.35 5.45  5.05 5.00 4.95  5.50 5.50 5.40  5.45 5.55 5.50  5.55 5.55 5.35  5.45 5.50 5.55
5.50 5.45 5.25  5.65 5.60 5.40  5.70 5.65 5.55  6.30 6.30 6.25
"""
CLASSIFIERS = """
.763 .768 .771 .798  .599 .591 .590 .569  .954 .971 .968 .967  .628 .661 .654 .657
.882 .888 .886 .898  .936 .931 .916 .931  .661 .668 .609 .685  .583 .583 .563 .625
.775 .838 .866 .875  1 1 1 1              .940 .962 .965 .962  .619 .666 .614 .669
.972 .981 .9751 .975  .957 .978 .946 .970
"""
# Diameters of samples A to F, one plate after the other.
PENICILLIN = """
27 23 26 23 23 21  27 23 26 23 23 21  25 21 25 24 24 20  26 23 25 23 23 20  25 22 26 22 23 20
24 22 25 23 22 19  24 20 23 21 22 19  26 22 26 24 24 21  24 21 24 22 22 20  24 21 24 23 22 19
26 23 26 24 24 21  25 22 26 24 24 20  26 24 26 24 25 22  26 23 26 23 23 20  26 23 25 24 24 22
25 22 25 23 23 20  25 21 24 23 23 20  25 22 24 23 23 19  24 21 23 21 21 19  26 23 26 24 24 21
25 21 24 22 22 18  25 22 25 22 22 20  24 21 24 22 24 19  24 21 24 22 21 18
"""


def wide(text, levels):
    values = np.array(text.split(), dtype=float).reshape(-1, len(levels))
    return pd.DataFrame(values, columns=list(levels))


def runs(groups):
    return pd.DataFrame(
        [{"k": k, "value": float(v)} for k, values in groups.items() for v in values]
    )


def one(rows, **where):
    found = [
        row for row in rows if all(getattr(row, name) == value for name, value in where.items())
    ]
    assert len(found) == 1, f"{len(found)} rows have {where}"
    return found[0]


def close(value, digits, expected):
    assert value == pytest.approx(expected, abs=0.51 * 10.0**-digits)


def test_published_anova_follows_from_its_sums_of_squares():
    ss_between, ss_within, df1, df2 = 6.865326, 15.207092, 3, 56
    f = (ss_between / df1) / (ss_within / df2)
    close(f, 6, 8.427170)
    close(stats.f.sf(f, df1, df2), 10, 1.031394e-4)
    found = effects.anova_effects(ss_between, ss_within, df1, df2)
    close(found["eta_squared"], 6, 0.311036)
    close(found["omega_squared"], 6, 0.270796)
    close(found["epsilon_squared"], 6, 0.274128)


def test_published_kruskal_wallis_effects():
    h = 21.605648342166887
    assert stats.chi2.sf(h, 3) == pytest.approx(7.879126651e-05, abs=5.1e-15)
    found = effects.kruskal_effects(h, groups=4, n=60)
    close(found["epsilon_squared_of_h"], 6, 0.366197)
    close(found["eta_squared_of_h"], 6, 0.332244)


def test_demsar_friedman_and_critical_difference():
    table = wide(CLASSIFIERS, ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"])
    mean_ranks = (5 - blocked.ranks(table)).mean()  # he ranks the highest accuracy first
    np.testing.assert_allclose(mean_ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4, rtol=0)
    rows = blocked.friedman(table, level=0.95)
    plain = one(rows, test="friedman")
    assert plain.stat == pytest.approx(10.2283464566929, abs=1e-13)
    assert plain.p_raw == pytest.approx(0.0167215803284414, abs=2e-16)
    f = one(rows, test="friedman_iman_davenport")
    close(f.effect, 6, 0.220918)
    close(f.effect * 14 * 3, 6, 9.278571)
    close(f.stat, 6, 3.686313)
    close(f.p_raw, 6, 0.019823)


@pytest.mark.parametrize(
    ("alpha", "q", "difference"), [(0.05, 2.569032, 1.253559), (0.10, 2.291341, 1.118060)]
)
def test_demsar_quantiles(alpha, q, difference):
    found = blocked.critical_difference(levels=4, blocks=14, alpha=alpha)
    close(found, 6, difference)
    close(found / np.sqrt(4 * 5 / (6 * 14)), 6, q)


def test_rounding_times():
    row = one(blocked.friedman(wide(ROUNDING, "abc"), level=0.95), test="friedman")
    close(row.stat, 6, 11.142857)
    close(row.p_raw, 6, 0.003805)
    close(row.effect, 7, 0.2532468)


def test_plant_growth():
    rows, checks = published.tests_of(runs(PLANTS), Family("plants"), 0.05, RESAMPLING)
    anova, welch = one(rows, test="one_way_anova"), one(rows, test="welch_anova")
    close(anova.stat, 6, 4.846088)
    close(anova.p_raw, 6, 0.015910)
    close(welch.stat, 6, 5.180972)
    close(welch.p_raw, 6, 0.017393)
    kruskal = one(rows, test="kruskal_wallis")
    close(kruskal.stat, 6, 7.988229)
    close(kruskal.p_raw, 7, 0.0184238)
    table = Analysis(adjust(rows, alpha=0.05)).tables()["tests"]
    # R's dunn.test and FSA subtract the other way round: second group less first.
    found = table[table["test"] == "dunn"]
    assert list(zip(found["group_a"], found["group_b"], strict=True)) == [
        *(("ctrl", "trt1"), ("ctrl", "trt2"), ("trt1", "trt2"))
    ]
    digits = {"atol": 5.1e-7, "rtol": 0}
    np.testing.assert_allclose(-found["stat"], [-1.117725, 1.689290, 2.807015], **digits)
    np.testing.assert_allclose(found["p_adj"], [0.263684, 0.182328, 0.015001], **digits)
    tukey = table[table["test"] == "tukey"]
    np.testing.assert_allclose(tukey["p_adj"], [0.390871, 0.197996, 0.012006], **digits)
    bartlett, brown = one(checks, check="bartlett"), one(checks, check="brown_forsythe")
    close(bartlett.stat, 6, 2.878574)
    close(bartlett.p_value, 6, 0.237097)
    close(brown.stat, 6, 1.119186)
    close(brown.p_value, 6, 0.341227)


def test_plant_growth_residuals():
    left = np.concatenate([np.subtract(v, np.mean(v)) for v in PLANTS.values()])
    shapiro = one(assumptions.normality(left, 0.05, "residuals"), check="shapiro_wilk")
    close(shapiro.stat, 6, 0.966068)
    close(shapiro.p_value, 6, 0.437899)


def test_insect_sprays():
    rows, checks = published.tests_of(runs(SPRAYS), Family("sprays"), 0.05, RESAMPLING)
    kruskal = one(rows, test="kruskal_wallis")
    close(kruskal.stat, 6, 54.691345)
    assert kruskal.p_raw == pytest.approx(1.5108e-10, rel=3.4e-5)
    close(one(checks, check="bartlett").stat, 6, 25.959825)
    brown = one(checks, check="brown_forsythe")
    close(brown.stat, 6, 3.821356)
    close(brown.p_value, 6, 0.004223)
    close(one(rows, test="welch_anova").stat, 6, 36.065444)


def test_integers_are_checked_as_floats():
    groups = [np.array(values) for values in SPRAYS.values()]
    close(one(assumptions.equal_variances(groups, 0.05), check="bartlett").stat, 6, 25.959825)


def test_penicillin_repeated_measures():
    table = wide(PENICILLIN, "ABCDEF")
    (row,) = blocked.shared_anova(table, 0.0, 0.95)
    close(row.stat, 6, 297.089457)
    close(row.effect, 6, 0.928145)
    close(blocked.greenhouse_geisser(table), 7, 0.7439365)
    close(one(blocked.friedman(table, 0.95), test="friedman").effect, 7, 0.9479432)


def test_penicillin_crossed_mixed_model():
    table = wide(PENICILLIN, "ABCDEF").rename_axis(index="plate")
    frame = table.reset_index().melt("plate", var_name="sample", value_name="diameter")
    components = {"plate": "0 + C(plate)", "sample": "0 + C(sample)"}
    fitted, warned = blocked.fit_mixed(frame, "diameter ~ 1", components)
    assert fitted.converged
    assert not warned
    deviations = dict(zip(fitted.model.exog_vc.names, np.sqrt(fitted.vcomp), strict=True))
    assert deviations["plate"] == pytest.approx(0.8467, abs=5e-4)
    assert deviations["sample"] == pytest.approx(1.9316, abs=5e-4)
    assert np.sqrt(fitted.scale) == pytest.approx(0.5499, abs=5e-4)
    assert fitted.fe_params["Intercept"] == pytest.approx(22.9722, abs=5e-4)
    assert fitted.bse_fe["Intercept"] == pytest.approx(0.8086, abs=5e-4)
