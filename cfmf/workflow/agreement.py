"""Keys of a config that must agree with each other, and with what the program can do.

The schema judges each key by itself. What is judged here needs two or more of them, or a library:
what would otherwise end a job, perhaps after hours, with a message that names no key.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from string import Formatter
from typing import Any

from pydantic import ValidationError

from cfmf.data.archives import decompressed_name
from cfmf.data.catalogue import downloads_of, known_beside
from cfmf.data.splits import ALL, REPEATED, fold_names, studied_folds
from cfmf.methods import registry
from cfmf.workflow.sealed import is_open

MOST_SETTINGS = 10_000
MOST_STEPS = 1_000_000
HAS_PARTS = ("netflix-subset", "netflix-prize", "synthetic")
RANGES = ("neighbours", "shrinkage", "k", "reg")
Block = Mapping[str, Any]


def disagreement(config: Block) -> str | None:
    """The first disagreement of a config that its schema finds valid, or None."""
    return next(
        itertools.chain(
            _datasets(config),
            _methods(config),
            _blends(config),
            _predictions(config),
            _sections(config),
        ),
        None,
    )


def _datasets(config: Block) -> Iterator[str]:
    for name in config["study"]["datasets"]:
        if name not in config["datasets"]:
            yield (
                f"study.datasets names {name}, which datasets does not describe: add it there, or"
                f" choose from {', '.join(config['datasets'])}"
            )
            continue
        block = config["datasets"][name]
        for fault in itertools.chain(
            _scale(block["scale"]), _split(block), _sealed(block), _table(block), _addresses(block)
        ):
            yield f"datasets.{name}.{fault}"


def _scale(scale: Block) -> Iterator[str]:
    lowest, highest, step = scale["minimum"], scale["maximum"], scale["step"]
    if lowest >= highest:
        yield f"scale: minimum is {lowest} and maximum {highest}; minimum must be the lower"
    elif step:
        steps = (highest - lowest) / step
        if steps > MOST_STEPS:
            yield (
                f"scale.step is {step}, too fine for {lowest} to {highest}; 0 is a continuous scale"
            )
        elif abs(steps - round(steps)) > 1e-6:
            yield (
                f"scale: steps of {step} from {lowest} do not reach {highest}; correct step,"
                " minimum or maximum (step 0 is a continuous scale)"
            )


def _split(block: Block) -> Iterator[str]:
    split, table = block["split"], block["table"]
    kind, own = split["kind"], block["source"] == "table"
    if kind.startswith("kfold") and split["folds"] < 2:
        yield f"split.folds is {split['folds']}, but {kind} needs 2 or more"
    if split["repeats"] > 1 and kind not in REPEATED:
        yield (
            f"split.repeats is {split['repeats']}, but folds of {kind} are not drawn at random; set"
            f" it to 1, or split.kind to {' or '.join(REPEATED)}"
        )
    if kind == "saved" and not split["folder"]:
        yield "split.folder is empty, but saved needs the folder of another run's folds"
    else:
        try:
            fold_names(split)
        except ValueError as error:
            yield f"split: {error}"
    if kind == "predefined" and not (table["test"] if own else block["source"] in HAS_PARTS):
        yield (
            "split.kind is predefined, but the source has no separate test part; "
            + ("set table.test to its file, or " if own else "")
            + "set split.kind to kfold"
        )
    if kind in ("timeline", "leave-last") and own and table["columns"]["date"] == "":
        yield (
            f"split.kind is {kind}, but table.columns.date is empty; set it to the column of dates,"
            " or split.kind to kfold"
        )


def _sealed(block: Block) -> Iterator[str]:
    """Sealed folds that there are not, or that leave nothing to study."""
    named = block["sealed"]["folds"]
    folds = fold_names(block["split"])
    if unknown := [fold for fold in named if fold not in (ALL, *folds)]:
        yield f"sealed.folds has {unknown[0]}; choose from {ALL}, {', '.join(folds)}"
    elif not studied_folds(block):
        yield (
            "sealed.folds seals every fold; set sealed.open to true to score them once, or take the"
            " data set off study.datasets"
        )


def _table(block: Block) -> Iterator[str]:
    """Faults of the description of a table."""
    if block["source"] != "table":
        return
    table = block["table"]
    files = {"ratings": table["ratings"], "test": table["test"]}
    files["titles.file"] = table["titles"]["file"]
    for name, block in table["attributes"].items():
        files[f"attributes.{name}.file"] = block["file"]
        if block["file"] and not block["columns"]:
            yield f"table.attributes.{name}.columns is empty; list the columns of {block['file']}"
    taken: dict[str, str] = {"manifest.json": "the list of files that this program writes"}
    for key, name in files.items():
        placed = decompressed_name(name)
        if not name and key != "ratings":
            continue
        if "/" in name or "\\" in name or placed in ("", ".", ".."):
            yield (
                f"table.{key}: {name!r} is not a file name; set its folder as `folder` of the data"
                " set, and only its name in `table`"
            )
        elif placed.lower() in taken:
            yield f"table.{key} is {name}, the name of {taken[placed.lower()]}; rename the file"
        taken[placed.lower()] = f"table.{key}"
    columns = [place for place in table["columns"].values() if place != ""]
    if len(set(columns)) < len(columns):
        yield f"table.columns: two columns are the same in {table['columns']}; correct them"
    yield from _text(table)


def _text(table: Block) -> Iterator[str]:
    """Faults of the encoding and of the format of dates."""
    if table["encoding"]:
        try:
            "".encode(table["encoding"])
        except (LookupError, UnicodeError, ValueError):
            yield (
                f"table.encoding: {table['encoding']!r} is not a text encoding; choose a name that"
                " Python knows, such as utf-8 or iso-8859-1, or leave it empty to detect it"
            )
    if "%" in table["dates"]:
        moment = datetime(2001, 2, 3, 4, 5, 6)
        try:
            datetime.strptime(moment.strftime(table["dates"]), table["dates"])
        except Exception as error:  # ValueError, or an error of the regular expression it becomes
            yield f"table.dates: {table['dates']!r} is no format of dates ({error}); correct it"


def _addresses(block: Block) -> Iterator[str]:
    try:
        downloads_of(block)
    except ValueError as error:
        yield f"urls: {error}"


def _methods(config: Block) -> Iterator[str]:
    """Settings that a method itself refuses."""
    adaptive = config["tuning"]["adaptive"]
    sets = {name: config["datasets"].get(name) for name in config["study"]["datasets"]}
    for name in {
        *config["study"]["methods"],
        *(adaptive["methods"] if adaptive["enabled"] else ()),
    }:
        method, block = registry.method(name), config["methods"][name]
        count = math.prod(len(block[grid]) for grid in method.grids())
        if count > MOST_SETTINGS:
            yield f"methods.{name} lists {count:,} settings; at most {MOST_SETTINGS:,} are tried"
            continue
        for dataset in filter(sets.get, sets):
            if missing := sorted(method.uses - known_beside(sets[dataset])):
                yield (
                    f"study.methods has {name}, which uses {' and '.join(missing)}, and"
                    f" datasets.{dataset} has none: take {name} off the list, or describe them"
                    f" under datasets.{dataset}"
                ).replace("_", " ")
        try:
            method.candidates(block)
        except ValidationError as error:
            yield f"methods.{name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        except (TypeError, ValueError) as error:
            yield f"methods.{name}: {error}"


def _blends(config: Block) -> Iterator[str]:
    """Members that are neither methods of the study nor families."""
    known = [*registry.FAMILIES, *config["study"]["methods"]]
    for name, members in config["blends"].items():
        for member in members:
            if member not in known:
                yield f"blends.{name} lists {member}; choose from {', '.join(known)}"


def _predictions(config: Block) -> Iterator[str]:
    """Patterns of files with unknown fields, or without one that tells the files apart."""
    datasets = config["study"]["datasets"]
    several = {
        "fold": max(len(studied_folds(config["datasets"][name])) for name in datasets) > 1,
        "dataset": len(datasets) > 1,
        "seed": False,
    }
    for name, block in config["predictions"].items():
        where = f"predictions.{name}.files is {block['files']!r}"
        try:
            fields = {
                field for _, field, _, _ in Formatter().parse(block["files"]) if field is not None
            }
            block["files"].format(**dict.fromkeys(several, "1"))
        except (ValueError, LookupError):
            fields = {""}
        if not fields <= set(several):
            yield f"{where}; between braces it may have {', '.join(several)} only"
        for field, needed in several.items():
            if needed and field not in fields:
                yield f"{where}, one file for every {field}; add {{{field}}}"


def _sections(config: Block) -> Iterator[str]:
    """Ranges, and folds that sections name."""
    adaptive, published = config["tuning"]["adaptive"], config["published"]
    for key in RANGES:
        low, high = adaptive[key]
        if low > high:
            yield f"tuning.adaptive.{key} is [{low}, {high}]; the lower end comes first"
    search = published["search"]
    if search["reg_low"] > search["reg_high"]:
        yield "published.search.reg_low is above published.search.reg_high; exchange them"
    for name in config["study"]["datasets"]:
        if published["enabled"] and is_open(config["datasets"][name]):
            yield (
                f"datasets.{name}.sealed is open, and the published study selects on test; set"
                " published.enabled to false"
            )
    named = {"evaluation": config["evaluation"]}
    if published["enabled"]:
        named |= {"published.search": search, "published.backends": published["backends"]}
    for section, block in named.items():
        for name in config["study"]["datasets"]:
            folds = fold_names(config["datasets"][name]["split"])
            if block["fold"] not in ("", *folds):
                yield f"{section}.fold is {block['fold']}; choose from {', '.join(folds)}"
