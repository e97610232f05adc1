"""Saved folds come from elsewhere: what is not a division of these ratings is refused."""

import io
import json
import pickle
import re
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf.data.splits import PARTS, fingerprint, split
from cfmf.files import sha256

ROWS = 60
GOOD = {
    "fit": np.arange(0, 40),
    "validation": np.arange(40, 50),
    "test": np.arange(50, 60),
}


@pytest.fixture(scope="module")
def ratings():
    pairs = np.arange(ROWS, dtype=np.int32)
    return pd.DataFrame(
        {"user": pairs % 7, "item": pairs // 7, "date": pd.NaT, "part": ""},
    )


def with_test(*rows, kind=np.int64):
    return GOOD | {"test": np.array(rows, kind)}


# What is wrong with the arrays of a fold, and the message.
FOLDS = {
    "a test row that is fitted": (with_test(50, 7), "shares 1 rows with others, such as 7"),
    "a test row that is a validation row": (with_test(41, 50), "with that of validation"),
    "all parts the same": (dict.fromkeys(PARTS, np.arange(9)), "part validation shares 9 rows"),
    "a row beyond the ratings": (with_test(50, 60), "has row 60, but the ratings have the rows 0"),
    "a row far beyond the ratings": (with_test(50, 2**62), "has row 4611686018427387904"),
    "a row beyond 2^63": (with_test(50, 2**63 + 1, kind=np.uint64), "has row 9223372036854775809"),
    "a negative row": (with_test(50, -1), "has row -1"),
    "a row twice": (with_test(50, 51, 50), "has row 50 more than once"),
    "an empty part": (with_test(), "the part test is empty"),
    "an empty fit": (GOOD | {"fit": np.zeros(0, np.int64)}, "the part fit is empty"),
    "fractions": (with_test(50, 51, kind=float), "is an array of float64"),
    "a mask": (with_test(*[True] * 10, kind=bool), "is an array of bool"),
    "two dimensions": (GOOD | {"test": np.arange(50, 60).reshape(2, 5)}, "in 2 dimensions"),
    "one number": (GOOD | {"test": np.array(50)}, "in 0 dimensions"),
    "texts": (with_test("50", kind=str), "is an array of <U2"),
    "times": (with_test(50, kind="timedelta64[s]"), "is an array of timedelta64[s]"),
    "records": (GOOD | {"test": np.zeros(3, [("row", int)])}, "not a list of rows"),
    "a pickled array": (GOOD | {"test": np.array([print], object)}, "no readable arrays"),
    "a part that is missing": ({"fit": GOOD["fit"], "test": GOOD["test"]}, "no readable arrays"),
    "an array longer than the ratings": (
        GOOD | {"test": np.zeros(1 << 20, np.int64)},
        "has an array of 8,388,736 bytes, more than the row numbers of 60 ratings",
    ),
}
# What is wrong with the files: new bytes of folds.npz, changes of folds.json, and the message.
FILES = {
    "no archive": (b"fold", {}, "no readable arrays"),
    "an empty folds.npz": (b"", {}, "no readable arrays"),
    "a pickle": (pickle.dumps([1]), {}, "no readable arrays"),
    "a single array": (b"npy", {}, "no readable arrays"),
    "other ratings": (None, {"ratings": {"rows": 60, "sha256": "0"}}, "divide other ratings"),
    "no ratings": (None, {"ratings": None}, "divide other ratings"),
    "no hash": (None, {"sha256": None}, "must be texts"),
    "no rule": (None, {"rule": None}, "is not a list of saved folds"),
    "a rule without a kind": (None, {"rule": {}}, "is not a list of saved folds"),
    "folds in a list": (None, {"folds": ["f1"]}, "is not a list of saved folds"),
    "no folds": (None, {"folds": {}}, "only letters, digits, _ and -"),
    "a name that is a path": (None, {"folds": {"../f1": {}}}, "only letters, digits, _ and -"),
    "a name of control characters": (None, {"folds": {"\x1b[2J": {}}}, "only letters, digits"),
    "a fold that is not there": (None, {"folds": {"f2": {}}}, "no readable arrays of fold f2"),
    "another hash": (None, {"sha256": "0" * 64}, "does not have the hash in folds.json"),
}


def save(folder, frame, arrays, content=None, **changed):
    """Folds as another run would have saved them, whatever is in them."""
    folder.mkdir(exist_ok=True)
    path = folder / "folds.npz"
    np.savez_compressed(path, **{f"f1_{part}": rows for part, rows in arrays.items()})
    if content == b"npy":
        stream = io.BytesIO()
        np.save(stream, np.arange(9))
        content = stream.getvalue()
    if content is not None:
        path.write_bytes(content)
    facts = {"rule": {"kind": "kfold"}, "sha256": sha256(path), "ratings": fingerprint(frame)}
    facts |= {"folds": {"f1": {}}} | changed
    (folder / "folds.json").write_text(json.dumps(facts))
    return {"kind": "saved", "folder": str(folder), "folds": 1}


def test_a_sound_fold_is_taken_in_any_integer_type_and_order(ratings, tmp_path):
    mixed = {part: rows[::-1].astype(np.uint8) for part, rows in GOOD.items()}
    fold = split(ratings, save(tmp_path, ratings, mixed))["f1"]
    for part, rows in GOOD.items():
        found = getattr(fold, part)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize("name", FOLDS)
def test_an_unsound_fold_is_refused(ratings, tmp_path, name):
    arrays, message = FOLDS[name]
    rule = save(tmp_path, ratings, arrays)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        split(ratings, rule)
    assert "folds.npz" in str(error.value)


@pytest.mark.parametrize("name", FILES)
def test_unsound_files_are_refused(ratings, tmp_path, name):
    content, changed, message = FILES[name]
    rule = save(tmp_path, ratings, GOOD, content, **changed)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        split(ratings, rule)
    assert str(error.value).isprintable()


def test_deeply_nested_json_is_refused(ratings, tmp_path):
    rule = save(tmp_path, ratings, GOOD)
    (tmp_path / "folds.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not a list of saved folds"):
        split(ratings, rule)


def test_an_array_that_claims_more_than_it_holds_is_refused(ratings, tmp_path):
    rule = save(tmp_path, ratings, GOOD)
    path = Path(tmp_path / "folds.npz")
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<i8", "fortran_order": False, "shape": (10**13,)}
    )
    with zipfile.ZipFile(path, "w") as file:
        for part in PARTS:
            file.writestr(f"f1_{part}.npy", stream.getvalue())
    facts = json.loads((tmp_path / "folds.json").read_text()) | {"sha256": sha256(path)}
    (tmp_path / "folds.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="no readable arrays"):
        split(ratings, rule)


def test_any_arrays_are_a_sound_fold_or_refused(ratings, tmp_path_factory, tell):
    """Against the definition: three non-empty parts of distinct rows of 0 … 59, all disjoint."""
    folder, counts = tmp_path_factory.mktemp("any"), Counter()
    part = st.lists(st.integers(-2, ROWS + 1), max_size=8) | st.lists(
        st.integers(0, ROWS - 1), min_size=1, max_size=4, unique=True
    )

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(st.tuples(part, part, part))
    def check(parts):
        rule = save(folder, ratings, dict(zip(PARTS, map(np.int64, parts), strict=True)))
        together = [row for rows in parts for row in rows]
        sound = all(parts) and len({*together}) == len(together)
        sound = sound and {*together} <= {*range(ROWS)}
        try:
            fold = split(ratings, rule)["f1"]
        except ValueError:
            assert not sound
            counts["refused"] += 1
        else:
            assert sound
            assert [getattr(fold, name).tolist() for name in PARTS] == list(map(sorted, parts))
            counts["taken"] += 1

    check()
    assert min(counts["refused"], counts["taken"]) > 9, counts
    tell(f"saved folds, any arrays: {dict(counts)}")
