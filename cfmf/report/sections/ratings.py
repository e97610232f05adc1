"""Where the ratings come from, what the audit found, and how they are spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import distributions as figures
from cfmf.report.page import Block, Collapsed, Table, Text, plotted, tabulated
from cfmf.report.strings import Catalogue, amounts, code, number

PARTS = "fit", "validation", "test"


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Sizes, audit, source and terms; distribution, activity, time; head; folds."""
    found: list[Block] = [Text(_sizes(study, words)), *_source(study, words), *_audit(study, words)]
    found += _beside(study, words)
    if study.ratings is not None:
        found.append(Collapsed(words("data.spread"), _figures(study.ratings, words)))
        found.append(Collapsed(words("data.head"), [_head(study, words)]))
    if study.folds:
        found.append(_folds(study, words))
    return found


def _beside(study: Study, words: Catalogue) -> list[Block]:
    """Of how many ratings, users and items a date or an attribute is known, where a method asks."""
    if not study.side:
        return []
    known = {"name": words.term("uses", "dates").striptags(), "known": study.side["dated"]}
    rows: list[dict[str, object]] = [{**known, "kind": "date", "of": study.side["ratings"]}]
    for side in ("users", "items"):
        for name, about in study.side[side]["attributes"].items():
            rows.append({"name": name, "side": side, "of": study.side[side]["rows"], **about})
    for row in rows:
        row["kind"] = words.term("attribute", row["kind"]).striptags()
        row["side"] = words.plain(f"series.{row['side']}") if "side" in row else ""
    title = words("data.beside")
    columns = "name=attribute side=attribute_of kind=attribute_kind columns=attribute_values:count"
    columns += " known=known:count of=of_all:count"
    rows = [{"columns": None, **row} for row in rows]
    return [Collapsed(title, [tabulated(words, "beside", title, rows, columns)])]


def _sizes(study: Study, words: Catalogue) -> Markup:
    audit = study.audit
    counts = {name: audit.get(f"rows_{name}") for name in ("read", "kept", "refused")}
    text = words("data.rows", **amounts("count", **counts))
    if equal := numbers.equal_ratings(study):
        text += " " + words("data.equal_ratings", count=number(equal, "count"))
    if study.ratings is not None and study.users is not None and study.items is not None:
        n, m, items = len(study.ratings), len(study.users), len(study.items)
        text += " " + words(
            "data.sizes",
            **amounts("count", users=m, items=items),
            density=number(n / (m * items), "share"),
            mean=number(float(study.ratings["rating"].mean()), "rating"),
        )
    return text


def _source(study: Study, words: Catalogue) -> list[Block]:
    """Which source served the files, what they are checked by, and on what terms."""
    manifest = study.manifest
    source = manifest.get("served_by") or study.audit.get("source")
    if not source:
        return [Text(words("data.no_manifest"))]
    text = _served(manifest, str(source), words) + " " + _genuine(manifest, words)
    found: list[Block] = [Text(text)]
    named = f"{manifest.get('source', '')} {source} {study.dataset}".lower()
    for provider in ("netflix", "movielens", "ml-"):
        if provider in named:
            found.append(Text(words(f"data.terms_{provider.rstrip('-')}")))
            break
    files = manifest.get("files")
    if isinstance(files, dict) and files:
        rows: list[dict[str, object]] = [
            {"file": name, "bytes": about.get("bytes"), "sha256": about.get("sha256")}
            for name, about in files.items()
        ]
        title = words("data.files")
        table = tabulated(words, "raw-files", title, rows, "file bytes sha256=SHA-256")
        found.append(Collapsed(title, [table]))
    return found


def _genuine(manifest: dict[str, Any], words: Catalogue) -> Markup:
    """Which files have the source's checksum; of synthetic ratings, the lowest possible error."""
    truth = manifest.get("truth") or {}
    if "best_rmse" in truth:
        lowest = amounts("rmse", best=truth["best_rmse"], oracle=truth["oracle_rmse"])
        return words("data.best_rmse", **lowest)
    files, known = set(manifest.get("files") or ()), set(manifest.get("genuine") or ())
    archives = [
        name for name, about in (manifest.get("archives") or {}).items() if about["genuine"]
    ]
    if not files & known:
        return words("data.not_genuine")
    key = "data.genuine" if files <= known else "data.genuine_some"
    text = words(key, files=words.listed(map(code, sorted(files & known))))
    if archives:
        text += " " + words("data.genuine_archive", archive=words.listed(map(code, archives)))
    return text


def _served(manifest: dict[str, Any], source: str, words: Catalogue) -> Markup:
    address = manifest.get("address") or source
    return words("data.source", source=code(source), address=code(address))


def _audit(study: Study, words: Catalogue) -> list[Block]:
    """Rows by file and the count of every check, as audit.json has them."""
    counts = "rows_read", "rows_kept", "rows_refused"
    files = [
        {"file": name, "shape": _times(about), **{count: about.get(count) for count in counts}}
        for name, about in study.audit.get("files", {}).items()
    ]
    checks = {
        name: about if isinstance(about, dict) else {"count": about}
        for name, about in study.audit.get("checks", {}).items()
    }
    rows: list[dict[str, object]] = [
        {
            "check": name,
            "count": about.get("count"),
            "policy": about.get("policy", ""),
            "meaning": words.otherwise(f"check.{name}", about.get("meaning", "")).unescape(),
        }
        for name, about in checks.items()
    ]
    tables: list[Block] = []
    if files:
        title, of_file = words("data.audit_files"), "file shape rows_read rows_kept rows_refused"
        tables.append(tabulated(words, "audit-files", title, files, of_file))
    if rows:
        title, of_check = words("data.audit_checks"), "check:code count policy meaning"
        tables.append(tabulated(words, "audit-checks", title, rows, of_check))
    title = words("data.audit_overlap")
    tables += _overlap("audit-overlap", title, study.audit.get("overlap") or {}, words)
    tables += _heads(study, words)
    return [Collapsed(words("data.audit_details"), tables)] if tables else []


