"""Finds methods by name: those of the package, of installed packages, and of a config."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from cfmf.methods.base import Method
from cfmf.side import USES

PACKAGES = ("cfmf.methods", "cfmf.published.methods")
ENTRY_POINTS = "cfmf.methods"
UNLISTED = ("title", "step", "search")
"""What the schema of a config does not have of a setting."""
NAME = "[a-z0-9][a-z0-9-]{0,59}"
FAMILIES = ("baseline", "neighbours", "factorization")
DEFAULT = "gibbs-implicit"
"""What ratings are fitted with where no method is named: of the methods of the default study, the
one with the lowest RMSE on the validation parts of MovieLens 100K (mean over its five folds)."""
BLEND = "blend-"
"""What the names of blends begin with; no method's does."""
FOREIGN = "foreign"
"""The family of predictions of other tools where the config gives none."""
_of_config: dict[str, type[Method]] = {}
_foreign: dict[str, type[Method]] = {}


@cache
def installed() -> dict[str, type[Method]]:
    """Methods of the package and of entry points `cfmf.methods`, in order of family and name."""
    found: list[type[Method]] = []
    for package in filter(_exists, PACKAGES):
        for module in iter_modules(import_module(package).__path__):
            loaded = import_module(f"{package}.{module.name}")
            found += [
                one
                for one in vars(loaded).values()
                if isinstance(one, type) and one.__module__ == loaded.__name__ and _is_method(one)
            ]
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        found.append(_checked(entry.load(), entry.value))
    found.sort(key=lambda method: (FAMILIES.index(method.family), method.name))
    return {method.name: method for method in found}


def register(blocks: Mapping[str, Any]) -> None:
    """Make the methods known whose block of the config has `class: module:Class`.

    Raises
    ------
    ValueError
        If the class cannot be imported or is no method.
    """
    for name, block in blocks.items():
        if isinstance(block, Mapping) and "class" in block:
            if not re.fullmatch(NAME, name):
                raise ValueError(
                    f"methods.{name} has a class of its own; name it with lower-case letters,"
                    " digits and hyphens only"
                )
            if is_blend(name):
                raise ValueError(
                    f"methods.{name} has the name of a blend; choose one that does not begin with"
                    f" {BLEND}"
                )
            _of_config[name] = load(name, str(block["class"]))


def register_predictions(blocks: Mapping[str, Any]) -> None:
    """Make the names of predictions of other tools known, with the family and label of each.

    They are declared as methods are, and cannot be fitted.

    Parameters
    ----------
    blocks
        The `predictions` block of the config.

    Raises
    ------
    ValueError
        If a method or a blend could have that name.
    """
    _foreign.clear()
    for name, block in blocks.items():
        if name in methods() or is_blend(name):
            raise ValueError(
                f"predictions.{name} has the name of a method or of a blend; choose one that no"
                f" method has and that does not begin with {BLEND}"
            )
        declared = {
            "name": name,
            "label": block.get("label") or name,
            "family": block.get("family", FOREIGN),
            "uses": frozenset(block.get("uses", ())),
            "__module__": __name__,
        }
        _foreign[name] = type("Foreign", (Method,), declared)


def is_foreign(name: str) -> bool:
    """Whether a name is that of predictions of another tool."""
    return name in _foreign


def load(name: str, path: str) -> type[Method]:
    """The method of a class given as `module:Class`, under another name where one is given.

    Raises
    ------
    ValueError
        If the class cannot be imported or is no method.
    """
    match = re.fullmatch(r"(\w+(?:\.\w+)*):(\w+)", path)
    if not match:
        raise ValueError(f"methods.{name}.class is {path!r}; write it as module:Class")
    try:
        found = getattr(import_module(match[1]), match[2])
    except Exception as error:  # whatever an imported file raises
        raise ValueError(
            f"methods.{name}.class: {path} cannot be imported ({error}); put its module where"
            " Snakemake is started, or install it"
        ) from error
    method = _checked(found, path)
    if name in ("", method.name):
        return method
    known = {"name": name, "__doc__": method.__doc__, "__module__": method.__module__}
    return type(method.__name__, (method,), known)


def methods() -> dict[str, type[Method]]:
    """Every known method by name: the installed ones, then those of the config."""
    return {**installed(), **_of_config}


