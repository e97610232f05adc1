"""What is measured of a method is its work, not the start of the process."""

import pickle
import subprocess
import sys

import pytest

from cfmf.evaluation.measurement import Measured, measure
from cfmf.tables import COLUMNS, MEASURED

MEASURE = """
import pickle, sys
from cfmf.evaluation.measurement import measure

study = pickle.load(open(sys.argv[1], "rb"))
for _ in range(2):
    costs = measure(*study)["fit_costs"]
    print(costs.set_index(["stage", "measure"])["value"]["fit", "cpu_seconds"])
"""
OPTIONS = {
    "explanations": {"users": [], "pairs": [], "titles": []},
    "ranking": {"users": 20, "top": 10},
    "trimming": {"rounds": 0},
    "seed": 1,
}


@pytest.mark.parametrize("method", ["mf", "user-knn"])
def test_first_fit_of_a_process_takes_what_the_second_takes(
    tmp_path, ratings, setting_of, people, films, resampling, method
):
    train, test = ratings
    on = Measured(train, test, test.data, people, films)
    path = tmp_path / "study"
    path.write_bytes(pickle.dumps((setting_of(method), on, OPTIONS, resampling, (1.0, 5.0))))
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, path], check=True, capture_output=True, text=True
    )
    first, second = map(float, told.stdout.split())
    # Loading torch or compiled code takes a second and more.
    assert first < 3 * second + 0.2


def test_every_table_is_made_of_a_method_that_declares_nothing(
    ratings, setting_of, people, films, resampling
):
    train, test = ratings
    setting = setting_of("strange")
    whole = setting.fit(train, test).predictions
    on = Measured(train, test, whole, people, films)
    options = {**OPTIONS, "trimming": {"rounds": 2, "users": 20, "lengths": [0, 4]}}
    tables = measure(setting, on, options, resampling, (1.0, 5.0))
    assert set(tables) == set(MEASURED)
    for name, kind in MEASURED.items():
        assert list(tables[name].columns) == COLUMNS[kind]
        declared = name in ("explanations", "factors", "similar_titles")
        assert tables[name].empty == declared, name
    assert set(tables["fit_costs"]["method"]) == {"strange"}
