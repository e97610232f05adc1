"""Tests of several levels that were all measured in the same blocks (folds or data sets).

Every function takes a table blocks × levels of RMSE, one value a cell, and returns rows of the
`tests` table without family, estimand and design.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pandas as pd
import scikit_posthocs
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.anova import AnovaRM
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from cfmf.evaluation.bootstrap import Resampling
from cfmf.statistics import names
from cfmf.statistics.effects import (
    concordance_interval,
    partial_eta_interval,
    partial_eta_squared,
)
from cfmf.statistics.intervals import (
    LEAST_FOLDS,
    error_told,
    interval,
    no_interval,
    resampled,
    within,
)
from cfmf.statistics.rows import Row, test_row

AGREE = "all blocks rank the levels alike, which leaves no error to divide by"


def greenhouse_geisser(table: pd.DataFrame) -> float:
    """Box's ε̂ of a table blocks × levels: 1 when sphericity holds, 1/(K-1) at worst.

    From the double-centred covariance S of the levels: (tr S)²/((K-1) tr S²); Greenhouse &
    Geisser (1959), eq. 2.
    """
    levels = table.shape[1]
    centre = np.eye(levels) - 1 / levels
    covariance = centre @ np.cov(table.to_numpy(dtype=np.float64), rowvar=False) @ centre
    square = np.sum(np.square(covariance))
    if square == 0:
        return 1.0
    return float(np.trace(covariance) ** 2 / ((levels - 1) * square))


def sums_of_squares(table: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Sums of squares of levels, blocks and their interaction (which is the error).

    Parameters
    ----------
    table
        … × blocks × levels: one table, or many at once.
    """
    values = np.asarray(table, dtype=np.float64)
    blocks, levels = values.shape[-2:]
    left = values - values.mean(axis=(-2, -1), keepdims=True)
    of_levels = blocks * np.sum(np.square(left.mean(axis=-2)), axis=-1)
    of_blocks = levels * np.sum(np.square(left.mean(axis=-1)), axis=-1)
    total = np.sum(np.square(left), axis=(-2, -1))
    return {
        "levels": of_levels,
        "blocks": of_blocks,
        "error": np.maximum(total - of_levels - of_blocks, 0.0),
    }


def shares_of_variance(table: ArrayLike) -> NDArray[np.float64]:
    """Generalised η² (Olejnik & Algina 2003) and ω² of … × blocks × levels: 2 × ….

    ω² is of levels at random blocks: (SS - df·MS_error)/(SS_total + MS_blocks).
    """
    blocks, levels = np.shape(table)[-2:]
    ss = sums_of_squares(table)
    error = ss["error"] / ((levels - 1) * (blocks - 1))
    total = ss["levels"] + ss["blocks"] + ss["error"]
    omega = (ss["levels"] - (levels - 1) * error) / (total + ss["blocks"] / (blocks - 1))
    return np.stack([ss["levels"] / total, omega])


def residuals(table: pd.DataFrame) -> pd.DataFrame:
    """What the additive model of blocks and levels leaves of a table."""
    values = table.to_numpy(dtype=np.float64)
    left = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return pd.DataFrame(left, index=table.index, columns=table.columns)


def inflation(folds: int, ratio: float) -> float:
    """Variance of a mean over folds, in units of what independent folds would have.

    Nadeau & Bengio (2003), eq. 10: 1/J + n_test/n_train in place of 1/J.

    Parameters
    ----------
    folds
        Their number J.
    ratio
        Test ratings over train ratings of a fold, n_test/n_train.
    """
    return 1 + folds * ratio


