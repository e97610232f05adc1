"""The config of a study: its schema, whether a config is valid, and which of its keys a rule uses.

The schema is assembled from the files in schemas/ and the settings of the methods. Nothing here
needs Snakemake.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from cfmf.imports import ROOT
from cfmf.methods import registry
from cfmf.workflow.agreement import disagreement
from cfmf.workflow.values import place, plain_values, shown, shown_name

SCHEMAS = ROOT / "schemas"
SHOWN = 5
LARGEST_COUNT = 2**31 - 1
RENAMED = {
    "evaluation.reasons": "evaluation.explanations",
    "search": "published.search",
    "backends": "published.backends",
    "tuning.search": "tuning.adaptive",
    "published.search.doubly_rooted": "published.search.square_root_twice",
}
"""New names of renamed keys, by the old ones: dotted paths, in which `*` is any name."""
REMOVED = {
    "statistics.rope": "statistics.margin, a share of the rating scale, is the only threshold",
}
"""What took the place of removed keys."""


class ConfigError(ValueError):
    """A config is not valid; the message names the place, the fault and the remedy."""


def schema() -> dict[str, Any]:
    """JSON schema of a config, with the settings of every known method and no reference left."""
    whole = deepcopy(_files_joined())
    known = registry.methods()
    properties = whole["properties"]
    properties["study"]["properties"]["methods"]["items"] = {"enum": list(known)}
    searched = properties["tuning"]["properties"]["adaptive"]["properties"]["methods"]
    searched["items"] = {"enum": registry.searched()}
    properties["methods"]["properties"] = {
        name: registry.schema(method) for name, method in known.items()
    }
    return whole


def check(config: dict[str, Any]) -> None:
    """Check a config and fill in the defaults of what it leaves out, in place.

    Methods that it names as `class: module:Class` are known from then on.

    Raises
    ------
    ConfigError
        If it is not valid.
    """
    try:
        copied = plain_values(config)
        config.clear()
        config.update(copied)
        _refuse_renamed(config)
        blocks = config.get("methods")
        registry.register(blocks if isinstance(blocks, Mapping) else {})
    except ValueError as error:
        raise ConfigError(f"The config is not valid: {error}") from error
    first = next(_Filling(schema()).iter_errors(config), None)
    if first is not None:
        raise ConfigError(
            f"The config is not valid: {complaint(first)}. config/README.md explains every key."
        )
    _without_published(config)
    try:
        registry.register_predictions(config["predictions"])
    except ValueError as error:
        raise ConfigError(f"The config is not valid: {error}.") from error
    fault = disagreement(config)
    if fault is not None:
        raise ConfigError(f"The config is not valid: {fault}.")


def completed(block: Mapping[str, Any]) -> dict[str, Any]:
    """The block of a data set with the defaults of what it leaves out; it is not checked."""
    found = deepcopy(dict(block))
    of_dataset = schema()["properties"]["datasets"]["additionalProperties"]
    for _ in _Filling(of_dataset).iter_errors(found):
        pass
    return found


def _refuse_renamed(config: Mapping[str, Any]) -> None:
    """Raise ConfigError if the config has a key under an old name, or one that was removed."""
    for old, new in RENAMED.items():
        for found in _paths(config, old.split(".")):
            raise ConfigError(f"{found} is called {new} now: rename it")
    for old, why in REMOVED.items():
        for found in _paths(config, old.split(".")):
            raise ConfigError(f"{found} is no longer a key; remove it: {why}")


def _without_published(config: dict[str, Any]) -> None:
    """Leave the published study's methods out of `study.methods` where it is not enabled."""
    if config["published"]["enabled"]:
        return
    kept = [name for name in config["study"]["methods"] if not registry.of_published(name)]
    if not kept:
        raise ConfigError(
            "study.methods lists methods of the published study only: set published.enabled to"
            " true, or list others."
        )
    config["study"]["methods"] = kept


