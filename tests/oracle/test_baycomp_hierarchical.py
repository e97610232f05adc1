"""The hierarchical model against baycomp's, which samples the same one with Stan."""

import json
from pathlib import Path

import pytest

from cfmf.statistics.hierarchical import next_data_set
from tests.oracle.baycomp_hierarchical import DESIGNS, MARGIN, differences

STORED = json.loads((Path(__file__).parent / "baycomp_hierarchical.json").read_text())


@pytest.mark.parametrize("name", DESIGNS)
def test_probabilities_are_those_of_baycomp(name):
    folds = differences(name)
    ratios = [1 / (folds.shape[1] - 1)] * len(folds)
    found = next_data_set(list(folds), ratios).probabilities(MARGIN)
    assert found == pytest.approx(STORED[name], abs=0.01)


def test_two_modes_are_both_visited():
    """Against quadrature over δ_0, σ_0, ν and every δ_i: 401 × 70 × 40 × 200 points."""
    found = next_data_set(list(differences("outlier")), [0.25] * 7).probabilities(MARGIN)
    assert found == pytest.approx((0.172, 0.634, 0.194), abs=0.02)
