"""Tables keep their columns, their key texts and their digits."""

import pandas as pd
import pytest

from cfmf.tables import COLUMNS, read_table, write_table


def row(**changes):
    row = dict.fromkeys(COLUMNS["metrics"], "")
    row |= {"dataset": "d", "fold": "1", "method": "mf", "split": "test", "metric": "rmse"}
    return row | {"k": "4", "reg": "0.10", "value": 1 / 3} | changes


def test_texts_of_keys_survive(tmp_path):
    path = tmp_path / "metrics.tsv"
    write_table(path, pd.DataFrame([row(), row(method="baseline", k="", reg="")]), "metrics")
    table = read_table(path, "metrics")
    assert list(table["reg"]) == ["0.10", ""]
    assert list(table["fold"]) == ["1", "1"]
    assert table["value"][0] == pytest.approx(1 / 3, abs=1e-9)


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="columns"):
        write_table(tmp_path / "m.tsv", pd.DataFrame([row()]).drop(columns="seed"), "metrics")
    (tmp_path / "m.tsv").write_text("fold\tvalue\nu1\t1\n")
    with pytest.raises(ValueError, match="is not a metrics table"):
        read_table(tmp_path / "m.tsv", "metrics")


def test_ids_and_titles_are_no_quantities(tmp_path):
    path = tmp_path / "recommendations.tsv"
    known = dict.fromkeys(COLUMNS["recommendations"], 1)
    write_table(path, pd.DataFrame([known | {"user": "0305344", "title": "1917"}]), path.stem)
    table = read_table(path, path.stem)
    assert (table["user"][0], table["title"][0]) == ("0305344", "1917")


def test_no_sign_in_an_id_or_a_title_shifts_a_table(tmp_path):
    path = tmp_path / "recommendations.tsv"
    known = dict.fromkeys(COLUMNS["recommendations"], 1.5)
    signs = ["a\tb", "a\nb", "a\rb", "a\r\nb", 'a"b', '"a"', "'", "#a", "\\", "NA", "a\u2028b"]
    for one in signs:
        for user, title in ((one, "Heat"), ("u", one)):
            rows = pd.DataFrame([known, known | {"user": user, "title": title}, known])
            write_table(path, rows, path.stem)
            table = read_table(path, path.stem)
            assert len(table) == 3
            assert (table["user"][1], table["title"][1]) == (user, title)
            assert table["prediction"].tolist() == [1.5] * 3
