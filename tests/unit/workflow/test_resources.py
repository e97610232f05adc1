"""What jobs request: from the sizes of files, more at each attempt."""

import os
from types import SimpleNamespace

import pytest

from cfmf.workflow import resources
from cfmf.workflow.storage import VARIABLE

FOLDS = {"tiny": ["f1", "f2"]}
DRAWN = {"tiny": {"synthetic": {"train": 1_500_000, "test": 500_000}}}
JOB = SimpleNamespace(dataset="tiny", method="mf", k="12")


class Inputs(dict):
    """A job's inputs of 10 MB, as Snakemake gives them."""

    size_mb = 10

    @property
    def raw(self):
        return self["raw"]

    def __iter__(self):
        """The files, as Snakemake has them: without names."""
        for one in self.values():
            yield from [one] if isinstance(one, str) else one

    @property
    def size_files(self):
        return [os.path.getsize(path) for path in self]


@pytest.fixture
def inputs(tmp_path):
    for name, size in (("a", 1_000_000), ("b", 2_000_000), ("c", 4_000_000)):
        (tmp_path / name).write_bytes(bytes(size))
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "x").write_bytes(bytes(3_000_000))
    return Inputs(one=str(tmp_path / "a"), more=[str(tmp_path / "b")], raw=str(raw))


REQUESTS = {
    "memory of all inputs": (resources.megabytes(100, 2), 120, 480),
    "memory of named inputs": (resources.megabytes(100, 2, "one", "more"), 106, 424),
    "minutes of all inputs": (resources.minutes(10, 1.5), 25, 75),
    "memory of a fold": (resources.fold_megabytes(FOLDS), 1350, 5400),
    "memory to train": (
        resources.training_megabytes(FOLDS, lambda method: "factorization"),
        840,
        3360,
    ),
    "memory to train with JAX": (
        resources.training_megabytes(FOLDS, lambda method: "jax" if method == "mf" else ""),
        840 + 200 + 216,
        1256 * 4,
    ),
    "time to tune": (resources.tuning_minutes(FOLDS, 600), 60, 180),
    "time to train": (resources.training_minutes(FOLDS, 3, lambda method: 120), 70, 210),
    "memory to draw ratings": (resources.retrieve_megabytes(DRAWN), 1002, 4008),
    "time to draw ratings": (resources.retrieve_minutes(DRAWN), 122, 366),
    "memory to parse": (resources.parse_megabytes(DRAWN), 504, 2018),
    "memory to parse text ids": (
        resources.parse_megabytes({"tiny": {"table": {"ids": "text"}}}),
        542,
        2168,
    ),
    "time to parse": (resources.parse_minutes(), 10, 30),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_request_of_the_first_and_the_third_attempt(name, inputs):
    request, first, third = REQUESTS[name]
    assert request(JOB, input=inputs, attempt=1) == first
    assert request(JOB, input=inputs, attempt=3) == third


def test_raw_files_that_are_not_there_yet_are_asked_for_again(inputs):
    """Snakemake calls once more when a request raises FileNotFoundError."""
    inputs["raw"] += "-none"
    with pytest.raises(FileNotFoundError):
        resources.parse_megabytes(DRAWN)(JOB, input=inputs, attempt=1)


def test_parquet_counts_for_more_than_its_bytes(tmp_path):
    for name in ("ratings.parquet", "titles.csv"):
        (tmp_path / name).write_bytes(bytes(1_000_000))
    assert resources.raw_megabytes(SimpleNamespace(raw=str(tmp_path))) == 7


def test_of_raw_files_in_a_storage_its_own_size_counts(monkeypatch):
    monkeypatch.setenv(VARIABLE, "s3")

    class Stored(Inputs):
        size_files = (40_000_000,)

    stored = Stored(raw="a folder that is not here")
    assert resources.parse_megabytes(DRAWN)(JOB, input=stored, attempt=1) == 560
