"""One submission of a class, run by itself: its predictions of the queried pairs.

    python -m cfmf.submission OPEN SUBMISSION OUT SECONDS MEGABYTES

is what `cfmf.course` starts for each one. A submission is a file of predictions, a Python file with
a class, a folder with such a `submission.py`, or a text file with the name of a class,
`module:Class`. The class is a method of this package, or has `fit(ratings)` and `predict(pairs)`,
which are given data frames.
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

CODE = "submission.py"
CLASS = "Submission"
LARGEST_FILE = 1 << 30


def read_fold(path: str | Path) -> pd.DataFrame:
    """Open or sealed ratings: columns part, user, item and rating; ids as int if all are."""
    table = pd.read_csv(
        path, dtype={"user": str, "item": str}, keep_default_na=False, na_values={"rating": ""}
    )
    for name in ("user", "item"):
        table[name] = whole_numbers(table[name].tolist())
    return table


def queried(fold: pd.DataFrame) -> pd.DataFrame:
    """The pairs to predict: columns user and item."""
    return fold.loc[fold["part"] == "test", ["user", "item"]].reset_index(drop=True)


def predictions(path: Path, submission: Path) -> NDArray[np.float32]:
    """Predictions of a submission from the open ratings in a file, in the order of `queried`.

    Raises
    ------
    ValueError
        If the submission is none, or not every queried pair has one finite prediction.
    """
    fold = read_fold(path)
    wanted = queried(fold)
    if not submission.is_dir() and submission.suffix.lower() not in (".py", ".txt"):
        if submission.stat().st_size > LARGEST_FILE:
            raise ValueError(
                f"{submission.name} is larger than a gigabyte; write the queried pairs only"
            )
        return in_order(read_predictions(submission), wanted, submission.name)
    code = submission / CODE if submission.is_dir() else submission
    if not code.is_file():
        raise ValueError(f"the folder has no {CODE}; add it, or submit a file of predictions")
    values = np.asarray(_by_class(class_of(code), fold, wanted), dtype=object)
    if values.shape != (len(wanted),):
        raise ValueError(
            f"predict returned values of shape {values.shape} for {len(wanted)} pairs; return one"
            " number for each pair, in the order given"
        )
    return in_order(wanted.assign(prediction=values), wanted, code.name)


def class_of(path: Path) -> type[Any]:
    """The class of a Python file, or that which a text file names as `module:Class`.

    Raises
    ------
    ValueError
        If there is none.
    """
    sys.path.insert(0, str(path.parent))
    if path.suffix.lower() == ".txt":
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
    """What a class predicts for the queried pairs, having seen the open ratings."""
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


def main(path: str, submission: str, out: str, seconds: str, megabytes: str) -> int:
    """Write the predictions as `.npy`; a fault is one line on the error output."""
    limit(float(seconds), float(megabytes))
    try:
        np.save(out, predictions(Path(path), Path(submission)), allow_pickle=False)
    except MemoryError:
        print(f"needs more than {float(megabytes):.0f} MB of memory", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
