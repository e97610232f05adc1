"""One submission of a class, run by itself: its predictions of the queried pairs of every fold.

    python -m cfmf.submission FOLDS SUBMISSION OUT SECONDS MEGABYTES

is what `cfmf.course` starts for each one. A submission is a folder with a file of predictions for
each fold, a Python file with a class, or a text file with the name of one, `module:Class`. The
class is a method of this package, or has `fit(ratings)` and `predict(pairs)`, which are given data
frames.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.evaluation.foreign import in_order, read_predictions
from cfmf.tables import whole_numbers

ENDS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
CODE = "submission.py"
CLASS = "Submission"
LARGEST_FILE = 1 << 30


def read_fold(path: str | Path) -> pd.DataFrame:
    """An exported fold: columns part, user, item and rating; ids that are whole numbers as such."""
    table = pd.read_csv(
        path, dtype={"user": str, "item": str}, keep_default_na=False, na_values={"rating": ""}
    )
    for name in ("user", "item"):
        table[name] = whole_numbers(table[name].tolist())
    return table


def queried(fold: pd.DataFrame) -> pd.DataFrame:
    """The pairs to predict: columns user and item."""
    return fold.loc[fold["part"] == "test", ["user", "item"]].reset_index(drop=True)


def predictions(folds: Path, submission: Path) -> dict[str, NDArray[np.float32]]:
    """Predictions of a submission by fold, in the order of `queried`.

    Raises
    ------
    ValueError
        If a file is missing, or not every queried pair has one finite prediction.
    """
    code = submission / CODE if submission.is_dir() else submission
    as_files = submission.is_dir() and not code.is_file()
    found = None if as_files else class_of(code)
    made = {}
    for path in sorted(folds.glob("*.csv")):
        fold = read_fold(path)
        wanted = queried(fold)
        if found is None:
            given = _file(submission, path.stem)
            made[path.stem] = in_order(read_predictions(given), wanted, given.name)
            continue
        values = np.asarray(_by_class(found, fold, wanted), dtype=object)
        if values.shape != (len(wanted),):
            raise ValueError(
                f"predict returned values of shape {values.shape} for {len(wanted)} pairs of fold"
                f" {path.stem}; return one number for each pair, in the order given"
            )
        made[path.stem] = in_order(wanted.assign(prediction=values), wanted, f"fold {path.stem}")
    return made


def _file(submission: Path, fold: str) -> Path:
    """The file of one fold in a folder of predictions."""
    held = [one for end in ENDS if (one := submission / f"{fold}{end}").is_file()]
    if len(held) != 1:
        raise ValueError(
            f"the folder has {len(held)} files of fold {fold}; it needs one, {fold}.csv, .tsv or"
            " .parquet"
        )
    if held[0].stat().st_size > LARGEST_FILE:
        raise ValueError(f"{held[0].name} is larger than a gigabyte; write the queried pairs only")
    return held[0]


def class_of(path: Path) -> type[Any]:
    """The class of a Python file, or that which a text file names as `module:Class`.

    Raises
    ------
    ValueError
        If there is none.
    """
    sys.path.insert(0, str(path.parent))
    if path.suffix == ".txt":
        module, _, name = path.read_text("utf-8").strip().partition(":")
        found = getattr(__import__(module, fromlist=[name]), name)
    else:
        spec = spec_from_file_location("submitted", path)
        if spec is None or spec.loader is None:
            raise ValueError(f"{path.name} is no Python file; rename it to end in .py")
        loaded = module_from_spec(spec)
        sys.modules["submitted"] = loaded
        spec.loader.exec_module(loaded)
        own = [
            one
            for one in vars(loaded).values()
            if isinstance(one, type) and one.__module__ == "submitted" and _learns(one)
        ]
        named = [one for one in own if one.__name__ == CLASS]
        if len(named or own) != 1:
            raise ValueError(
                f"{path.name} has {len(own)} classes with fit and predict; it needs one, or one"
                f" named {CLASS}"
            )
        found = (named or own)[0]
    if not isinstance(found, type) or not _learns(found):
        raise ValueError(f"{path.name} names no class with fit and predict")
    return found


def _learns(found: type[Any]) -> bool:
    return hasattr(found, "fit") and (hasattr(found, "predict") or hasattr(found, "predict_grid"))


def _by_class(found: type[Any], fold: pd.DataFrame, wanted: pd.DataFrame) -> Any:
    """What a class predicts for the queried pairs of a fold, having seen its ratings."""
    if hasattr(found, "predict_grid"):
        return _by_method(found, fold)
    known = fold[fold["part"] != "test"].reset_index(drop=True)
    model = found()
    model.fit(known)
    return model.predict(wanted.copy())


def _by_method(found: type[Any], fold: pd.DataFrame) -> NDArray[np.float32]:
    """What a method of this package predicts, at its default setting."""
    from cfmf.data.matrices import build_matrix

    numbers = {name: pd.factorize(fold[name])[0].astype(np.int32) for name in ("user", "item")}
    shape = [int(one.max()) + 1 for one in numbers.values()]
    table = fold.assign(**numbers)

    def matrix(*parts: str) -> Any:
        return build_matrix(table, np.flatnonzero(fold["part"].isin(parts)), *shape)

    stops = found.stops_on_validation
    parts = [matrix("fit"), matrix("validation")] if stops else [matrix("fit", "validation")]
    tested = table[table["part"] == "test"]
    values = found().fit(*parts, seed=1).predict(*(tested[name].to_numpy() for name in numbers))
    return np.asarray(values.values)


def limit(seconds: float, megabytes: float) -> None:
    """Bound processor time, memory and the size of files of this process, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    bounds = {
        resource.RLIMIT_CPU: int(seconds) * 16 + 1,
        resource.RLIMIT_AS: int(megabytes * 1e6),
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_CORE: 0,
    }
    for what, most in bounds.items():
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):  # macOS has limits that it does not let be set
            resource.setrlimit(what, (most, most))


def main(folds: str, submission: str, out: str, seconds: str, megabytes: str) -> int:
    """Write the predictions of every fold as `.npy`; a fault is one line on the error output."""
    limit(float(seconds), float(megabytes))
    try:
        for fold, values in predictions(Path(folds), Path(submission)).items():
            np.save(Path(out, f"{fold}.npy"), values, allow_pickle=False)
    except MemoryError:
        print(f"needs more than {float(megabytes):.0f} MB of memory", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
