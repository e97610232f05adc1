"""What a job takes, as sums of terms measured on finished studies.

A term is a product of powers of quantities that are known before a run, such as
`runs passes ratings k^2`: its name in `costs.tsv` is its formula. The candidates of each rule are
those that its algorithm has; non-negative least squares of relative errors, in which every study
has the same weight, finds their coefficients. `python -m cfmf.workflow.costs FOLDER…` measures and
writes the table, `--check` reports how far the forecast of each study is from what it took when
that study is left out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy  # and scipy.optimize, slow to import, only where a table is fitted
from numpy.typing import NDArray
from scipy import sparse

from cfmf.methods import registry
from cfmf.tables import COLUMNS, read_table, write_table
from cfmf.workflow import layout

TABLE = Path(__file__).with_suffix(".tsv")
QUANTITIES = ("seconds", "memory_mb", "disk_mb")
START = "1"
"""The term of what does not grow: imports, and jobs that read no ratings."""

COMPARISONS = ("ratings^2 items^-1", "ratings^2 users^-1")
"""Pairs of users who rated the same item, were all items rated equally often; pairs of items."""
NEIGHBOURS = ("folds passes ratings", *(f"folds passes {one}" for one in COMPARISONS), START)
SECONDS: dict[str, tuple[str, ...]] = {
    "retrieve_ratings": ("drawn", START),
    "split_ratings": ("folds ratings", START),
    "compute_similarity": (COMPARISONS[0], "users^2", START),
    "tune_neighbours": NEIGHBOURS,
    "predict_neighbours": NEIGHBOURS,
    "train_factorization": (
        "runs passes ratings", "runs passes ratings k", "runs passes ratings k^2",
        "runs passes rows k^3", START,
    ),
    "tune_adaptively": ("trials ratings", "trials", START),
    "search_published": ("searched ratings", "searched", START),
    "blend_methods": ("folds tested methods", START),
    "score_predictions": ("runs tested", START),
    "evaluate_methods": ("folds tested methods", "users methods", START),
    "measure_intervals": ("folds tested methods", START),
    "measure_method": (
        "passes ratings", "passes ratings k", "passes ratings k^2", *COMPARISONS, "users", START,
    ),
    "measure_scaling": ("methods timed", START),
    "test_statistics": ("users methods", "folds tested methods", START),
    "render_report": ("ratings", "users", "points", "methods", START),
}  # fmt: skip
"""Candidate terms of the CPU seconds of a job; of other rules they are `OF_RATINGS`."""
MEMORY: dict[str, tuple[str, ...]] = {
    "retrieve_ratings": ("drawn", START),
    "split_ratings": ("ratings", "folds ratings", START),
    "compute_similarity": ("ratings", START),
    "tune_neighbours": ("ratings", START),
    "predict_neighbours": ("ratings", START),
    "train_factorization": ("folds ratings", "rows k", START),
    "measure_method": ("ratings", "rows k", START),
    "evaluate_methods": ("folds tested", "ratings", START),
    "measure_intervals": ("folds tested", "ratings", START),
    "blend_methods": ("folds tested", "ratings", START),
    "measure_scaling": ("timed", START),
}
DISK: dict[str, tuple[str, ...]] = {
    "split_ratings": ("folds ratings", START),
    "tune_neighbours": ("folds ratings", START),
    "predict_neighbours": ("folds tested", START),
    "train_factorization": ("runs tested", "runs ratings", START),
    "blend_methods": ("folds tested", "folds ratings", START),
    "evaluate_methods": ("users methods", START),
    "render_report": ("methods", "points", "users", START),
}
TERMS = {"seconds": SECONDS, "memory_mb": MEMORY, "disk_mb": DISK}
OF_RATINGS = ("ratings", START)
STEADY = (
    "plan_study", "revise_plan", "extend_search", "select_settings", "gather_measurements",
    "compare_generators",
)  # fmt: skip
"""Rules that read tables of a few rows: what they take is the start of a process."""
BY_METHOD = (
    "tune_neighbours", "predict_neighbours", "train_factorization", "tune_adaptively",
    "measure_method",
)  # fmt: skip
"""Rules whose jobs take as much as the method does; each method has coefficients of its own."""
OUTPUTS = {
    "retrieve_ratings": ["raw/*"],
    "parse_ratings": ["ratings/*"],
    "split_ratings": ["folds/folds.npz"],
    "build_matrices": ["matrices/{fold}/*"],
    "build_side": ["side/*"],
    "compute_similarity": ["similarity/{fold}.npz"],
    "tune_neighbours": ["neighbours/{method}/validation.parquet"],
    "predict_neighbours": ["neighbours/{method}/predictions.parquet"],
    "train_factorization": ["factorization/{method}/k~{k}_reg~{reg}/*"],
    "tune_adaptively": ["adaptive/{method}/{fold}/*"],
    "search_published": ["published/*"],
    "blend_methods": ["blends/{method}/*"],
    "evaluate_methods": ["evaluation/user_errors.parquet"],
    "render_report": ["report.html", "report-static.html", "report/*/*"],
}
"""Files of a data set's folder that a job leaves; those of other rules are small."""
GAIN = 0.1
REACH = 10.0
SHORT, LONG = 0.5, 30.0
"""Seconds between two looks of Snakemake at a job that it measures: of the first 31, and later."""


