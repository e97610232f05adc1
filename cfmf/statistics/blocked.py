"""Tests of several levels that were all measured in the same blocks (folds or data sets).

Every function of a test takes a table blocks × levels of RMSE, one value a cell, and returns
results without family.
"""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import scikit_posthocs
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from cfmf.statistics import names
from cfmf.statistics.effects import (
    concordance_interval,
    partial_eta_interval,
    partial_eta_squared,
)
from cfmf.statistics.intervals import (
    error_behind,
    inflation,
    interval,
    no_interval,
    within,
)
from cfmf.statistics.results import Result

AGREE = "all_blocks_rank_alike"
"""Which leaves no error to divide by."""
FOLDS = {"fold": "0 + C(fold)"}
COMPONENTS = {
    "folds_random": FOLDS,
    "folds_random_runs_averaged": FOLDS,
    "folds_and_levels_random": {**FOLDS, "level within fold": "0 + C(fold):C(level)"},
}
"""Random parts of the mixed model, by the key of its note."""
log = logging.getLogger(__name__)


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


def residuals(table: pd.DataFrame) -> pd.DataFrame:
    """What the additive model of blocks and levels leaves of a table."""
    values = table.to_numpy(dtype=np.float64)
    left = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return pd.DataFrame(left, index=table.index, columns=table.columns)


def _of_f(f: float, df1: float, df2: float) -> dict[str, Any]:
    p = float(stats.f.sf(f, df1, df2))
    return {"stat": f, "df1": df1, "df2": df2, "p_raw": p}


def _partial_eta(f: float, df1: float, df2: float, level: float) -> dict[str, Any]:
    ends = partial_eta_interval(f, df1, df2, level)
    return {
        "effect_name": "partial_eta_squared",
        "effect": partial_eta_squared(f, df1, df2),
        "interval": interval(*ends, level, "noncentral_f"),
    }


def shared_anova(table: pd.DataFrame, ratio: float, level: float) -> list[Result]:
    """Repeated-measures analysis of variance of folds that share training ratings, in one result.

    F is divided by `inflation`, and both its degrees of freedom are multiplied by Greenhouse &
    Geisser's ε̂, because differences between levels rarely vary alike. Of two levels F is the square
    of Nadeau & Bengio's t.

    Parameters
    ----------
    table
        Folds × levels.
    ratio
        Test ratings over train ratings of a fold.
    level
        Of the interval of partial η².
    """
    size: dict[str, Any] = {"n_blocks": len(table), "n_obs": table.size}
    if len(table) < 2:
        return [Result(names.SHARED_ANOVA, note="needs_two_blocks", **size)]
    if np.ptp(residuals(table).to_numpy()) < 1e-12:
        return [Result(names.SHARED_ANOVA, note="blocks_agree_exactly", **size)]
    ss, epsilon = sums_of_squares(table), greenhouse_geisser(table)
    df1 = table.shape[1] - 1
    df2 = df1 * (len(table) - 1)
    f = float(ss["levels"] / df1 / (ss["error"] / df2)) / inflation(len(table), ratio)
    degrees = epsilon * df1, epsilon * df2
    return [
        Result(
            names.SHARED_ANOVA,
            "cfmf.statistics.blocked.shared_anova",
            stat_name="F",
            **_of_f(f, *degrees),
            **_partial_eta(f, *degrees, level) | {"effect_name": "partial_eta_squared_corrected"},
            **size,
            population=names.NEW_RATINGS,
            note="epsilon",
            note_value=epsilon,
        )
    ]


def fit_mixed(frame: pd.DataFrame, formula: str, components: dict[str, str]) -> tuple[Any, bool]:
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
    The fitted model of statsmodels, and whether it warned that the fit may not be regular, as of an
    estimate on the boundary of the parameter space. The warnings are logged.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MixedLM.from_formula(
            formula, frame, groups=np.ones(len(frame)), vc_formula=components
        )
        fitted = model.fit(reml=True, method=["bfgs", "powell", "nm"])
    trouble = [str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning)]
    for message in dict.fromkeys(trouble):
        log.info("mixed model: %s", message)
    return fitted, bool(trouble)