def repeated_measures_anova(
    table: pd.DataFrame, resampling: Resampling, ratio: float | None = None
) -> list[Row]:
    """Repeated-measures analysis of variance: plain, Greenhouse-Geisser, and for shared ratings.

    Effects: partial η² with an interval from the noncentral F; generalised η² and ω² with those of
    resampled blocks, of which it takes ten.

    Parameters
    ----------
    table
        Blocks × levels.
    resampling
        How blocks are resampled, and the level of all intervals.
    ratio
        Test ratings over train ratings of a fold, where blocks are folds: F is then also given
        divided by `inflation`, as Nadeau & Bengio's t is. None leaves that row out.
    """
    size = {"n_blocks": len(table), "n_obs": table.size}
    if len(table) < 2:
        return [_cannot(names.ANOVA, "needs two blocks", **size)]
    melted = table.reset_index(names="block").melt("block", var_name="level", value_name="value")
    if np.ptp(residuals(table).to_numpy()) < 1e-12:
        return [_cannot(names.ANOVA, "blocks do not differ in the effect", **size)]
    found = AnovaRM(melted, "value", "block", within=["level"]).fit().anova_table.iloc[0]
    f, df1, df2 = (float(found[name]) for name in ("F Value", "Num DF", "Den DF"))
    epsilon = greenhouse_geisser(table)
    generalised, omega = shares_of_variance(table)
    of_generalised, of_omega = _resampled_shares(table, resampling)
    statistic: Row = {
        "function": "statsmodels.stats.anova.AnovaRM",
        "stat_name": "F",
        "stat": f,
        **size,
    }
    rows = [
        test_row(
            names.ANOVA,
            **statistic,
            df1=df1,
            df2=df2,
            p_raw=float(found["Pr > F"]),
            **_partial_eta(f, df1, df2, resampling.level),
        ),
        test_row(
            names.GREENHOUSE_GEISSER,
            **statistic,
            df1=epsilon * df1,
            df2=epsilon * df2,
            p_raw=float(stats.f.sf(f, epsilon * df1, epsilon * df2)),
            effect_name="generalised eta squared",
            effect=float(generalised),
            **of_generalised,
            note=f"epsilon {epsilon:.4f}",
        ),
        test_row(
            names.EFFECT_SIZE,
            "cfmf.statistics.blocked.shares_of_variance",
            **size,
            effect_name="omega squared",
            effect=float(omega),
            **of_omega,
        ),
    ]
    if ratio is None:
        return rows
    return [*rows, _shared_anova(statistic, df1, df2, ratio, resampling.level)]


