"""Every command that the documentation shows is run, as printed and in the order of its page.

A page is worked through in a copy of the repository that holds the results of the tiny study. A
code block with a caption that names a file is written to it; `PATH, after `LINE`` adds it below
that line of a file. A comment before a block of commands says what else to do with it:
`<!-- dry run -->` gives `snakemake` and `make` the option -n, and `<!-- not run: REASON -->`
leaves it out, for one of the reasons below. Lines below a command are what it prints, with `...`
for any text.
"""

import doctest
import fnmatch
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("workflow")

REASONS = {
    "changes the shell",
    "needs a cluster",
    "needs a clone of its own",
    "needs conda",
    "needs finished studies",
    "needs further packages",
    "needs Graphviz",
    "needs minutes",
    "needs real ratings",
}
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "profiles/README.md")),
    *sorted(path for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts),
]
COMMANDS = ("bash", "console", "sh", "shell")
BLOCK = re.compile(
    r"(?:^<!--\s*(?P<mark>[^\n]*?)\s*-->\n+)?"
    r"^(?P<fence>```+)(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
CAPTION = re.compile(r"^:caption: ('?)(?P<path>[^,\n']+)(?:, after `(?P<after>.*)`)?\1$")


def blocks(page):
    """Info string, mark and text of each code block of a page."""
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield found["info"].strip(), found["mark"] or "", found["text"]


def commands(text):
    """The commands of a block, lines after a prompt, each with what it prints as far as shown.

    Where there is no prompt, all lines are commands.
    """
    text = text.replace("\\\n", " ")
    if not text.startswith("$ "):
        return [(line, "") for line in text.splitlines() if line.strip()]
    steps = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    return [(line, printed) for line, _, printed in (step.partition("\n") for step in steps)]


def shown(page):
    """What a page does, in order.

    ("file", path, after, text) or ("command", mark, line, printed).
    """
    for info, mark, text in blocks(page):
        if info in COMMANDS:
            for line, printed in commands(text):
                yield "command", mark, line, printed
        elif info.startswith("{code-block}"):
            first, _, rest = text.partition("\n")
            if told := CAPTION.match(first):
                yield "file", told["path"], told["after"], rest.removeprefix("\n")


def write(folder, path, after, text):
    """Write a file, or add to it below the one line that reads `after`."""
    path = folder / path
    if after is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if line.strip() == after]
    assert len(places) == 1, f"{path} has {len(places)} lines {after!r}"
    lines.insert(places[0] + 1, text)
    path.write_text("".join(lines), encoding="utf-8")


def dry(line):
    """A command that says what it would do."""
    return re.sub(r"\b(snakemake|make)\b", r"\1 -n", line, count=1)


@pytest.fixture
def copy(study, tmp_path):
    """A copy of the repository in which the tiny study has been run."""
    folder = tmp_path / "cfmf"
    shutil.copytree(study.folder, folder)
    for name in (
        "Makefile",
        "README.md",
        "pyproject.toml",
        "requirements",
        "LICENSE",
        "docs/results",
    ):
        take = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        take(ROOT / name, folder / name)
    return folder


def with_commands(pages):
    return [page for page in pages if any(step[0] == "command" for step in shown(page))]


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("page", with_commands(PAGES), ids=name_of)
def test_commands_run(page, copy):
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    ran = 0
    for kind, first, *rest in shown(page):
        if kind == "file":
            write(copy, first, *rest)
            continue
        if first.startswith("not run: "):
            continue
        line = dry(rest[0]) if first == "dry run" else rest[0]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=copy,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        if rest[1]:
            same = doctest.OutputChecker().check_output(rest[1], done.stdout, doctest.ELLIPSIS)
            assert same, f"{line}\nprints\n{done.stdout}and the page has\n{rest[1]}"
        ran += 1
    print(ran, "commands of", name_of(page))


def test_marks_are_known():
    marks = {
        (mark, name_of(page))
        for page in PAGES
        for info, mark, _ in blocks(page)
        if info in COMMANDS
    }
    known = {"", "dry run", *(f"not run: {reason}" for reason in REASONS)}
    assert {one for one in marks if one[0] not in known} == set()


def test_no_command_hides_in_another_kind_of_block():
    starts = re.compile(r"^(\$ |snakemake |make |pip |source |cfmf )", re.MULTILINE)
    hidden = [
        (name_of(page), text)
        for page in PAGES
        for info, _, text in blocks(page)
        if info not in COMMANDS and starts.search(text)
    ]
    assert hidden == []


def test_columns_are_described(study):
    spec = importlib.util.spec_from_file_location("columns", ROOT / "docs/columns.py")
    columns = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(columns)
    compared = 0
    for name, path in {**study.results("*.tsv"), **study.results("*.parquet")}.items():
        if name.startswith("benchmarks/"):  # Snakemake's own
            continue
        read = pd.read_parquet if path.suffix == ".parquet" else partial(pd.read_csv, sep="\t")
        held, told = list(read(path)), columns.columns_of(name)
        strange = [one for one in held if not any(fnmatch.fnmatchcase(one, p) for p in told)]
        missing = [p for p in told if not fnmatch.filter(held, p)]
        assert (name, strange, missing) == (name, [], [])
        compared += 1
    assert compared > 20
