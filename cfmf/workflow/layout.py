"""Where every result is stored: the one module that spells a path below `results/`.

Rules fill these templates as far as they can and leave the rest to Snakemake's wildcards; scripts
read wildcards back from paths; the report asks `Results` for the files by their names. Paths are
relative to the working directory, below `runs/NAME/` if the run has a name, and all below a prefix
where a workflow that embeds this one sets one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cfmf.workflow.storage import uses_storage

ROOT = "results/"
RUNS = "runs/"
HOME = "results/{dataset}/"
ACROSS = "across_datasets"
"""Folder of what all data sets give together; no data set's name has an underscore."""
UNHASHED = ("benchmarks", "logs", "hashes", "report")
"""Snakemake writes the first and the loggers the second; the third holds the hashes themselves, and
the last shows results that have hashes."""

NEIGHBOURS = "neighbours/{method}/"
FACTORIZATION = "factorization/{method}/"
POINT = FACTORIZATION + "k~{k}_reg~{reg}/"
BLOCK = "neighbours/{method}/blocks/{scatteritem}/"
ADAPTIVE = "adaptive/{method}/{fold}/"
INFERRED = "inferred"
"""In the place of `reg` in the path of a method that infers its regularization."""

BELOW_HOME = {
    "raw": "raw",
    "manifest": "raw/manifest.json",
    "ratings": "ratings/ratings.parquet",
    "users": "ratings/users.parquet",
    "items": "ratings/items.parquet",
    "refused": "ratings/refused.tsv",
    "audit": "ratings/audit.json",
    "folds": "folds/folds.json",
    "fold_rows": "folds/folds.npz",
    "fold_table": "folds/{fold}.{format}",
    "plan": "plan.json",
    "first_plan": "plan/first.json",
    "matrix": "matrices/{fold}/{part}.npz",
    "side": "side/side.npz",
    "side_facts": "side/side.json",
    "side_refused": "side/refused.tsv",
    "similarity": "similarity/{fold}.npz",
    "similarity_costs": "similarity/{fold}/costs.tsv",
    "neighbours": NEIGHBOURS + "{file}",
    "neighbour_block": BLOCK + "{table}.parquet",
    "point": POINT + "{file}",
    "adaptive": ADAPTIVE + "{file}",
    "factorization": FACTORIZATION + "{file}",
    "blend": "blends/{method}/{file}",
    "foreign": "foreign/{method}/{file}",
    "round": FACTORIZATION + "rounds/{round}/points.tsv",
    "winner": "models/winner.json",
    "model": "models/{method}/model.cfmf",
    "asked": "models/{method}/{file}",
    "measured": "evaluation/measured/{method}/{table}.tsv",
    "evaluation": "evaluation/{table}.tsv",
    "user_errors": "evaluation/user_errors.parquet",
    "statistics": "statistics/{table}.tsv",
    "verdict": "statistics/verdict.json",
    "published": "published/{file}",
    "backends": "backends/{table}.tsv",
    "report": "report.html",
    "report_static": "report-static.html",
    "attachments": "report",
    "forecast": "forecast.tsv",
    "provenance": "provenance.json",
    "crate": "ro-crate-metadata.json",
    "log": "logs/{job}.log",
    "benchmark": "benchmarks/{job}.tsv",
}
TEMPLATES = {
    **{name: HOME + below for name, below in BELOW_HOME.items()},
    "across": f"{ROOT}{ACROSS}/{{file}}",
}
JOBS = {
    "retrieve_ratings": "",
    "parse_ratings": "",
    "split_ratings": "",
    "export_fold": "{fold}.{format}",
    "plan_study": "",
    "revise_plan": "",
    "build_matrices": "{fold}",
    "build_side": "",
    "compute_similarity": "{fold}",
    "tune_neighbours": "{method}",
    "predict_block": "{method}/{scatteritem}",
    "predict_neighbours": "{method}",
    "train_factorization": "{method}/k~{k}_reg~{reg}",
    "extend_search": "{method}/{round}",
    "tune_adaptively": "{method}/{fold}",
    "select_settings": "{method}",
    "search_published": "",
    "compare_backends": "",
    "compare_generators": "",
    "predict_first_user": "",
    "blend_methods": "{method}",
    "score_predictions": "{method}",
    "evaluate_methods": "",
    "measure_intervals": "",
    "measure_method": "{method}",
    "measure_scaling": "",
    "choose_winner": "",
    "fit_model": "{method}",
    "predict_pairs": "{method}",
    "recommend_items": "{method}",
    "gather_measurements": "",
    "test_statistics": "",
    "render_report": "",
    "compare_datasets": "",
    "forecast_costs": "",
    "forecast": "",
}
"""Rules, and the wildcards by which the jobs of each differ within a data set."""


OF_MODELS = ("choose_winner", "fit_model", "predict_pairs", "recommend_items")
"""Rules that use a study, which its report does not wait for."""


def result(name: str, **wildcards: object) -> str:
    """The path of a result; wildcards that are not given stay in it, in braces."""
    return _filled(TEMPLATES[name], wildcards)


def job_path(kind: str, rule: str, **wildcards: object) -> str:
    """The `log` or the `benchmark` of a rule's job; logs/ and benchmarks/ mirror the rules."""
    job = "/".join(filter(None, (rule, JOBS[rule])))
    return _filled(result(kind, job=job), wildcards)