def _resampled_shares(table: pd.DataFrame, resampling: Resampling) -> list[Row]:
    values = table.to_numpy(dtype=np.float64)

    def of_blocks(chosen: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return shares_of_variance(values[chosen.astype(np.intp)])

    return resampled([np.arange(len(values))], of_blocks, resampling, "blocks", least=LEAST_FOLDS)


def _partial_eta(f: float, df1: float, df2: float, level: float) -> Row:
    ends = partial_eta_interval(f, df1, df2, level)
    return {
        "effect_name": "partial eta squared",
        "effect": partial_eta_squared(f, df1, df2),
        **interval(*ends, level, "noncentral F"),
    }


def _shared_anova(statistic: Row, df1: float, df2: float, ratio: float, level: float) -> Row:
    """The F of folds that share training ratings."""
    f = statistic["stat"] / inflation(statistic["n_blocks"], ratio)
    return test_row(
        names.SHARED_ANOVA,
        **{**statistic, "stat": f},
        df1=df1,
        df2=df2,
        p_raw=float(stats.f.sf(f, df1, df2)),
        **{**_partial_eta(f, df1, df2, level), "effect_name": "partial eta squared, corrected"},
        note=f"F over {inflation(statistic['n_blocks'], ratio):.4g}: test/train {ratio:.4g}",
    )


def fit_mixed(
    frame: pd.DataFrame, formula: str, components: dict[str, str]
) -> tuple[Any, bool, str]:
    """A linear mixed model with crossed variance components, by restricted maximum likelihood.

    Parameters
    ----------
    frame
        One row an observation.
    formula
        Fixed part, such as `value ~ C(level)`.
    components
        Random part: for each name the formula of its indicator columns, such as
        `{"fold": "0 + C(fold)"}`.

    Returns
    -------
    The fitted model of statsmodels, whether it converged, and what it warned of.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = MixedLM.from_formula(
            formula, frame, groups=np.ones(len(frame)), vc_formula=components
        )
        fitted = model.fit(reml=True, method=["bfgs", "powell", "nm"])
    trouble = [str(w.message) for w in said if issubclass(w.category, ConvergenceWarning)]
    return fitted, bool(fitted.converged), "; ".join(dict.fromkeys(trouble))


def mixed_model(values: pd.DataFrame, factor: str, level: float) -> list[Row]:
    """Wald test of the levels in a mixed model: folds, and levels within folds, at random.

    Parameters
    ----------
    values
        Columns fold, seed, value and the factor, one row a run; several seeds in every cell let
        the model tell the levels' own variation between folds from noise. Where a cell has one run
        the two are one: only folds are random, and the runs of other cells are averaged first, for
        as observations of their own they would be replicates of their fold.
    factor
        Name of the factor's column.
    level
        Of the interval of partial η², which takes W/(K-1) for the F that it is compared with.

    Returns
    -------
    One row: W/(K-1) against F(K-1, (J-1)(K-1)), which is the blocks' own number of degrees of
    freedom rather than that of the runs; `converged` as the fit reports it.
    """
    frame = values.rename(columns={factor: "level"})
    levels, blocks = frame["level"].nunique(), frame["fold"].nunique()
    runs = frame.groupby(["fold", "level"]).size()
    repeated = bool(runs.min() > 1)
    if not repeated:
        frame = frame.groupby(["fold", "level"])["value"].mean().reset_index()
    size = {"n_blocks": blocks, "n_obs": len(frame)}
    if blocks < 2:
        return [_cannot("mixed model", "needs two blocks", **size)]
    # Centred and in units of its spread, so that the optimiser sees numbers near one.
    spread = float(frame["value"].std())
    if not spread > 1e-12:
        return [_cannot("mixed model", "all values are the same", **size)]
    frame["value"] = (frame["value"] - frame["value"].mean()) / spread
    components = {"fold": "0 + C(fold)"}
    if repeated:
        components["level within fold"] = "0 + C(fold):C(level)"
        note = "folds and levels within folds random"
    else:
        single = runs.max() == 1
        note = "folds random; one run a cell" if single else "folds random; runs of a cell averaged"
    try:
        fitted, converged, trouble = fit_mixed(frame, "value ~ C(level)", components)
        fixed = fitted.fe_params.iloc[1:].to_numpy()
        covariance = fitted.cov_params().iloc[1:levels, 1:levels].to_numpy()
        wald = float(fixed @ np.linalg.solve(covariance, fixed))
    except (np.linalg.LinAlgError, ValueError) as error:
        return [_cannot("mixed model", f"the fit failed: {error}", converged=False, **size)]
    df1, df2 = levels - 1, (levels - 1) * (blocks - 1)
    f = wald / df1
    return [
        test_row(
            "mixed model, Wald",
            "statsmodels.regression.mixed_linear_model.MixedLM",
            **size,
            stat_name="W/(K-1)",
            stat=f,
            df1=df1,
            df2=df2,
            p_raw=float(stats.f.sf(f, df1, df2)),
            **_partial_eta(f, df1, df2, level),
            converged=converged,
            note="; ".join(filter(None, [note, trouble])),
        )
    ]


def friedman(table: pd.DataFrame, level: float) -> list[Row]:
    """Friedman's test with Kendall's W, and the F of Iman & Davenport (Demšar 2006, sec. 3.2.2).

    SciPy's χ² is corrected for ties; Demšar's F, and the W in its row, are not. Where all blocks
    rank the levels alike, F has no error to divide by and neither value nor p.
    """
    blocks, levels = table.shape
    size = {"n_blocks": blocks, "n_obs": table.size}
    if levels < 3 or blocks < 2:
        return [_cannot(names.FRIEDMAN, "needs three levels and two blocks", **size)]
    chi2, p = stats.friedmanchisquare(*table.to_numpy(dtype=np.float64).T)
    mean_ranks = ranks(table).mean()
    plain = 12 * blocks / (levels * (levels + 1)) * np.sum(np.square(mean_ranks - (levels + 1) / 2))
    room = blocks * (levels - 1) - plain
    alike = room < 1e-9
    least = least_friedman_p(blocks, levels)
    f = np.nan if alike else (blocks - 1) * plain / room
    df1, df2 = levels - 1, (levels - 1) * (blocks - 1)
    ends, plain_ends = (
        interval(*concordance_interval(x, blocks, levels, level), level, "noncentral chi2")
        for x in (float(chi2), float(plain))
    )
    return [
        test_row(
            names.FRIEDMAN,
            "scipy.stats.friedmanchisquare",
            **size,
            stat_name="chi2",
            stat=float(chi2),
            df1=df1,
            p_raw=float(p),
            effect_name="Kendall W",
            effect=float(chi2) / (blocks * df1),
            **ends,
            note=f"with {blocks} blocks of {levels} levels p cannot be below {least:.3g}",
        ),
        test_row(
            names.IMAN_DAVENPORT,
            "cfmf.statistics.blocked.friedman",
            **size,
            stat_name="F",
            stat=float(f),
            df1=df1,
            df2=df2,
            p_raw=float(stats.f.sf(f, df1, df2)),
            effect_name="Kendall W without correction for ties",
            effect=float(plain) / (blocks * df1),
            **plain_ends,
            note=AGREE if alike else "",
        ),
        *(
            test_row(
                "mean rank",
                "scipy.stats.rankdata",
                **size,
                group_a=name,
                stat_name="mean rank",
                stat=float(rank),
            )
            for name, rank in mean_ranks.items()
        ),
    ]


def least_friedman_p(blocks: int, levels: int) -> float:
    """P of Friedman's test where all blocks rank the levels alike: χ² is then J(K-1)."""
    return float(stats.chi2.sf(blocks * (levels - 1), levels - 1))


def ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rank of every level in its block, 1 for the least value; ties share their mean rank."""
    found = stats.rankdata(table.to_numpy(dtype=np.float64), axis=1)
    return pd.DataFrame(found, index=table.index, columns=table.columns)


def critical_difference(levels: int, blocks: int, alpha: float) -> float:
    """Nemenyi's critical difference of mean ranks (Demšar 2006, sec. 3.2.2)."""
    q = stats.studentized_range.ppf(1 - alpha, levels, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(levels * (levels + 1) / (6 * blocks)))


def rank_comparisons(table: pd.DataFrame, alpha: float, level: float) -> list[Row]:
    """Conover's and Nemenyi's comparisons of every pair of levels, and the critical difference.

    The effect of a pair is the difference of its mean ranks, first less second. Its interval comes
    from the test's own distribution: Conover's t for the pair alone, Nemenyi's studentized range
    for all pairs together.

    Parameters
    ----------
    table
        Blocks × levels.
    alpha
        Of the critical difference.
    level
        Of the intervals.
    """
    blocks, levels = table.shape
    size = {"n_blocks": blocks, "n_obs": table.size}
    if levels < 3 or blocks < 2:
        return [_cannot(names.CONOVER, "needs three levels and two blocks", **size)]
    mean_ranks = ranks(table).mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        conover = scikit_posthocs.posthoc_conover_friedman(table)
    if ranks(table).nunique().max() == 1:
        # Blocks in full agreement leave no error to divide by; the library calls that p = 0.
        conover[:] = np.nan
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(table)
    cd = critical_difference(levels, blocks, alpha)
    wide = critical_difference(levels, blocks, 1 - level)
    half = _conover_half(mean_ranks, conover, blocks, level)
    rows = []
    for a, b in itertools.combinations(table.columns, 2):
        difference = float(mean_ranks[a] - mean_ranks[b])
        pair = {
            "group_a": a,
            "group_b": b,
            "effect_name": "difference of mean ranks",
            "effect": difference,
        }
        rows += [
            test_row(
                names.CONOVER,
                "scikit_posthocs.posthoc_conover_friedman",
                **size,
                **pair,
                **(
                    within(difference, half, levels - 1, level, "Conover's t")
                    if np.isfinite(half)
                    else no_interval(AGREE)
                ),
                p_raw=float(conover.loc[a, b]),
                note="" if np.isfinite(conover.loc[a, b]) else AGREE,
            ),
            test_row(
                names.NEMENYI,
                "scikit_posthocs.posthoc_nemenyi_friedman",
                **size,
                **pair,
                **within(difference, wide, levels - 1, level, "studentized range"),
                p_adj=float(nemenyi.loc[a, b]),
                adj_method="studentized range",
                family_size=levels * (levels - 1) // 2,
                note=f"critical difference {cd:.6g}",
            ),
        ]
    rows.append(
        test_row(
            names.CRITICAL_DIFFERENCE,
            "scipy.stats.studentized_range",
            **size,
            stat_name="CD",
            stat=cd,
            note=f"of mean ranks at {alpha:g}",
        )
    )
    return rows


def _conover_half(mean_ranks: pd.Series, p: pd.DataFrame, blocks: int, level: float) -> float:
    """Half the interval of any difference of mean ranks by Conover's t; NaN where p tells none."""
    t = stats.t((blocks - 1) * (len(mean_ranks) - 1))
    first, second = np.triu_indices(len(mean_ranks), 1)
    values = mean_ranks.to_numpy()
    found = p.loc[mean_ranks.index, mean_ranks.index].to_numpy()
    error = error_told(values[first] - values[second], found[first, second], t.isf)
    return float(error * t.isf((1 - level) / 2))


def many_to_one(table: pd.DataFrame, control: str, level: float) -> list[Row]:
    """Mean rank of every level against that of a control (Demšar 2006, sec. 3.2.2).

    The intervals, of this level, are those of its z: ± quantile × √(K(K+1)/6J).
    """
    blocks, levels = table.shape
    size = {"n_blocks": blocks, "n_obs": table.size}
    if levels < 3 or blocks < 2:
        return [_cannot("ranks against control", "needs three levels and two blocks", **size)]
    mean_ranks = ranks(table).mean()
    found = scikit_posthocs.posthoc_demsar(table, control=control)
    half = stats.norm.isf((1 - level) / 2) * np.sqrt(levels * (levels + 1) / (6 * blocks))
    rows = []
    for name in table.columns.drop(control):
        difference = float(mean_ranks[name] - mean_ranks[control])
        rows.append(
            test_row(
                "ranks against control",
                "scikit_posthocs.posthoc_demsar",
                **size,
                group_a=name,
                group_b=control,
                p_raw=float(found.loc[control, name]),
                effect_name="difference of mean ranks",
                effect=difference,
                **within(difference, half, levels - 1, level, "normal"),
            )
        )
    return rows


def _cannot(test: str, why: str, **known: Any) -> Row:
    return test_row(test, "", note=f"not computed: {why}", **known)
