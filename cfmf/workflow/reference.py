"""What others may cite of a finished study: `python -m cfmf.workflow.reference`.

Small tables and facts, with no rating and no prediction in them, to be kept where results are
published, and compared with what a later version finds.

docs/results/studies.tsv lists the studies whose results are published with the package, one row a
data set: columns study (also the name of its run), config, dataset and folder. `make reference`
repeats them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cfmf.files import atomic_write
from cfmf.methods import registry
from cfmf.report import numbers
from cfmf.report.context import Study, load
from cfmf.report.sections.summary import CONTRASTS, SMALL_DESIGN, sentence
from cfmf.report.strings import Catalogue
from cfmf.statistics import blocks
from cfmf.terminal import printable
from cfmf.workflow.layout import Results

PRINTED = {*CONTRASTS, *SMALL_DESIGN, "other_populations", "power"}
"""Messages of the verdict that are printed: the comparisons, and how far they reach."""
MACHINE = ("processor", "cores", "memory", "gpu", "python")


def errors(study: Study) -> pd.DataFrame:
    """RMSE and MAE on test of every method on every fold, and the lowest RMSE of any epoch.

    Columns method, fold, rmse, mae, rmse_lowest_epoch (empty where the epochs were not watched).
    """
    found = [
        numbers.errors_on_test(study, metric).set_index(["method", "fold"])["value"].rename(metric)
        for metric in ("rmse", "mae", "rmse_lowest_epoch")
    ]
    return pd.concat(found, axis="columns").reset_index()


def summary(study: Study) -> pd.DataFrame:
    """One row a method, best first, with its difference from the control.

    Columns method, family, uses (what it knows beside the ratings), folds, rmse, sd (over folds),
    low and high (simultaneous interval of the RMSE minus that of the control), verdict, seconds (to
    fit on one fold and predict its test part), search (seconds of everything that method did in the
    study).
    """
    table = numbers.summary(study).set_index("method").join(numbers.against_control(study))
    columns = "family uses folds rmse sd low high verdict seconds search".split()
    return table[columns].reset_index()


def settings(study: Study) -> pd.DataFrame:
    """The setting that validation chose for each method and fold."""
    return study.table("selection")[["method", "fold", "setting"]]


def described(study: Study) -> dict[str, Any]:
    """The ratings: their label, scale, numbers and split, and how they were read."""
    counts = {name: study.audit.get(name) for name in ("ratings", "users", "items", "scale")}
    rule = study.provenance.get("config", {}).get("datasets", {}).get(study.dataset, {})
    split = {
        name: rule.get("split", {}).get(name) for name in ("kind", "folds", "repeats", "validation")
    }
    files = ("source", "table") if rule.get("source") == "table" else ("source",)
    read = {name: rule.get(name) for name in files}
    return {"label": study.label(), **counts, "split": split, "read": read}


def best_per_family(study: Study) -> dict[str, dict[str, str]]:
    """The method with the lowest validation RMSE by family and fold, as the verdict compares them.

    Methods that know more than the ratings are left out.
    """
    selected = study.tables["selected"]
    whole = blocks.table(blocks.of_methods(selected), "method").columns
    taken = blocks.composites(selected[selected["method"].isin(whole)])
    return {
        str(name): dict(zip(rows["fold"], rows["taken"], strict=True))
        for name, rows in taken.groupby("method")
    }


def facts(study: Study) -> dict[str, Any]:
    """Where the numbers come from, and what the verdict says of them."""
    known = study.provenance
    return {
        "dataset": study.dataset,
        "data": described(study),
        "best_per_family": best_per_family(study),
        "control": numbers.control_of(study),
        "command": known.get("command"),
        "git": known.get("git"),
        "versions": known.get("versions"),
        "machine": {name: known.get("machine", {}).get(name) for name in MACHINE},
        "started": known.get("run", {}).get("started"),
        "seeds": known.get("config", {}).get("study", {}).get("seeds"),
        "plan": study.plan.get("sha256"),
        "files": {name: about["sha256"] for name, about in sorted(study.manifest["files"].items())},
        "verdict": study.verdict,
    }


def publish(study: Study, folder: Path) -> None:
    """Write the tables and facts of a study to a folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for make in (errors, summary, settings):
        with atomic_write(folder / f"{make.__name__}.tsv") as temporary:
            make(study).to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    with atomic_write(folder / "study.json") as temporary:
        text = json.dumps(facts(study), indent=1, ensure_ascii=False, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")


def sentences(study: Study, language: str = "en") -> list[str]:
    """The comparisons of the verdict in words, as plain text, and how far they reach."""
    words = Catalogue(language)
    said = [one for one in study.verdict if one["key"] in PRINTED]
    return [str(sentence(one, words).striptags()) for one in said]


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish the results below one folder into another, and print what they show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="results of one data set of a finished study")
    parser.add_argument("folder", type=Path, help="where to write")
    given = parser.parse_args(arguments)
    study = load(Results(given.study.parent, given.study.name))
    config = study.provenance.get("config", {})
    registry.register(config.get("methods") or {})
    registry.register_predictions(config.get("predictions") or {})
    publish(study, given.folder)
    for said in sentences(study):
        print(printable(said))


if __name__ == "__main__":
    main()
