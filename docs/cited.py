"""Write what pages show of the published tables, and compare what they cite with them.

    python docs/cited.py          # write README's tables, and what commands on the tables print
    python docs/cited.py --check  # print what was compared; fail where something differs

Each number with a decimal point on a page of docs/results, and each with three decimals or more in
README, must be in the tables and sentences that are made from docs/results.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from published import across, costs, reference, studies, summary_cells  # noqa: E402
from tables import table  # noqa: E402

README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- table (\S+), made by docs/cited.py -->\n).*?(<!-- end -->)", re.DOTALL)
# A command that reads the published tables, and what it prints, where a page shows it.
PRINTED = re.compile(r"^(\$ ([^\n]*docs/results/[^\n]*)\n)((?!\$ |```)[^\n]*\n)+", re.MULTILINE)
FIGURE = re.compile(r"<svg.*?</svg>", re.DOTALL)  # full of coordinates
LEFT_OUT = ("also uses", "verdict", "seconds in the study")
NUMBER = re.compile(r"(?<![\d./])\d+\.\d+(?![\d/%])")  # nor a share, an address or a DOI


def short(folder: str, before: set[str]) -> str:
    """The table of a study for README: of the methods not in `before`, to which it adds them."""
    found = next(one for one in studies() if one.folder.name == folder)
    head, rows = summary_cells(found)
    kept = [place for place, name in enumerate(head) if name not in LEFT_OUT]
    new = [row for row in rows if row[0] not in before]
    before.update(row[0] for row in new)
    first, *others = ([line[place] for place in kept] for line in (head, *new))
    return table(first, others)


def printed(command: str) -> str:
    """What a command of a page prints, run in the top folder."""
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def filled(text: str) -> str:
    """A page with its tables made anew, and what it shows of the published ones."""
    before: set[str] = set()
    text = BLOCK.sub(lambda block: f"{block[1]}\n{short(block[2], before)}\n{block[3]}", text)
    return PRINTED.sub(lambda found: found[1] + printed(found[2]), text)


def shown() -> set[str]:
    """All numbers in what is made from the published tables."""
    made = [across(), costs(), *(reference(one.folder.name) for one in studies() if one.there)]
    return {number for text in made for number in re.findall(r"\d+\.\d+", FIGURE.sub("", text))}


def compare() -> int:
    """Print how many numbers each page cites, and those that nothing shows; how many these are."""
    known, wrong = shown(), 0
    for page in (README, *sorted((ROOT / "docs/results").glob("*.md"))):
        cited = NUMBER.findall(page.read_text("utf-8"))
        if page == README:  # its other numbers are versions, and what a run takes
            cited = [number for number in cited if len(number.partition(".")[2]) > 2]
        differ = [number for number in cited if number not in known]
        print(f"{page.relative_to(ROOT)}: {len(cited)} numbers, {len(differ)} differ", *differ)
        wrong += len(differ)
    return wrong


def main() -> int:
    """Write what pages show of the published tables, or report what differs."""
    pages = {
        page: page.read_text("utf-8") for page in (README, *sorted((ROOT / "docs").glob("*.md")))
    }
    changed = {page: made for page, text in pages.items() if (made := filled(text)) != text}
    if "--check" not in sys.argv:
        for page, made in changed.items():
            page.write_text(made, "utf-8")
        return 0
    for page in changed:
        name = page.relative_to(ROOT)
        print(f"{name}: its tables differ from docs/results; run `python docs/cited.py`")
    return int(bool(compare()) or bool(changed))


if __name__ == "__main__":
    sys.exit(main())
