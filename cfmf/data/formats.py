"""Parsing: from raw files in the layout of their source to tables of ratings, users and items."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cfmf.data.audit import (
    PARTS,
    SHOWN,
    TEST,
    TRAIN,
    Checks,
    Pairs,
    Place,
    check_pairs,
    check_variety,
    choose_subset,
    dense_index,
    parts_seen,
)
from cfmf.data.columns import Columns
from cfmf.data.dates import NO_DATE, likely_unit
from cfmf.data.layouts import (
    OTHER_LINES,
    UNRATED_LINES,
    RatingFile,
    fixed_file,
    rating_files,
    title_file,
)
from cfmf.data.lines import (
    BLANK,
    ITEM_LINE,
    OFF_SCALE,
    UNRATED,
    Block,
    Layout,
    Rows,
    Scale,
    parse_blocks,
    reason,
)
from cfmf.data.manifest import verified_manifest
from cfmf.data.parallel import ROWS_AT_ONCE, in_threads, pieces
from cfmf.data.titles import read_titles
from cfmf.files import atomic_write
from cfmf.observed import overlap

log = logging.getLogger(__name__)

HEAD = 5
NO_ROWS = np.zeros(0, np.int64)
COLUMNS = {"user": np.int32, "item": np.int32, "rating": np.float32, "date": np.int64}


@dataclass
class Parsed:
    """A data set after its audit.

    `ratings` has the columns user, item (dense int32), rating (float32), date (datetime64[us]) and
    part (categorical); `users` and `items` the ids, titles and years; `audit` is the content of
    audit.json; `refused` the rows left out, with the reason of each.
    """

    ratings: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame
    audit: dict[str, Any]
    refused: list[tuple[Place, str]]


def parse(raw: Path, dataset: Mapping[str, Any], output: Path, threads: int = 1) -> dict[str, Any]:
    """Read, check and index the raw files of a data set, and write them as tables.

    Parameters
    ----------
    raw
        Folder made by `cfmf.data.sources.retrieve`; its manifest's hashes are verified.
    dataset
        The data set's config block, complete with the defaults of its schema.
    output
        Folder to write ratings.parquet, users.parquet, items.parquet, audit.json and refused.tsv
        to, each complete or not at all.
    threads
        Blocks of a file to parse at the same time; the result does not depend on it.

    Returns
    -------
    The content of audit.json.

    Raises
    ------
    ValueError
        If a raw file was changed since it was retrieved, or has defects whose policy in
        `dataset["audit"]` is to stop, or the ratings are too few or too alike to study.
    """
    raw, output = Path(raw), Path(output)
    manifest = verified_manifest(raw)
    parsed = read(raw, dataset, threads)
    constant = check_variety(parsed.ratings, dataset["audit"]["constant"])
    parsed.audit["checks"]["constant"]["count"] = constant
    audit = {
        "source": dataset["source"],
        "served_by": manifest["served_by"],
        "genuine": manifest["genuine"],
        **parsed.audit,
    }
    write_ratings(output / "ratings.parquet", parsed.ratings)
    for name, table in (("users", parsed.users), ("items", parsed.items)):
        with atomic_write(output / f"{name}.parquet") as temporary:
            table.to_parquet(temporary, index=False)
    write_refused(output / "refused.tsv", parsed.refused)
    with atomic_write(output / "audit.json") as temporary:
        temporary.write_text(json.dumps(audit, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return audit


def read(raw: Path, dataset: Mapping[str, Any], threads: int = 1) -> Parsed:
    """Read, check and index the raw files of a data set: `parse` without the writing.

    Raises
    ------
    ValueError
        If the files have defects whose policy in `dataset["audit"]` is to stop.
    """
    raw = Path(raw)
    files = rating_files(raw, dataset)
    checks = Checks(dataset["audit"], partial(_places, files))
    columns = _read_rows(files, Scale(**dataset["scale"]), checks, threads)
    labels = _sort_text_ids(files, columns)
    _warn(files, labels, int(columns["date"].max(initial=NO_DATE)))
    _advise(files, checks)
    probe_facts = _mark_probe(raw / "probe.txt", dataset, columns, checks)
    heads = {file.name: _head(file, columns, labels) for file in files[:HEAD]}
    listed, user_facts = _read_users(raw, dataset, checks)
    titles, title_facts = _read_titles(raw, dataset, checks)

    table = _indexed(columns, labels, threads)
    del columns
    keep, seen = _check(table, listed, titles if title_facts else None, checks, threads)
    refused = Counter(file for (file, _, _), _ in checks.refused)
    audit = _rating_facts(files, keep, refused, heads)
    audit["files"] |= user_facts | title_facts | probe_facts

    subset = dataset["subset"]
    chosen, audit["left_out"] = choose_subset(table.user, table.item, keep, subset)
    if not chosen.any():
        raise ValueError(
            f"no rating of {raw} is kept; see the policies under `audit` and the numbers under"
            " `subset` of the data set"
        )
    if not chosen.all():
        table = table.rows(chosen)
        seen = [
            parts_seen(index, table.columns["part"], np.ones(len(index), bool))
            for index in (table.user, table.item)
        ]
    if listed is not None and not (subset["users"] or subset["minimum_ratings"]["user"]):
        table.take_users(listed)
    audit = _completed(audit, table, dataset["scale"], seen, checks)
    return Parsed(*_frames(table, titles), audit, sorted(checks.refused))


@dataclass
class Table:
    """Ratings with dense indices: ids by index, and `columns` rating, date and part of each row."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    columns: dict[str, NDArray[Any]]

    def rows(self, chosen: NDArray[np.bool_]) -> Table:
        """Only the chosen rows, with their users and items renumbered."""
        users, user = dense_index(self.user[chosen])
        items, item = dense_index(self.item[chosen])
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Table(user, item, self.user_ids[users], self.item_ids[items], columns)

    def take_users(self, listed: NDArray[Any]) -> None:
        """Number the users among listed ones: those without a rating have a matrix row too."""
        if len(listed) > len(self.user_ids):
            self.user = np.searchsorted(listed, self.user_ids).astype(np.int32)[self.user]
        self.user_ids = listed


