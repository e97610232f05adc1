"""How the time of a fit grows with the ratings, the users and the factors: measured and counted.

A method is fitted to nested samples of one matrix: fewer ratings of the same users and items, fewer
users with all their ratings, and other numbers of factors (neighbours). Of iterative methods the
time of one epoch is measured, as the difference of a longer and a shorter run: what grows is then
the cost of an epoch, without what comes once, and not their number. The exponent is the slope of
log seconds against log size; beside it stands the slope, over the very same samples, of the number
of operations that the algorithm's formula counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse, stats

from cfmf.config import entry, registry
from cfmf.evaluation.fitting import Setting, fit
from cfmf.evaluation.footprint import measured
from cfmf.methods import registry as methods
from cfmf.observed import pairs
from cfmf.tables import COLUMNS

SHARES = (0.125, 0.25, 0.5, 1.0)
EPOCHS = (4, 16)
REPEATS = 2


@dataclass(frozen=True)
class Sample:
    """One point to measure: what varies, its size, and what to fit to what."""

    axis: str
    size: float
    setting: Setting
    train: sparse.csr_array
    asked: sparse.csr_array


def limited(
    train: sparse.csr_array, test: sparse.csr_array, ratings: int, seed: int
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Both matrices for as many users, drawn at random, as have so many training ratings."""
    order = np.random.default_rng(seed).permutation(train.shape[0])
    until = np.cumsum(np.diff(train.indptr)[order])
    kept = np.sort(order[: max(1, int(np.searchsorted(until, ratings, side="right")))])
    return train[kept], test[kept]


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
    """Every point to measure of a method; the whole matrix at the chosen setting ends two axes."""
    order = np.random.default_rng(seed).permutation(train.shape[0])
    for share in SHARES:
        thin = thinned(train, share, seed)
        yield Sample("ratings", thin.nnz, setting, thin, test)
    for share in SHARES:
        kept = np.sort(order[: max(1, round(share * len(order)))])
        yield Sample("users", len(kept), setting, train[kept], test[kept])
    if setting.k or "neighbours" in setting.options:
        for k in ks:
            yield Sample("k", k, setting.with_k(k), train, test)


def measure(
    setting: Setting,
    train: sparse.csr_array,
    test: sparse.csr_array,
    ks: Sequence[int],
    *,
    dataset: str = "",
    seed: int = 1,
    scale: tuple[float, float] | None = None,
    threads: int = 1,
    clock: Callable[[Sample], float] | None = None,
) -> pd.DataFrame:
    """CPU seconds of every sample, as a `timings` table.

    Seconds are those of the processor, the least of a few repeats, so that jobs beside this one
    disturb them little: of one epoch (sweep), or of a whole fit of a method that has none. A fit
    ends with the prediction of the sample's test ratings: neighbour methods compute their
    similarities there.

    Parameters
    ----------
    ks
        Numbers of factors, or of neighbours.
    clock
        What measures a sample, for tests; by default it is fitted.
    """
    clock = clock or (lambda sample: _seconds(sample, scale, threads))
    rows = []
    for number, sample in enumerate(samples(setting, train, test, ks, seed)):
        if number == 0:
            clock(sample)  # compiled code is loaded, and counts for nobody
        rows.append(
            {
                "dataset": dataset,
                "fold": setting.fold,
                "method": setting.method,
                "axis": sample.axis,
                "size": sample.size,
                "seconds": clock(sample),
                "operations": operations(sample),
            }
        )
    return pd.DataFrame(rows)[COLUMNS["timings"]]


def brief(setting: Setting, epochs: int) -> Setting:
    """The setting of an iterative method with a fixed small number of epochs, or of sweeps."""
    if entry(setting.method).sweeps:
        options = {**setting.options, "sweeps": epochs, "burn_in": 1, "draws": 1}
        return replace(setting, options=options, epochs=None)
    return replace(setting, epochs=epochs)


def _seconds(sample: Sample, scale: tuple[float, float] | None, threads: int) -> float:
    def least(setting: Setting) -> float:
        found = []
        for _ in range(REPEATS):
            with measured() as facts:
                fit(setting, sample.train, sample.asked, scale=scale, threads=threads)
            found.append(facts["cpu_seconds"])
        return min(found)

    if registry()[sample.setting.method] == "neighbours":
        return least(sample.setting)
    short, long = (least(brief(sample.setting, epochs)) for epochs in EPOCHS)
    return (long - short) / (EPOCHS[1] - EPOCHS[0])


def operations(sample: Sample) -> float:
    """Multiply-adds of a sample by the formula of its method, up to a constant factor.

    - similarities of users, scattered over sparse columns: Σ_i d_i a_i, with d_i the raters of an
      item and a_i those of them for whom something is predicted; of items likewise by users;
    - predictions by neighbours: for each asked pair the raters of the item (the ratings of the
      user);
    - a pass over the ratings: N (the baseline), k + 1 times as much with k factors and a bias;
    - exact solutions (als, gibbs) of a row with c = k + 1 unknowns: c² for each of its ratings and
      c³ / 6 for the row, for users and for items; implicit feedback adds N c.
    """
    method, train = sample.setting.method, sample.train
    (m, n), ratings = train.shape, train.nnz
    if registry()[method] == "neighbours":
        found = methods.method(method)(**sample.setting.options)
        return found.operations(train, sample.asked)
    c = int(sample.setting.k) + 1
    registered = entry(method)
    if registered.exact:
        once = 2 * ratings * c**2 + (m + n) * c**3 / 6
        return float(once + (2 * ratings * c if "implicit" in registered.options else 0))
    return float(ratings * c + (m + n) * c)


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
        line = stats.linregress(sizes, np.log(points["seconds"].to_numpy(float)))
        counted = stats.linregress(sizes, np.log(points["operations"].to_numpy(float)))
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
