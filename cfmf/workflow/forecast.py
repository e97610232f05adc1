"""What a study will take before it is run: jobs, CPU seconds, memory and disk of every stage.

The jobs are those of `Plan.jobs`, which names the log of each. What a job takes is in the table
of `cfmf.workflow.costs`; what has not been measured is reported as unknown.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cfmf.data.catalogue import stated_counts
from cfmf.data.splits import OFFICIAL_FOLDS, saved_facts
from cfmf.tables import COLUMNS
from cfmf.workflow import layout
from cfmf.workflow.costs import BY_METHOD, STEADY, Counts, Study, job_of, taken
from cfmf.workflow.machine import memory_bytes
from cfmf.workflow.plan import Plan, area

SPEED = 2.0
"""By which factor the speed of a machine may differ from that of the one measured on."""
UNKNOWN = "unknown"
TEST_SHARE = 0.2
"""Of a separate test part whose size neither the config nor the source states."""
STAGES = (
    "retrieve_ratings",
    "parse_ratings",
    "split_ratings build_side",
    "build_matrices",
    "tune_neighbours train_factorization tune_adaptively compute_similarity search_published",
    "predict_block predict_neighbours",
    "blend_methods measure_method measure_scaling score_predictions",
    "evaluate_methods measure_intervals",
    "test_statistics",
    "render_report",
)
"""Rules that wait for one another, as far as their jobs take more than a start."""
STAGE = {rule: number for number, rules in enumerate(STAGES) for rule in rules.split()}


@dataclass(frozen=True)
class Machine:
    """Cores that jobs may use, and MB of memory that all jobs together may take."""

    cores: int
    memory_mb: float

    @classmethod
    def of_limits(cls, cores: int | None, memory_mb: float | None) -> Machine:
        """From `--cores` and `--resources mem_mb`; without a limit the memory is the machine's."""
        if memory_mb is None:
            total = memory_bytes()
            memory_mb = math.inf if total is None else round(total / 1e6)
        return cls(cores or 1, float(memory_mb))


def counts_of(described: Mapping[str, Any], audit: str | Path | None = None) -> Counts:
    """Counts of a data set: those of its audit, or those stated without its files.

    Parameters
    ----------
    described
        Its description in the config.
    audit
        The `audit.json` of its parsed ratings, if there is one.

    Raises
    ------
    ValueError
        If there is no audit, and neither the config nor the publisher states the counts.
    """
    stated = stated_counts(described)
    files: dict[str, Any] = {}
    if audit is not None:
        found = json.loads(Path(audit).read_text("utf-8"))
        users, items, ratings = found["users"], found["items"], found["ratings"]
        files = found["files"]
    elif stated:
        users, items, ratings, _ = stated
    else:
        raise ValueError("the number of ratings is not known before they are parsed")
    part = stated[3] if stated else 0
    if name := described.get("table", {}).get("test"):
        part = files.get(name, {}).get("rows_kept", part)
    tested = _tested(described["split"], users, ratings, part)
    return Counts(users, items, ratings, tested)


def _tested(rule: Mapping[str, Any], users: int, ratings: int, part: int) -> float:
    """Test ratings of a fold on average, by the rule of the split."""
    kind = rule["kind"]
    if kind == "saved":
        folds = saved_facts(rule["folder"])["folds"].values()
        return float(sum(one["test"] for one in folds) / len(folds))
    if kind == "leave-last":
        return float(users * rule["leave"])
    if kind == "timeline":
        return float(ratings * rule["test"] / rule["folds"])
    if kind == "predefined":
        return float(part or TEST_SHARE * ratings)
    return ratings / (OFFICIAL_FOLDS if kind == "official" else rule["folds"])


def listed(config: Mapping[str, Any]) -> Plan:
    """The plan without what searches add, which is known only while they run."""

    def never(**wildcards: object) -> str:
        raise AssertionError("a search that does not grow has no rounds")

    return Plan({**config, "tuning": {**config["tuning"], "grow": False}}, never)


def jobs(config: Mapping[str, Any], dataset: str, blocks: Sequence[str]) -> pd.DataFrame:
    """The jobs of a data set's part of a study, but for the one that compares data sets.

    Returns
    -------
    One row a job: rule, method (of rules in `BY_METHOD`) and wildcards (a dict). Of a search that
    grows there are the listed points and one round.
    """
    plan = listed(config)
    paths = plan.jobs("benchmark", dataset, list(blocks))
    paths.append(plan.job_path("benchmark", "render_report", dataset=dataset))
    grows = Plan(config, plan.round_file).grows
    for method in filter(grows, plan.in_area("factorization")):
        paths.append(
            plan.job_path("benchmark", "extend_search", dataset=dataset, method=method, round=1)
        )
    rows = []
    for path in paths:
        rule, wildcards = job_of(layout.wildcards("benchmark", path)["job"])
        method = wildcards.get("method", "") if rule in (*BY_METHOD, "predict_block") else ""
        rows.append((rule, method, wildcards))
    return pd.DataFrame(rows, columns=["rule", "method", "wildcards"])


