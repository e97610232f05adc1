"""What a study declares before its methods are scored on test, and whether that was changed later.

`plan/first.json` holds the plan with its SHA-256 and date, and every job that scores on test waits
for it; `plan.json` follows the config. A plan that changes before anything is scored on test
replaces the one before it; once scores exist, the earlier plan is kept and the change listed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cfmf.data.splits import size_ratio
from cfmf.files import DamagedError, atomic_write
from cfmf.methods.registry import nested
from cfmf.statistics.intervals import inflation
from cfmf.statistics.names import AGAINST, BLENDS, COMPOSITES, OF_K, PRIMARY
from cfmf.statistics.power import detectable_effect
from cfmf.workflow.layout import Results
from cfmf.workflow.storage import uses_storage

TEST_SCORES = {
    "neighbours": {"file": "metrics.tsv"},
    "point": {"file": "metrics.tsv"},
    "blend": {"file": "metrics.tsv"},
    "foreign": {"file": "metrics.tsv"},
    "evaluation": {"table": "metrics"},
}
"""Results that have scores on test, as `Results.all` takes them."""


def plan_of(declared: Mapping[str, Any], folds: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of one data set's study.

    Parameters
    ----------
    declared
        `folds` by name, which of them are `sealed`, `methods` with the settings of each, `blends`
        with the members of each, `seeds`, `tuning`, `evaluation` and `statistics`, from the config.
    folds
        The content of folds.json.

    Returns
    -------
    `declared`, the ratings and folds that it applies to, the families of comparisons, and the
    minimum detectable difference.
    """
    statistics, methods = declared["statistics"], list(declared["methods"])
    ratio, number = size_ratio(folds, declared["folds"]), len(declared["folds"])
    pair = [statistics["primary"], statistics["control"]]
    others = [name for name in (*methods, *declared.get("predictions", ())) if name not in pair]
    pairs = [list(pair) for pair in nested(declared["blends"])]
    families = {
        PRIMARY: [list(COMPOSITES.values()), pair],
        AGAINST: {"control": statistics["control"], "methods": others},
        BLENDS: pairs,
        OF_K: [name for name, block in declared["methods"].items() if "k" in block],
    }
    comparisons = {PRIMARY: 2, AGAINST: len(others)} | ({BLENDS: len(pairs)} if pairs else {})
    found = {
        **declared,
        "ratings": folds["ratings"],
        "split": folds["rule"],
        "blocks": {"number": number, "test_train_ratio": ratio, "sha256": folds["sha256"]},
        "families": families,
        "detectable": _detectable(statistics, number, ratio, comparisons),
    }
    plan: dict[str, Any] = json.loads(json.dumps(found))
    return plan


def _detectable(
    statistics: Mapping[str, Any], blocks: int, ratio: float, comparisons: Mapping[str, int]
) -> dict[str, Any]:
    """The difference that each family detects, as a multiple of the standard deviation over folds.

    In rating units too where the config states the standard deviation that it expects.
    """
    if blocks < 2:
        return {}
    found: dict[str, Any] = {"power": statistics["power"]}
    for family, count in comparisons.items():
        alpha = statistics["alpha"] / max(count, 1)
        effect = detectable_effect(blocks, alpha, statistics["power"])
        multiple = effect * float(np.sqrt(inflation(blocks, ratio)))
        found[family] = {"standard_deviations": round(multiple, 6)}
        if statistics["planned_sd"] is not None:
            found[family]["difference"] = round(multiple * statistics["planned_sd"], 6)
    return found


def read_plan(path: Path) -> dict[str, Any] | None:
    """The content of plan.json; None where there is none.

    Raises
    ------
    DamagedError
        If it is not as `planned` made it.
    """
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        sound = found["sha256"] == _hash(found["plan"]) and isinstance(found["changes"], list)
        sound = sound and {"written", "written_after_scores"} <= set(found)
    except (ValueError, LookupError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise DamagedError(
            path, f"{path} was altered after it was written, or is no plan of a study"
        )
    return found


def _hash(plan: Any) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def followed(files: Results, kind: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    """The content of plan.json now, with what is kept of the plans before it; see `planned`.

    Parameters
    ----------
    files
        Results of the data set.
    kind
        `first_plan` or `plan`, which follows the first one where there is no other.
    plan
        What `plan_of` returned.

    Raises
    ------
    DamagedError
        If an earlier plan is not as it was written.
    """
    before = read_plan(files.where(kind)) or read_plan(files.where("first_plan"))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    # Scores in a storage are not seen here: whatever changes counts as changed after them.
    scored = scores_on_test(files) or (before is not None and uses_storage())
    return planned(plan, before, scored, now)


def write_plan(path: Path, found: Mapping[str, Any]) -> None:
    """Write what `followed` returned."""
    with atomic_write(path) as temporary:
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def planned(
    plan: Mapping[str, Any], before: Mapping[str, Any] | None, scored: bool, now: str
) -> dict[str, Any]:
    """The content of plan.json.

    Parameters
    ----------
    plan
        What `plan_of` returned.
    before
        The content of plan.json so far, if any.
    scored
        Whether scores on test exist; see `scores_on_test`.
    now
        Date and time.

    Returns
    -------
    `plan`, its `sha256` and date (`written`), whether it was `written_after_scores`, and `changes`
    since scores exist: of each, its date, what was `changed`, and the `earlier` plan.
    """
    if before and before["plan"] == plan:
        return dict(before)
    changes = list(before["changes"]) if before else []
    late = scored if before is None else before["written_after_scores"]
    if before and scored:
        changed = {name: list(pair) for name, pair in differences(before["plan"], plan).items()}
        earlier = {key: before[key] for key in ("written", "sha256", "plan")}
        changes.append({"written": now, "changed": changed, "earlier": earlier})
    return {
        "sha256": _hash(plan),
        "written": now,
        "written_after_scores": late,
        "plan": dict(plan),
        "changes": changes,
    }


def differences(old: Any, new: Any, place: str = "") -> dict[str, tuple[Any, Any]]:
    """Values that differ between two plans, old and new, by their dotted place; None is absent."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: dict[str, tuple[Any, Any]] = {}
        for key in dict.fromkeys([*old, *new]):
            found |= differences(old.get(key), new.get(key), f"{place}.{key}" if place else key)
        return found
    return {} if old == new else {place: (old, new)}


def scores_on_test(files: Results) -> bool:
    """Whether a data set's results have scores on test."""
    return any(files.all(name, **given) for name, given in TEST_SCORES.items())
