"""Parts of the reference that are made from their sources when the site is built.

A page asks for one with the directive `generated`, for instance::

    ```{generated} rules
    ```
"""

from __future__ import annotations

import ast
import importlib
import logging
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from columns import facts, kind_of
from published import across, costs, reference
from sphinx.util.docutils import SphinxDirective
from tables import code, table

ROOT = Path(__file__).resolve().parent.parent
# The study whose jobs tell what each rule reads: it has every stage, with a method that uses dates.
STUDY = ROOT / "config/tiny.yaml"


# Rules, as Snakemake itself reads them.


@cache
def workflow() -> Any:
    """The workflow and the jobs of its smallest study; nothing is run or written."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness
    from snakemake.settings.types import ResourceSettings as Resources

    methods = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["study"]["methods"]
    added = {"study": {"methods": [*methods, "gibbs-dated"]}, "tuning": {"grow": False}}
    logging.disable(logging.INFO)  # Snakemake tells its steps
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        opened = api.workflow(
            Resources(cores=1),
            # Which points a search adds is known only while it runs.
            config_settings=ConfigSettings(configfiles=[STUDY], config=added),
            snakefile=ROOT / "Snakefile",
            workdir=ROOT,
        )
        opened.dag(DAGSettings(forceall=True))
        found = opened._workflow
        found._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True, nolock=True)
        found._build_dag()
    logging.disable(logging.NOTSET)
    return found


def rules() -> str:
    """Every rule by the file that holds it: what it does, reads and writes, and where it runs."""
    flow = workflow()
    made = makers(flow)
    files: dict[Path, list[Any]] = {}
    for rule in flow.rules:
        files.setdefault(Path(rule.snakefile), []).append(rule)
    parts = []
    for path, held in files.items():
        parts.append(f"## {path.relative_to(ROOT)}\n\n{first_words(path)}\n")
        parts += [described(rule, flow, made) for rule in held]
    return "\n".join(parts)


def makers(flow: Any) -> dict[str, tuple[str, str]]:
    """For every file that a job makes, its pattern and the rule that makes it."""
    return {
        str(file): (plain(pattern), job.rule.name)
        for job in flow.dag.jobs
        for file, pattern in zip(job.output, job.rule.output, strict=True)
    }


def plain(pattern: object) -> str:
    """A pattern without what its wildcards have to match."""
    from snakemake.io import strip_wildcard_constraints

    return str(strip_wildcard_constraints(str(pattern)))


def first_words(path: Path) -> str:
    """The docstring with which a file of rules begins."""
    parts = path.read_text("utf-8").split('"""')
    return parts[1].strip() if len(parts) > 2 and not parts[0].strip() else ""


def described(rule: Any, flow: Any, made: dict[str, tuple[str, str]]) -> str:
    """One rule."""
    script = (Path(rule.snakefile).parent / rule.script).resolve() if rule.script else None
    words = rule.docstring or ""
    if not words and script:
        words = ast.get_docstring(ast.parse(script.read_bytes())) or ""
    text = [f"### {rule.name}\n\n{words.strip()}\n"]
    if rows := list(read(rule, flow, made)):
        text.append(table(["reads", "file", "made by"], rows))
    if rule.output:
        names = {str(file): name for name, file in rule.output.items()}
        rows = [(code(names.get(str(f), "")), code(plain(f))) for f in rule.output]
        text.append(table(["writes", "file"], rows))
    if script:
        where = f"Script {code(script.relative_to(ROOT))}"
        if callable(rule.conda_env):
            where += ", environment of its stage or of the method"
        elif rule.conda_env:
            env = (Path(rule.snakefile).parent / str(rule.conda_env)).resolve()
            where += f", environment {code(env.relative_to(ROOT))}"
        if rule.log:
            where += f", log {code(plain(rule.log[0]))}"
        text.append(f"{where}.\n")
    return "\n".join(text)


