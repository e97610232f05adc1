"""Test ratings that are scored once: what scored sealed folds, and the refusal of a second scoring.

A data set of the config names sealed folds. They are left out of the study until they are opened;
then every job that scores them leaves a record outside the data set's results, by the ratings
themselves, so that neither a deleted folder nor another name of the data set or the run hides it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cfmf.files import atomic_write
from cfmf.workflow.layout import ROOT, RUNS, job_of, prefix, result, wildcards

SCORING = (
    *("predict_block", "predict_neighbours", "train_factorization"),
    *("measure_method", "tune_adaptively", "blend_methods", "score_predictions"),
)
"""Rules that score on test. The published search does too; no study of sealed folds may have it."""
RECORDS = f"{ROOT}sealed_scores"


def is_open(described: Mapping[str, Any]) -> bool:
    """Whether a data set has sealed folds that are opened."""
    return bool(described["sealed"]["open"] and described["sealed"]["folds"])


@contextmanager
def scored_once(snakemake: Any) -> Iterator[None]:
    """Refuse a job that scores opened sealed folds a second time, and keep that it has done so."""
    log = snakemake.log[0]
    folds = sealed_folds_of(snakemake.rule, log, snakemake.config)
    if folds:
        refuse_second(log, folds)
    yield
    if folds:
        plan = json.loads(Path(snakemake.input.plan).read_text("utf-8"))
        record_scores(log, folds, plan["sha256"])


def sealed_folds_of(rule: str, log: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The content of folds.json if the job with this log scores opened sealed folds; else empty."""
    if rule not in SCORING:
        return {}
    dataset = wildcards("log", log)["dataset"]
    path = Path(prefix(log) + result("folds", dataset=dataset))
    if not is_open(config["datasets"][dataset]) or not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def record_scores(log: str, folds: Mapping[str, Any], plan: str) -> None:
    """Keep that a job has scored sealed folds.

    Parameters
    ----------
    log
        Path of the job's log.
    folds
        The content of folds.json.
    plan
        SHA-256 of the plan.
    """
    path = _folder(folds, prefix(log)) / f"{job_of(log)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with atomic_write(path) as temporary:
        facts = {"job": job_of(log), "written": now, "plan": plan}
        temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def refuse_second(log: str, folds: Mapping[str, Any]) -> None:
    """Raise ValueError if the job with this log has scored sealed folds of these ratings before."""
    path = _folder(folds, prefix(log)) / f"{job_of(log)}.json"
    if path.is_file():
        raise ValueError(
            f"{job_of(log)} would score sealed test ratings a second time: {_told(path)}. Sealed"
            " ratings are scored once; undo the change that repeats the job, or take the data set"
            f" off study.datasets. {path} is the record"
        )


def refuse_other_plan(folds: Mapping[str, Any], plan: str, before: str = "") -> None:
    """Raise ValueError if sealed folds of these ratings were scored by another plan.

    `plan` is the SHA-256 of the present one, `before` the prefix of the paths of results.
    """
    for path in sorted(_folder(folds, before).rglob("*.json")):
        if json.loads(path.read_text("utf-8"))["plan"] != plan:
            raise ValueError(
                f"the plan differs from the one that scored sealed test ratings: {_told(path)}."
                " Sealed ratings are scored once, by the plan as it was; undo the change of the"
                f" config, or take the data set off study.datasets. {path} is the record"
            )


def _folder(folds: Mapping[str, Any], before: str) -> Path:
    """Where the records of some ratings are, by their fingerprint: one place for all named runs."""
    return Path(before.partition(RUNS)[0] + RECORDS, str(folds["ratings"]["sha256"])[:16])


def _told(path: Path) -> str:
    facts = json.loads(path.read_text("utf-8"))
    return f"{facts['job']} did at {facts['written']}, by plan {facts['plan'][:16]}"
