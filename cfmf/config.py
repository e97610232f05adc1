"""What the config says, in the words that paths and tables use, and what is wrong with it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FAMILIES = ("neighbours", "factorization")


def registry() -> dict[str, str]:
    """Every method that exists, with the family whose package area registers it."""
    return {
        method: family
        for family in FAMILIES
        for method in importlib.import_module(f"cfmf.{family}").METHODS
    }


def family(method: str) -> str:
    """What a method is compared as: `baseline`, `neighbours` or `factorization`.

    The baseline is registered with the neighbour methods and belongs to neither kind. A name that
    no registry has counts as a factorization.
    """
    return "baseline" if method == "baseline" else registry().get(method, "factorization")


def entry(method: str) -> Any:
    """A method's entry in the registry of its family."""
    return importlib.import_module(f"cfmf.{registry()[method]}").METHODS[method]


def module_of(method: str) -> str:
    """The module, in dotted form, that a method's registry entry names."""
    return str(entry(method).solver).split(":")[0]


def on_gpu(method: str) -> bool:
    """Whether a method's solver can use a GPU, as its registry entry says."""
    return bool(entry(method).on_gpu)


def environment(stage: str, *methods: str) -> str:
    """The name in envs/ of what a job runs in that fits some methods: one may need its own."""
    own = [getattr(entry(method), "environment", "") for method in methods]
    return next(filter(None, own), stage)


def canonical(value: float) -> str:
    """The one text of a number in paths and tables: `0.01`, never `1e-2`; `1`, never `1.0`."""
    return np.format_float_positional(float(value), trim="-")


def points(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every (k, reg) of a factorization method, as canonical text, in the order of the config.

    A method that infers its regularization has no `reg` in its settings; its text is `inferred`.
    """
    regs = [canonical(reg) for reg in settings["reg"]] if "reg" in settings else ["inferred"]
    return [(str(k), reg) for k in settings["k"] for reg in regs]


def track(rule: Mapping[str, Any]) -> str:
    """`temporal` of a split that trains on the past, `random` of any other.

    Saved folds are of the kind that they were made by.
    """
    if rule["kind"] == "saved":
        from cfmf.data.splits import saved_facts

        rule = saved_facts(rule["folder"])["rule"]
    return "temporal" if rule["kind"] in ("timeline", "leave-last") else "random"


def same_ratings(datasets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """For each data set the first one that is described alike but for its split and label."""
    first: list[tuple[str, dict[str, Any]]] = []
    found = {}
    for name, described in datasets.items():
        ratings = {key: x for key, x in described.items() if key not in ("split", "label")}
        twin = next((other for other, known in first if known == ratings), None)
        found[name] = twin or name
        if twin is None:
            first.append((name, ratings))
    return found


def seconds_a_run(seconds: float, settings: Mapping[str, Any], seeds: Sequence[int]) -> float:
    """Share of a fold's tuning time that one run of a factorization gets: all points alike."""
    return seconds / (len(points(settings)) * len(seeds))


def complaint(error: Any) -> str:
    """One message for a `jsonschema.ValidationError` of the config: where, what, what to do."""
    where = "".join(
        f"[{key}]" if isinstance(key, int) else f".{key}" for key in error.absolute_path
    )
    where = where.lstrip(".")
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        full = [f"{where}.{key}" if where else str(key) for key in unknown]
        hints = [_hint(str(key), known) for key in unknown]
        return "; ".join(
            f"{key} is not a key: {hint}" for key, hint in zip(full, hints, strict=True)
        )
    if error.validator == "required":
        return f"{where or 'the config'}: {error.message}; add it"
    if error.validator == "enum":
        allowed = [str(value) for value in error.validator_value]
        return f"{where} is {error.instance!r}: {_hint(str(error.instance), allowed)}"
    meaning = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    return f"{where or 'the config'}: {error.message}" + (f" ({meaning})" if meaning else "")


def _hint(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(str(given), known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose from {', '.join(known)}"
