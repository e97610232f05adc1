"""How the time of a fit grows with the ratings, the users and the factors: measured and counted.

A method is fitted to nested samples of one matrix: fewer ratings of the same users and items, fewer
users with all their ratings, and other numbers of factors (neighbours). Of iterative methods the
time of one epoch is measured, as the difference of a longer and a shorter run: what grows is then
the cost of an epoch, without what comes once, and not their number. The exponent is the slope of
log seconds against log size; the theoretical one is the slope, over the same samples, of the number
of operations that the method's formula counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # and scipy.stats, which is slow to import, only where it is used
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation.fitting import Setting
from cfmf.evaluation.footprint import measured
from cfmf.observed import pairs
from cfmf.tables import COLUMNS

SHARES = (0.125, 0.25, 0.5, 1.0)
PASSES = (4, 16)
REPEATS = 2


@dataclass(frozen=True)
class Sample:
    """One point to measure: what varies, its size, and what to fit to what."""

    axis: str
    size: float
    setting: Setting
    train: sparse.csr_array
    queried: sparse.csr_array


def limited(train: sparse.csr_array, ratings: int, seed: int) -> NDArray[np.int64]:
    """Users drawn at random until they have this number of training ratings, in their order."""
    order = np.random.default_rng(seed).permutation(train.shape[0])
    until = np.cumsum(np.diff(train.indptr)[order])
    return np.sort(order[: max(1, int(np.searchsorted(until, ratings, side="right")))])


def thinned(matrix: sparse.csr_array, share: float, seed: int) -> sparse.csr_array:
    """A share of the ratings, drawn at random; with one seed, smaller shares are nested."""
    rank = np.random.default_rng(seed).permutation(matrix.nnz)
    left = rank < round(share * matrix.nnz)
    rows, columns = pairs(matrix)
    return sparse.csr_array((matrix.data[left], (rows[left], columns[left])), shape=matrix.shape)


def samples(
    setting: Setting,
    train: sparse.csr_array,
    test: sparse.csr_array,
    ks: Sequence[int],
    seed: int,
) -> Iterator[Sample]:
    """Every point to measure of a method; the whole matrix at the chosen setting ends two axes.

    A sample without training or test ratings, as tiny data may have, is left out.
    """
    found = []
    order = np.random.default_rng(seed).permutation(train.shape[0])
    for share in SHARES:
        thin = thinned(train, share, seed)
        found.append(Sample("ratings", thin.nnz, setting, thin, test))
    for share in SHARES:
        kept = np.sort(order[: max(1, round(share * len(order)))])
        of_users = setting.of_users(kept)
        found.append(Sample("users", len(kept), of_users, train[kept], test[kept]))
    sized = [(k, setting.with_size(k)) for k in ks]
    found += [Sample("k", k, one, train, test) for k, one in sized if one]
    yield from (one for one in found if one.train.nnz and one.queried.nnz)


def measure(
    setting: Setting,
    train: sparse.csr_array,
    test: sparse.csr_array,
    ks: Sequence[int],
    seed: int = 1,
    clock: Callable[[Sample], float] | None = None,
) -> pd.DataFrame:
    """CPU seconds of every sample, as a `timings` table.

    Seconds are those of the processor, the lowest of a few repeats, so that other jobs disturb them
    little: of one epoch (sweep), or of a whole fit of a method that trains in none. A fit ends with
    the prediction of the sample's test ratings: neighbour methods compute their similarities there.

    Parameters
    ----------
    ks
        Numbers of factors, or of neighbours.
    clock
        What measures a sample, for tests; by default it is fitted.
    """
    clock = clock or _seconds
    rows = []
    for number, sample in enumerate(samples(setting, train, test, ks, seed)):
        if number == 0:
            clock(sample)  # loads compiled code, whose time is no method's
        row = {"axis": sample.axis, "size": sample.size, "seconds": clock(sample)}
        operations = sample.setting.method.operations(sample.train, sample.queried)
        rows.append(setting.keys | row | {"operations": operations})
    return pd.DataFrame(rows)[COLUMNS["timings"]]


def _seconds(sample: Sample) -> float:
    def lowest(setting: Setting) -> float:
        found = []
        for _ in range(REPEATS):
            with measured() as facts:
                setting.fit(sample.train, sample.queried)
            found.append(facts["cpu_seconds"])
        return min(found)

    if not sample.setting.method.iterates:
        return lowest(sample.setting)
    short, long = (lowest(sample.setting.shortened(passes)) for passes in PASSES)
    return (long - short) / (PASSES[1] - PASSES[0])


def exponents(timings: pd.DataFrame) -> pd.DataFrame:
    """The fitted exponent of every method and axis, as a `scaling` table.

    Returns
    -------
    `exponent` and its standard error `se` (NaN with two points) from least squares of log seconds
    on log size; `theoretical`, the same slope of the operations. Samples too short for the clock
    (no seconds above 0) are left out.
    """
    rows = []
    keys = ["dataset", "fold", "method", "axis"]
    for key, points in timings.groupby(keys, sort=False):
        points = points[points["seconds"] > 0]
        if points["size"].nunique() < 2:
            continue
        sizes = np.log(points["size"].to_numpy(float))
        line = scipy.stats.linregress(sizes, np.log(points["seconds"].to_numpy(float)))
        counted = scipy.stats.linregress(sizes, np.log(points["operations"].to_numpy(float)))
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "points": len(points),
                "smallest": points["size"].min(),
                "largest": points["size"].max(),
                "exponent": line.slope,
                "se": line.stderr if len(points) > 2 else np.nan,
                "theoretical": counted.slope,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS["scaling"])
