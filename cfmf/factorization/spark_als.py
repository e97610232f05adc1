"""Alternating least squares on a cluster: `als`, with the rows of a side solved by Apache Spark.

The ratings are in files that every worker maps into its memory, so that they are neither sent nor
held twice on a machine. A sweep broadcasts one side's array, solves the other side's rows in blocks
and collects them: the numbers that travel are those of the factors, not of the ratings. PySpark is
optional: only the environment of this method contains it.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import numba
import numpy as np
from pyspark import Broadcast, SparkConf, SparkContext
from scipy import sparse

from cfmf.factorization.als import ALS, ALSTraining, Side, best_rows
from cfmf.factorization.objective import padded
from cfmf.imports import ROOT
from cfmf.kernels.solve import root_mean_square_error
from cfmf.tasks import Fitted, Task

BLOCKS_A_CORE = 2  # so that a core that finishes early has another
PARTS = ("indptr", "indices", "data", "precision")


@dataclass(frozen=True)
class SparkALS(ALS):
    """`ALS`, whose rows are solved by the workers of Apache Spark.

    Attributes
    ----------
    master
        Address of the cluster, as Spark has it; empty is this machine, with numba's threads.
    partitions
        Blocks of rows of each side; None makes `BLOCKS_A_CORE` for each core.
    """

    # Neither changes the result, so that a training can resume on another cluster: not in its repr.
    master: str = field(default="", repr=False)
    partitions: int | None = field(default=None, repr=False)

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Train on several matrices, one after another.

        The ratings are written to a temporary folder, which all workers have to see: beside the
        checkpoint where there is one.

        Raises
        ------
        ConnectionError
            If Spark does not start, for want of Java or of the cluster.
        FloatingPointError
            If the objective is no longer finite, or a row has no unique solution.
        """
        found: list[Fitted] = []
        rows = max(max(task.train.shape) for task in tasks)
        master = self.master or f"local[{numba.get_num_threads()}]"
        if checkpoint:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with started(master, rows * padded(self.k + 2) * np.dtype(self.dtype).itemsize) as context:
            for number, task in enumerate(tasks):
                path = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-{number}")
                with TemporaryDirectory(prefix="spark-", dir=path and path.parent) as folder:
                    start = partial(_Training, self, context, Path(folder).resolve())
                    found += self.fit_from(start, [task], path)
        return found


@contextmanager
def started(master: str, size: int) -> Iterator[SparkContext]:
    """A connection to Spark, which ends with it.

    Parameters
    ----------
    master
        `local[cores]`, or the address of a cluster.
    size
        Bytes of the largest array that is sent.

    Raises
    ------
    ConnectionError
        If Spark does not start.
    """
    options = {
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.maxResultSize": "0",  # no limit
        "spark.driver.memory": f"{1024 + 4 * size // 2**20}m",  # sent, collected, and in parts
    }
    if master.startswith("local"):
        options |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
        options["spark.local.dir"] = gettempdir()
    configuration = SparkConf().setMaster(master).setAppName("cfmf").setAll(list(options.items()))
    # Workers import this package, one core each.
    environment = {"PYTHONPATH": str(ROOT), "NUMBA_NUM_THREADS": "1"}
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        with warnings.catch_warnings():  # of pandas, which nothing here hands to Spark
            warnings.filterwarnings("ignore", "PySpark does not yet", FutureWarning)
            context = SparkContext(conf=configuration, environment=environment)
    except Exception as error:  # whatever Java raises
        reason = str(getattr(error, "java_exception", error)).partition("\n")[0]
        raise ConnectionError(
            f"Spark does not start with the master {master} ({reason}); it needs Java 17 or newer"
            " on the PATH or in JAVA_HOME, and a master that this machine can reach"
        ) from error
    try:
        yield context
    finally:
        context.stop()


class _Training(ALSTraining):
    """State of one run. The ratings of both sides are in `folder`, from which they are mapped."""

    def __init__(self, settings: SparkALS, context: SparkContext, folder: Path, task: Task) -> None:
        super().__init__(settings, task)
        self.context, self.folder = context, folder
        self.partitions = settings.partitions or BLOCKS_A_CORE * context.defaultParallelism
        self.squares: float | None = None
        for name, side in (("users", self.users), ("items", self.items)):
            write_side(folder / name, side)
            side.ratings, side.precision = mapped(folder / name, side.ratings.shape[1])

    def solve(self, side: Side, block: np.ndarray, other: np.ndarray, own_one: int) -> None:
        """Replace `block`'s factors and biases by the best ones given the other side."""
        folder = self.folder / ("users" if side is self.users else "items")
        sent = self.context.broadcast(other)
        job = partial(solve_block, folder, sent, own_one, self.mean, self.k + 2)
        blocks = blocks_of_rows(side.ratings.indptr, self.partitions)
        found = self.context.parallelize(blocks, len(blocks)).map(job).collect()
        sent.destroy()
        for (begin, end), (rows, _, failure) in zip(blocks, found, strict=True):
            if failure:
                raise FloatingPointError(failure)
            block[begin:end] = rows
        self.squares = float(sum(squares for _, squares, _ in found))

    def rmse(self, part: sparse.csr_array | None) -> float:
        """As `Blocks.rmse`; of the training ratings, what the workers measured after a sweep."""
        if part is self.task.train and self.squares is not None:
            return float(np.sqrt(self.squares / part.nnz))
        return super().rmse(part)


def write_side(folder: Path, side: Side) -> None:
    """Write the ratings and penalties of a side, one array a file."""
    folder.mkdir()
    ratings = side.ratings
    arrays = (ratings.indptr, ratings.indices, ratings.data, side.precision)
    for name, array in zip(PARTS, arrays, strict=True):
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def mapped(
    folder: Path, columns: int, rows: slice = slice(None)
) -> tuple[sparse.csr_array, np.ndarray]:
    """Some rows of what `write_side` wrote, read from the disk as they are used."""
    # Copies on write: numba compiles a function anew for arrays that must not be written to.
    indptr, indices, data, precision = (
        np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in PARTS
    )
    begin, end, _ = rows.indices(len(precision))
    pairs = slice(indptr[begin], indptr[end])
    arrays = (data[pairs], indices[pairs], indptr[begin : end + 1] - indptr[begin])
    return sparse.csr_array(arrays, shape=(end - begin, columns)), precision[rows]


def blocks_of_rows(indptr: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Begin and end of about `count` blocks of rows with about as many ratings each."""
    work = indptr + np.arange(len(indptr))  # a row without ratings takes time too
    edges = np.unique(np.searchsorted(work, np.linspace(0, work[-1], count + 1))).tolist()
    return list(pairwise(edges))


def solve_block(
    folder: Path, other: Broadcast, own_one: int, mean: float, active: int, block: tuple[int, int]
) -> tuple[np.ndarray, float, str]:
    """In a worker: `best_rows` of a block, the sum of its squared errors, and why it failed.

    A failure is returned, not raised: Spark would try the block again, and lose what kind it is.
    """
    ratings, precision = mapped(folder, len(other.value), slice(*block))
    given = (precision, other.value, own_one, mean, active)
    try:
        rows = best_rows(ratings, *given, serial=True)
    except FloatingPointError as error:
        return precision[:0], np.nan, str(error)
    rmse = root_mean_square_error(ratings, rows, other.value, mean)
    return rows, rmse**2 * ratings.nnz if ratings.nnz else 0.0, ""
