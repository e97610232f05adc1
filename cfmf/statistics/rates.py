"""How often rank tests reject a true null, exactly: by all rankings, not by simulation."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import permutations

import numpy as np
from scipy import special, stats


def least_p(folds: int) -> float:
    """Lowest two-sided p of the signed-rank test of J pairs without ties: 2/2ᴶ."""
    return 2.0 ** (1 - folds)


@cache
def signed_rank_rate(pairs: int, nominal: float) -> float:
    """Share of true nulls that the two-sided signed-rank test of some pairs rejects.

    The largest p that differences without ties attain at most at `nominal`, 0 where there is none:
    the share of sign patterns whose p is no larger is that p itself.
    """
    rate = 0.0
    for negative in range(pairs * (pairs + 1) // 4 + 1):
        differences, left = np.arange(1, pairs + 1), negative
        for rank in range(pairs, 0, -1):  # ranks that sum to `left`, the largest first
            if rank <= left:
                differences[rank - 1] = -rank
                left -= rank
        p = float(stats.wilcoxon(differences).pvalue)
        if p > nominal:
            break
        rate = p
    return rate


@cache
def iman_davenport_rate(folds: int, levels: int, nominal: float) -> float:
    """Share of true nulls that Friedman's test rejects in Iman & Davenport's form.

    Every ranking of the levels is equally likely in every fold; the distribution of the rank sums
    is convolved fold by fold. F is compared with its nominal point (Iman & Davenport 1980,
    *Approximations of the critical region of the Friedman statistic*), which only approximates it.
    """
    sums = Counter({(0,) * levels: 1})
    for _ in range(folds):
        more: Counter[tuple[int, ...]] = Counter()
        for held, count in sums.items():
            for ranks in permutations(range(1, levels + 1)):
                # The levels are alike, so sums that differ by their order only count as one.
                more[tuple(sorted(map(sum, zip(held, ranks, strict=True))))] += count
        sums = more
    scale = folds * levels * (levels + 1)
    most = folds * (levels - 1)
    rejected = 0.0
    for held, count in sums.items():
        statistic = 12 / scale * sum(one * one for one in held) - 3 * folds * (levels + 1)
        left = most - statistic
        ratio = (folds - 1) * statistic / left if left > 1e-9 else float("inf")
        p = special.fdtrc(levels - 1, (folds - 1) * (levels - 1), ratio)
        rejected += count if p <= nominal else 0
    return rejected / sums.total()
