"""No pickle is read, whatever a file pretends to be: reading one could run any code."""

import json

import numpy as np
import pytest

from cfmf.data import splits
from cfmf.factorization.checkpoint import Checkpoint
from cfmf.factorization.model import Factorization
from cfmf.files import load_matrix, sha256
from cfmf.neighbours.stored import load_similarity


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def folds(path):
    """Read `path` as folds whose folds.json vouches for it."""
    facts = {"sha256": sha256(path), "rule": {"kind": "kfold"}, "folds": {"f1": {}}}
    (path.parent / "folds.json").write_text(json.dumps(facts))
    return splits.load(path.parent, "f1")


READERS = {
    "matrix": (load_matrix, ["data", "indices", "indptr", "shape", "format"]),
    "model": (Factorization.load, ["bounds", "user_factors", "item_factors", "mean"]),
    "similarity": (load_similarity, ["users", "kind", "shrinkage", "matrix"]),
    "checkpoint": (lambda path: Checkpoint(path).load("mine"), ["run", "state"]),
    "folds": (folds, [f"f1_{part}" for part in splits.PARTS]),
}


@pytest.mark.parametrize("kind", READERS)
def test_pickled_array_is_refused_and_runs_nothing(kind, tmp_path):
    read, names = READERS[kind]
    path, sprung = tmp_path / "folds.npz", tmp_path / "sprung"
    trap = np.array([Trap(sprung)], dtype=object)
    np.savez(path, **dict.fromkeys(names, trap))
    if kind == "checkpoint":
        assert read(path) is None  # it is told in the log, and training starts anew
    else:
        with pytest.raises(ValueError, match="allow_pickle=False"):
            read(path)
    assert not sprung.exists()
    with np.load(path, allow_pickle=True) as file:
        file[names[0]]  # the trap works
    assert sprung.exists()