def pick(block: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A part of the config with these keys only, so that an edit of others reruns nothing.

    Parameters
    ----------
    block
        The part.
    keys
        Names of its keys, those below them as `table.ratings`; what is not there is left out.
    """
    found: dict[str, Any] = {}
    for key in keys:
        name = key.partition(".")[0]
        below = [rest for other in keys if (rest := other.removeprefix(f"{name}.")) != other]
        if name in block:
            found[name] = pick(block[name], *below) if below else block[name]
    return found


def without(block: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A part of the config without some of its keys."""
    return {key: value for key, value in block.items() if key not in keys}


def complaint(error: ValidationError) -> str:
    """One message for an error of the config: where, what, what to do."""
    where = place(tuple(error.absolute_path))
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))[:SHOWN]
        above = "" if where == "the config" else f"{where}."
        return "; ".join(
            f"{above}{shown_name(key)} is not a key: {_hint(key, known)}" for key in unknown
        )
    if error.validator == "required":
        return f"{where}: {error.message}; add it"
    if error.validator == "enum":
        allowed = [str(value) for value in error.validator_value]
        return f"{where} is {shown(error.instance)}: {_hint(str(error.instance), allowed)}"
    meaning = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    said = error.message.replace(repr(error.instance), shown(error.instance), 1)
    return f"{where}: {said}" + _advice(error) + (f" ({meaning})" if meaning else "")


def _advice(error: ValidationError) -> str:
    """What to do about a value of another type, where YAML may not read what was meant."""
    given = error.instance
    if error.validator != "type":
        return ""
    wanted = error.validator_value
    kinds = {wanted} if isinstance(wanted, str) else set(wanted)
    if isinstance(given, bool | int) and "string" in kinds:
        return "; put it in quotes"
    if isinstance(given, str) and {"number", "integer"} & kinds:
        with suppress(ValueError):
            return f"; write {float(given)} (YAML reads exponents as in 1.0e-3 or 1.0e+3 only)"
    return ""


def _hint(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(str(given), known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose from {', '.join(known)}"


@cache
def _files_joined() -> dict[str, Any]:
    """schemas/config.schema.yaml with each reference replaced by what it refers to."""
    whole: dict[str, Any] = _resolved({"$ref": "config.schema.yaml"}, "")
    return whole


def _resolved(part: Any, file: str) -> Any:
    """A part of a schema file without references; keys next to a `$ref` override its target."""
    if isinstance(part, list):
        return [_resolved(one, file) for one in part]
    if not isinstance(part, Mapping):
        return part
    own = {key: _resolved(one, file) for key, one in part.items() if key not in ("$ref", "$defs")}
    if "$ref" not in part:
        return own
    name, _, inside = part["$ref"].partition("#")
    target = _file(name or file)
    for key in filter(None, inside.split("/")):
        target = target[key]
    return {**_resolved(target, name or file), **own}


@cache
def _file(name: str) -> Any:
    return yaml.safe_load((SCHEMAS / name).read_text(encoding="utf-8"))


def _fill(
    validator: Any, properties: Mapping[str, Any], instance: Any, parent: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Check the keys of a map after the defaults of absent ones are filled in."""
    if isinstance(instance, dict):
        for name, below in properties.items():
            if "default" in below:
                instance.setdefault(name, deepcopy(below["default"]))
    yield from Draft202012Validator.VALIDATORS["properties"](
        validator, properties, instance, parent
    )


def _of_type(
    validator: Any, types: Any, instance: Any, parent: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Check the type of a value, and that a count, size or seed is not beyond all use."""
    yield from Draft202012Validator.VALIDATORS["type"](validator, types, instance, parent)
    if types == "integer" and isinstance(instance, int) and instance > LARGEST_COUNT:
        yield ValidationError(f"{instance} is greater than the maximum of {LARGEST_COUNT}")


_Filling = validators.extend(Draft202012Validator, {"properties": _fill, "type": _of_type})


def _paths(block: Any, names: list[str], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Where a config has a key of such names, `*` being any."""
    if not isinstance(block, Mapping):
        return
    for name in block if names[0] == "*" else [names[0]]:
        if name in block and names[1:]:
            yield from _paths(block[name], names[1:], (*above, name))
        elif name in block:
            yield ".".join((*above, name))