def wildcards(name: str, given: str | Path) -> dict[str, str]:
    """The wildcards of a result's path.

    Raises
    ------
    ValueError
        If it is not a path of that name.
    """
    found = re.fullmatch(_pattern(TEMPLATES[name]), Path(given).as_posix())
    if not found:
        raise ValueError(f"{given} is not the path of a result named {name}")
    return {key: value for key, value in found.groupdict().items() if key != "prefix"}


def settings_of(given: str | Path) -> tuple[str, str, str]:
    """Method, k and reg of a file of a method's setting, as tables have them: empty without one."""
    for name in ("blend", "foreign", "neighbours"):
        with suppress(ValueError):
            return wildcards(name, given)["method"], "", ""
    found = wildcards("point", given)
    reg = found["reg"]
    return found["method"], found["k"], "" if reg == INFERRED else reg


def run_folder(name: str) -> str:
    """What precedes `results/` in the paths of a run of this name; empty for that without one."""
    return f"{RUNS}{name}/" if name else ""


def prefix(log: str | Path) -> str:
    """What precedes `results/` in the path of a job's log: the prefix of a module, and a run's."""
    found = re.match(r"(?P<prefix>(?:.*/)?)results/[^/]+/logs/", Path(log).as_posix())
    return found["prefix"] if found else ""


def job_of(log: str | Path) -> str:
    """The job that a log belongs to: the rule and the wildcards of `JOBS`."""
    return wildcards("log", log)["job"]


def hash_file(given: str | Path, prefix: str = "") -> Path | None:
    """Where the SHA-256 of a result is kept, `results/{dataset}/hashes/…`; None for other files.

    Of results in a storage none is kept: another job would not find it.
    """
    if uses_storage():
        return None
    text = Path(given).as_posix()
    below = text.removeprefix(prefix + ROOT)
    parts = Path(below).parts
    if below == text or len(parts) < 2 or parts[1] in UNHASHED:
        return None
    folder = Path(prefix + ROOT, parts[0], "hashes", *parts[1:-1])
    return folder / f"{parts[-1]}.sha256"


def hashed_file(given: str | Path) -> Path | None:
    """The result whose SHA-256 a file of `hash_file` keeps; None for other files."""
    path = Path(given)
    if path.parts[2:3] != ("hashes",) or path.suffix != ".sha256":
        return None
    return Path(*path.parts[:2], *path.parts[3:]).with_suffix("")


def is_kept(given: str | Path) -> bool:
    """Whether a result stays when its readers are done; Snakemake deletes blocks of neighbours."""
    return not re.fullmatch(_pattern(TEMPLATES["neighbour_block"]), Path(given).as_posix())


@dataclass(frozen=True)
class Results:
    """The results of one data set that exist: all of them, or those of one study.

    Attributes
    ----------
    folder
        That of all results, `results`.
    dataset
        The data set's name.
    only
        The files, and the folders of files, that belong to the study; others that an earlier
        config left are not listed. None lists whatever exists.
    """

    folder: Path
    dataset: str
    only: frozenset[Path] | None = None

    @classmethod
    def of_study(cls, home: str | Path, files: Iterable[str | Path]) -> Results:
        """Those of a data set's folder that belong to a study."""
        home = Path(home)
        return cls(home.parent, home.name, frozenset(map(Path, files)))

    def where(self, name: str, **wildcards: object) -> Path:
        """The path of a result, whether it exists or not."""
        given = result(name, dataset=self.dataset, **wildcards)
        return self.folder / given.removeprefix(ROOT)

    def at(self, name: str, **wildcards: object) -> Path | None:
        """The path of a result if it exists."""
        found = self.where(name, **wildcards)
        return found if self._exists(found) else None

    def all(self, name: str, **wildcards: object) -> list[tuple[Path, dict[str, str]]]:
        """Every result of a name with the wildcards that were not given, in their paths' order."""
        template = str(self.where(name, **wildcards).relative_to(self.folder))
        glob = re.sub(r"\{job\}", "**/*", template)
        found = []
        for one in sorted(self.folder.glob(re.sub(r"\{\w+\}", "*", glob))):
            match = re.fullmatch(_pattern(template), one.relative_to(self.folder).as_posix())
            if match and self._exists(one):
                values = {key: text for key, text in match.groupdict().items() if key != "prefix"}
                found.append((one, values))
        return found

    def _exists(self, given: Path) -> bool:
        allowed = self.only is None or bool({given, given.parent} & self.only)
        return allowed and given.is_file()


def _filled(template: str, wildcards: dict[str, object]) -> str:
    for name, value in wildcards.items():
        template = template.replace(f"{{{name}}}", str(value))
    return template


@cache
def _pattern(template: str) -> str:
    """A regular expression of the paths that a template makes, with or without a prefix."""
    parts = re.split(r"\{(\w+)\}", template)
    names = [f"(?P<{name}>{'.+' if name == 'job' else '[^/]+'})" for name in parts[1::2]]
    literal = [re.escape(text) for text in parts[::2]]
    body = "".join(text + name for text, name in zip(literal, [*names, ""], strict=True))
    return f"(?P<prefix>(?:.*/)?){body}"
