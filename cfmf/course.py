"""A class and its submissions: ratings to predict that are sealed, and one table of all who do.

    python -m cfmf.course seal RATINGS CLASS
    python -m cfmf.course judge CLASS SUBMISSIONS -o table.csv

`CLASS/open.csv` is for the students; `CLASS/sealed.csv` has the test ratings and is for who judges.
Every submission runs in a process of its own with limits of time and memory, so that one that is
wrong, crashes or never ends costs the others nothing. It is code of others that runs with the
rights of who starts the command: use an account or a container without anything to lose.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.data.export import fold_table, write_fold
from cfmf.data.splits import fewest_ratings, split
from cfmf.evaluation.bootstrap import Resampling, drawn_ratios, interval
from cfmf.imports import ROOT
from cfmf.inputs import read_ratings
from cfmf.observed import pairs
from cfmf.submission import queried, read_fold
from cfmf.tables import write_rows
from cfmf.terminal import printable

KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR")
"""Variables of the environment that submissions see."""
OPEN, SEALED = "open.csv", "sealed.csv"
SHARES = (0.01, 0.5)
"""Lowest and highest share of the ratings that can be sealed."""
ENTRY = re.compile(r"(.+?)(\.py|\.txt|\.parquet|\.[ct]sv(\.gz)?)", re.IGNORECASE)
"""Name and end of a file that is a submission."""
SAID = 300
"""Characters of a reason that are kept."""
REFERENCE = "(mean and biases)"
MEASURES = ("rmse", "mae", "over_reference")
KILLED = {signal.SIGKILL: "was killed, perhaps for its memory", signal.SIGSEGV: "crashed"}


@dataclass(frozen=True)
class Limits:
    """Of each submission: seconds by the clock, megabytes of memory; and how many run at once."""

    seconds: float = 600
    megabytes: float = 4000
    jobs: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a submission gave: a prediction of each sealed rating, or the reason why not."""

    name: str
    seconds: float
    predictions: NDArray[np.float32] | None = None
    reason: str = ""


def seal(ratings: str | Path, folder: str | Path, test: float = 0.2, seed: int = 1) -> Path:
    """Seal a random part of the ratings, and write the others for the students.

    There is only one fold: in a cross-validation, the test ratings of each are open in the others.

    Parameters
    ----------
    ratings
        A file of ratings, or a folder of MovieLens, as `cfmf.inputs.read_ratings` takes it.
    folder
        Of the class; `open.csv` and `sealed.csv` are written in it.
    test
        Share to seal, from 0.01 to 0.5: one of n equal parts, where n is 1 / `test`, rounded.
    seed
        Of the random part.

    Returns
    -------
    The file for the students.

    Raises
    ------
    ValueError
        If the share is out of bounds, the ratings cannot be read or are too few, or the folder is
        not empty.
    """
    folder = Path(folder)
    if not SHARES[0] <= test <= SHARES[1]:
        low, high = SHARES
        raise ValueError(f"the share to seal is {test:g}; choose one from {low} to {high}")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; choose another folder")
    given = read_ratings(ratings)
    user, item = pairs(given.matrix)
    table = pd.DataFrame({"user": user, "item": item, "rating": given.matrix.data})
    table["date"], table["part"] = pd.NaT, ""
    rule = {"kind": "kfold", "folds": round(1 / test), "validation": 0.1, "seed": seed}
    if len(table) < (fewest := fewest_ratings(rule)):
        raise ValueError(
            f"{ratings} has {len(table)} ratings, and {fewest} are needed to seal a share of"
            f" {test:g}; use more ratings, or seal a larger share"
        )
    name, fold = next(iter(split(table, rule).items()))
    ids = pd.Series(given.names.users), pd.Series(given.names.items)
    public = fold_table(table, *ids, fold, name).drop(columns="fold")
    truth = public[public["part"] == "test"].assign(rating=table["rating"].to_numpy()[fold.test])
    write_fold(folder / SEALED, truth)
    write_fold(folder / OPEN, public)
    return folder / OPEN