@dataclass(frozen=True)
class Counts:
    """Users, items and ratings of a data set, and test ratings of a fold on average."""

    users: float
    items: float
    ratings: float
    tested: float


@dataclass(frozen=True)
class Study:
    """What the cost of a study's jobs depends on.

    Attributes
    ----------
    counts
        Of the data set.
    declared
        Folds, methods, blends, predictions and seeds, as `Plan.declared` and `plan.json` have them.
    config
        The checked config; of it, what belongs to single rules. Empty where it is not known.
    """

    counts: Counts
    declared: Mapping[str, Any]
    config: Mapping[str, Any]

    @classmethod
    def of_results(cls, home: Path) -> Study:
        """The study whose results are in a data set's folder; it may still be running.

        Raises
        ------
        FileNotFoundError
            If the folder has no plan, audit or folds yet.
        """
        audit, plan, folds = (
            json.loads((home / layout.BELOW_HOME[name]).read_text("utf-8"))
            for name in ("audit", "plan", "folds")
        )
        tested = float(np.mean([one["test"] for one in folds["folds"].values()]))
        counts = Counts(audit["users"], audit["items"], audit["ratings"], tested)
        known = home / layout.BELOW_HOME["provenance"]
        config = json.loads(known.read_text("utf-8"))["config"] if known.is_file() else {}
        drawn = audit["source"] == "synthetic"
        return cls(counts, plan["plan"], {"drawn": drawn, **config})

    def quantities(self, rule: str, wildcards: Mapping[str, str]) -> dict[str, float]:
        """What the terms of a job are made of, as far as it is known.

        `passes` are sweeps of all chains, or passes of a neighbour method over the data; where
        the training itself decides, they are 1, and the coefficient holds their mean number.
        """
        counts, declared, config = self.counts, self.declared, self.config
        methods, folds = declared["methods"], len(declared["folds"])
        method = wildcards.get("method", "")
        found = {
            **vars(counts),
            "rows": counts.users + counts.items,
            "drawn": counts.ratings if config.get("drawn") else 0.0,
            "folds": folds,
            "runs": folds * len(declared["seeds"]),
            "methods": len(methods)
            + len(declared["blends"])
            + len(declared.get("predictions", ())),
            "points": sum(map(_settings, methods.values())),
            "passes": 1.0,
            "k": 1.0,
        }
        if rule == "blend_methods":
            found["methods"] = len(declared["blends"].get(method, ()))
        elif method in methods:
            found["passes"] = _passes(method, methods[method], rule)
            sizes = methods[method].get("k", 1)
            found["k"] = float(max(sizes if isinstance(sizes, list) else [sizes]))
        if "k" in wildcards:
            found["k"] = float(wildcards["k"])
        return found | _sections(config, counts)


