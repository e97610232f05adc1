"""A class and its submissions: folds with sealed test ratings, and one table of all who predict.

    python -m cfmf.course seal RATINGS CLASS
    python -m cfmf.course judge CLASS SUBMISSIONS -o table.csv

`CLASS/folds` is for the students; `CLASS/sealed` has the test ratings and is for who judges. Every
submission runs in a process of its own with limits of time and memory, so that one that is wrong,
crashes or never ends costs the others nothing. It is code of others that runs with the rights of
who starts the command: use an account or a container without anything to lose.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.data.export import fold_table, write_fold
from cfmf.data.splits import split
from cfmf.evaluation.bootstrap import Resampling, drawn_ratios, interval
from cfmf.imports import ROOT
from cfmf.inputs import read_ratings
from cfmf.observed import pairs
from cfmf.submission import queried, read_fold
from cfmf.tables import write_rows
from cfmf.terminal import printable

KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR")
"""Variables of the environment that submissions see."""
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
    """What a submission gave: predictions by fold, or the reason why there are none."""

    name: str
    predictions: Mapping[str, NDArray[np.float32]]
    seconds: float
    reason: str = ""


def seal(ratings: str | Path, folder: str | Path, folds: int = 3, seed: int = 1) -> list[Path]:
    """Divide ratings into folds, and write each without and with its test ratings.

    Parameters
    ----------
    ratings
        A file of ratings, or a folder of MovieLens, as `cfmf.inputs.read_ratings` takes it.
    folder
        Of the class; `folds/` and `sealed/` are written in it.

    Returns
    -------
    The files for the students.

    Raises
    ------
    ValueError
        If the ratings cannot be read or divided, or the folder has folds already.
    """
    folder = Path(folder)
    if (folder / "sealed").exists():
        raise ValueError(f"{folder} has sealed folds already; choose another folder")
    given = read_ratings(ratings)
    user, item = pairs(given.matrix)
    table = pd.DataFrame({"user": user, "item": item, "rating": given.matrix.data})
    table["date"], table["part"] = pd.NaT, ""
    ids = pd.Series(given.names.users), pd.Series(given.names.items)
    rule = {"kind": "kfold", "folds": folds, "repeats": 1, "validation": 0.1, "seed": seed}
    written = []
    for name, fold in split(table, rule).items():
        public = fold_table(table, *ids, fold, name)
        sealed = public[public["part"] == "test"].assign(
            rating=table["rating"].to_numpy()[fold.test]
        )
        write_fold(folder / "sealed" / f"{name}.csv", sealed)
        write_fold(folder / "folds" / f"{name}.csv", public)
        written.append(folder / "folds" / f"{name}.csv")
    return written


def found_in(folder: Path) -> dict[str, Path]:
    """The submissions of a folder by name: folders, Python files, and texts with `module:Class`.

    Raises
    ------
    ValueError
        If there is none.
    """
    entries = [one for one in sorted(folder.glob("*")) if not one.name.startswith((".", "_"))]
    found = {one.stem: one for one in entries if one.is_dir() or one.suffix in (".py", ".txt")}
    if not found:
        raise ValueError(f"{folder} has no submission: no folder, .py or .txt file")
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
        A folder with a folder or file for each submission.

    Returns
    -------
    Columns rank, submission, rmse, mae and over_reference (its RMSE minus that of the mean with
    biases), each with its 95% interval (`_low`, `_high`) from resampling users; seconds; and
    reason, empty where there is none. Best first, then those that failed.

    Raises
    ------
    ValueError
        If there are no sealed folds, or no submissions.
    """
    limits, folder = limits or Limits(), Path(folder)
    public, truth = folder / "folds", _sealed(folder)
    entries = found_in(Path(submissions))
    with tempfile.TemporaryDirectory() as scratch:
        reference = Path(scratch, "reference.txt")
        reference.write_text("cfmf.methods.baseline:Baseline", encoding="utf-8")
        every = {REFERENCE: reference, **entries}

        def one(name: str) -> Outcome:
            return attempt(name, every[name], public, limits)

        with ThreadPoolExecutor(limits.jobs) as pool:
            outcomes = list(pool.map(one, every))
    return _table([_whole(outcome, truth) for outcome in outcomes], truth)


