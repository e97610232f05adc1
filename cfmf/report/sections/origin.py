"""Where the numbers come from: config, versions, hashes, machine, command."""

from __future__ import annotations

from typing import Any

import yaml
from markupsafe import Markup

from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Table, Text, tabulated
from cfmf.report.places import linked
from cfmf.report.strings import Catalogue, code, flatten, number


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The command to repeat the run, then what it ran with."""
    known = study.provenance
    if not known:
        return []
    found: list[Block] = []
    if known.get("command"):
        found.append(Text(words("provenance.command", command=code(known["command"]))))
    found.append(Collapsed(words("provenance.facts"), [_facts(known, words)]))
    if known.get("versions"):
        found.append(_pairs("versions", known["versions"], words))
    if known.get("config"):
        text = yaml.safe_dump(known["config"], allow_unicode=True, sort_keys=False)
        block = Markup('<code class="block">{}</code>').format(text)
        found.append(Collapsed(words("provenance.config"), [Text(block)]))
    hashes = len(known.get("inputs", {})) + len(known.get("outputs", {}))
    if hashes:
        found.append(Text(words("provenance.hashes", hashes=number(hashes, "count"))))
        found.append(linked("provenance", len(flatten(known)), words))
    return found


def _facts(known: dict[str, Any], words: Catalogue) -> Table:
    rows: list[dict[str, object]] = []
    for group in ("git", "machine", "run"):
        for name, value in known.get(group, {}).items():
            label = words.otherwise(f"provenance.{name}", name).striptags()
            rows.append({"what": label, "value": _said(value, words)})
    columns = "what=what_fact value:text"
    return tabulated(words, "facts", words("provenance.facts"), rows, columns)


def _said(value: object, words: Catalogue) -> str:
    if isinstance(value, bool):
        return words.plain("provenance.yes" if value else "provenance.no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value == "none":
        return words.plain("provenance.none")
    return "" if value is None else str(value)


def _pairs(name: str, pairs: dict[str, Any], words: Catalogue) -> Collapsed:
    title = words(f"provenance.{name}")
    rows: list[dict[str, object]] = [{"name": k, "value": str(v)} for k, v in pairs.items()]
    return Collapsed(title, [tabulated(words, name, title, rows, "name value:code")])
