"""The random numbers that training starts from, tested as the study tested them, and corrected.

The study read a Kolmogorov–Smirnov test that rejects nothing as proof that two generators agree.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cfmf.published.keys import AS_PUBLISHED


def jax_is_installed() -> bool:
    """Whether there is a JAX to compare with."""
    return importlib.util.find_spec("jax") is not None


def compare_generators(
    seeds: range = range(42, 52), n: int = 1000, with_jax: bool = False
) -> pd.DataFrame:
    """Kolmogorov–Smirnov tests of the normal numbers that torch, and JAX, start from.

    Parameters
    ----------
    seeds
        Each gives one sample a generator; the study looked at seed 42 alone.
    n
        Numbers a sample.
    with_jax
        Whether JAX's generator is tested too, as it is and as it was in the study; it must be
        installed then.

    Returns
    -------
    Columns `seed n sample against statistic p_raw p_adj`: every sample against the normal
    distribution (one-sample) and torch's against each of JAX's; p_adj after Holm, over all rows. A
    large p shows no agreement, it only fails to show a difference.
    """
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        samples = {"torch": torch.randn(n, generator=torch.Generator().manual_seed(seed)).numpy()}
        if with_jax:
            samples |= _of_jax(seed, n)
        tests: list[tuple[str, str, Any]] = [
            (name, "normal", stats.kstest(x, stats.norm.cdf)) for name, x in samples.items()
        ]
        tests += [
            ("torch", name, stats.ks_2samp(samples["torch"], x))
            for name, x in samples.items()
            if name != "torch"
        ]
        for sample, against, found in tests:
            row = {"seed": seed, "n": n, "sample": sample, "against": against}
            rows.append({**row, "statistic": found.statistic, "p_raw": found.pvalue})
    table = pd.DataFrame(rows)
    table["p_adj"] = multipletests(table["p_raw"], method="holm")[1]
    return table


def _of_jax(seed: int, n: int) -> dict[str, np.ndarray]:
    """Normal numbers of JAX as it is installed, and as it drew before 0.5."""
    import jax

    found = {}
    for name, partitionable in (("jax", True), (AS_PUBLISHED, False)):
        with jax.threefry_partitionable(partitionable):
            found[name] = np.asarray(jax.random.normal(jax.random.key(seed), (n,)))
    return found
