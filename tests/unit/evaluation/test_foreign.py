"""Foreign predictions: taken in any order of rows, refused with the first row at fault."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cfmf.evaluation.foreign import in_order, judge, queried_pairs, read_predictions
from cfmf.metrics import score
from cfmf.tables import COLUMNS

WANTED = pd.DataFrame({"user": [7, 7, 30], "item": [5, 9, 5]})
GOOD = "user,item,prediction\n30,5,1.5\n7,9,2.5\n7,5,3.5\n"
# What is written after or instead of rows of GOOD, and what the message says.
BAD = {
    "a pair that is not tested": (GOOD + "30,9,1\n", "row 4: user 30, item 9.*not a queried pair"),
    "an unknown user": (GOOD + "8,9,1\n", "row 4: user 8.*not a queried pair"),
    "an id that is no number": (GOOD + "x,9,1\n", "row 4: user x.*not a queried pair"),
    "an id with a fraction": (GOOD + "7.5,9,1\n", "row 4: user 7.5.*not a queried pair"),
    "an empty id": (GOOD + ",9,1\n", "row 4: user .*not a queried pair"),
    "a pair twice": (GOOD + "7,9,1\n", "row 4: user 7, item 9.*occurs twice"),
    "a pair missing": (GOOD.replace("7,9,2.5\n", ""), "lacks 1 of 3 pairs.*user 7 and item 9"),
    "no row": ("user,item,prediction\n", "lacks 3 of 3 pairs.*user 7 and item 5"),
    "not a number": (GOOD.replace("2.5", "nan"), "row 2: user 7, item 9.*not a finite number"),
    "an infinite number": (GOOD.replace("2.5", "-inf"), "row 2.*not a finite number"),
    "beyond float32": (GOOD.replace("2.5", "1e39"), "row 2.*not a finite number"),
    "a word": (GOOD.replace("2.5", "good"), "row 2.*not a finite number"),
    "no prediction": (GOOD.replace("2.5", ""), "row 2.*not a finite number"),
    "no column of predictions": (
        GOOD.replace("prediction", "rating"),
        "needs one named prediction",
    ),
    "a column twice": (GOOD.replace("item", "user"), "needs one named item"),
    "nothing": ("", "cannot be read"),
    "bytes that are no text": (b"user,item,prediction\n\xff\xfe,1,1\n", "cannot be read"),
}


def taken(path, wanted=WANTED):
    return in_order(read_predictions(path), wanted, str(path))


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_with_the_first_row_at_fault(tmp_path, case):
    text, message = BAD[case]
    path = tmp_path / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as error:
        taken(path)
    assert str(path) in str(error.value)


def test_a_file_of_another_kind_or_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="rename or convert"):
        read_predictions(tmp_path / "mine.xlsx")
    with pytest.raises(ValueError, match="cannot be read"):
        read_predictions(tmp_path / "absent.csv")
    (tmp_path / "mine.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="cannot be read"):
        read_predictions(tmp_path / "mine.parquet")


def test_every_kind_of_file_says_the_same(tmp_path):
    table = pd.DataFrame({"item": [5, 9, 5], "user": [30, 7, 7], "prediction": [1.5, 2.5, 3.5]})
    table = table.assign(other="text")
    for name in ("a.csv", "a.csv.gz", "a.csv.bz2", "a.CSV"):
        table.to_csv(tmp_path / name, index=False, compression="infer")
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    table.to_csv(tmp_path / "bom.csv", index=False, encoding="utf-8-sig")
    table.to_parquet(tmp_path / "a.parquet")
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 7
    for path in paths:
        assert taken(path).tolist() == [3.5, 2.5, 1.5], path


def test_text_ids_keep_their_zeros_and_may_be_na(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("user,item,prediction\nNA,007,1\nb,7,2\n")
    wanted = pd.DataFrame({"user": ["b", "NA"], "item": ["7", "007"]})
    assert taken(path, wanted).tolist() == [2, 1]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_the_order_of_rows_does_not_matter_and_one_fault_is_enough(data):
    size = data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    places = rng.choice(10 * 12, size, replace=False)
    wanted = pd.DataFrame({"user": places // 12 * 3 + 1, "item": places % 12})
    values = rng.normal(size=size).astype(np.float32)
    order = rng.permutation(size)
    found = wanted.assign(prediction=values).iloc[order].reset_index(drop=True)
    assert in_order(found, wanted, "mine").tobytes() == values.tobytes()
    row = data.draw(st.integers(0, size - 1))
    for bad, name in ((np.nan, "prediction"), (2, "user"), (99, "item")):
        faulty = found.astype({name: float})
        faulty.loc[row, name] = bad
        with pytest.raises(ValueError, match=rf"mine, row {row + 1}: "):
            in_order(faulty, wanted, "mine")
    with pytest.raises(ValueError, match=rf"row {size + 1}: .*twice"):
        in_order(pd.concat([found, found.iloc[[row]]], ignore_index=True), wanted, "mine")
    with pytest.raises(ValueError, match="lacks 1 of"):
        in_order(found.drop(index=row), wanted, "mine")


def test_tables_are_those_of_a_method():
    test = sparse.csr_array(np.array([[0, 4, 2], [5, 0, 0]], dtype=np.float32))
    pairs = queried_pairs(test, pd.Series(["a", "b"]), pd.Series([10, 20, 30]))
    assert pairs.to_numpy().tolist() == [["a", 20], ["a", 30], ["b", 10]]
    values = {"1": np.float32([3, 3, 3]), "2": np.float32([4, 2, 5])}
    found = judge("mine", "d", ["1", "2"], {"f1": values}, {"f1": test}, (1, 5))
    assert {kind: list(table) for kind, table in zip(found._fields, found, strict=True)} == {
        **{kind: COLUMNS[kind] for kind in ("metrics", "selection", "costs")},
        "predictions": ["fold", "seed", "prediction"],
    }
    rmse = found.metrics[found.metrics["metric"] == "rmse"].set_index("seed")["value"]
    assert rmse["1"] == score(values["1"], test.data, (1, 5))["rmse"]
    assert rmse["2"] == 0
    assert set(found.metrics["split"]) == {"test"}
    assert found.selection["validation_rmse"].isna().all()
    assert found.predictions["prediction"].tolist() == [3, 3, 3, 4, 2, 5]
