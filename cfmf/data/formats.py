"""From raw files in the layout of their source to one table of ratings, users and items."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    Place,
    check_pairs,
    dense_index,
    parts_seen,
)
from cfmf.data.columns import Columns
from cfmf.data.layouts import RatingFile, fixed_file, rating_files, title_file
from cfmf.data.lines import (
    BLANK,
    ITEM,
    ITEM_LINE,
    OFF_SCALE,
    REASONS,
    SKIP,
    USER,
    Block,
    Layout,
    Rows,
    Scale,
    file_blocks,
    parse_blocks,
)
from cfmf.data.manifest import verified_manifest
from cfmf.data.parallel import side_by_side
from cfmf.data.text import TEXT_REASONS, read_titles
from cfmf.files import atomic_write
from cfmf.observed import overlap

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 1 << 20
HEAD = 5
# Lines of a file that are no rows, or further lines of one.
OTHER_LINES = ("header_lines", "item_lines", "blank_lines", "continuation_lines")
COLUMNS = {"user": np.int32, "item": np.int32, "rating": np.float32, "date": np.int64}


@dataclass
class Parsed:
    """A data set after its audit.

    `ratings` has the columns user, item (dense int32), rating (float32), date (datetime64[s]) and
    part (categorical); `users` and `items` the ids, titles and years; `audit` what audit.json
    holds; `refused` the rows left out, with the reason of each.
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
        Folder that `cfmf.data.sources.retrieve` made; its manifest's hashes are verified.
    dataset
        The data set's config block, complete with the defaults of its schema.
    output
        Folder to write ratings.parquet, users.parquet, items.parquet, audit.json and refused.tsv
        to, each whole or not at all.
    threads
        Blocks of a file to parse at the same time; the result does not depend on it.

    Returns
    -------
    What audit.json holds.

    Raises
    ------
    ValueError
        If a raw file was changed since it was retrieved, or has defects whose policy in
        `dataset["audit"]` is to stop.
    """
    raw, output = Path(raw), Path(output)
    manifest = verified_manifest(raw)
    parsed = read(raw, dataset, threads)
    audit = {
        "source": dataset["source"],
        "served_by": manifest["served_by"],
        "genuine": manifest["genuine"],
        **parsed.audit,
    }
    write_ratings(output / "ratings.parquet", parsed.ratings)
    for name, table in (("users", parsed.users), ("items", parsed.items)):
        with atomic_write(output / f"{name}.parquet") as beside:
            table.to_parquet(beside, index=False)
    write_refused(output / "refused.tsv", parsed.refused)
    with atomic_write(output / "audit.json") as beside:
        beside.write_text(json.dumps(audit, indent=1, ensure_ascii=False) + "\n", "utf-8")
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
    checks = Checks(dataset["audit"], lambda rows: _places(files, rows))
    columns = _read_rows(files, Scale(**dataset["scale"]), checks, threads)
    if dataset["source"] == "table" and dataset["table"]["ids"] == "text":
        _restore_text_ids(files, columns)
    probe_facts = {}
    if dataset["source"] == "netflix-prize" and (raw / "probe.txt").is_file():
        probe_facts = _mark_probe(raw / "probe.txt", columns, checks)
    heads = {file.name: _head(file, columns) for file in files[:HEAD]}
    listed, user_facts = _read_users(raw, dataset, checks)
    titles, title_facts = _read_titles(raw, dataset, checks)

    (user_ids, user), (item_ids, item) = side_by_side(
        threads, _indexed, [columns.pop("user"), columns.pop("item")]
    )
    keep = np.ones(len(user), bool)
    if listed is not None:
        _check_known("unknown_user", checks, np.isin(user_ids, listed), user, keep)
    if title_facts:
        _check_known("unknown_item", checks, np.isin(item_ids, titles["item_id"]), item, keep)
    seen = check_pairs(checks, user, item, columns["date"], columns["part"], keep, threads)
    other_facts = user_facts | title_facts | probe_facts
    refused = Counter(file for (file, _, _), _ in checks.refused)
    audit = _rating_facts(files, keep, refused, heads, other_facts)

    chosen = _choose_subset(user, item, keep, dataset["subset"]) if keep.any() else keep
    if not chosen.any():
        raise ValueError(f"no rating of {raw} is kept; see the checks under `audit` in the config")
    if not chosen.all():
        columns = {name: column[chosen] for name, column in columns.items()}
        (user_ids, user), (item_ids, item) = (
            _reindex(user_ids, user[chosen]),
            _reindex(item_ids, item[chosen]),
        )
        everything = np.ones(len(user), bool)
        seen = [parts_seen(index, columns["part"], everything) for index in (user, item)]
    if listed is not None and not dataset["subset"]["users"]:
        # Users without a rating have a row of the matrix too.
        if len(listed) > len(user_ids):
            user = np.searchsorted(listed, user_ids).astype(np.int32)[user]
        user_ids = listed
    ratings = _frame(user, item, columns)
    users = pd.DataFrame({"user": np.arange(len(user_ids), dtype=np.int32), "user_id": user_ids})
    items = pd.DataFrame({"item": np.arange(len(item_ids), dtype=np.int32), "item_id": item_ids})
    audit |= {
        "users": len(users),
        "items": len(items),
        "ratings": len(ratings),
        "scale": dict(dataset["scale"]),
        "dates": [str(ratings["date"].min()), str(ratings["date"].max())],
        "overlap": _overlap(seen),
        "checks": checks.summary(),
    }
    log.info(
        "%d rows read, %d kept, %d refused: %d users, %d items",
        *(audit[key] for key in ("rows_read", "rows_kept", "rows_refused", "users", "items")),
    )
    items = items.merge(titles, on="item_id", how="left")
    return Parsed(ratings, users, items, audit, sorted(checks.refused))


def _read_rows(
    files: list[RatingFile], scale: Scale, checks: Checks, threads: int
) -> dict[str, NDArray[Any]]:
    """All rows that the layout allows, file after file; counts are noted in `files`."""
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
                f"{file.name} holds no rating that can be read; check that it is the right file"
                " and that its layout is that of the data set's source"
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
    with file.open() as stream:
        layout = file.layout
        blocks: Iterator[Block] = file_blocks(stream, file.name)
        if file.transcoder:
            layout = file.transcoder.output_layout
            blocks = file.transcoder.blocks(stream, file.name)
        lines = 0
        for block, rows in parse_blocks(blocks, layout, scale, threads):
            for index, reason, text in rows.bad:
                file.other_lines.append(lines + index + 1)
                line, text = block.lines[index] if block.lines else (lines + index + 1, text)
                _refuse_line(file, checks, reason, (file.name, line, text))
            if lines == 0 and file.header is not None and file.other_lines[:1] != [1]:
                raise ValueError(
                    f"{file.name}: the first line {file.header!r} should be a header but is a row;"
                    " set `table.header` to false"
                )
            lines += rows.lines
            file.rows_kept += len(rows.user)
            yield len(block.buffer), rows
        file.lines = lines
        if file.transcoder:
            file.lines = file.transcoder.lines_read
            file.continuation_lines = file.transcoder.continuation_lines
    _account(file.name, _rows_and_lines(file))


def _rows_and_lines(file: RatingFile) -> dict[str, int]:
    """Rows of a file as they were read, and what its other lines are."""
    return {
        "rows_read": file.rows_kept + file.rows_refused,
        "rows_kept": file.rows_kept,
        "rows_refused": file.rows_refused,
        "lines": file.lines,
        **{kind: getattr(file, kind) for kind in OTHER_LINES},
    }


def _account(name: str, facts: Mapping[str, int]) -> None:
    """Check that every line of a file is a row that was kept or refused, or known to be none.

    Raises
    ------
    RuntimeError
        If not: rows would be lost unseen.
    """
    others = sum(facts[kind] for kind in OTHER_LINES)
    known = facts["rows_kept"] + facts["rows_refused"]
    if facts["rows_read"] != known or facts["lines"] != facts["rows_read"] + others:
        raise RuntimeError(
            f"{name}: lines are lost in reading, which this program should not: {facts}"
        )


def _refuse_line(file: RatingFile, checks: Checks, reason: int, place: Place) -> None:
    """Note a line that is no row: of no account, or refused."""
    if reason == BLANK:
        file.blank_lines += 1
    elif reason == ITEM_LINE:
        file.item_lines += 1
    elif place[1] == 1 and file.header is not None:
        file.header_lines += 1
    else:
        file.rows_refused += 1
        check = "off_scale" if reason == OFF_SCALE else "malformed"
        text_ids = file.transcoder and file.transcoder.text_ids
        checks.refuse(check, [place], [(TEXT_REASONS if text_ids else REASONS)[reason]])


def _places(files: list[RatingFile], rows: NDArray[np.int64]) -> list[Place]:
    """File, line number and bytes of rows, by their numbers in the order of reading."""
    starts = np.array([file.first_row for file in files])
    of_file = np.searchsorted(starts, rows, side="right") - 1
    places: dict[int, Place] = {}
    for index in np.unique(of_file):
        file = files[index]
        mine = rows[of_file == index]
        others = np.array(file.other_lines, np.int64)
        rows_above = others - np.arange(1, len(others) + 1)
        within = mine - file.first_row
        numbers = within + 1 + np.searchsorted(rows_above, within, side="right")
        contents = file.contents(set(numbers.tolist()))
        for row, number in zip(mine.tolist(), numbers.tolist(), strict=True):
            places[row] = (file.name, *contents[number])
    return [places[row] for row in rows.tolist()]


def _restore_text_ids(files: list[RatingFile], columns: dict[str, NDArray[Any]]) -> None:
    """Put the text ids back in the place of their numbers of appearance."""
    transcoder = files[0].transcoder
    assert transcoder is not None
    for name, role in (("user", USER), ("item", ITEM)):
        columns[name] = np.array(list(transcoder.codes[role]), np.str_)[columns[name]]


def _mark_probe(
    path: Path, columns: dict[str, NDArray[Any]], checks: Checks
) -> dict[str, dict[str, Any]]:
    """Give the ratings whose pairs probe.txt lists to the test part; what the audit tells of it."""
    layout = Layout((USER,), item_lines=True)
    file = fixed_file(path, layout)
    blocks = [rows for _, rows in _read_file(file, Scale(0, 0, 0), checks, 1)]
    if not file.rows_kept:
        raise ValueError(f"{path} holds no pairs; get the file again, or take it away")
    user, item = (
        np.concatenate([getattr(rows, name) for rows in blocks]) for name in ("user", "item")
    )
    probe = _pair_keys(user, item)
    order = np.argsort(probe, kind="stable")
    wanted = probe[order]
    again = np.append(False, wanted[1:] == wanted[:-1])
    places = _places([file], np.sort(order[again]))
    checks.refuse("duplicates", places, ["the pair is listed before"] * len(places))
    order, wanted = order[~again], wanted[~again]
    matched = np.zeros(len(wanted), bool)
    for start in range(0, len(columns["user"]), ROWS_AT_ONCE):
        block_rows = slice(start, start + ROWS_AT_ONCE)
        keys = _pair_keys(columns["user"][block_rows], columns["item"][block_rows])
        found = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
        hit = wanted[found] == keys
        columns["part"][block_rows][hit] = TEST
        matched[found[hit]] = True
    checks.refuse("unmatched_probe", _places([file], np.sort(order[~matched])))
    kept = int(matched.sum())
    facts = _rows_and_lines(file)
    facts |= {"rows_kept": kept, "rows_refused": facts["rows_read"] - kept}
    about = {"kind": "probe", "encoding": file.encoding, "shape": [facts["rows_read"], 2]}
    head = [
        [one_user, one_item]
        for one_user, one_item in zip(user[:HEAD].tolist(), item[:HEAD].tolist(), strict=True)
    ]
    return {path.name: {**about, **facts, "head": head}}


def _pair_keys(user: NDArray[Any], item: NDArray[Any]) -> NDArray[np.int64]:
    """One number for each pair of a user and an item, both below 2^31."""
    if len(user) and max(int(user.max()), int(item.max())) >= 1 << 31:
        raise ValueError("an id of the Netflix Prize is beyond 2^31; get its files again")
    return item.astype(np.int64) << 32 | user.astype(np.int64)


def _read_users(
    raw: Path, dataset: Mapping[str, Any], checks: Checks
) -> tuple[NDArray[np.int64] | None, dict[str, Any]]:
    """Sorted ids of users.txt, where the source has one, and what the audit tells about it."""
    if dataset["source"] not in ("netflix-subset", "synthetic"):
        return None, {}
    path = raw / "users.txt"
    file = fixed_file(path, Layout((USER,)))
    blocks = [rows.user for _, rows in _read_file(file, Scale(0, 0, 0), checks, 1)]
    ids = np.concatenate(blocks) if blocks else np.zeros(0, np.int64)
    if not len(ids):
        raise ValueError(f"{path} holds no users; get the file again")
    distinct, counts = np.unique(ids, return_counts=True)
    if len(distinct) < len(ids):
        twice = distinct[counts > 1][:SHOWN].tolist()
        raise ValueError(f"{path} lists users twice, such as {twice}; delete the second lines")
    facts = {
        "kind": "users",
        "encoding": file.encoding,
        **_rows_and_lines(file),
        "shape": [file.rows_kept, 1],
        "head": [[int(one)] for one in ids[:HEAD]],
    }
    return distinct, {path.name: facts}


def _read_titles(
    raw: Path, dataset: Mapping[str, Any], checks: Checks
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Titles and years by item id, and what the audit tells about their file."""
    text_ids = dataset["source"] == "table" and dataset["table"]["ids"] == "text"
    found = title_file(raw, dataset)
    if found is None:
        empty = {"item_id": str if text_ids else np.int64, "title": str, "year": "Int32"}
        return pd.DataFrame(columns=list(empty)).astype(empty), {}
    path, layout = found
    titles = read_titles(path, layout, text_ids)
    for line, reason, text in titles.bad:
        checks.refuse("malformed", [(path.name, line, text)], [reason])
    lines = {
        "rows_read": titles.rows_read,
        "rows_kept": len(titles.table),
        "rows_refused": len(titles.bad),
        "lines": titles.lines,
        "header_lines": titles.header_lines,
        "item_lines": 0,
        "blank_lines": titles.blank_lines,
        "continuation_lines": titles.continuation_lines,
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


def _check_known(
    check: str,
    checks: Checks,
    known: NDArray[np.bool_],
    index: NDArray[np.int32],
    keep: NDArray[np.bool_],
) -> None:
    """Check that the id of every row is among the known ones."""
    unknown = np.flatnonzero(~known[index] & keep) if not known.all() else np.zeros(0, np.int64)
    checks.apply(check, unknown, keep)


def _head(file: RatingFile, columns: Mapping[str, NDArray[Any]]) -> list[list[Any]]:
    """The first rows of a file, with their own ids."""
    rows = slice(file.first_row, file.first_row + min(HEAD, file.rows_kept))
    dates = columns["date"][rows].astype("datetime64[s]").astype("datetime64[D]")
    return [
        [user.item(), item.item(), rating.item(), None if np.isnat(date) else str(date)]
        for user, item, rating, date in zip(
            columns["user"][rows],
            columns["item"][rows],
            columns["rating"][rows],
            dates,
            strict=True,
        )
    ]


def _rating_facts(
    files: list[RatingFile],
    keep: NDArray[np.bool_],
    refused: Counter[str],
    heads: Mapping[str, list[list[Any]]],
    other_files: dict[str, Any],
) -> dict[str, Any]:
    """Rows read, kept and refused, per file and of all files of ratings.

    `refused` counts the rows that checks left out of each file.
    """
    facts: dict[str, dict[str, Any]] = {}
    for file in files:
        counts = _rows_and_lines(file)
        kept = keep[file.first_row : file.first_row + file.rows_kept]
        counts |= {
            "rows_kept": int(np.count_nonzero(kept)),
            "rows_refused": refused[file.name],
        }
        _account(file.name, counts)
        many = len(files) > HEAD and "/" in file.name
        name = f"{file.name.rsplit('/', 1)[0]}/*" if many else file.name
        one = facts.setdefault(name, {"kind": "ratings", "encoding": file.encoding})
        for key, value in counts.items():
            one[key] = one.get(key, 0) + value
        one["shape"] = [
            one["rows_read"],
            len(set(file.layout.columns) - {SKIP}) + file.layout.item_lines,
        ]
        one.setdefault("head", heads.get(file.name, []))
    totals = {
        key: sum(one[key] for one in facts.values())
        for key in ("rows_read", "rows_kept", "rows_refused")
    }
    return totals | {"files": facts | other_files}


def _choose_subset(
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    keep: NDArray[np.bool_],
    subset: Mapping[str, int],
) -> NDArray[np.bool_]:
    """Kept rows of the most active users and the most rated items, as `subset` asks for."""
    chosen = keep.copy()
    for index, most in ((user, subset["users"]), (item, subset["items"])):
        if most:
            counts = np.bincount(index[keep])
            among = np.zeros(len(counts), bool)
            among[np.argsort(-counts, kind="stable")[:most]] = True
            chosen &= among[np.minimum(index, len(counts) - 1)]
    return chosen


def _indexed(ids: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Sorted distinct ids and the place of each row's, in the memory of the ids where it fits."""
    return dense_index(ids, ids if ids.dtype == np.int32 else None)


def _reindex(ids: NDArray[Any], index: NDArray[np.int32]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Ids that remain, sorted, and the place of each row's id among them."""
    remaining, places = dense_index(index)
    return ids[remaining], places


def _frame(
    user: NDArray[np.int32], item: NDArray[np.int32], columns: Mapping[str, NDArray[Any]]
) -> pd.DataFrame:
    """The table of ratings, over the given arrays."""
    return pd.DataFrame(
        {
            "user": user,
            "item": item,
            "rating": columns["rating"],
            "date": columns["date"].view("datetime64[s]"),
            "part": pd.Categorical.from_codes(columns["part"], pd.Index(PARTS)),
        },
        copy=False,
    )


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
            "date": pa.timestamp("s"),
            "part": pa.dictionary(pa.int8(), pa.string()),
        }
    )
    with atomic_write(path) as beside, pq.ParquetWriter(beside, schema) as writer:
        for start in range(0, max(len(ratings), 1), ROWS_AT_ONCE):
            rows = ratings.iloc[start : start + ROWS_AT_ONCE]
            writer.write_table(pa.Table.from_pandas(rows, schema, preserve_index=False))


def write_refused(path: Path, refused: list[tuple[Place, str]]) -> None:
    """Write the rows left out: file, line, reason and their bytes as a Python literal."""
    with atomic_write(path) as beside, open(beside, "w", encoding="utf-8") as file:
        file.write("file\tline\treason\tbytes\n")
        for (name, line, text), reason in refused:
            file.write(f"{name}\t{line}\t{reason}\t{text!r}\n")
