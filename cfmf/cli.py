"""The command `cfmf`: fit a method to ratings, predict, recommend, explain, and compare methods."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from cfmf import __version__, api
from cfmf.evaluation.conformal import COVERAGE
from cfmf.methods import registry
from cfmf.saved import SUFFIX, first_fault
from cfmf.tables import delimited, write_rows
from cfmf.terminal import printable

SHOWN = 8
"""Parts of an explanation that are shown."""
FAULTS = (ValueError, OSError, ArithmeticError, MemoryError, ImportError)

EXAMPLES = """\
examples:
  cfmf recommend ratings.csv --users 42 --top 5        from a file in one command
  cfmf fit ratings.csv -o model.cfmf                   fit once, then ask the model
  cfmf recommend model.cfmf -o recommendations.csv     ten items for every user
  cfmf predict model.cfmf pairs.csv --coverage 0.9     ratings of pairs, with intervals
  cfmf explain model.cfmf 42 318                       why this rating is predicted
  cfmf evaluate model.cfmf later.csv                   errors on ratings it has not seen
  cfmf compare ratings.csv --methods baseline user-knn als
  cfmf compare results/ml-100k runs/fine/results/ml-100k

RATINGS is delimited text with a column each for users, items and ratings (compressed too), Parquet,
JSON lines, or a folder with the files of MovieLens. MODEL is a file that `cfmf fit` or the workflow
wrote, or RATINGS, to which a method is fitted first (see `cfmf fit`). `cfmf COMMAND --help` has
more."""
FIT = """\
The settings are chosen on a tenth of the ratings, drawn at random, which also gives the intervals
of predictions; then the method is fitted to all ratings.

examples:
  cfmf fit ratings.csv -o model.cfmf
  cfmf fit ratings.csv -o model.cfmf --method als --set k=16 --set "reg=[0.1, 0.15, 0.2]"
  cfmf fit books.csv -o model.cfmf --columns user=reader item=isbn --scale 0 10

methods:
"""
NEW = """\
Ratings of new users can be added without fitting again: `--ratings new.csv` has the same columns.
A user whom the model knows must be there with all ratings. Predictions for users and items that are
not known are marked as fallbacks: the mean rating, with the bias of the one that is known."""

RUNS = """\
Two finished runs of the workflow are compared by what differs: keys of the config, versions,
ratings and folds, the settings that validation chose, and the RMSE of every method of both, with
the difference and its 95% interval over the folds if both have the same."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    0, or 2 where the input cannot be used: the reason is then on the standard error output.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    level = logging.WARNING if given.quiet else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("cfmf.data").setLevel(logging.WARNING)
    try:
        given.run(given)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has stopped, as `head` does
    except KeyboardInterrupt:
        return 130
    except FAULTS as error:
        print(f"cfmf {given.command}: {printable(_message(error), keep=chr(10))}", file=sys.stderr)
        return 2
    return 0


def _message(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory; use fewer ratings or another method"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ValidationError):
        return f"{first_fault(error)}; see docs/reference/methods.md for the settings"
    return str(error) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    parser = argparse.ArgumentParser(
        prog="cfmf",
        description="Predict ratings, recommend items, and compare the methods that do.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cfmf {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    of_methods = "".join(
        f"  {name:<18}{_summary(found)}\n" for name, found in registry.methods().items()
    )
    for run, text, more, add in (
        (_fit, "fit a method to ratings and save the model", FIT + of_methods, _fit_options),
        (_predict, "predict the ratings of pairs of users and items", NEW, _predict_options),
        (_recommend, "list the items with the highest predictions", NEW, _recommend_options),
        (_explain, "explain a prediction", "", _explain_options),
        (_evaluate, "measure errors on ratings", "", _evaluate_options),
        (_compare, "compare methods by cross-validation, or two runs", RUNS, _compare_options),
    ):
        one = commands.add_parser(
            run.__name__.removeprefix("_"),
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=more,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add(one)
        _common_options(one)
        one.set_defaults(run=run)
    return parser


def _summary(found: type[Any]) -> str:
    return " ".join((found.__doc__ or "").split("\n\n")[0].split())


def _common_options(parser: argparse.ArgumentParser) -> None:
    reading = parser.add_argument_group("how RATINGS are read")
    reading.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="ROLE=NAME",
        help="columns by name or position from 0, as user=reader item=isbn rating=2",
    )
    reading.add_argument("--separator", default="", help="text between columns; found if left out")
    reading.add_argument("--titles", metavar="FILE", help="table with the columns item and title")
    reading.add_argument(
        "--scale",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="lowest and highest rating that can be given; those of the file if left out",
    )
    reading.add_argument(
        "--duplicates",
        choices=["error", "drop"],
        default="error",
        help="what to do where a user rates an item twice (default: error)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="cores to use (default: 1)")
    parser.add_argument("-q", "--quiet", action="store_true", help="report no progress")


def _fit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ratings", metavar="RATINGS")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="model to write")
    _method_options(parser)


def _method_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method",
        default=registry.DEFAULT,
        help=f"name of the method (default: {registry.DEFAULT}, which has the lowest validation"
        " error of all on MovieLens 100K)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the method, or a list to choose from; others have default lists",
    )


def _output_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="table to write (.csv, .tsv, .parquet, .jsonl); if left out, CSV is printed",
    )


def _coverage_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--coverage",
        type=float,
        default=COVERAGE,
        help=f"of the intervals: one of {', '.join(map(str, api.COVERAGES))}; 0 for none"
        f" (default: {COVERAGE})",
    )
    parser.add_argument(
        "--ratings", dest="new", metavar="FILE", help="ratings of new users, to be learned from"
    )