def _sections(config: Mapping[str, Any], counts: Counts) -> dict[str, float]:
    """Quantities of single rules, as far as the config is known."""
    found = {}
    if config.get("published", {}).get("enabled"):
        found["searched"] = config["published"]["search"]["trials"]
    if config.get("tuning", {}).get("adaptive"):
        found["trials"] = config["tuning"]["adaptive"]["trials"]
    if config.get("evaluation"):
        found["timed"] = min(counts.ratings, config["evaluation"]["scaling"]["ratings"])
    return found


def _settings(block: Mapping[str, Any]) -> int:
    """How many settings a method's block lists."""
    return math.prod(len(one) for one in block.values() if isinstance(one, list))


def _passes(method: str, block: Mapping[str, Any], rule: str) -> float:
    """Sweeps of all chains, or of a neighbour method the passes that tuning makes."""
    if "sweeps" in block:
        return float(block["sweeps"] * block.get("chains", 1))
    if rule != "tune_neighbours":
        return 1.0
    known = registry.methods()
    shared = known[method].shared_pass if method in known else ""
    values = block.get(shared, 1) if shared else None
    if values is None:
        return float(_settings(block))
    return float(len(values) if isinstance(values, list) else 1)


def value(term: str, quantities: Mapping[str, float]) -> float:
    """A term of a job; `ratings k^2` is the product of the ratings and the square of k.

    Raises
    ------
    KeyError
        If a quantity is not known.
    """
    found = 1.0
    for factor in term.split() if term != START else ():
        name, _, power = factor.partition("^")
        found *= float(quantities[name]) ** float(power or 1)
    return found


def job_of(benchmark: str) -> tuple[str, dict[str, str]]:
    """The rule and the wildcards of a benchmark's path below `benchmarks/`, without its suffix.

    Raises
    ------
    ValueError
        If no rule has such a path.
    """
    for rule, parts in layout.JOBS.items():
        template = "/".join(filter(None, (rule, parts)))
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
        if found := re.fullmatch(pattern, benchmark):
            return rule, found.groupdict()
    raise ValueError(f"{benchmark} is the job of no rule")