def forecast(
    config: Mapping[str, Any],
    dataset: str,
    counts: Counts,
    table: pd.DataFrame,
    machine: Machine,
    blocks: Sequence[str] = (),
) -> pd.DataFrame:
    """What every rule, and method where it matters, takes on one data set.

    Parameters
    ----------
    config
        The checked config.
    table
        A `job_costs` table.
    blocks
        Those of `predict_block`.

    Returns
    -------
    A `forecast` table, in the order of the stages. `cpu_seconds` and `disk_mb` are sums over the
    jobs, `memory_mb` is that of the largest. `wall_seconds` is the CPU time over the cores, and at
    least that of the longest job on its threads. NaN is unknown.
    """
    drawn = config["datasets"][dataset]["source"] == "synthetic"
    study = Study(counts, listed(config).declared(dataset), {**config, "drawn": drawn})
    growing = Plan(config, listed(config).round_file)
    rows = []
    by = jobs(config, dataset, blocks).groupby(["rule", "method"], sort=False)
    for (rule, method), group in by:
        known = [_taken(table, study, rule, one, len(blocks)) for one in group["wildcards"]]
        seconds = [one["seconds"] for one in known]
        threads = min(_threads(config, str(rule), str(method)), machine.cores)
        grows = rule == "train_factorization" and growing.grows(str(method))
        rows.append(
            {
                "dataset": dataset,
                "rule": rule,
                "method": method,
                "jobs": len(group),
                "most_jobs": max(len(group), growing.trials * grows),
                "cpu_seconds": sum(seconds),
                "wall_seconds": max(sum(seconds) / machine.cores, max(seconds) / threads),
                "memory_mb": max(one["memory_mb"] for one in known),
                "disk_mb": sum(one["disk_mb"] for one in known),
                "extrapolated": _beyond(table, _same(str(rule)), str(method), counts.ratings),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS["forecast"])


def _same(rule: str) -> str:
    """The rule whose jobs do the same work: blocks of predictions are shares of them."""
    return "predict_neighbours" if rule == "predict_block" else rule


def _taken(
    table: pd.DataFrame, study: Study, rule: Any, wildcards: Mapping[str, str], blocks: int
) -> dict[str, float]:
    """What a job takes; a block of predictions takes its share of the folds."""
    same = _same(rule)
    method = wildcards.get("method", "") if same in BY_METHOD else ""
    quantities = study.quantities(rule, wildcards)
    if same != rule:
        quantities["folds"] /= blocks
    return taken(table, same, method, quantities)


def _threads(config: Mapping[str, Any], rule: str, method: str) -> int:
    """Threads of a rule's jobs, as far as they speed it up."""
    if rule == "compute_similarity":
        return int(config["threads"]["neighbours"])
    return int(config["threads"][area(method)]) if method else 1


def _beyond(table: pd.DataFrame, rule: str, method: str, ratings: float) -> float:
    """By which factor a number of ratings is outside those measured; 1 within them."""
    own = table[(table["rule"] == rule) & (table["method"] == method)]
    if own.empty or rule in STEADY:
        return 1.0
    return float(max(1, ratings / own["most_ratings"].max(), own["fewest_ratings"].min() / ratings))


def text(tables: Sequence[pd.DataFrame], heads: Sequence[str], machine: Machine) -> str:
    """Forecasts of several data sets as people read them: a table each, and what they rest on."""
    parts = []
    for table, head in zip(tables, heads, strict=True):
        parts += ["", head, _printed(table, machine)]
    whole = pd.concat(tables, ignore_index=True)
    if len(tables) > 1:
        parts += ["", "All data sets", _lines([_row("total", "", _total(whole, machine))])]
    return "\n".join([*parts, "", *_notes(whole, machine)])


def head(dataset: str, counts: Counts, parsed: bool) -> str:
    """A data set and its counts, and where these are from."""
    where = "counted when parsed" if parsed else "as its source or config states, not yet parsed"
    return (
        f"{dataset}: {counts.ratings:,.0f} ratings, {counts.users:,.0f} users,"
        f" {counts.items:,.0f} items ({where}); {counts.tested:,.0f} test ratings a fold"
    )


def _total(table: pd.DataFrame, machine: Machine) -> pd.Series:
    """Sums over what is known; the wall clock is at least that of the stages one after another."""
    seconds = table["cpu_seconds"].sum()
    stages = table.assign(stage=table["rule"].map(STAGE)).groupby(["dataset", "stage"])
    path = stages["wall_seconds"].max().groupby("dataset").sum().max()
    return pd.Series(
        {
            "jobs": table["jobs"].sum(),
            "cpu_seconds": seconds,
            "wall_seconds": max(seconds / machine.cores, path),
            "memory_mb": table["memory_mb"].max(),
            "disk_mb": table["disk_mb"].sum(),
        }
    )


def _printed(table: pd.DataFrame, machine: Machine) -> str:
    rows: list[tuple[str, ...]]
    rows = [("rule", "method", "jobs", "CPU time", "wall clock", "memory", "disk")]
    rows += [_row(one["rule"], one["method"], one) for _, one in table.iterrows()]
    return _lines([*rows, _row("total", "", _total(table, machine))])


def _row(rule: str, method: str, one: pd.Series) -> tuple[str, ...]:
    far = one.get("extrapolated", 1.0)
    sizes = (megabytes(one["memory_mb"]), megabytes(one["disk_mb"]))
    times = (duration(one["cpu_seconds"]), duration(one["wall_seconds"]))
    beyond = f"x{far:.3g} beyond" if far > SPEED and times[0] != UNKNOWN else ""
    return (rule, method, f"{one['jobs']:.0f}", *times, *sizes, beyond)


def _lines(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(len(rows[-1]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at in (0, 1, 7) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    )


def _notes(table: pd.DataFrame, machine: Machine) -> list[str]:
    """What the numbers rest on, and whether memory and disk suffice."""
    total = _total(table, machine)
    low, high = (duration(total["wall_seconds"] * by) for by in (1 / SPEED, SPEED))
    notes = [
        f"Wall clock with --cores {machine.cores}: about {duration(total['wall_seconds'])}, between"
        f" {low} and {high}: machines differ in speed. Times are those of CPUs, without downloads.",
    ]
    if unknown := sorted({_name(row) for _, row in table.iterrows() if _is_unknown(row)}):
        notes.append(
            "Unknown, and missing in the totals: " + ", ".join(unknown) + ". They have not been"
            " measured, or not on nearly as many ratings."
        )
    if (table["most_jobs"] > table["jobs"]).any():
        most = total["jobs"] + (table["most_jobs"] - table["jobs"]).sum()
        notes.append(
            "Searches grow while their choice is at an edge (tuning.grow):"
            f" {total['jobs']:.0f} jobs are listed, up to {most:.0f} are possible."
        )
    if (table["extrapolated"] > SPEED).any():
        notes.append(
            '"x10 beyond": ten times as many ratings as the largest study measured, or a tenth of'
            " the smallest."
        )
    return [*notes, *_limits(total, machine)]


def _limits(total: pd.Series, machine: Machine) -> list[str]:
    """Whether the largest job fits into memory, and the results on the disk."""
    notes = []
    needed, there = megabytes(total["memory_mb"]), megabytes(machine.memory_mb)
    if total["memory_mb"] > machine.memory_mb:
        notes.append(f"Memory: the largest job needs about {needed}, more than the {there} here.")
    elif machine.cores * total["memory_mb"] > machine.memory_mb:
        notes.append(
            f"Memory: the largest job needs about {needed}, and {machine.cores} at once may need"
            f" more than the {there} here: limit them with --resources"
            f" mem_mb={machine.memory_mb:.0f}."
        )
    free = shutil.disk_usage(".").free / 1e6
    if total["disk_mb"] > free:
        notes.append(
            f"Disk: the results need about {megabytes(total['disk_mb'])}, more than the"
            f" {megabytes(free)} that are free here."
        )
    return notes


def _is_unknown(row: pd.Series) -> bool:
    return bool(math.isnan(row["cpu_seconds"]))


def _name(row: pd.Series) -> str:
    return f"{row['rule']} of {row['method']}" if row["method"] else str(row["rule"])


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, in two digits."""
    if math.isnan(seconds):
        return UNKNOWN
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{int(seconds < 10 * size)}f} {unit}"
    return f"{seconds:.{int(seconds < 10)}f} s"


def megabytes(size: float) -> str:
    """MB, or GB from 1000 MB on."""
    if math.isnan(size):
        return UNKNOWN
    return f"{size / 1000:.1f} GB" if size >= 1000 else f"{size:.0f} MB"