def read(rule: Any, flow: Any, made: dict[str, tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Name, pattern and maker of what a rule's jobs read."""
    rows = {}
    for job in flow.dag.jobs:
        if job.rule.name == rule.name:
            named = {str(file): name for name, files in job.input.items() for file in listed(files)}
            for file in map(str, job.input):
                pattern, maker = made.get(file, ("", ""))
                name = named.get(file, "")
                rows[name, pattern] = (
                    code(name) if name else "",
                    code(pattern) if pattern else "files of the repository",
                    f"[{maker}](#{maker.replace('_', '-')})" if maker else "",
                )
    if not rows:  # a rule that the smallest study does not need
        rows = {
            (str(file), ""): (
                "",
                "a function of the wildcards" if callable(file) else code(plain(file)),
                "",
            )
            for file in rule.input
        }
    yield from rows.values()


def listed(files: Any) -> list[Any]:
    """One file or several, as a list."""
    return [files] if isinstance(files, str) else list(files)


# Columns of the results.


def columns() -> str:
    """Every table of the results with the meaning of its columns."""
    from cfmf.tables import COLUMNS

    told = facts()
    outputs = {
        plain(file).removeprefix("results/{dataset}/")
        for rule in workflow().rules
        for file in rule.output
    }
    parts = []
    for kind, names in COLUMNS.items():
        held = sorted(path for path in outputs if kind_of(path) == kind)
        meaning = {**told["columns"], **told["kinds"].get(kind, {})}
        if unknown := [name for name in names if name not in meaning]:
            raise KeyError(
                f"docs/reference/columns.yaml lacks {unknown} of {kind}: add their meaning"
            )
        parts.append(f"## {kind}\n\n{', '.join(map(code, held))}\n")
        parts.append(table(["column", "what"], [(code(n), meaning[n]) for n in names]))
    for path, names in told["files"].items():
        parts.append(f"## {path}\n")
        parts.append(table(["column", "what"], [(code(n), what) for n, what in names.items()]))
    return "\n".join(parts)


# What the published study says and what is wrong with it.


def errata() -> str:
    """Every erratum, from the catalogue of the report's texts."""
    from cfmf.published.printed import quotes
    from cfmf.published.reporting.errata import quoted
    from cfmf.published.reporting.extension import EXTENSION
    from cfmf.report.extension import catalogue

    words = catalogue("en", [EXTENSION])
    rows = [
        (place, quoted(place, words).replace("*", r"\*"), words(f"errata.correct.e{place}"))
        for place in quotes()
    ]
    return table(["", "the study", "correct"], rows)


def roots() -> str:
    """The published values that are roots of an RMSE, and their squares."""
    from cfmf.published.printed import printed_numbers
    from cfmf.published.reporting import errata as section
    from cfmf.published.reporting.extension import EXTENSION
    from cfmf.report.extension import catalogue

    values = section.roots(printed_numbers(), catalogue("en", [EXTENSION]))
    rows = [(name, f"{value:.4f}", f"{value**2:.4f}") for name, value in values.items()]
    return table(["figure", "published", "true RMSE"], rows)


def figures() -> str:
    """The figures that the study printed and a run has an equal of."""
    from cfmf.published.printed import printed_numbers
    from cfmf.published.reporting.extension import EXTENSION
    from cfmf.report.extension import catalogue

    words = catalogue("en", [EXTENSION])
    rows = [
        (words(f"errata.figure_{name}"), value)
        for name, value in printed_numbers().items()
        if f"errata.figure_{name}" in words
    ]
    return table(["figure", "published"], rows)


def coverage() -> str:
    """How often intervals contain the truth, as benchmarks/coverage.py measured it."""
    from cfmf.report.sections.calibration import shares
    from cfmf.statistics.names import POPULATIONS

    intervals = [f"interval for {name.replace('_', ' ')}" for name in POPULATIONS]
    rows = []
    for row in shares().query("kind != 'omnibus'").to_dict("records"):
        contrast = f"{row['first']} − {row['second']} ({row['kind']})"
        contrast = "all, simultaneous" if row["kind"] == "family" else contrast
        found = [f"{100 * row[f'coverage_{name}']:.1f} %" for name in POPULATIONS]
        rows.append([row["redrawn"].replace("_", " "), contrast, *found])
    return table(["redrawn", "contrast", *intervals], rows)


# The methods, as their classes declare them.


def methods() -> str:
    """Every method: what it is, what it declares, and its settings."""
    from cfmf.methods.registry import FAMILIES, installed, schema

    parts = []
    for family in FAMILIES:
        parts.append(f"## {family.capitalize()}\n")
        for name, found in installed().items():
            if found.family != family:
                continue
            declared = {
                "label in the report": found.label,
                "computes on a GPU": "yes" if found.on_gpu else "no",
                "draws random numbers": "yes" if found.stochastic else "no",
                "trained in": found.iterates or "one pass",
                "one job": "for each k and reg" if found.job_per_point else "for the whole grid",
                "uses beside the ratings": ", ".join(sorted(found.uses)).replace("_", " ")
                or "nothing",
                "its models also": ", ".join(sorted(found.can)) or "nothing further",
            }
            described = schema(found)
            parts.append(f"### {name}\n\n{described['description']}\n")
            parts.append(table(["", ""], declared.items()))
            if rows := [
                (code(key), code(one.get("default", "")), one.get("description", ""))
                for key, one in described["properties"].items()
            ]:
                parts.append(table(["setting", "default", "meaning"], rows))
    return "\n".join(parts)


def literature() -> str:
    """Published figures by protocol, with how they were chosen and the line that shows it."""
    words = yaml.safe_load((ROOT / "report/strings/en.yaml").read_text("utf-8"))
    protocols = yaml.safe_load((ROOT / "report/literature.yaml").read_text("utf-8"))
    parts = []
    for name, protocol in protocols.items():
        parts.append(f"## {words['literature']['protocol'][name]}\n")
        rows, quotes = [], []
        for one in sorted(protocol["figures"], key=lambda one: one["rmse"]):
            also = ", ".join(words["term"]["uses"][key] for key in one.get("knows", []))
            chosen = words["term"]["chosen"][one["chosen"]]
            source = f"[{one['source']}]({one['url']})"
            rows.append((one["method"], f"{one['rmse']:.4f}", also, chosen, source))
            if "quote" in one:
                quotes.append(f"- {one['method']}: `{one['quote']}` ({one['quoted_from']})\n")
        parts.append(table(["method", "RMSE", "also uses", "chosen by", "source"], rows))
        if quotes:
            parts.append("Lines that show it:\n\n" + "".join(quotes))
    return "\n".join(parts)


# The package.


def modules(package: str) -> str:
    """The public names of a package and of every module below it."""
    names = [package, *sorted(below(package))] if package != "cfmf" else sorted(top())
    return "\n".join(
        f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n" for name in names
    )


def below(package: str) -> Iterator[str]:
    """Dotted names of the modules below a package."""
    path = importlib.import_module(package).__path__
    for found in pkgutil.walk_packages(path, f"{package}."):
        yield found.name


def top() -> Iterator[str]:
    """Modules of cfmf that are in none of its packages."""
    for found in pkgutil.iter_modules(importlib.import_module("cfmf").__path__, "cfmf."):
        if not found.ispkg:
            yield found.name


PARTS = {
    part.__name__: part
    for part in (
        rules,
        columns,
        errata,
        roots,
        figures,
        coverage,
        methods,
        literature,
        reference,
        across,
        costs,
        modules,
    )
}


class Generated(SphinxDirective):
    """The directive: the name of a part, and what it is asked for."""

    required_arguments = 1
    optional_arguments = 1
    has_content = False

    def run(self):
        """Make the part's Markdown and parse it in place."""
        self.env.note_reread()  # what it is made from may have changed
        text = PARTS[self.arguments[0]](*self.arguments[1:])
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app):
    """Register the directive."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