def cpu_seconds(counted: float, elapsed: float) -> float:
    """CPU seconds of a job whose benchmark counted some until Snakemake last looked at it.

    It looks 31 times every half second, then every 30 s, and not at the end: a job of 40 s has the
    CPU seconds of its first 15. The rest is taken to be as busy.
    """
    looks = 31 * SHORT
    last = looks + LONG * ((elapsed - looks) // LONG) if elapsed > looks else elapsed
    return counted * elapsed / last


def measured(home: Path) -> pd.DataFrame:
    """The jobs of a study whose results are in a data set's folder.

    Returns
    -------
    One row a job: study, rule, method (of rules in `BY_METHOD`), quantities (a dict), and
    `QUANTITIES`.
    """
    study = Study.of_results(home)
    rows = []
    folder = home / "benchmarks"
    for path in sorted(folder.rglob("*.tsv")):
        table = pd.read_csv(path, sep="\t")
        try:
            rule, wildcards = job_of(path.relative_to(folder).with_suffix("").as_posix())
        except ValueError:
            continue  # of an earlier version
        method = wildcards.get("method", "") if rule in BY_METHOD else ""
        row = table.iloc[-1]
        other = bool(method) and method not in study.declared["methods"]
        if other or pd.isna(row["max_rss"]) or row["s"] < SHORT:
            continue  # of another config, or over before Snakemake looked again
        rows.append(
            {
                "study": f"{home.name} {study.counts.ratings:.0f}",
                "rule": rule,
                "method": method,
                "quantities": study.quantities(rule, wildcards),
                "seconds": cpu_seconds(float(row["cpu_time"]), float(row["s"])),
                "memory_mb": float(row["max_rss"]),
                "disk_mb": _megabytes(home, rule, wildcards),
            }
        )
    return pd.DataFrame(rows)


def _megabytes(home: Path, rule: str, wildcards: Mapping[str, str]) -> float:
    """Size of what a job has left, in MB."""
    patterns = [one.format(**wildcards) for one in OUTPUTS.get(rule, ())]
    files = (path for pattern in patterns for path in home.glob(pattern) if path.is_file())
    return sum(os.path.getsize(path) for path in files) / 1e6


def terms_of(rule: str, method: str, quantity: str) -> tuple[str, ...]:
    """Candidate terms of a quantity of a rule's jobs, those of k as far as the method has them."""
    if rule in STEADY:
        return (START,)
    terms = TERMS[quantity].get(rule, OF_RATINGS)
    return terms if _solves(method) else tuple(one for one in terms if "k^" not in one)


def _solves(name: str) -> bool:
    """Whether the operations that a method counts grow faster than its factors; True if unknown."""
    known = registry.methods().get(name)
    if known is None or not known.job_per_point:
        return known is None
    sample = sparse.csr_array(np.ones((8, 8), np.float32))
    few, many = (known(scale=None, side=None).with_size(k) for k in (64, 128))
    if few is None or many is None:
        return False
    return many.operations(sample, sample) > 2.5 * few.operations(sample, sample)


def coefficients(jobs: pd.DataFrame) -> pd.DataFrame:
    """Fit the terms of every rule, and method where it matters, to measured jobs.

    Parameters
    ----------
    jobs
        As `measured` returns them, of any number of studies.

    Returns
    -------
    A `job_costs` table. Of terms that are proportional to each other in all jobs, as those of one
    size of data are, the first is kept; the start is then that of the smallest job of all. The
    first term and the start are always fitted, a further one where it lowers the squared relative
    error by the share `GAIN`.
    """
    rows = []
    for (rule, method), group in jobs.groupby(["rule", "method"]):
        ratings = [one["ratings"] for one in group["quantities"]]
        for quantity in QUANTITIES:
            terms = terms_of(str(rule), str(method), quantity)
            found = _fitted(group, terms, quantity, float(jobs[quantity].min()))
            for term, coefficient in found.items():
                if coefficient > 0:
                    rows.append(
                        [rule, method, quantity, term, coefficient, len(group), *_ends(ratings)]
                    )
    return pd.DataFrame(rows, columns=COLUMNS["job_costs"])


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _fitted(
    jobs: pd.DataFrame, terms: Sequence[str], quantity: str, start: float
) -> dict[str, float]:
    """Coefficients of the terms; `start` is that of the constant where one size has no other."""
    jobs = jobs[jobs[quantity] > 0]
    columns = _columns(jobs["quantities"], terms)
    if not columns:
        return {}
    taken = jobs[quantity].to_numpy(float)
    sizes = jobs.groupby("study")["study"].transform("size").to_numpy(float)
    weights = 1 / taken / np.sqrt(sizes)
    fixed = 0.0
    if START in terms and START not in columns:
        fixed = min(start, float(taken.min()))
    target = weights * (taken - fixed)

    def solved(names: Sequence[str]) -> tuple[NDArray[np.float64], float]:
        matrix = np.column_stack([columns[name] for name in names])
        scales = matrix.max(axis=0)
        found, rest = scipy.optimize.nnls(matrix / scales * weights[:, None], target)
        return found / scales, float(rest) ** 2

    chosen = [name for name in columns if name in (START, next(iter(columns)))]
    found, rest = solved(chosen)
    while left := [name for name in columns if name not in chosen]:
        loss = {name: solved([*chosen, name])[1] for name in left}
        best = min(left, key=lambda name: loss[name])
        if loss[best] > (1 - GAIN) * rest:
            break
        chosen.append(best)
        found, rest = solved(chosen)
    result = dict(zip(chosen, map(float, found), strict=True))
    return result | ({START: fixed} if fixed else {})


def _columns(
    quantities: Iterable[Mapping[str, float]], terms: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Values of the terms in all jobs; the first of those that are proportional to each other."""
    found: dict[str, NDArray[np.float64]] = {}
    for term in terms:
        try:
            column = np.array([value(term, one) for one in quantities])
        except KeyError:
            continue
        largest = column.max(initial=0)
        if largest > 0 and not any(
            np.allclose(column / largest, one / one.max(), rtol=1e-3, atol=1e-6)
            for one in found.values()
        ):
            found[term] = column
    return found


def left_out(jobs: pd.DataFrame) -> pd.DataFrame:
    """How far the sum of each rule's jobs is from its forecast by all other studies.

    Returns
    -------
    One row for each study, rule, method and quantity (of memory the largest job): `measured`,
    `forecast`, and `factor`, forecast over measured. Those that no other study has are left out.
    """
    rows = []
    for study, own in jobs.groupby("study"):
        table = coefficients(jobs[jobs["study"] != study])
        for (rule, method), group in own.groupby(["rule", "method"]):
            for quantity in QUANTITIES:
                given = [
                    taken(table, str(rule), str(method), one)[quantity]
                    for one in group["quantities"]
                ]
                join = max if quantity == "memory_mb" else sum
                pair = join(group[quantity]), join(given)
                if pair[0] > 0 and math.isfinite(pair[1]):
                    rows.append([study, rule, method, quantity, *pair, pair[1] / pair[0]])
    head = "study rule method quantity measured forecast factor".split()
    return pd.DataFrame(rows, columns=head)


def taken(
    table: pd.DataFrame, rule: str, method: str, quantities: Mapping[str, float]
) -> dict[str, float]:
    """CPU seconds, MB of memory and MB on disk of a job; NaN where they are not known.

    That is where a rule or method has not been measured, or not near this number of ratings: what
    was measured over a factor of sizes is trusted over the same factor beyond them, and over a
    factor of `REACH` at least.
    """
    own = table[(table["rule"] == rule) & (table["method"] == method)]
    unknown = dict.fromkeys(QUANTITIES, math.nan)
    if own.empty:
        return unknown
    fewest, most = own["fewest_ratings"].min(), own["most_ratings"].max()
    reach = max(REACH, most / fewest)
    if rule not in STEADY and not fewest / reach <= quantities["ratings"] <= most * reach:
        return unknown
    found = dict.fromkeys(QUANTITIES, 0.0)
    for quantity, terms in own.groupby("quantity"):
        try:
            parts = [value(one, quantities) for one in terms["term"]]
        except KeyError:
            return unknown
        found[str(quantity)] = float(np.dot(parts, terms["coefficient"]))
    return found


def homes(folders: Sequence[Path]) -> Iterator[Path]:
    """Folders of data sets with a plan, in folders of results."""
    for folder, pattern in product(folders, ("", "*/")):
        yield from (one.parent for one in sorted(folder.glob(f"{pattern}plan.json")))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure finished studies, and write the table or report how it forecasts each of them."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="folders results/ of studies")
    parser.add_argument("--check", action="store_true", help="leave each study out; write nothing")
    parser.add_argument(
        "--to", type=Path, default=TABLE, help="file to write (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    found = [measured(home) for home in homes(given.folders)]
    if not found:
        parser.error(
            "these folders have no results of a study; give those that contain DATASET/plan.json"
        )
    jobs = pd.concat(found, ignore_index=True)
    if given.check:
        print(left_out(jobs).to_csv(sep="\t", index=False, float_format="%.3g"), end="")
    else:
        write_table(given.to, coefficients(jobs), "job_costs")


def known_costs() -> pd.DataFrame:
    """The table of this package, a `job_costs` table."""
    return read_table(TABLE, "job_costs")


if __name__ == "__main__":
    main()
