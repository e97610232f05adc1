"""What is measured of a method is its work, not the start of the process."""

import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

MEASURE = """
import pickle, sys
from cfmf.evaluation.study import measure

study, options = pickle.load(open(sys.argv[1], "rb"))
for _ in range(2):
    costs = measure(*study, **options)["fit_costs"]
    print(costs.set_index(["stage", "measure"])["value"]["fit", "cpu_seconds"])
"""
OPTIONS = {
    "reasons": {"users": [], "pairs": [], "titles": []},
    "ranking": {"users": 20, "top": 10},
    "trimming": {"rounds": 0},
    "seed": 1,
}


@pytest.mark.parametrize("method", ["mf", "user-knn"])
def test_first_fit_of_a_process_takes_what_the_second_takes(
    tmp_path, ratings, setting_of, people, films, resampling, method
):
    train, test = ratings
    setting = setting_of(method)
    setting = replace(setting, options=dict(setting.options))
    known = (setting, train, test, test.data, people, films, OPTIONS, resampling)
    path = tmp_path / "study"
    path.write_bytes(pickle.dumps((known, {"scale": (1.0, 5.0)})))
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, path], check=True, capture_output=True, text=True
    )
    first, second = map(float, told.stdout.split())
    # Loading torch or compiled code takes a second and more.
    assert first < 3 * second + 0.2
