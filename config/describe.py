"""Write config/README.md: every key of a study's config, from the schema that checks it.

`python config/describe.py` writes it; `--check` only reports whether it differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cfmf.workflow.config import schema  # noqa: E402

HEAD = """# Configuration

`config.yaml` specifies the default study. `snakemake --configfile config/NAME.yaml` merges another
file into it: maps key by key, while lists and single values are replaced. A key that neither file
has takes the default below. Every key is checked before anything runs; for a misspelt key, the
message suggests the closest valid one.

YAML reads a number with an exponent only if it has a decimal point: write `1.0e-3`, not `1e-3`.

## Ready-made studies

{studies}

## Every key

| key | type | default | effect |
| --- | --- | --- | --- |
{rows}
"""


def kind(schema: dict[str, Any]) -> str:
    """The values that a key takes, in words."""
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return " or ".join(map(kind, schema[word]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{'null' if value is None else value}`" for value in schema["enum"])
    name = schema.get("type", "any")
    if isinstance(name, list):
        name = " or ".join(name)
    if name == "array":
        return f"list of {kind(schema.get('items', {}))}"
    limits = [
        f"{sign} {schema[word]}"
        for word, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if word in schema
    ]
    return " ".join([name, " and ".join(limits)]).strip()


def rows(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """A row of the table for each key below a schema."""
    children = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        children["NAME"] = schema["additionalProperties"]
    for key, child in children.items():
        where = f"{path}.{key}" if path else key
        required = key in schema.get("required", [])
        default = child.get("default")
        shown = "required" if required else f"`{default}`" if "default" in child else ""
        nested = child.get("type") == "object"
        effect = " ".join(str(child.get("description", "")).split()).replace("|", r"\|")
        values = "map" if nested else kind(child)
        yield f"| `{where}` | {values} | {'' if nested and not required else shown} | {effect} |"
        yield from rows(child, where)


def studies() -> str:
    """The ready-made studies with the first comment of each."""
    found = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]
    lines = ["| file | study |", "| --- | --- |"]
    for path in found:
        comment = path.read_text().split("\n\n")[0].replace("# ", "").replace("\n", " ")
        name = path.relative_to(ROOT)
        lines.append(f"| `{name}` | {comment.split('. ')[0].rstrip('.')}. |")
    return "\n".join(lines)


def main() -> int:
    """Write the page, or report that it differs."""
    table = "\n".join(rows(schema()))
    text = HEAD.format(studies=studies(), rows=table)
    page = ROOT / "config/README.md"
    if page.exists() and page.read_text() == text:
        return 0
    if "--check" in sys.argv:
        print("config/README.md differs from the schema; run `make lock`")
        return 1
    page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