def found_in(folder: Path) -> dict[str, Path]:
    """The submissions of a folder by name: predictions, Python files, texts, folders with code.

    Raises
    ------
    ValueError
        If there is none, or two have the same name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        entry = ENTRY.fullmatch(path.name)
        if path.name.startswith((".", "_")) or not (path.is_dir() or entry):
            continue
        name = entry[1] if entry and not path.is_dir() else path.name
        if name in found:
            raise ValueError(
                f"{folder} has two submissions named {name}, {found[name].name} and {path.name};"
                " remove or rename one"
            )
        found[name] = path
    if not found:
        raise ValueError(
            f"{folder} has no submission: no .csv, .tsv, .parquet, .py or .txt file, and no folder"
        )
    return found


def judge(
    folder: str | Path, submissions: str | Path, limits: Limits | None = None
) -> pd.DataFrame:
    """The table of a class: every submission with its errors and intervals, or why it has none.

    Parameters
    ----------
    folder
        What `seal` wrote.
    submissions
        A folder with an entry for each submission.

    Returns
    -------
    Columns rank, submission, rmse, mae and over_reference (its RMSE minus that of the mean with
    biases), each with its 95% interval (`_low`, `_high`) from resampling users; seconds; and
    reason, empty where there is none. Best first, then those that failed.

    Raises
    ------
    ValueError
        If there are no sealed ratings or no submissions, or a sealed rating is among the open ones.
    """
    limits, folder = limits or Limits(), Path(folder)
    truth = _sealed(folder)
    entries = found_in(Path(submissions))
    with tempfile.TemporaryDirectory() as scratch:
        reference = Path(scratch, "reference.txt")
        reference.write_text("cfmf.methods.baseline:Baseline", encoding="utf-8")
        every = {REFERENCE: reference, **entries}

        def one(name: str) -> Outcome:
            return attempt(name, every[name], folder / OPEN, len(truth), limits)

        with ThreadPoolExecutor(limits.jobs) as pool:
            return _table(list(pool.map(one, every)), truth)


def _sealed(folder: Path) -> pd.DataFrame:
    """The sealed ratings, in the order of the queried pairs."""
    for path in (folder / SEALED, folder / OPEN):
        if not path.is_file():
            raise ValueError(f"{path} does not exist; make it by `seal` first")
    truth, public = read_fold(folder / SEALED), read_fold(folder / OPEN)
    # As texts: all sealed ids may be whole numbers where not all open ones are.
    asked, known, sealed = (
        one[["user", "item"]].astype(str)
        for one in (queried(public), public[public["rating"].notna()], truth)
    )
    given = sealed.merge(known)
    if len(given):
        raise ValueError(
            f"{folder / OPEN} has ratings of {len(given):,} sealed pairs, the first user"
            f" {given['user'][0]} and item {given['item'][0]}; seal the ratings again, in another"
            " folder"
        )
    if not asked.equals(sealed):
        raise ValueError(
            f"{folder / OPEN} does not query the pairs of {SEALED}; seal the ratings again, in"
            " another folder"
        )
    return truth


def attempt(name: str, submission: Path, public: Path, count: int, limits: Limits) -> Outcome:
    """Run one submission in a process of its own, on a copy of the open ratings.

    Parameters
    ----------
    public
        The file for the students.
    count
        Of the pairs to predict.
    """
    began = time.perf_counter()
    with _scratch() as scratch:
        shutil.copy(public, scratch)
        given = [scratch / public.name, submission.resolve(), scratch / "predictions.npy"]
        command = [sys.executable, "-m", "cfmf.submission", *map(str, given)]
        command += [str(limits.seconds), str(limits.megabytes)]
        with open(scratch / "said", "wb") as said:
            status = _run(command, scratch, said, limits.seconds)
        seconds = time.perf_counter() - began
        reason = _reason(status, scratch / "said", limits)
        made = None if reason else _left(given[-1], count)
        if made is None:
            reason = reason or f"left no finite prediction for each of {count} pairs"
    return Outcome(name, seconds, made, reason)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A temporary folder, whatever a submission leaves in it."""
    folder = Path(tempfile.mkdtemp(prefix="cfmf-course-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], scratch: Path, said: Any, seconds: float) -> int | None:
    """Exit status of a command; None where it was ended after `seconds`, with what it started."""
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env |= {"HOME": str(scratch), "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    env |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    options: dict[str, Any] = {"cwd": scratch, "env": env, "stdin": subprocess.DEVNULL}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True, **options
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):  # nothing of it runs any more
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def _reason(status: int | None, said: Path, limits: Limits) -> str:
    """Why a process gave no predictions, in one line; empty where it did."""
    if status == 0:
        return ""
    if status is None:
        return f"took longer than {limits.seconds:g} s"
    with open(said, "rb") as file:
        file.seek(max(0, said.stat().st_size - 10_000))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    if "MemoryError" in "".join(lines[-1:]):
        return f"needs more than {limits.megabytes:g} MB of memory"
    if status < 0:
        return KILLED.get(signal.Signals(-status), f"was ended by signal {-status}")
    return printable(lines[-1])[:SAID] if lines else f"ended with status {status} and no message"


def _left(path: Path, count: int) -> NDArray[np.float32] | None:
    """The finite predictions that a process left, None where it did not leave so many."""
    try:
        found = np.lib.format.open_memmap(path, mode="r") if path.is_file() else np.empty(0)
        made = np.array(found) if found.dtype == np.float32 and found.shape == (count,) else None
    except Exception:  # it may have written anything
        return None
    return made if made is not None and np.isfinite(made).all() else None


def _table(outcomes: Sequence[Outcome], truth: pd.DataFrame) -> pd.DataFrame:
    """See `judge`."""
    user, users = pd.factorize(truth["user"])
    rating = truth["rating"].to_numpy(np.float64)

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(user, values, minlength=len(users)).astype(np.float64)

    counts = sums(np.ones(len(truth)))
    errors = {one.name: one.predictions - rating for one in outcomes if one.predictions is not None}
    squared = {name: sums(np.square(of)) for name, of in errors.items()}
    base = squared.get(REFERENCE, np.full(len(users), np.nan))
    table = []
    for one in outcomes:
        row: dict[str, Any] = {"submission": one.name, "seconds": one.seconds, "reason": one.reason}
        if one.name in errors:
            absolute = sums(np.abs(errors[one.name]))
            row |= _measures(np.column_stack([squared[one.name], absolute, base, counts]))
        table.append(row)
    ends = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    found = pd.DataFrame(table, columns=["submission", *ends, "seconds", "reason"])
    found = found.sort_values(["rmse", "submission"], ignore_index=True)
    competing = found["rmse"].notna() & (found["submission"] != REFERENCE)
    found.insert(0, "rank", competing.cumsum().where(competing).astype("Int64"))
    return found


def _measures(sums: NDArray[np.float64]) -> dict[str, float]:
    """Measures with their intervals from each user's squared and absolute errors.

    Parameters
    ----------
    sums
        Users × (squared errors, absolute errors, squared errors of the reference, ratings).
    """
    resampling = Resampling()
    roots, counts = sums[:, [0, 2]], sums[:, [3, 3]]
    root, base = drawn_ratios(roots, counts, resampling, root=True).T
    absolute = drawn_ratios(sums[:, [1]], sums[:, [3]], resampling)[:, 0]
    values = np.column_stack([root, absolute, root - base])
    low, high = interval(values[1:], np.full(3, len(sums)), resampling)
    found: dict[str, float] = {}
    for place, name in enumerate(MEASURES):
        found |= {name: values[0, place], f"{name}_low": low[place], f"{name}_high": high[place]}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 with the reason where the input cannot be used."""
    parser = argparse.ArgumentParser("python -m cfmf.course", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    sealing = commands.add_parser("seal", help="seal a random part of the ratings")
    sealing.add_argument("ratings", metavar="RATINGS", help="file of ratings, or MovieLens folder")
    sealing.add_argument("folder", metavar="CLASS", help="folder to write")
    share = "of the ratings to seal, rounded to 1/n (default: 0.2)"
    sealing.add_argument("--test", type=float, default=0.2, metavar="SHARE", help=share)
    sealing.add_argument("--seed", type=int, default=1, help="of the random part (default: 1)")
    judging = commands.add_parser("judge", help="run every submission and make the table")
    judging.add_argument("folder", metavar="CLASS", help="what seal wrote")
    judging.add_argument("submissions", metavar="SUBMISSIONS", help="folder with one entry each")
    judging.add_argument("-o", "--output", default="table.csv", help="default: table.csv")
    judging.add_argument("--seconds", type=float, default=600, help="of each (default: 600)")
    judging.add_argument("--megabytes", type=float, default=4000, help="of each (default: 4000)")
    judging.add_argument("--jobs", type=int, default=1, help="submissions at once (default: 1)")
    given = parser.parse_args(arguments)
    try:
        if given.command == "seal":
            print(seal(given.ratings, given.folder, given.test, given.seed))
            return 0
        limits = Limits(given.seconds, given.megabytes, given.jobs)
        table = judge(given.folder, given.submissions, limits)
        write_rows(given.output, table)
    except (ValueError, OSError) as error:
        print(f"cfmf.course: {printable(str(error))}", file=sys.stderr)
        return 2
    failed = table[table["reason"] != ""]
    for name, reason in failed[["submission", "reason"]].itertuples(index=False):
        print(f"{printable(name)}: {reason}")
    print(f"{len(table) - len(failed) - 1} judged, {len(failed)} failed; see {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
