"""Folds: which ratings are fitted, which select settings, and which are tested once."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.files import DamagedError, atomic_write, sha256

log = logging.getLogger(__name__)

OFFICIAL_ROWS = 100_000
OFFICIAL_FOLDS = 5
ALL = "all"
"""In the place of a list of sealed folds."""
REPEATED = ("kfold", "kfold-per-user")
PARTS = ("fit", "validation", "test")
LONGEST_HEADER = 1 << 16  # of an array in folds.npz, in bytes
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Row numbers of the three parts of a fold, int64, each sorted; train is fit ∪ validation."""

    fit: Rows
    validation: Rows
    test: Rows


def fold_names(rule: Mapping[str, Any]) -> list[str]:
    """Names of the folds of a rule, known from the config, and from saved folds.

    Raises
    ------
    ValueError
        If there are fewer official folds than requested, or the saved ones cannot be read.
    """
    kind, folds = rule["kind"], rule["folds"]
    if kind == "saved":
        return list(saved_facts(rule["folder"])["folds"])
    if kind == "official":
        if folds > OFFICIAL_FOLDS:
            raise ValueError(
                f"split.folds is {folds}, but there are {OFFICIAL_FOLDS} official folds; set it to"
                f" {OFFICIAL_FOLDS} or less"
            )
        return [f"u{number}" for number in range(1, folds + 1)]
    if kind in ("predefined", "leave-last"):
        return [kind]
    prefix = "t" if kind == "timeline" else "f"
    names = [f"{prefix}{number}" for number in range(1, folds + 1)]
    repeats = repeats_of(rule)
    if repeats == 1:
        return names
    return [f"r{repeat}{name}" for repeat in range(1, repeats + 1) for name in names]


def repeats_of(rule: Mapping[str, Any]) -> int:
    """How many times a rule divides the ratings into folds: more than once only if at random."""
    return int(rule.get("repeats", 1)) if rule["kind"] in REPEATED else 1


def size_ratio(described: Mapping[str, Any], names: Iterable[str]) -> float:
    """Test ratings over train ratings of a fold, the mean over some folds of folds.json."""
    sizes = [described["folds"][name] for name in names]
    return float(np.mean([one["test"] / (one["fit"] + one["validation"]) for one in sizes]))


def sealed_folds(described: Mapping[str, Any]) -> list[str]:
    """The folds that a data set of the config declares sealed, opened or not."""
    named = described["sealed"]["folds"]
    return fold_names(described["split"]) if ALL in named else list(named)


def studied_folds(described: Mapping[str, Any]) -> list[str]:
    """The folds that are studied: all but the sealed ones, which are as soon as they are opened."""
    shut = [] if described["sealed"]["open"] else sealed_folds(described)
    return [fold for fold in fold_names(described["split"]) if fold not in shut]