def _sealed(folder: Path) -> dict[str, pd.DataFrame]:
    """Test ratings by fold."""
    truth = {path.stem: read_fold(path) for path in sorted((folder / "sealed").glob("*.csv"))}
    if not truth:
        raise ValueError(f"{folder / 'sealed'} has no folds; make them by `seal` first")
    for name, rows in truth.items():
        asked = queried(read_fold(folder / "folds" / f"{name}.csv"))
        if not asked.equals(queried(rows)):
            raise ValueError(f"fold {name} of {folder} is not as it was sealed; seal it again")
    return truth


def attempt(name: str, submission: Path, folds: Path, limits: Limits) -> Outcome:
    """Run one submission in a process of its own, on a copy of the folds."""
    began = time.perf_counter()
    with _scratch() as scratch:
        shutil.copytree(folds, scratch / "folds")
        (scratch / "out").mkdir()
        given = [scratch / "folds", submission.resolve(), scratch / "out"]
        command = [sys.executable, "-m", "cfmf.submission", *map(str, given)]
        command += [str(limits.seconds), str(limits.megabytes)]
        with open(scratch / "said", "wb") as said:
            status = _run(command, scratch, said, limits.seconds)
        seconds = time.perf_counter() - began
        reason = _reason(status, scratch / "said", limits)
        if reason:
            return Outcome(name, {}, seconds, reason)
        try:
            made = {path.stem: _array(path) for path in sorted((scratch / "out").glob("*.npy"))}
        except (ValueError, OSError, EOFError) as error:
            return Outcome(name, {}, seconds, printable(str(error))[:SAID])
    return Outcome(name, made, seconds)


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


def _array(path: Path) -> NDArray[np.float32]:
    """The predictions that a process left; it may have written anything.

    Raises
    ------
    ValueError
        If the file is no array of float32.
    """
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if found.dtype != np.float32 or found.ndim != 1:
        raise ValueError(f"{path.name} is no list of predictions")
    return np.array(found)


def _whole(outcome: Outcome, truth: Mapping[str, pd.DataFrame]) -> Outcome:
    """The outcome, or why its predictions are not those of every queried pair."""
    if outcome.reason:
        return outcome
    for fold, rows in truth.items():
        made = outcome.predictions.get(fold, np.empty(0, np.float32))
        if len(made) != len(rows) or not np.isfinite(made).all():
            reason = f"left no finite prediction for each of {len(rows)} pairs of fold {fold}"
            return Outcome(outcome.name, {}, outcome.seconds, reason)
    return outcome


def _table(outcomes: Sequence[Outcome], truth: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """See `judge`."""
    rows = pd.concat(truth.values(), ignore_index=True)
    user, users = pd.factorize(rows["user"])
    rating = rows["rating"].to_numpy(np.float64)

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(user, values, minlength=len(users)).astype(np.float64)

    counts = sums(np.ones(len(rows)))
    errors = {
        one.name: np.concatenate([one.predictions[fold] for fold in truth]) - rating
        for one in outcomes
        if not one.reason
    }
    squared = {name: sums(np.square(of)) for name, of in errors.items()}
    base = squared.get(REFERENCE, np.full(len(users), np.nan))
    table = []
    for one in outcomes:
        row: dict[str, Any] = {"submission": one.name, "seconds": one.seconds, "reason": one.reason}
        if not one.reason:
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
    sealing = commands.add_parser("seal", help="divide ratings into folds with sealed test parts")
    sealing.add_argument("ratings", metavar="RATINGS", help="file of ratings, or MovieLens folder")
    sealing.add_argument("folder", metavar="CLASS", help="folder to write")
    sealing.add_argument("--folds", type=int, default=3, help="default: 3")
    sealing.add_argument("--seed", type=int, default=1, help="of the folds (default: 1)")
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
            print(*seal(given.ratings, given.folder, given.folds, given.seed), sep="\n")
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