def mixed_model(values: pd.DataFrame, factor: str, level: float) -> list[Result]:
    """Wald test of the levels in a mixed model: folds, and levels within folds, at random.

    Parameters
    ----------
    values
        Columns fold, seed, value and the factor, one row a run. Several seeds in every cell
        separate the levels' own variation between folds from noise. Where a cell has one run the
        two cannot be separated: only folds are random, and the runs of other cells are averaged
        first, because as observations of their own they would be replicates of their fold.
    factor
        Name of the factor's column.
    level
        Of the interval of partial η², which takes W/(K-1) for the F that it is compared with.

    Returns
    -------
    One result: W/(K-1) against F(K-1, (J-1)(K-1)), which is the blocks' own number of degrees of
    freedom rather than that of the runs; `converged` as the fit reports it.
    """
    frame, note = _random_parts(values.rename(columns={factor: "level"}))
    levels, blocks = frame["level"].nunique(), frame["fold"].nunique()
    size: dict[str, Any] = {"n_blocks": blocks, "n_obs": len(frame)}
    if blocks < 2:
        return [Result(names.MIXED_MODEL, note="needs_two_blocks", **size)]
    # Centred and in units of its spread, so that the optimizer sees numbers near one.
    spread = float(frame["value"].std())
    if not spread > 1e-12:
        return [Result(names.MIXED_MODEL, note="all_values_equal", **size)]
    frame["value"] = (frame["value"] - frame["value"].mean()) / spread
    try:
        fitted, warned = fit_mixed(frame, "value ~ C(level)", COMPONENTS[note])
        f = _wald(fitted, levels) / (levels - 1)
    except (np.linalg.LinAlgError, ValueError) as error:
        log.warning("the fit of the mixed model failed: %s", error)
        return [Result(names.MIXED_MODEL, converged=False, note="fit_failed", **size)]
    degrees = levels - 1, (levels - 1) * (blocks - 1)
    return [
        Result(
            names.MIXED_MODEL,
            "statsmodels.regression.mixed_linear_model.MixedLM",
            **size,
            stat_name="wald_f",
            **_of_f(f, *degrees),
            **_partial_eta(f, *degrees, level),
            population=names.NEW_RATINGS,
            converged=bool(fitted.converged),
            note=f"{note};fit_warned" if warned else note,
        )
    ]


def _wald(fitted: Any, levels: int) -> float:
    """Wald's statistic of all levels together."""
    fixed = fitted.fe_params.iloc[1:].to_numpy()
    covariance = fitted.cov_params().iloc[1:levels, 1:levels].to_numpy()
    return float(fixed @ np.linalg.solve(covariance, fixed))


