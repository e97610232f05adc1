"""What studies found, from the tables that `make reference` keeps in docs/results."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from tables import code, table

from cfmf.report import numbers
from cfmf.report.figures.accuracy import pareto
from cfmf.report.figures.static import to_svg
from cfmf.report.sections.summary import CONTRASTS, SMALL_DESIGN, headline, sentence
from cfmf.report.strings import Catalogue
from cfmf.statistics.names import COMPOSITES

RESULTS = Path(__file__).resolve().parent / "results"
SHOWN = re.compile(r"^```\{generated\} reference (\S+)$", re.MULTILINE)
REACH = (*SMALL_DESIGN, "other_populations", "power")
"""Messages of the verdict on how far it reaches."""
VERDICTS = {
    "better": "{} is better, and it matters",
    "better_small": "{} is better, by less than the margin",
    "equivalent": "equivalent",
    "undecided": "inconclusive",
    "undecided_size": "{} is better; whether it matters is inconclusive",
    "no_test": "not tested",
}
MARGINS = {
    "better": "The difference between the families would not matter with a margin of {low:.4f} or"
    " more; the preset one is {margin:.4g}.",
    "better_small": "The difference between the families would matter with a margin below"
    " {low:.4f}; the preset one is {margin:.4g}.",
    "equivalent": "The families would not be equivalent with a margin below {widest:.4f}; the"
    " preset one is {margin:.4g}.",
    "undecided": "The interval of the difference between the families includes zero. With a margin"
    " above {widest:.4f} in place of {margin:.4g} they would be equivalent; only more ratings or"
    " folds can show which of them is better.",
    "undecided_size": "The difference between the families would matter with a margin below"
    " {low:.4f}, and would be too small to matter with one above {widest:.4f}; the preset one is"
    " {margin:.4g}.",
}
"""With which margin the comparison of the families would have another verdict."""
NAMES = {"best_factorization": "factorization", "best_neighbours": "the neighbour method"}
words = Catalogue("en")


@dataclass(frozen=True)
class Published:
    """The tables and facts of one data set of a study, in a folder of docs/results."""

    study: str
    config: str
    folder: Path

    @property
    def there(self) -> bool:
        """Whether the study has been published."""
        return (self.folder / "study.json").is_file()

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What study.json has."""
        found: dict[str, Any] = json.loads((self.folder / "study.json").read_text("utf-8"))
        return found

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row a method; empty cells are empty text."""
        return pd.read_csv(self.folder / "summary.tsv", sep="\t", keep_default_na=False)

    @cached_property
    def errors(self) -> pd.DataFrame:
        """One row a method and fold."""
        return pd.read_csv(self.folder / "errors.tsv", sep="\t")

    @property
    def repeat(self) -> str:
        """The command that makes it again."""
        return f'`make reference STUDIES="{self.study}"`'

    def best(self, composite: str) -> tuple[Counter[str], float, float]:
        """Of the best of a family: folds by method, RMSE and seconds, means over folds."""
        taken = pd.Series(self.facts["best_per_family"][composite])
        rmse = self.errors.set_index(["fold", "method"])["rmse"]
        seconds = self.summary.set_index("method")["seconds"].astype(float)
        errors = [rmse[pair] for pair in taken.items()]
        return Counter(taken), sum(errors) / len(errors), float(seconds[taken].mean())

    @property
    def contrast(self) -> dict[str, Any] | None:
        """The message on the best of both families; None where the study did not compare them."""
        pair = set(COMPOSITES.values())
        for said in self.facts["verdict"]:
            compared = {said["numbers"].get(name) for name in ("first", "second")}
            if said["key"] in CONTRASTS and compared == pair:
                return dict(said)
        return None


def studies() -> list[Published]:
    """The studies of studies.tsv, published or not, one for each data set."""
    rows = pd.read_csv(RESULTS / "studies.tsv", sep="\t").to_dict("records")
    return [Published(row["study"], row["config"], RESULTS / row["folder"]) for row in rows]


def reference(name: str) -> str:
    """A study in words, in a table and in a figure, and what it was made with."""
    found = next(one for one in studies() if one.folder.name == name)
    if not found.there:
        return f"Not published yet: {found.repeat} runs {code(found.config)} and publishes it.\n"
    verdict = found.facts["verdict"]
    said = [one for one in headline(verdict) if one["key"] != "order_compared"]
    reach = [one for one in verdict if one["key"] in REACH]
    others = [next((one for one in reach if one["key"] == key), None) for key in REACH]
    parts = [
        listed(said),
        summary_table(found),
        made(found),
        figure(found),
        "How far this reaches, and what would change it:\n",
        listed([one for one in others if one]) + changes(found.contrast),
    ]
    return "\n".join(parts)


def listed(messages: list[dict[str, Any]]) -> str:
    """Messages of a verdict as sentences in a list."""
    found = [re.sub("</?data[^>]*>", "", str(sentence(one, words))) for one in messages]
    lines = [re.sub("</?code>", "`", text) for text in found]
    return "".join(f"- {line}\n" for line in lines)


def changes(said: dict[str, Any] | None) -> str:
    """The margin with which the comparison of the families would have another verdict."""
    if said is None or said["key"] not in MARGINS:
        return ""
    known = said["numbers"]
    widest = max(abs(known["inner_low"]), abs(known["inner_high"]))
    text = MARGINS[said["key"]].format(low=known["low"], widest=widest, margin=known["margin"])
    return f"- {text}\n"


def summary_cells(found: Published) -> tuple[list[str], list[list[str]]]:
    """Headings, and one row a method."""
    head = ["method", "also uses", "test RMSE", "sd over folds"]
    head += [f"minus {code(found.facts['control'])}, 95% interval", "verdict"]
    head += ["seconds a fold", "seconds in the study"]
    return head, [described_method(row) for row in found.summary.to_dict("records")]


def summary_table(found: Published) -> str:
    """One row a method; no column of what methods also use where none uses anything."""
    head, rows = summary_cells(found)
    if not any(row[1] for row in rows):
        head, rows = [head[0], *head[2:]], [[row[0], *row[2:]] for row in rows]
    return table(head, rows)


def described_method(row: dict[str, Any]) -> list[str]:
    """The cells of one method."""
    also = [words.plain(f"term.uses.{use}") for use in row["uses"].split(", ") if use]
    cells = [code(row["method"]), ", ".join(also), f"{float(row['rmse']):.4f}", of_error(row["sd"])]
    times = [seconds(row["seconds"]), seconds(row["search"])]
    if row["low"] == "":
        return [*cells, "", "", *times]
    verdict = words.plain(f"term.verdict.{row['verdict']}")
    if float(row["low"]) > 0:
        verdict = verdict.replace("better", "worse")
    return [*cells, ends(float(row["low"]), float(row["high"])), verdict, *times]


def of_error(value: object) -> str:
    """A standard deviation; empty where one fold has none."""
    return f"{float(str(value)):.4f}" if value != "" else ""


def ends(low: float, high: float) -> str:
    """The ends of an interval."""
    return f"{low:+.4f} to {high:+.4f}".replace("-", "−")


def counted(folds: int) -> str:
    """So many folds, in words."""
    return f"{folds} fold" if folds == 1 else f"{folds} folds"


def seconds(value: object) -> str:
    """A time at three digits."""
    return f"{float(str(value)):.3g}" if value != "" else ""


def made(found: Published) -> str:
    """What a study was made with, and how to make it again."""
    known = found.facts
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    return (
        f"Made by `{known['command']}` on {known['started'][:10]}, commit"
        f" {code(known['git']['commit'][:12])}: {counted(found.summary['folds'].max())}, seeds"
        f" {', '.join(map(str, known['seeds']))}; {known['machine']['cores']} cores"
        f" ({known['machine']['processor']}), Python {known['machine']['python']}; {versions}."
        f" {found.repeat} repeats it.\n"
    )


def figure(found: Published) -> str:
    """Test RMSE against seconds, as HTML."""
    points = found.summary[found.summary["seconds"] != ""]
    points = points[["method", "seconds", "rmse"]].astype({"seconds": float})
    points = points.assign(frontier=numbers.frontier(points))
    name = f"cost-{found.folder.name}"
    caption = (
        "Test RMSE against the seconds to fit one fold and predict its test ratings. The line"
        " joins the methods for which no faster method has a lower error."
    )
    svg = to_svg(pareto(points, words.plain), name, f"{name}-caption")
    shown = f'<figure>{svg}<figcaption id="{name}-caption">{caption}</figcaption></figure>'
    return f"```{{raw}} html\n{shown}\n```\n"


# All studies in one table.


def across() -> str:
    """One row a published study: its ratings, the best of both families, and their difference."""
    found = studies()
    head = ["study", "ratings", "users", "items", "density", "ratings a user", "an item", "scale"]
    head += ["best neighbour method", "RMSE", "seconds", "best factorization", "RMSE", "seconds"]
    head += ["factorization minus neighbours, 95% interval", "margin", "verdict"]
    published = [one for one in found if one.there and one.contrast]
    text = table(head, [compared(one) for one in published])
    if absent := [f"{code(one.folder.name)} ({one.repeat})" for one in found if not one.there]:
        text += f"\nNot published yet: {', '.join(absent)}.\n"
    return text


def compared(found: Published) -> list[str]:
    """The cells of one study."""
    data, contrast = found.facts["data"], found.contrast
    users, items, ratings = (data[name] for name in ("users", "items", "ratings"))
    scale = " to ".join(f"{data['scale'][end]:g}" for end in ("minimum", "maximum"))
    cells = [f"[{found.folder.name}]({pages()[found.folder.name]})"]
    cells += [f"{count:,}" for count in (ratings, users, items)]
    cells += [f"{ratings / users / items:.2%}", f"{ratings / users:.1f}", f"{ratings / items:.1f}"]
    cells.append(scale)
    for composite in sorted(COMPOSITES.values(), reverse=True):
        taken, rmse, time = found.best(composite)
        named = [f"{code(name)} ({counted(folds)})" for name, folds in taken.most_common()]
        cells += [", ".join(named), f"{rmse:.4f}", seconds(time)]
    return [*cells, *judged(contrast or {})]


def judged(said: dict[str, Any]) -> list[str]:
    """Difference with its interval, margin and verdict of one comparison."""
    known = said["numbers"]
    verdict = VERDICTS[said["key"]].format(NAMES[known["first"]])
    if said["key"] == "no_test":
        return ["", "", verdict]
    sign = -1 if known["first"] == COMPOSITES["factorization"] else 1
    low, high = sorted((sign * known["low"], sign * known["high"]))
    difference = f"{sign * known['size']:+.4f}".replace("-", "−")
    return [f"{difference} ({ends(low, high)})", f"{known['margin']:.4g}", verdict]


# What every method costs, in all studies.


def costs() -> str:
    """One row a method, one column a published study: seconds to fit and predict one fold."""
    found = [one for one in studies() if one.there]
    head = ["method"]
    for one in found:
        data = one.facts["data"]
        head.append(f"[{one.folder.name}]({pages()[one.folder.name]}), {data['ratings']:,} ratings")
    known = [one.summary.set_index("method")["seconds"] for one in found]
    names = dict.fromkeys(name for one in known for name in one.index)
    rows = [[code(name), *(seconds(one.get(name, "")) for one in known)] for name in names]
    return table(head, rows)


def pages() -> dict[str, str]:
    """The page that shows each study, by the name of its folder."""
    return {
        name: path.name
        for path in sorted(RESULTS.glob("*.md"))
        for name in SHOWN.findall(path.read_text("utf-8"))
    }