def method(name: str) -> type[Method]:
    """The method of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in methods():
        raise ValueError(f"no method is named {name!r}; there are {', '.join(methods())}")
    return methods()[name]


def label(name: str) -> str:
    """What the report calls a method; its name where it has no label or is not known."""
    found = declared(name)
    return (found.label if found else "") or name


def family(name: str) -> str:
    """What a method or a blend is compared as.

    Raises
    ------
    ValueError
        If neither has that name.
    """
    if is_blend(name):
        return "blend"
    return (_foreign.get(name) or method(name)).family


def declared(name: str) -> type[Method] | None:
    """What is declared of a method or of predictions of another tool; None if unknown."""
    return methods().get(name) or _foreign.get(name)


def is_blend(name: str) -> bool:
    """Whether a name is that of a blend, which no method has."""
    return name.startswith(BLEND)


def blends(listed: Mapping[str, Iterable[str]], studied: Iterable[str]) -> dict[str, list[str]]:
    """The members of each blend, by the name that tables have for it.

    Parameters
    ----------
    listed
        The `blends` block of the config: methods and families. A family stands for the studied
        methods of it that use nothing but the ratings and are not of the published study.
    studied
        The methods of the study, whose order the members have.

    Returns
    -------
    Without the blends that name a family of which the study has no such method.
    """
    methods_of = {name: method(name) for name in studied}
    plain = [name for name, one in methods_of.items() if not (one.uses or of_published(name))]
    families = {wanted: of_family(plain, wanted) for wanted in FAMILIES}
    found = {}
    for name, parts in listed.items():
        meant = [families.get(part, [part]) for part in parts]
        if all(meant):
            members = set().union(*meant)
            found[BLEND + name] = [one for one in methods_of if one in members]
    return found


def uses(name: str) -> list[str]:
    """What a method uses beside the ratings, in the order of `cfmf.side.USES`; nothing if unknown.

    Where methods are chosen or ranked, those that use more than others are named apart.
    """
    found = declared(name)
    return [use for use in USES if found and use in found.uses]


def searched() -> list[str]:
    """Names of the installed methods that the adaptive search can tune.

    These are the neighbour methods that have a number of neighbours to choose, and those with a
    penalty that validation chooses, if they need no environment of their own.
    """
    return [
        name
        for name, found in installed().items()
        if not (found.environment or of_published(name))
        and (
            "neighbours" in found.grids() or ("reg" in found.grids() and found.stops_on_validation)
        )
    ]


def of_published(name: str) -> bool:
    """Whether a method is one of the published study's, kept apart from the others."""
    found = methods().get(name)
    return bool(found and found.__module__.startswith(f"{PACKAGES[1]}."))


def nested(blends: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Pairs of blends of which the first has all members of the second, and more.

    Without those that have a third one in between, whose pairs show more.
    """
    members = {name: set(one) for name, one in blends.items()}
    pairs = [(one, other) for one in members for other in members if members[one] > members[other]]
    known = set(pairs)
    return [
        (one, other)
        for one, other in pairs
        if not any({(one, third), (third, other)} <= known for third in members)
    ]


def of_family(names: Iterable[str], wanted: str) -> list[str]:
    """The names whose method is of a family, in their order."""
    return [name for name in names if family(name) == wanted]


def environment(stage: str, *names: str) -> str:
    """Name in envs/ of what a job that fits some methods runs in: one may need its own."""
    own = (method(name).environment for name in names)
    return next(filter(None, own), stage)


def schema(found: type[Method]) -> dict[str, Any]:
    """JSON schema of a method's block of the config, with descriptions and defaults.

    A setting with a grid is a list of values to try; the others are single values. Its description
    ends with how a search goes on from the list.
    """
    listed = found.model_json_schema()["properties"]
    properties: dict[str, Any] = {"class": {"type": "string"}} if found.name in _of_config else {}
    grids = found.grids()
    for name in found.settings():
        one = {key: value for key, value in listed[name].items() if key not in UNLISTED}
        if name in grids:
            described = {"description": one.pop("description") + _steps(listed[name])}
            for key in ("grid", "default"):
                one.pop(key, None)
            one = {
                **described,
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": one,
                "default": grids[name],
            }
        properties[name] = one
    also = " and ".join(use for use in USES if use in found.uses).replace("_", " ")
    said = " ".join((found.__doc__ or "").split("\n\n")[0].split())
    said += f" Also uses {also}, not only ratings." if also else ""
    return {
        "description": said,
        "type": "object",
        "additionalProperties": False,
        "default": {},
        "properties": properties,
    }


def _steps(field: Mapping[str, Any]) -> str:
    if "step" not in field:
        return ""
    low, high = field["search"]
    return (
        f" The search goes on in steps by a factor of {field['step']:g}, from {low:g} to {high:g}."
    )


def _exists(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _is_method(found: type) -> bool:
    return issubclass(found, Method) and bool(vars(found).get("name"))


def _checked(found: Any, path: str) -> type[Method]:
    if not (isinstance(found, type) and issubclass(found, Method) and hasattr(found, "family")):
        raise ValueError(
            f"{path} is no method: it must be a class of cfmf.methods.base.Method with a family"
        )
    return found