def _random_parts(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The observations of the mixed model, and which of `COMPONENTS` are random."""
    runs = frame.groupby(["fold", "level"]).size()
    if runs.min() > 1:
        return frame.copy(), "folds_and_levels_random"
    means = frame.groupby(["fold", "level"])["value"].mean().reset_index()
    return means, "folds_random" if runs.max() == 1 else "folds_random_runs_averaged"


def friedman(table: pd.DataFrame, level: float) -> list[Result]:
    """Friedman's test with Kendall's W, and the F of Iman & Davenport (Demšar 2006, sec. 3.2.2).

    SciPy's χ² is corrected for ties; Demšar's F, and the W of its result, are not. Where all blocks
    rank the levels alike, F has no error to divide by and neither value nor p.
    """
    blocks, levels = table.shape
    size: dict[str, Any] = {"n_blocks": blocks, "n_obs": table.size}
    if levels < 3 or blocks < 2:
        return [Result(names.FRIEDMAN, note="needs_three_levels", **size)]
    chi2, p = stats.friedmanchisquare(*table.to_numpy(dtype=np.float64).T)
    mean_ranks = ranks(table).mean()
    plain = 12 * blocks / (levels * (levels + 1)) * np.sum(np.square(mean_ranks - (levels + 1) / 2))
    room = blocks * (levels - 1) - plain
    alike = room < 1e-9
    f = np.nan if alike else (blocks - 1) * plain / room
    df1 = levels - 1

    def concordance(x: float, name: str) -> dict[str, Any]:
        ends = concordance_interval(x, blocks, levels, level)
        found = interval(*ends, level, "noncentral_chi2")
        return {"effect_name": name, "effect": x / (blocks * df1), "interval": found}

    return [
        Result(
            names.FRIEDMAN,
            "scipy.stats.friedmanchisquare",
            **size,
            stat_name="chi2",
            stat=float(chi2),
            df1=df1,
            p_raw=float(p),
            **concordance(float(chi2), "kendall_w"),
            note="lowest_p",
            note_value=least_friedman_p(blocks, levels),
        ),
        Result(
            names.IMAN_DAVENPORT,
            "cfmf.statistics.blocked.friedman",
            **size,
            stat_name="F",
            **_of_f(float(f), df1, df1 * (blocks - 1)),
            **concordance(float(plain), "kendall_w_uncorrected"),
            note=AGREE if alike else "",
        ),
        *(_mean_rank(str(name), float(rank), size) for name, rank in mean_ranks.items()),
    ]


def _mean_rank(name: str, rank: float, size: dict[str, Any]) -> Result:
    known = {"group_a": name, "stat_name": names.MEAN_RANK, **size}
    return Result(names.MEAN_RANK, "scipy.stats.rankdata", stat=rank, **known)


def least_friedman_p(blocks: int, levels: int) -> float:
    """P of Friedman's test where all blocks rank the levels alike: χ² is then J(K-1)."""
    return float(stats.chi2.sf(blocks * (levels - 1), levels - 1))


def ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rank of every level in its block, 1 for the lowest value; ties share their mean rank."""
    found = stats.rankdata(table.to_numpy(dtype=np.float64), axis=1)
    return pd.DataFrame(found, index=table.index, columns=table.columns)


def critical_difference(levels: int, blocks: int, alpha: float) -> float:
    """Nemenyi's critical difference of mean ranks (Demšar 2006, sec. 3.2.2)."""
    q = stats.studentized_range.ppf(1 - alpha, levels, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(levels * (levels + 1) / (6 * blocks)))


def rank_comparisons(table: pd.DataFrame, alpha: float, level: float) -> list[Result]:
    """Conover's and Nemenyi's comparisons of every pair of levels, and the critical difference.

    The effect of a pair is the difference of its mean ranks, first minus second. Its interval, of
    this level, comes from the test's own distribution: Conover's t for the single pair, Nemenyi's
    studentized range for all pairs together. The critical difference is that at `alpha`.
    """
    blocks, levels = table.shape
    size: dict[str, Any] = {"n_blocks": blocks, "n_obs": table.size}
    if levels < 3 or blocks < 2:
        return [Result(names.CONOVER, note="needs_three_levels", **size)]
    cd = critical_difference(levels, blocks, alpha)
    nemenyi: dict[str, Any] = {
        "adj_method": "studentized_range",
        "family_size": levels * (levels - 1) // 2,
        "note": "critical_difference",
        "note_value": cd,
    }
    results = []
    for pair, (half, p), (wide, p_adj) in _pairs_of_ranks(table, level):
        ends = within(pair["effect"], half, levels - 1, level, "conover_t")
        pair |= size
        results += [
            Result(
                names.CONOVER,
                "scikit_posthocs.posthoc_conover_friedman",
                **pair,
                interval=ends if np.isfinite(half) else no_interval(AGREE),
                p_raw=p,
                note="" if np.isfinite(p) else AGREE,
            ),
            Result(
                names.NEMENYI,
                "scikit_posthocs.posthoc_nemenyi_friedman",
                **pair,
                interval=within(pair["effect"], wide, levels - 1, level, "studentized_range"),
                p_adj=p_adj,
                **nemenyi,
            ),
        ]
    found = Result(
        names.CRITICAL_DIFFERENCE,
        "scipy.stats.studentized_range",
        **size,
        stat_name="CD",
        stat=cd,
        note="alpha",
        note_value=alpha,
    )
    return [*results, found]


def _pairs_of_ranks(
    table: pd.DataFrame, level: float
) -> Iterator[tuple[dict[str, Any], tuple[float, float], tuple[float, float]]]:
    """Each pair of levels with half its interval and p: those of Conover, and those of Nemenyi."""
    blocks, levels = table.shape
    found = ranks(table)
    mean_ranks = found.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        conover = scikit_posthocs.posthoc_conover_friedman(table)
    if found.nunique().max() == 1:
        # Blocks in full agreement leave no error to divide by; the library calls that p = 0.
        conover[:] = np.nan
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(table)
    half = _conover_half(mean_ranks, conover, blocks, level)
    wide = critical_difference(levels, blocks, 1 - level)
    for a, b in itertools.combinations(table.columns, 2):
        pair = {
            "group_a": str(a),
            "group_b": str(b),
            "effect_name": "difference_of_mean_ranks",
            "effect": float(mean_ranks[a] - mean_ranks[b]),
        }
        yield pair, (half, float(conover.loc[a, b])), (wide, float(nemenyi.loc[a, b]))


def _conover_half(mean_ranks: pd.Series, p: pd.DataFrame, blocks: int, level: float) -> float:
    """Half the interval of any difference of mean ranks by Conover's t; NaN where p gives none."""
    t = stats.t((blocks - 1) * (len(mean_ranks) - 1))
    first, second = np.triu_indices(len(mean_ranks), 1)
    values = mean_ranks.to_numpy()
    found = p.loc[mean_ranks.index, mean_ranks.index].to_numpy()
    error = error_behind(values[first] - values[second], found[first, second], t.isf)
    return float(error * t.isf((1 - level) / 2))


def many_to_one(table: pd.DataFrame, control: str, level: float) -> list[Result]:
    """Mean rank of every level against that of a control (Demšar 2006, sec. 3.2.2).

    The intervals, of this level, are those of its z: ± quantile × √(K(K+1)/6J).
    """
    blocks, levels = table.shape
    size: dict[str, Any] = {"n_blocks": blocks, "n_obs": table.size}
    if levels < 3 or blocks < 2:
        return [Result(names.RANKS_AGAINST_CONTROL, note="needs_three_levels", **size)]
    mean_ranks = ranks(table).mean()
    found = scikit_posthocs.posthoc_demsar(table, control=control)
    half = stats.norm.isf((1 - level) / 2) * np.sqrt(levels * (levels + 1) / (6 * blocks))
    results = []
    for name in table.columns.drop(control):
        difference = float(mean_ranks[name] - mean_ranks[control])
        results.append(
            Result(
                names.RANKS_AGAINST_CONTROL,
                "scikit_posthocs.posthoc_demsar",
                **size,
                group_a=str(name),
                group_b=control,
                p_raw=float(found.loc[control, name]),
                effect_name="difference_of_mean_ranks",
                effect=difference,
                interval=within(difference, half, levels - 1, level, "normal"),
            )
        )
    return results