def _times(about: dict[str, Any]) -> str:
    """Rows × columns of a file."""
    return " × ".join(number(size, "count").striptags() for size in about.get("shape", ()))


def _overlap(
    name: str, title: Markup, overlap: dict[str, dict[str, int]], words: Catalogue
) -> list[Block]:
    """Distinct users and items of the train and the test part, as the study published them."""
    kinds = ("train", "test", "intersection", "union")
    columns = "what=distinct", *(f"{kind}=in_{kind}:count" for kind in kinds)
    rows: list[dict[str, object]] = [
        {"what": words.plain(f"data.{what}"), **{kind: sizes.get(kind) for kind in kinds}}
        for what, sizes in overlap.items()
    ]
    return [tabulated(words, name, title, rows, *columns)] if rows else []


def _heads(study: Study, words: Catalogue) -> list[Block]:
    """The first rows of each raw file, with its own ids."""
    rows: list[dict[str, object]] = [
        {"file": name, "row": place, "content": " ".join(str(value) for value in values)}
        for name, about in study.audit.get("files", {}).items()
        for place, values in enumerate(about.get("head", ()), 1)
    ]
    title = words("data.audit_heads")
    return [tabulated(words, "audit-heads", title, rows, "file row content")] if rows else []


def _figures(ratings: pd.DataFrame, words: Catalogue) -> list[Block]:
    counts = ratings.groupby("rating").size().rename("count").reset_index()
    per_user = np.bincount(ratings["user"])
    per_item = np.bincount(ratings["item"])
    middle = {"user": np.median(per_user[per_user > 0]), "item": np.median(per_item[per_item > 0])}
    drawn = figures.activity(per_user, per_item, words.plain)
    found: list[Block] = [
        plotted(
            words,
            "ratings",
            "data.ratings",
            figures.rating_distribution(counts, words.plain),
            mean=number(float(ratings["rating"].mean()), "rating"),
            mode=number(float(counts["rating"].iloc[int(counts["count"].argmax())])),
        ),
        plotted(words, "activity", "data.activity", drawn, **amounts("count", **middle)),
    ]
    periods = by_period(ratings)
    if periods is not None:
        found.append(
            plotted(words, "over-time", "data.time", figures.over_time(periods, words.plain))
        )
    return found


def by_period(ratings: pd.DataFrame) -> pd.DataFrame | None:
    """Ratings a month, or a year where there are more than 36 months; None without dates."""
    if "date" not in ratings or not ratings["date"].notna().any():
        return None
    dates = ratings["date"].dropna()
    months = dates.dt.to_period("M")
    periods = months if months.nunique() <= 36 else dates.dt.to_period("Y")
    counts = periods.value_counts().sort_index()
    return pd.DataFrame({"period": counts.index.astype(str), "count": counts.to_numpy()})


def _head(study: Study, words: Catalogue) -> Table:
    assert study.ratings is not None
    head = study.ratings.head(8).copy()
    for name, ids in (("user", study.users), ("item", study.items)):
        if ids is not None and f"{name}_id" in ids:
            head[name] = head[name].map(ids.set_index(name)[f"{name}_id"])
    head["title"] = ""
    if study.items is not None and "title" in study.items:
        titles = study.items.set_index("item")["title"]
        head["title"] = study.ratings.head(8)["item"].map(titles).fillna("").astype(str)
    head["date"] = head["date"].astype(str).replace("NaT", "") if "date" in head else ""
    columns = "user=user_id item=item_id title rating date"
    return tabulated(words, "head", words("data.head"), head, columns)


def _folds(study: Study, words: Catalogue) -> Block:
    rows = fold_sizes(study.folds)
    columns = "fold", *(f"{part}=term.split.{part}:count" for part in PARTS)
    blocks: list[Block] = [Text(words("data.folds_text"))]
    if rows:
        blocks.append(tabulated(words, "folds", words("data.folds"), rows, *columns))
    blocks += _matrices(study, words)
    return Collapsed(words("data.folds"), blocks)


def _matrices(study: Study, words: Catalogue) -> list[Block]:
    """Shape and kind of X_train and X_test of the first fold, and what they have in common."""
    found = study.matrices
    if found is None:
        return []
    columns = "part=split rows=data.users columns=data.items storage dtype stored"
    kinds = found.kinds.assign(part=words.terms("split", found.kinds["part"]))
    fold = code(found.fold)
    title = words("data.matrices", fold=fold)
    tables: list[Block] = [tabulated(words, "matrices", title, kinds, columns)]
    if not study.audit.get("overlap"):
        title = words("data.fold_overlap", fold=fold)
        tables += _overlap("fold-overlap", title, found.overlap, words)
    return tables


def fold_sizes(folds: dict[str, Any]) -> list[dict[str, object]]:
    """Rows of fold, fit, validation and test sizes from folds.json."""
    inner = folds.get("folds", folds)
    entries = inner.items() if isinstance(inner, dict) else ((f.get("fold"), f) for f in inner)
    rows = []
    for name, about in entries:
        sizes = about.get("sizes", about) if isinstance(about, dict) else {}
        if isinstance(sizes, dict) and set(PARTS) <= set(sizes):
            rows.append({"fold": name, **{part: sizes[part] for part in PARTS}})
    return rows