def split(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> dict[str, Fold]:
    """Divide ratings into the folds of a rule.

    Parameters
    ----------
    ratings
        Columns user and item (dense int32), date (NaT where unknown) and part; rows in source
        order.
    rule
        The `split` block of the data set's config: kind, folds, repeats, seed, validation, leave,
        test, folder.

    Returns
    -------
    Fold by name, in the order of `fold_names`.

    Raises
    ------
    ValueError
        If the ratings lack what the rule needs (dates, parts, the official number of rows), or a
        part is empty.
    """
    names = fold_names(rule)
    if rule["kind"] == "saved":
        return {name: _saved(ratings, Path(rule["folder"]), name) for name in names}
    tests = {
        "official": _official,
        "predefined": _predefined,
        "kfold": _kfold,
        "kfold-per-user": _kfold_per_user,
        "leave-last": _leave_last,
        "timeline": _timeline,
    }[rule["kind"]](ratings, rule)
    folds: dict[str, Fold] = {}
    for name, (train, test) in zip(names, tests, strict=True):
        # The fold's number is part of the seed: a fold is the same for any number of folds. So is
        # that of its repeat, from 0: the first is the same for any number of repeats.
        repeat, number = divmod(len(folds), len(names) // repeats_of(rule))
        rng = np.random.default_rng([rule["seed"], number, repeat])
        validation = _validation(ratings, train, rule, rng) if len(train) else train
        fit = np.setdiff1d(train, validation, assume_unique=True)
        folds[name] = Fold(np.sort(fit), np.sort(validation), np.sort(test))
        for part in PARTS:
            if not len(getattr(folds[name], part)):
                raise ValueError(
                    f"the {part} part of fold {name} is empty: {_why_empty(ratings, rule)}"
                )
    return folds


def _why_empty(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> str:
    """Why a rule leaves a part of a fold without ratings, and what to do about it."""
    kind, count = rule["kind"], len(ratings)
    if kind == "timeline":
        return (
            f"{count:,} ratings are too few for {rule['folds']} windows of {rule['test']} of them;"
            " lower split.folds, or raise split.test"
        )
    if kind == "leave-last":
        most = int(np.bincount(ratings["user"]).max())
        return (
            f"with split.leave {rule['leave']} a user needs at least {rule['leave'] + 2} ratings to"
            f" have some in every part, and the most active one has {most}; lower split.leave, or"
            " set split.kind to kfold"
        )
    if kind in ("predefined", "official"):
        return f"it is given none of the {count:,} ratings; set split.kind to kfold"
    each = " and users with several each" if kind == "kfold-per-user" else ""
    return (
        f"{rule['folds']} folds of {kind} with split.validation {rule['validation']} need at least"
        f" {fewest_ratings(rule):,} ratings{each}, and there are {count:,}; lower split.folds or"
        " get more ratings"
    )


def fewest_ratings(rule: Mapping[str, Any]) -> int:
    """The fewest ratings that folds of equal size can be drawn from, every part with one or more.

    The share of the train part that is held out is rounded, so that t ratings leave some to fit
    from about t = 0.5 / (1 - share) on.
    """
    folds, share = int(rule["folds"]), rule["validation"]
    train = max(2, math.floor(0.5 / (1 - share)) - 1)
    while _held_out(share, train) >= train:
        train += 1
    # The largest test part of n ratings has ⌈n / folds⌉.
    return max(folds, math.ceil(train * folds / (folds - 1)))


def _held_out(share: float, train: int) -> int:
    """How many of so many train ratings are the validation part, where it is drawn at random."""
    return max(1, round(share * train))


Divided = list[tuple[Rows, Rows]]


def _official(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> Divided:
    """Fold i of MovieLens 100K tests rows (i-1)·20000 … i·20000 of u.data (its mku.sh)."""
    if len(ratings) != OFFICIAL_ROWS:
        raise ValueError(
            f"the official folds divide the {OFFICIAL_ROWS:,} rows of MovieLens 100K, not"
            f" {len(ratings):,}; set split.kind to kfold"
        )
    size = OFFICIAL_ROWS // OFFICIAL_FOLDS
    rows = np.arange(OFFICIAL_ROWS)
    return [
        (np.delete(rows, np.s_[fold * size : (fold + 1) * size]), rows[fold * size :][:size])
        for fold in range(rule["folds"])
    ]


def _predefined(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> Divided:
    """The train and test parts given by the source."""
    train, test = ((ratings["part"] == part).to_numpy() for part in ("train", "test"))
    if not (train | test).all():
        raise ValueError(
            "split.kind is predefined, but the source has no separate train and test parts; set it"
            " to kfold"
        )
    return [(np.flatnonzero(train), np.flatnonzero(test))]


def _kfold(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> Divided:
    """Folds of equal size, give or take one, drawn over all ratings; anew for each repeat."""
    divided: Divided = []
    for rng in _of_repeats(rule):
        order = rng.permutation(len(ratings))
        divided += _each_tested_once(order % _at_least_two(rule), rule["folds"])
    return divided


def _kfold_per_user(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> Divided:
    """Folds with an equal share of each user's ratings, give or take one; anew for each repeat."""
    user = ratings["user"].to_numpy()
    divided: Divided = []
    for rng in _of_repeats(rule):
        rank = _rank_within_user(user, rng.permutation(len(user)))
        # The fold of the first rating is drawn too, or the first folds would be larger.
        first = rng.integers(rule["folds"], size=int(user.max()) + 1)
        fold_of = (rank + first[user]) % _at_least_two(rule)
        divided += _each_tested_once(fold_of, rule["folds"])
    return divided


def _of_repeats(rule: Mapping[str, Any]) -> list[np.random.Generator]:
    """A generator for each repeat; no fold's validation part has the number `folds` in its seed."""
    seed, folds = rule["seed"], rule["folds"]
    later = [[seed, folds, repeat] for repeat in range(1, repeats_of(rule))]
    return [np.random.default_rng(each) for each in (seed, *later)]


def _leave_last(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> Divided:
    """Each user's latest ratings, except the first; of equal dates the later row is the latest."""
    last = _last_of_users(ratings, np.arange(len(ratings)), rule["leave"])
    _tell_ties(ratings["user"].to_numpy(), _dates(ratings), last)
    return [(np.flatnonzero(~last), np.flatnonzero(last))]


def _tell_ties(
    user: NDArray[np.int32], date: NDArray[np.datetime64], last: NDArray[np.bool_]
) -> None:
    """Log of how many users the order of rows decides which ratings are the latest."""
    first_tested = pd.Series(date[last]).groupby(user[last]).min()
    latest_kept = pd.Series(date[~last]).groupby(user[~last]).max()
    first_tested, latest_kept = first_tested.align(latest_kept, "inner")
    tied = int((first_tested == latest_kept).sum())
    if tied:
        log.warning(
            "the latest ratings of %d of %d users have the same date as others of theirs, so the"
            " order of rows decides which are tested; dates with the time of day would tell",
            *(tied, len(first_tested)),
        )


def _timeline(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> Divided:
    """The latest ratings of all in consecutive windows; each window's past is its train part.

    Ratings with the same date are never divided between train and test.
    """
    date = _dates(ratings)
    by_date = np.argsort(date, kind="stable")
    edges = len(date) * (1 - rule["test"] * (1 - np.arange(rule["folds"] + 1) / rule["folds"]))
    cuts = [date[by_date[min(int(edge), len(date) - 1)]] for edge in edges[:-1]]
    cuts.append(date[by_date[-1]] + np.timedelta64(1, "us"))
    windows = [
        (np.flatnonzero(date < start), np.flatnonzero((date >= start) & (date < stop)))
        for start, stop in itertools.pairwise(cuts)
    ]
    _check_ties(date, rule, windows)
    return windows


def _check_ties(date: NDArray[np.datetime64], rule: Mapping[str, Any], windows: Divided) -> None:
    """Raise ValueError if a window or what is before it is empty because dates are the same."""
    empty = [f"t{at}" for at, (train, test) in enumerate(windows, 1) if not len(train) * len(test)]
    distinct, counts = np.unique(date, return_counts=True)
    if not empty or len(distinct) == len(date):
        return
    most = int(counts.argmax())
    raise ValueError(
        f"the folds {', '.join(empty)} of split.kind timeline have an empty part because of ties:"
        f" {counts[most]:,} of the {len(date):,} ratings have the same date,"
        f" {str(distinct[most]).removesuffix('T00:00:00.000000')}, there are {len(distinct):,} in"
        " all, and ratings of one date are never divided between train and test. Use dates with"
        " the time of day, set split.kind to kfold, or, if there are several dates, set"
        " split.folds lower or split.test higher"
    )


def _validation(
    ratings: pd.DataFrame, train: Rows, rule: Mapping[str, Any], rng: np.random.Generator
) -> Rows:
    """Rows of train to select settings with, chosen in the same way as the test part."""
    size = _held_out(rule["validation"], len(train))
    if rule["kind"] == "timeline":
        by_date = train[np.argsort(_dates(ratings)[train], kind="stable")]
        return by_date[-size:]
    if rule["kind"] == "leave-last":
        return train[_last_of_users(ratings, train, rule["leave"])]
    if rule["kind"] == "kfold-per-user":
        user = ratings["user"].to_numpy()[train]
        rank = _rank_within_user(user, rng.permutation(len(train)))
        held = np.bincount(user)[user]
        # The number is rounded up or down at random, so that its expectation is the exact share.
        return train[rank < np.floor(held * rule["validation"] + rng.random(user.max() + 1)[user])]
    return rng.choice(train, size, replace=False)


def _each_tested_once(fold_of: Rows, folds: int) -> Divided:
    return [
        (np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(folds)
    ]


def _at_least_two(rule: Mapping[str, Any]) -> int:
    if rule["folds"] < 2:
        raise ValueError(f"split.folds is 1, but {rule['kind']} needs 2 or more")
    return int(rule["folds"])


def _dates(ratings: pd.DataFrame) -> NDArray[np.datetime64]:
    """Dates of all ratings."""
    if ratings["date"].isna().any():
        raise ValueError(
            "a split by date needs the date of every rating, but some have none; set split.kind to"
            " kfold, or set the column of dates under table.columns"
        )
    return ratings["date"].to_numpy().astype("datetime64[us]")


def _rank_within_user(user: NDArray[np.int32], order: Rows) -> Rows:
    """Place of each row among the rows of its user, from 0, in the given order of rows."""
    by_user = order[np.argsort(user[order], kind="stable")]
    counts = np.bincount(user)
    start = np.cumsum(counts) - counts
    rank = np.empty(len(user), np.int64)
    rank[by_user] = np.arange(len(user)) - start[user[by_user]]
    return rank


def _last_of_users(ratings: pd.DataFrame, rows: Rows, count: int) -> NDArray[np.bool_]:
    """Whether each row is among the `count` latest of its user, and not the earliest of all.

    A user with few ratings thus keeps one for training.
    """
    latest_first = np.lexsort((rows, _dates(ratings)[rows]))[::-1]
    user = ratings["user"].to_numpy()[rows]
    held = np.bincount(user)[user]
    return _rank_within_user(user, latest_first) < np.minimum(count, held - 1)


def saved_facts(folder: str | Path) -> dict[str, Any]:
    """The content of folds.json in a folder of saved folds.

    Raises
    ------
    ValueError
        If it cannot be read or contains a name that is not valid in a path.
    """
    path = Path(folder).expanduser() / "folds.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
        names = list(facts["folds"].keys())
        known = isinstance(facts["rule"]["kind"], str) and isinstance(facts["sha256"], str)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a list of saved folds ({error!r}); set `split.folder` of the data set"
            " to a folder with the folds.json and folds.npz of another run"
        ) from None
    if not names or not known or not all(re.fullmatch(r"\w[\w-]{0,30}", name) for name in names):
        raise ValueError(
            f"{path} has folds with the names {names[:5]}; only letters, digits, _ and - are"
            " allowed, and its `rule.kind` and `sha256` must be texts"
        )
    return facts


def _saved(ratings: pd.DataFrame, folder: Path, name: str) -> Fold:
    """One saved fold, if it divides these ratings."""
    folder = folder.expanduser()
    divided = saved_facts(folder).get("ratings")
    if divided != fingerprint(ratings):
        raise ValueError(
            f"the folds of {folder} divide other ratings ({divided!r:.200}) than these"
            f" ({fingerprint(ratings)}); use the same raw files, `audit` and `subset` as that run"
        )
    path = folder / "folds.npz"
    try:
        with zipfile.ZipFile(path) as file:
            longest = max(one.file_size for one in file.infolist())
    except (OSError, ValueError, zipfile.BadZipFile):
        longest = 0  # `load` says what is wrong
    if longest > 8 * len(ratings) + LONGEST_HEADER:
        raise ValueError(
            f"{path} has an array of {longest:,} bytes, more than the row numbers of"
            f" {len(ratings):,} ratings; use the folds.npz that a run saved"
        )
    return _sound(load(folder, name), len(ratings), f"{path}: fold {name}")


def _sound(fold: Fold, rows: int, where: str) -> Fold:
    """A fold from elsewhere, if its parts are what a `Fold` of so many ratings may have.

    Raises
    ------
    ValueError
        If a part is not a one-dimensional array of integers, is empty, has a row twice or one
        that there is not, or if two parts share a row: the test would not be of unseen ratings.
    """
    part_of = np.full(rows, -1, np.int8)
    for code, part in enumerate(PARTS):
        found, fault = getattr(fold, part), ""
        if found.ndim != 1 or found.dtype.kind not in "iu":
            fault = f"is an array of {found.dtype} in {found.ndim} dimensions, not a list of rows"
        elif not len(found):
            fault = "is empty"
        elif found.min() < 0 or found.max() >= rows:
            outside = found[(found < 0) | (found >= rows)][0]
            fault = f"has row {outside}, but the ratings have the rows 0 to {rows - 1}"
        elif (shared := part_of[found] >= 0).any():
            row = found[shared][0]
            fault = f"shares {shared.sum():,} rows with others, such as {row} with that of"
            fault += f" {PARTS[part_of[row]]}"
        else:
            part_of[found] = code
            if np.count_nonzero(part_of == code) < len(found):
                twice = np.flatnonzero(np.bincount(found.astype(np.int64)) > 1)[0]
                fault = f"has row {twice} more than once"
        if fault:
            raise ValueError(
                f"{where}: the part {part} {fault}; use the folds as a run saved them, or set"
                " `split.kind` of the data set to make new ones"
            )
    return Fold(*(np.sort(getattr(fold, part).astype(np.int64)) for part in PARTS))


def fingerprint(ratings: pd.DataFrame) -> dict[str, Any]:
    """Number of ratings, and SHA-256 of their users and items in order (int32, little endian)."""
    pairs = hashlib.sha256()
    for name in ("user", "item"):
        pairs.update(ratings[name].to_numpy().astype("<i4", copy=False).tobytes())
    return {"rows": len(ratings), "sha256": pairs.hexdigest()}


def save(
    folds: Mapping[str, Fold], rule: Mapping[str, Any], folder: Path, ratings: pd.DataFrame
) -> None:
    """Write all folds to folds.npz, and to folds.json its SHA-256, the rule and the sizes.

    folds.json also has the `fingerprint` of the ratings, so that another run with these folds
    (`split: {kind: saved, folder: …}`) can verify that its ratings are the same.
    The arrays of folds.npz are named `{fold}_fit`, `{fold}_validation` and `{fold}_test`.
    """
    arrays = {
        f"{name}_{part}": getattr(fold, part) for name, fold in folds.items() for part in PARTS
    }
    path = Path(folder) / "folds.npz"
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    facts = {
        "rule": dict(rule),
        "sha256": sha256(path),
        "ratings": fingerprint(ratings),
        "folds": {name: {part: len(arrays[f"{name}_{part}"]) for part in PARTS} for name in folds},
    }
    with atomic_write(Path(folder) / "folds.json") as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n")


def load(folder: Path, name: str) -> Fold:
    """Read one fold, after comparing folds.npz with its hash in folds.json.

    Raises
    ------
    ValueError
        If the file is missing, was changed since it was saved or cannot be read, or has no such
        fold.
    """
    path = Path(folder) / "folds.npz"
    facts = saved_facts(folder)
    if not path.is_file() or sha256(path) != facts["sha256"]:
        raise DamagedError(
            path, f"{path} does not have the hash in folds.json; make the folds again"
        )
    if name not in facts["folds"]:
        raise ValueError(f"{path} has no fold {name}, only {', '.join(facts['folds'])}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Fold(*(arrays[f"{name}_{part}"] for part in PARTS))
    except Exception as error:  # of NumPy, zipfile and zlib, each with kinds of its own
        raise ValueError(
            f"{path} has no readable arrays of fold {name} ({error!r}); use the folds.npz that a"
            " run saved"
        ) from None