def _predict_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    _method_options(parser)
    parser.add_argument("pairs", metavar="PAIRS", help="table with the columns user and item")
    _coverage_option(parser)
    _output_option(parser)


def _recommend_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    _method_options(parser)
    parser.add_argument("--users", nargs="+", metavar="USER", help="ids; every user if left out")
    parser.add_argument("--top", type=int, default=10, help="items for each user (default: 10)")
    parser.add_argument(
        "--explain",
        type=int,
        default=0,
        metavar="PARTS",
        help="parts of the explanation to show for each",
    )
    _coverage_option(parser)
    _output_option(parser)


def _explain_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    _method_options(parser)
    parser.add_argument("user", metavar="USER")
    parser.add_argument("item", metavar="ITEM")


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", help="a model, or a file user,item,prediction of any tool"
    )
    parser.add_argument("test", metavar="RATINGS", help="ratings that it has not seen")
    _output_option(parser)


def _compare_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ratings", metavar="RATINGS", help="or RUN: the results of a study")
    parser.add_argument("other", metavar="RUN", nargs="?", help="results of another study")
    parser.add_argument("--methods", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--folds", type=int, default=5, help="of cross-validation (default: 5)")
    _output_option(parser)


def _fit(given: argparse.Namespace) -> None:
    model = _fitted(given, given.ratings)
    api.save(given.output, model)
    error = model.about.provenance["validation_rmse"]
    print(
        f"{given.output}: {model.about.method} {model.method.chosen_text()}, validation RMSE"
        f" {error:.4f}, {model.seen.shape[0]} users, {model.seen.shape[1]} items"
    )


def _predict(given: argparse.Namespace) -> None:
    model = _model(given)
    pairs = api.read_pairs(given.pairs, _columns(given))
    _write(given, model.predict(pairs["user"], pairs["item"], given.coverage or None))


def _recommend(given: argparse.Namespace) -> None:
    if given.top < 1:
        raise ValueError(f"--top is {given.top}; give 1 or more")
    model = _model(given)
    _write(given, model.recommend(given.users, given.top, given.coverage or None, given.explain))


def _explain(given: argparse.Namespace) -> None:
    model = _model(given)
    found = model.explain(given.user, given.item)
    number, digits = int(model.names.numbers("item", [given.item])[0]), model.digits
    print(
        f"{printable(model.names.title(number))}: {found.prediction:.{digits}f}"
        f" predicted, {found.expected:.{digits}f} expected of any pair"
    )
    for part in found.parts[:SHOWN]:
        print(f"{part.contribution:+8.{digits}f}  {printable(model.part_name(part))}")
    if len(found.parts) > SHOWN:
        rest = sum(part.contribution for part in found.parts[SHOWN:])
        print(f"{rest:+8.{digits}f}  {len(found.parts) - SHOWN} more")
    if not found.adds_up:
        print(
            "These parts are of one of several models, or before a bound: their sum is not exact."
        )


def _evaluate(given: argparse.Namespace) -> None:
    if Path(given.model).suffix == SUFFIX:
        table = api.evaluate(api.load(given.model), given.test, _layout(given))
    else:
        table = api.evaluate_predictions(given.model, given.test, _layout(given))
    _write(given, table)


def _compare(given: argparse.Namespace) -> None:
    if given.other:
        from cfmf.workflow.runs import compare_runs, read_run  # needs what no model does

        table = compare_runs(read_run(given.ratings), read_run(given.other))
    elif given.methods:
        ratings = api.ratings_of(given.ratings, _layout(given), given.threads)
        table = api.compare(ratings, given.methods, given.folds, options=_options(given))
    else:
        raise ValueError("name the methods to compare, as in --methods baseline als, or a run")
    _write(given, table)


def _model(given: argparse.Namespace) -> api.Saved:
    """The model of a file, or of ratings to which a method is fitted."""
    if Path(given.model).suffix == SUFFIX:
        model = api.load(given.model)
    else:
        model = _fitted(given, given.model)
    if getattr(given, "new", None):
        new = api.read_ratings(given.new, _layout(given)).frame()
        model = model.with_ratings(new["user"], new["item"], new["rating"])
    return model


def _fitted(given: argparse.Namespace, ratings: str) -> api.Saved:
    assigned = dict(_assigned(one, "--set") for one in given.set)
    settings = {name: _value(text) for name, text in assigned.items()}
    return api.fit(ratings, given.method, settings, _layout(given), _options(given))


def _layout(given: argparse.Namespace) -> api.Layout:
    scale = tuple(given.scale) if given.scale else None
    return api.Layout(_columns(given), given.separator, given.titles, given.duplicates, scale)


def _columns(given: argparse.Namespace) -> dict[str, str]:
    found = dict(_assigned(one, "--columns") for one in given.columns)
    unknown = sorted(set(found) - {"user", "item", "rating"})
    if unknown:
        raise ValueError(f"--columns names {', '.join(unknown)}; only user, item and rating are")
    return found


def _options(given: argparse.Namespace) -> api.Options:
    if given.threads < 1 or given.seed < 0:
        raise ValueError("--threads must be at least 1, and --seed at least 0")
    return api.Options(seed=given.seed, threads=given.threads)


def _value(text: str) -> Any:
    """A setting: number, list, true, false or null as in JSON; else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _assigned(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"{option} {text!r} is not of the form name=value")
    return name, value


def _write(given: argparse.Namespace, table: pd.DataFrame) -> None:
    if given.output:
        write_rows(given.output, table)
        print(f"{given.output}: {len(table)} rows", file=sys.stderr)
    else:
        sys.stdout.write(printable(delimited(table), keep="\n"))
        sys.stdout.flush()
