"""Where the tables and figures of a study are in Snakemake's own report.

Its categories are sorted by name, hence their numbers. What it shows is in the folder `report/` of
the results: `{category}/{content}.html` is a table and `{category}/{content}.svg` a figure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from cfmf.report.page import Linked
from cfmf.report.strings import Catalogue, number

START, EVALUATION, COST, EXPLANATIONS, DATA, TUNING, TESTS, PUBLISHED = CATEGORIES = [
    *("1 Start here", "2 Evaluation", "3 Cost", "4 Explanations"),
    *("5 Data", "6 Tuning", "7 Tests", "8 Published study"),
]
"""In reading order."""
Source = tuple[str, str, Mapping[str, str]]


def _tables(category: str, result: str, names: str) -> dict[str, Source]:
    return {name: (category, result, {"table": name}) for name in names.split()}


TABLES: dict[str, Source] = {
    "provenance": (START, "provenance", {}),
    **_tables(EVALUATION, "evaluation", "metrics selected selection slices intervals"),
    **_tables(EVALUATION, "evaluation", "prediction_intervals cold_start ranking"),
    **_tables(COST, "evaluation", "costs fit_costs scaling"),
    **_tables(COST, "backends", "backends"),
    **_tables(EXPLANATIONS, "evaluation", "factors similar_titles recommendations explanations"),
    "audit": (DATA, "audit", {}),
    **_tables(TESTS, "statistics", "tests assumptions medians best_rows planning user_differences"),
    "verdict": (TESTS, "verdict", {}),
    **_tables(PUBLISHED, "statistics", "trials"),
    **_tables(PUBLISHED, "backends", "generators"),
}
"""Category, result and wildcards of each table; its title and description are `attached.{name}`."""
ACROSS: dict[str, Source] = {
    "across_errors": (EVALUATION, "across", {"file": "errors.tsv"}),
    "across_tests": (TESTS, "across", {"file": "tests.tsv"}),
    "across_verdict": (TESTS, "across", {"file": "verdict.json"}),
}
"""Of all data sets together; in the folder of the first one."""
SECTIONS = {
    **dict.fromkeys(["answer", "questions", "summary"], START),
    **dict.fromkeys(["comparison", "blends", "datasets", "cold-start", "uncertainty"], EVALUATION),
    "cost": COST,
    **dict.fromkeys(["explanations", "similarity"], EXPLANATIONS),
    "data": DATA,
    **dict.fromkeys(["methods", "neighbours", "factorization"], TUNING),
    **dict.fromkeys(["statistics", "plan"], TESTS),
    "literature": EVALUATION,
}
"""Category of the figures of each section; those of other sections are of the published study."""


FOLDER = "report"
"""Where `attachment` puts pages and figures, beside the report."""


def linked(key: str, rows: int, words: Catalogue) -> Linked:
    """A link to the page of one of `TABLES`, instead of its rows."""
    category = TABLES[key][0]
    # Names of files are in English.
    title = Catalogue("en")(f"attached.{key}.title").striptags()
    address = quote(attachment(Path(FOLDER), category, title, ".html").as_posix())
    return Linked(words(f"attached.{key}.title"), number(rows, "count"), address, category)


def attachment(folder: Path, category: str, content: str, suffix: str) -> Path:
    """The file of a table or figure, named by its title as far as an address can hold it.

    Snakemake puts the name into a `data:` address, which a comma or semicolon would cut short.
    """
    name = re.sub(r"[^\w .()–’-]+", " ", content)
    return folder / category / f"{' '.join(name.split())[:120].rstrip(' .')}{suffix}"
