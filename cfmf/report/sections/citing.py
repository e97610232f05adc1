"""What a paper needs of a study: a BibTeX entry, and a paragraph on its methods."""

from __future__ import annotations

from markupsafe import Markup

from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Heading, Text
from cfmf.report.strings import Catalogue, amounts, code, number

NEEDED = {"statistics", "split", "folds", "seeds", "tuning"}
"""What of the plan the paragraph says."""
QUESTION = "User-based collaborative filtering or matrix factorization?"
TEX = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
)
"""What TeX would read as a command."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Both, collapsed; none where the run recorded no provenance."""
    if not study.provenance:
        return []
    entry = Markup('<code class="block">{}</code>').format(bibtex(study))
    parts: list[Block] = [Text(words("cite.text")), Text(entry)]
    if paragraph := _methods(study, words):
        parts += [Heading(words("cite.methods_heading")), Text(paragraph)]
    return [Collapsed(words("cite.title"), parts, "cite")]


def bibtex(study: Study) -> str:
    """A BibTeX entry of the report: data set, version, commit, and hash of the plan."""
    known = study.provenance
    version = known.get("versions", {}).get("cfmf", "")
    commit = str(known.get("git", {}).get("commit", ""))[:12]
    plan = str(study.plan.get("sha256", ""))[:16]
    parts = {"cfmf": version, "commit": commit, "SHA-256 of the plan": plan}
    fields = {
        "author": "{The cfmf developers}",
        "title": f"{{{QUESTION} {study.label().translate(TEX)}}}",
        "year": str(known.get("run", {}).get("reported", ""))[:4],
        "note": ", ".join(
            f"{name} {value}".translate(TEX) for name, value in parts.items() if value
        ),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    key = "".join(letter for letter in study.dataset if letter.isalnum() or letter == "-")
    return "\n".join([f"@misc{{cfmf-{key},", *lines, "}"])


def _methods(study: Study, words: Catalogue) -> Markup | None:
    """Data, folds, choice of settings, intervals and versions in one paragraph."""
    plan, known = study.plan.get("plan", {}), study.provenance
    tables = {"ratings": study.ratings, "users": study.users, "items": study.items}
    counts = {name: len(table) for name, table in tables.items() if table is not None}
    if not plan.keys() >= NEEDED or len(counts) < len(tables):
        return None
    statistics, split = plan["statistics"], plan["split"]
    versions = known.get("versions", {})
    named = [f"{name} {versions[name]}" for name in ("numpy", "scipy", "torch") if name in versions]
    return words(
        "cite.methods",
        methods=words.listed(map(code, numbers.methods(study))),
        dataset=study.label(),
        folds=number(len(plan["folds"])),
        seeds=number(len(plan["seeds"])),
        budget=number(plan["tuning"]["seconds"], "seconds"),
        margin=number(statistics["margin"], "rmse"),
        versions=words.listed([f"cfmf {versions.get('cfmf', '')}", *named]),
        **amounts("count", **counts),
        **amounts("percent", validation=split["validation"], level=statistics["ci_level"]),
    )
