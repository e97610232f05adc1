"""What the report weighs and how long it takes: to render, and to open in a browser.

    python -m benchmarks.report                    from results/ml-100k, the default study
    python -m benchmarks.report --results PATH     from another study's results

The larger study is a stand-in, no study that was run at that size: it is the same one with 10,000
users × 10,000 items and 8,617,212 ratings in the place of its ratings, users, titles, matrices and
similarities. What else a report is made of does not grow with them, but its numbers are those of
the small study. Every rendering is a process of its own, so that its peak memory is its own
too. `quality` tells the size of the page, or for a browser what it has done. Writes
benchmarks/results/report.tsv.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import COLUMNS, ROOT
from benchmarks.data import SIZES, dataset
from cfmf.data.formats import read
from cfmf.data.matrices import build_matrix
from cfmf.data.sources import retrieve
from cfmf.files import save_matrix
from cfmf.neighbours.similarity import user_similarity
from cfmf.neighbours.stored import save_similarity
from cfmf.published.reporting.extension import EXTENSION
from cfmf.report.extension import load_extended
from cfmf.report.render import render
from cfmf.workflow.layout import Results
from tests.browser import chromium

RESULTS = ROOT / "benchmarks" / "results" / "report.tsv"
PAGES = {"interactive page": "embedded", "page with static figures": "svg"}


def enlarge(home: Path, folder: Path) -> Path:
    """A copy of a study's results with the ratings of the larger study in their place."""
    large = folder / "10000x10000"
    shutil.copytree(home, large, ignore=shutil.ignore_patterns("*.npz", "report*.html"))
    settings = dataset(**SIZES["study"])
    with tempfile.TemporaryDirectory() as raw:
        retrieve(settings, Path(raw) / "raw")
        parsed = read(Path(raw) / "raw", settings, 2)
    for name in ("ratings", "users", "items"):
        getattr(parsed, name).to_parquet(large / "ratings" / f"{name}.parquet")
    matrices = {}
    for part in ("train", "test"):
        rows = np.flatnonzero((parsed.ratings["part"] == part).to_numpy())
        matrices[part] = build_matrix(parsed.ratings, rows, len(parsed.users), len(parsed.items))
        save_matrix(large / "matrices" / "u1" / f"{part}.npz", matrices[part])
    (large / "similarity").mkdir(exist_ok=True)
    similarity = user_similarity(matrices["train"], threads=2)
    save_similarity(large / "similarity" / "u1.npz", similarity)
    return large


def run_one(home: Path, kind: str, output: Path) -> dict:
    """Seconds to read and to render, and peak memory."""
    start = time.perf_counter()
    study = load_extended(Results(home.parent, home.name), [EXTENSION])
    middle = time.perf_counter()
    render(study, output, plotly=kind, extensions=[EXTENSION])
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ratings = 0 if study.ratings is None else len(study.ratings)
    return {"read": middle - start, "render": end - middle, "peak_mb": peak, "ratings": ratings}


def in_browser(page: Path) -> dict[str, float]:
    """Seconds until a page has loaded and, from then, until every figure is drawn."""
    with chromium.Page(1400) as opened:
        opened.open(page)
        timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
        loaded = opened.run(timing) / 1000
        start = time.perf_counter()
        opened.run("document.getElementById('expand').click(); report.drawAll()")
        return {"loaded": loaded, "all figures drawn": time.perf_counter() - start}


def measure(home: Path, folder: Path) -> list[dict]:
    """Rows of the table for one study."""
    rows = []
    for system, kind in PAGES.items():
        page = folder / f"{home.name}-{kind}.html"
        command = [sys.executable, "-m", "benchmarks.report", "--one", str(home), kind, str(page)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        run = json.loads(done.stdout)
        print(home.name, system, run, flush=True)
        size = f"{home.name}: {run['ratings']} ratings"
        weight = f"{page.stat().st_size / 1e6:.2f} MB"
        about = {"system": system, "size": size, "peak_mb": round(run["peak_mb"])}
        for what in ("read", "render"):
            label = f"report: {what} the results" if what == "read" else "report: render the page"
            seconds = round(run[what], 2)
            rows.append({"benchmark": label, "seconds": seconds, "quality": weight, **about})
        if chromium.executable():
            for what, seconds in in_browser(page).items():
                about = {"benchmark": "report: open the page", "system": system, "size": size}
                rows.append({**about, "seconds": round(seconds, 2), "quality": what})
    return rows


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "ml-100k")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        home, kind, output = options.one
        print(json.dumps(run_one(Path(home), kind, Path(output))))
        return
    if not (options.results / "evaluation" / "metrics.tsv").is_file():
        parser.error(f"{options.results} holds no study; run one first: snakemake --cores 2")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = measure(options.results.resolve(), folder)
        rows += measure(enlarge(options.results.resolve(), folder), folder)
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    # The default study is what the larger one is held against, row by row.
    half = len(table) // 2
    table["ratio_to_ours"] = (table["seconds"] / np.tile(table["seconds"][:half], 2)).round(3)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(RESULTS, sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
