"""The Gibbs sampler against stored predictions of myfm, where the models coincide.

Priors do not: myfm's are of the ratings as they are, and its attributes have a prior mean.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from cfmf.factorization.gibbs import Gibbs
from cfmf.factorization.standard import Standard
from cfmf.observed import root_mean_square
from cfmf.side import Side
from cfmf.tasks import Task
from tests.oracle.myfm_gibbs import CASES, RANK, ratings

STORED = json.loads(Path(__file__).with_name("myfm_gibbs.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES)
def test_predictions_are_those_of_myfm(case):
    """They differ by a tenth of what separates either from the mean of the training ratings."""
    train, test, attributes = ratings(case)
    train, test, attributes = (one.astype("f4") for one in (train, test, attributes))
    side = Side(users=attributes) if case == "attributes" else None
    task = Task(train, 1, test=test, side=side)
    standard = Standard.of(train)
    likelihood = "ordinal" if case == "ordinal" else "gaussian"
    settings = Gibbs(
        k=RANK, sweeps=500, burn_in=100, chains=2, noise="shared", likelihood=likelihood
    )
    [found] = settings.fit_tasks([standard.task(task)])
    predictions = standard.restored(found, task).predictions["test"]
    other = np.array(STORED[case])
    spread = root_mean_square(other - train.data.mean())
    assert root_mean_square(predictions - other) < 0.1 * spread
    errors = [root_mean_square(one - test.data) for one in (predictions, other)]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)
