"""A fold as a plain table has every rating once, and none of the test part's values."""

import numpy as np
import pandas as pd
import pytest

from cfmf.data.export import fold_table, write_fold
from cfmf.data.splits import Fold


@pytest.fixture
def ratings():
    dates = pd.to_datetime(["2001-01-05", None, "2002-03-04", "2003-01-01"])
    return pd.DataFrame(
        {"user": [0, 0, 1, 1], "item": [1, 0, 1, 0], "rating": [1.0, 2.5, 3, 4]}
    ).assign(date=dates)


FOLD = Fold(*(np.array(rows) for rows in ([3, 0], [1], [2])))


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_written_table_has_ids_parts_and_no_test_rating(tmp_path, ratings, end):
    table = fold_table(ratings, pd.Series(["007", "NA"]), pd.Series([30, 10]), FOLD, "u1")
    path = tmp_path / f"u1.{end}"
    write_fold(path, table)
    if end == "csv":
        known = {"keep_default_na": False, "na_values": {"rating": ""}}
        read = pd.read_csv(path, dtype={"user": str}, **known)
    else:
        read = pd.read_parquet(path)
    assert set(read["fold"]) == {"u1"}
    assert read["part"].tolist() == ["fit", "fit", "validation", "test"]
    assert read["user"].tolist() == ["NA", "007", "007", "NA"]
    assert read["item"].tolist() == [30, 10, 30, 10]
    assert read["rating"].tolist()[:3] == [4, 1, 2.5]
    assert np.isnan(read["rating"].iloc[3])
    assert str(read["date"].iloc[0])[:10] == "2003-01-01"


def test_ratings_without_dates_have_no_column_of_them(ratings):
    table = fold_table(
        ratings.assign(date=pd.NaT), pd.Series([1, 2]), pd.Series([3, 4]), FOLD, "u1"
    )
    assert list(table) == ["fold", "part", "user", "item", "rating"]