def _frames(table: Table, titles: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The ratings, over the arrays of the table, the users, and the items with their titles."""
    ratings = pd.DataFrame(
        {
            "user": table.user,
            "item": table.item,
            "rating": table.columns["rating"],
            "date": table.columns["date"].view("datetime64[us]"),
            "part": pd.Categorical.from_codes(table.columns["part"], pd.Index(PARTS)),
        },
        copy=False,
    )
    users, items = (
        pd.DataFrame({name: np.arange(len(ids), dtype=np.int32), f"{name}_id": ids})
        for name, ids in (("user", table.user_ids), ("item", table.item_ids))
    )
    return ratings, users, items.merge(titles, on="item_id", how="left")


def _completed(
    audit: dict[str, Any],
    table: Table,
    scale: Mapping[str, float],
    seen: list[NDArray[np.uint8]],
    checks: Checks,
) -> dict[str, Any]:
    """The audit with the sizes of the final table, its dates, overlap and checks."""
    date = table.columns["date"]
    latest = date.max()
    earliest = date.min(initial=latest, where=date != NO_DATE)
    audit |= {
        "users": len(table.user_ids),
        "items": len(table.item_ids),
        "ratings": len(table.user),
        "scale": dict(scale),
        "dates": [str(pd.Timestamp(one.astype("datetime64[us]"))) for one in (earliest, latest)],
        "overlap": _overlap(seen),
        "checks": checks.summary(),
    }
    log.info(
        "%d rows read, %d kept, %d refused: %d users, %d items",
        *(audit[key] for key in ("rows_read", "rows_kept", "rows_refused", "users", "items")),
    )
    return audit


def _read_rows(
    files: list[RatingFile], scale: Scale, checks: Checks, threads: int
) -> dict[str, NDArray[Any]]:
    """All rows that the layout allows, file after file; `files` keep the counts."""
    columns = Columns(COLUMNS)
    total = sum(file.size for file in files)
    first_row = done = 0
    for file in files:
        file.first_row = first_row
        for size, rows in _read_file(file, scale, checks, threads):
            done += size
            seen = columns.rows + len(rows.user)
            # A hundredth more, as rows are not all equally long.
            expected = int(1.01 * seen * max(total / done, 1)) if done else 0
            columns.append({name: getattr(rows, name) for name in COLUMNS}, expected)
        if not file.rows_kept:
            raise ValueError(
                f"{file.name} has no rating that can be read; check that it is the right file and"
                " that its layout is that of the data set's source"
            )
        first_row += file.rows_kept
        level = logging.INFO if len(files) <= HEAD else logging.DEBUG
        log.log(level, "%s: %d rows, %d refused", file.name, file.rows_kept, file.rows_refused)
    found = columns.finished()
    parts = np.array([file.part for file in files], np.int8)
    found["part"] = np.repeat(parts, [file.rows_kept for file in files])
    return found


def _read_file(
    file: RatingFile, scale: Scale, checks: Checks, threads: int
) -> Iterator[tuple[int, Rows]]:
    """Blocks of rows of one file, each with the number of bytes that it was read from."""
    for block, rows in parse_blocks(file.blocks(), file.layout, scale, threads, file.codes):
        for row, fault in rows.rejected:
            file.other_rows.append(block.first + row)
            _reject(file, checks, fault, block, row)
        if block.first == 0 and file.header is not None and list(file.other_rows[:1]) != [0]:
            raise ValueError(
                f"{file.name}: the first line {file.header!r} should be a header but is a row;"
                " set `table.header` to false"
            )
        file.lines["lines"] += block.lines
        file.lines["continuation_lines"] += block.continuation_lines
        file.rows_kept += len(rows.user)
        file.padded = rows.padded | file.padded
        yield block.size, rows
    _account(file.name, file.counts())


def _account(name: str, facts: Mapping[str, int]) -> None:
    """Check that every line of a file is a row that was kept or refused, or known not to be a row.

    Raises
    ------
    RuntimeError
        If not, as rows would be lost without notice.
    """
    others = sum(facts[kind] for kind in OTHER_LINES) + facts.get(UNRATED_LINES, 0)
    known = facts["rows_kept"] + facts["rows_refused"]
    if facts["rows_read"] != known or facts["lines"] != facts["rows_read"] + others:
        raise RuntimeError(
            f"{name}: lines were lost in reading, which is a fault of this program; report it with"
            f" these counts: {facts}"
        )


def _reject(file: RatingFile, checks: Checks, fault: int, block: Block, row: int) -> None:
    """Count a line without an accepted row, and refuse it if it should be a row."""
    if fault == UNRATED:
        file.lines[UNRATED_LINES] = file.lines.get(UNRATED_LINES, 0) + 1
        return
    line, text = block.place(row)
    if fault == BLANK:
        file.lines["blank_lines"] += 1
    elif fault == ITEM_LINE:
        file.lines["item_lines"] += 1
    elif line == 1 and file.header is not None:
        file.lines["header_lines"] += 1
    else:
        file.rows_refused += 1
        check = "off_scale" if fault == OFF_SCALE else "malformed"
        checks.refuse(check, [(file.name, line, text)], [reason(fault, block, row, file.layout)])


def _warn(files: list[RatingFile], labels: Mapping[str, NDArray[Any]], latest: int) -> None:
    """Log what is read as declared but is likely to be declared wrongly.

    `labels` are the text ids, `latest` is the latest date in microseconds since 1970.
    """
    for file in files:
        for name, text in file.padded.items():
            log.warning(
                "%s: the %s %s has leading zeros, which whole numbers do not have: it is the same"
                " as %s; set `table.ids` to text to tell them apart",
                *(file.name, name, text, text.lstrip("0") or "0"),
            )
    layout = files[0].layout
    if not layout.declared:
        return
    for name, texts in labels.items():
        marked = [text for text in texts if len(text) > 1 and text[0] == text[-1] == '"']
        if marked and not layout.quoted:
            log.warning(
                "%d %ss are in quotation marks, such as %s; if these are not part of the ids, set"
                " `table.quoted` to true",
                *(len(marked), name, marked[0]),
            )
    unit = likely_unit(latest, layout.dates) if "date" in layout.columns else ""
    if unit and latest != NO_DATE:
        log.warning(
            "the latest date is %s: as %s, the numbers are more likely; see `table.dates`",
            *(str(np.datetime64(latest, "us")), unit),
        )


def _advise(files: list[RatingFile], checks: Checks) -> None:
    """Where ids have leading zeros, they may be why the same pair seems to be rated twice."""
    if any(file.padded for file in files):
        checks.advice["duplicates"] = (
            "some ids have leading zeros, so set `table.ids` to text if they are then different, or"
            f" {checks.advice['duplicates']}"
        )


def _places(files: list[RatingFile], rows: NDArray[np.int64]) -> list[Place]:
    """File, line number and bytes of rows, by their numbers in the order of reading."""
    starts = np.array([file.first_row for file in files])
    of_file = np.searchsorted(starts, rows, side="right") - 1
    places: dict[int, Place] = {}
    for index in np.unique(of_file):
        file = files[index]
        mine = rows[of_file == index]
        others = np.array(file.other_rows, np.int64)
        within = mine - file.first_row
        # Of the rows that were not kept, the i-th has i fewer kept rows above it than rows.
        numbers = within + np.searchsorted(others - np.arange(len(others)), within, side="right")
        found = file.places(set(numbers.tolist()))
        for row, number in zip(mine.tolist(), numbers.tolist(), strict=True):
            places[row] = (file.name, *found[number])
    return [places[row] for row in rows.tolist()]


def _sort_text_ids(
    files: list[RatingFile], columns: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Renumber text ids in their sorted order, in place; the texts by number, if ids are texts."""
    labels: dict[str, NDArray[Any]] = {}
    if files[0].layout.text_ids:
        for name, codes in files[0].codes.items():
            labels[name] = np.array(sorted(codes), object)
            rank = np.empty(len(codes), np.int32)
            rank[[codes[text] for text in labels[name]]] = np.arange(len(codes))
            columns[name] = rank[columns[name]]
    return labels


def _mark_probe(
    path: Path, dataset: Mapping[str, Any], columns: dict[str, NDArray[Any]], checks: Checks
) -> dict[str, dict[str, Any]]:
    """Move the ratings whose pairs probe.txt lists to the test part; facts for the audit."""
    if dataset["source"] != "netflix-prize" or not path.is_file():
        return {}
    file, pairs = _read_list(path, Layout(("user",), item_lines=True), checks)
    user, item = pairs["user"], pairs["item"]
    if not len(user):
        raise ValueError(f"{path} has no pairs; get the file again, or remove it")
    probe = _pair_keys(user, item)
    order = np.argsort(probe, kind="stable")
    wanted = probe[order]
    again = np.append(False, wanted[1:] == wanted[:-1])
    places = _places([file], np.sort(order[again]))
    checks.refuse("duplicates", places, ["the pair is already listed above"] * len(places))
    order, wanted = order[~again], wanted[~again]
    matched = np.zeros(len(wanted), bool)
    for block_rows in pieces(len(columns["user"])):
        keys = _pair_keys(columns["user"][block_rows], columns["item"][block_rows])
        found = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
        hit = wanted[found] == keys
        columns["part"][block_rows][hit] = TEST
        matched[found[hit]] = True
    checks.refuse("unmatched_probe", _places([file], np.sort(order[~matched])))
    kept = int(matched.sum())
    facts = file.counts()
    facts |= {"rows_kept": kept, "rows_refused": facts["rows_read"] - kept}
    about = {"kind": "probe", "encoding": file.encoding, "shape": [facts["rows_read"], 2]}
    head = np.stack([user[:HEAD], item[:HEAD]], axis=1).tolist()
    return {path.name: {**about, **facts, "head": head}}


def _read_list(
    path: Path, layout: Layout, checks: Checks
) -> tuple[RatingFile, dict[str, NDArray[np.int64]]]:
    """A file of users, or of pairs, without ratings."""
    file = fixed_file(path, layout)
    blocks = [rows for _, rows in _read_file(file, Scale(), checks, 1)]
    empty = np.zeros(0, np.int64)
    return file, {
        name: np.concatenate([empty, *(getattr(rows, name) for rows in blocks)])
        for name in ("user", "item")
    }


def _pair_keys(user: NDArray[Any], item: NDArray[Any]) -> NDArray[np.int64]:
    """One number for each pair of a user and an item, both below 2^31."""
    if len(user) and max(int(user.max()), int(item.max())) >= 1 << 31:
        raise ValueError("an id of the Netflix Prize is 2^31 or more; get its files again")
    return item.astype(np.int64) << 32 | user.astype(np.int64)


def _read_users(
    raw: Path, dataset: Mapping[str, Any], checks: Checks
) -> tuple[NDArray[np.int64] | None, dict[str, Any]]:
    """Sorted ids of users.txt, if the source has one, and its facts for the audit."""
    if dataset["source"] not in ("netflix-subset", "synthetic"):
        return None, {}
    path = raw / "users.txt"
    file, columns = _read_list(path, Layout(("user",)), checks)
    ids = columns["user"]
    if not len(ids):
        raise ValueError(f"{path} has no users; get the file again")
    distinct, counts = np.unique(ids, return_counts=True)
    if len(distinct) < len(ids):
        twice = distinct[counts > 1][:SHOWN].tolist()
        raise ValueError(
            f"{path} lists users more than once, such as {twice}; delete the repeated lines"
        )
    facts = {
        "kind": "users",
        "encoding": file.encoding,
        **file.counts(),
        "shape": [file.rows_kept, 1],
        "head": [[int(one)] for one in ids[:HEAD]],
    }
    return distinct, {path.name: facts}


def _read_titles(
    raw: Path, dataset: Mapping[str, Any], checks: Checks
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Titles and years by item id, and the facts of their file for the audit."""
    text_ids = dataset["source"] == "table" and dataset["table"]["ids"] == "text"
    found = title_file(raw, dataset)
    if found is None:
        empty = {"item_id": str if text_ids else np.int64, "title": str, "year": "Int32"}
        return pd.DataFrame(columns=list(empty)).astype(empty), {}
    path, layout = found
    titles = read_titles(path, layout, text_ids)
    for line, why, text in titles.bad:
        checks.refuse("malformed", [(path.name, line, text)], [why])
    kept, refused = len(titles.table), len(titles.bad)
    lines = {
        "rows_read": kept + refused,
        "rows_kept": kept,
        "rows_refused": refused,
        **titles.lines,
    }
    _account(path.name, lines)
    head = titles.table.head(HEAD).astype(object)
    facts = {
        "kind": "titles",
        **lines,
        "encoding": titles.encoding,
        "missing_years": int(titles.table["year"].isna().sum()),
        "odd_years": titles.odd_years,
        "shape": list(titles.table.shape),
        "head": head.where(head.notna(), None)[["item_id", "year", "title"]].to_numpy().tolist(),
    }
    return titles.table, {path.name: facts}


def _check(
    table: Table,
    listed: NDArray[np.int64] | None,
    titles: pd.DataFrame | None,
    checks: Checks,
    threads: int,
) -> tuple[NDArray[np.bool_], list[NDArray[np.uint8]]]:
    """Check users and items against their files, and pairs; the rows kept, and `parts_seen`."""
    keep = np.ones(len(table.user), bool)
    for check, known, ids, index in (
        ("unknown_user", listed, table.user_ids, table.user),
        ("unknown_item", None if titles is None else titles["item_id"], table.item_ids, table.item),
    ):
        if known is not None:
            unknown = ~pd.Index(ids).isin(known)
            rows = np.flatnonzero(unknown[index] & keep) if unknown.any() else NO_ROWS
            checks.apply(check, rows, keep)
    pairs = Pairs(table.user, table.item, table.columns["date"], table.columns["part"])
    return keep, check_pairs(checks, pairs, keep, threads)


def _head(
    file: RatingFile, columns: Mapping[str, NDArray[Any]], labels: Mapping[str, NDArray[Any]]
) -> list[list[Any]]:
    """The first rows of a file, with their own ids."""
    rows = slice(file.first_row, file.first_row + min(HEAD, file.rows_kept))
    date = columns["date"][rows].astype("datetime64[us]").astype("datetime64[D]")
    ids = [
        (labels[name][columns[name][rows]] if labels else columns[name][rows]).tolist()
        for name in ("user", "item")
    ]
    dates = [None if np.isnat(one) else str(one) for one in date]
    return [list(row) for row in zip(*ids, columns["rating"][rows].tolist(), dates, strict=True)]


def _rating_facts(
    files: list[RatingFile],
    keep: NDArray[np.bool_],
    refused: Counter[str],
    heads: Mapping[str, list[list[Any]]],
) -> dict[str, Any]:
    """Rows read, kept and refused, per file and of all files of ratings.

    `refused` counts the rows that checks left out of each file.
    """
    facts: dict[str, dict[str, Any]] = {}
    for file in files:
        counts = file.counts()
        kept = keep[file.first_row : file.first_row + file.rows_kept]
        counts |= {"rows_kept": int(np.count_nonzero(kept)), "rows_refused": refused[file.name]}
        _account(file.name, counts)
        many = len(files) > HEAD and "/" in file.name
        name = f"{file.name.rsplit('/', 1)[0]}/*" if many else file.name
        one = facts.setdefault(name, {"kind": "ratings", "encoding": file.encoding})
        for key, value in counts.items():
            one[key] = one.get(key, 0) + value
        width = len({*file.layout.columns} - {""}) + file.layout.item_lines
        one["shape"] = [one["rows_read"], width]
        if file.padded:
            one["leading_zeros"] = file.padded
        one.setdefault("head", heads.get(file.name, []))
    totals = {
        key: sum(one[key] for one in facts.values())
        for key in ("rows_read", "rows_kept", "rows_refused")
    }
    return totals | {"files": facts}


def _indexed(
    columns: dict[str, NDArray[Any]], labels: Mapping[str, NDArray[Any]], threads: int
) -> Table:
    """The table of all rows; takes user and item out of `columns` and uses their memory."""

    def index(ids: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
        return dense_index(ids, ids if ids.dtype == np.int32 else None)

    sides = in_threads(threads, index, [columns.pop("user"), columns.pop("item")])
    (user_ids, user), (item_ids, item) = sides
    if labels:
        user_ids, item_ids = labels["user"][user_ids], labels["item"][item_ids]
    return Table(user, item, user_ids, item_ids, columns)


def _overlap(seen: list[NDArray[np.uint8]]) -> dict[str, Any]:
    """Distinct users and items of train and test, those in both, and those in either."""
    if not (seen[0] >> TEST & 1).any():
        return {}
    return {
        name: overlap(*((parts >> one & 1).astype(bool) for one in (TRAIN, TEST)))
        for name, parts in zip(("users", "items"), seen, strict=True)
    }


def write_ratings(path: Path, ratings: pd.DataFrame) -> None:
    """Write a table of ratings as Parquet, a million rows at a time."""
    schema = pa.schema(
        {
            "user": pa.int32(),
            "item": pa.int32(),
            "rating": pa.float32(),
            "date": pa.timestamp("us"),
            "part": pa.dictionary(pa.int8(), pa.string()),
        }
    )
    with atomic_write(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, max(len(ratings), 1), ROWS_AT_ONCE):
            rows = ratings.iloc[start : start + ROWS_AT_ONCE]
            writer.write_table(pa.Table.from_pandas(rows, schema, preserve_index=False))


def write_refused(path: Path, refused: list[tuple[Place, str]]) -> None:
    """Write the refused rows: file, line, reason and their bytes as a Python literal."""
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write("file\tline\treason\tbytes\n")
        for (name, line, text), reason in refused:
            file.write(f"{name}\t{line}\t{reason}\t{text!r}\n")
