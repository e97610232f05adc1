"""Write config/README.md: every key of a study's config, from the schemas that check it.

`python config/describe.py` writes it; `--check` only says whether it differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Configuration

A study is `config.yaml`; `snakemake --configfile config/NAME.yaml` lays another file over it: maps
are merged key by key, lists and single values replaced. What neither names has the default below.
Every key is checked before anything runs, and a mistyped one is told with its nearest neighbour.

Numbers with an exponent need a point for YAML to see a number: `1.0e-3`, not `1e-3`.

## Ready-made studies

{studies}

## Every key

| key | type | default | effect |
| --- | --- | --- | --- |
{rows}
"""


def load(name: str) -> dict[str, Any]:
    """One schema file."""
    return yaml.safe_load((ROOT / "schemas" / name).read_text())


def resolve(schema: dict[str, Any], file: str) -> tuple[dict[str, Any], str]:
    """A schema with its `$ref` followed, and the file it stands in; what stands beside wins."""
    if "$ref" not in schema:
        return schema, file
    name, _, inside = schema["$ref"].partition("#")
    file = name or file
    target: Any = load(file)
    for part in filter(None, inside.split("/")):
        target = target[part]
    target, file = resolve(target, file)
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}, file


def kind(schema: dict[str, Any], file: str) -> str:
    """The values that a key takes, in words."""
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return " or ".join(kind(resolve(option, file)[0], file) for option in schema[word])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{'null' if value is None else value}`" for value in schema["enum"])
    name = schema.get("type", "any")
    if isinstance(name, list):
        name = " or ".join(name)
    if name == "array":
        return f"list of {kind(resolve(schema.get('items', {}), file)[0], file)}"
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


def rows(schema: dict[str, Any], file: str, path: str = "") -> Iterator[str]:
    """A row of the table for each key below a schema."""
    schema, file = resolve(schema, file)
    children = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        children["NAME"] = schema["additionalProperties"]
    for key, raw in children.items():
        child, child_file = resolve(raw, file)
        where = f"{path}.{key}" if path else key
        required = key in schema.get("required", [])
        default = child.get("default")
        shown = "required" if required else f"`{default}`" if "default" in child else ""
        nested = child.get("type") == "object"
        effect = " ".join(str(child.get("description", "")).split()).replace("|", r"\|")
        values = "map" if nested else kind(child, child_file)
        yield f"| `{where}` | {values} | {'' if nested and not required else shown} | {effect} |"
        yield from rows(child, child_file, where)


def studies() -> str:
    """The ready-made studies with the first comment of each."""
    found = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]
    lines = ["| file | what |", "| --- | --- |"]
    for path in found:
        comment = path.read_text().split("\n\n")[0].replace("# ", "").replace("\n", " ")
        name = path.relative_to(ROOT)
        lines.append(f"| `{name}` | {comment.split('. ')[0].rstrip('.')}. |")
    return "\n".join(lines)


def main() -> int:
    """Write the page, or say that it differs."""
    table = "\n".join(rows(load("config.schema.yaml"), "config.schema.yaml"))
    text = HEAD.format(studies=studies(), rows=table)
    page = ROOT / "config/README.md"
    if page.exists() and page.read_text() == text:
        return 0
    if "--check" in sys.argv:
        print("config/README.md differs from the schemas; run `make lock`")
        return 1
    page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
