"""kNN against stored predictions of Surprise 1.1.5, where the definitions coincide.

They coincide for Pearson similarity without shrinkage, with raw (KNNBasic), centred (KNNWithMeans)
and baseline predictions (KNNBaseline, ALS baselines with their default weights 15 and 10).
They do not for

- its cosine: norms over the shared ratings only, ours over all ratings of each row;
- its pearson_baseline: shrunk by (c − 1)/(c − 1 + β), ours by c/(c + β), and 0 where c is 1;
- pairs that are in the training data: Surprise counts the user among their own neighbours;
- pairs without neighbours: Surprise refuses (KNNBasic) or predicts the mean of the user (item) or
  the baseline, ours the baseline always.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from cfmf.methods.item_knn import ItemKNN
from cfmf.methods.user_knn import UserKNN

STORED = json.loads(Path(__file__).with_name("surprise_knn.json").read_text())
FORMS = {"KNNBasic": "raw", "KNNWithMeans": "centred", "KNNBaseline": "baseline"}


@pytest.mark.parametrize("algorithm", FORMS)
@pytest.mark.parametrize(("by", "method"), [("users", UserKNN), ("items", ItemKNN)])
def test_equals_surprise(by, method, algorithm):
    users, items, values = np.transpose(STORED["ratings"])
    ratings = sparse.csr_array((values.astype(np.float32), (users, items)))
    expected = np.array(STORED["predictions"][f"{by} {algorithm}"], dtype=float)
    found = method(
        similarity="pearson",
        prediction=FORMS[algorithm],
        shrinkage=0,
        neighbours=STORED["nearest"],
        damping=0,
        reg_user=15,
        reg_item=10,
    ).fit(ratings)
    predicted = found.predict(*np.transpose(STORED["asked"])).values
    known = ~np.isnan(expected)
    assert known.sum() >= 25
    np.testing.assert_allclose(predicted[known], expected[known], rtol=0, atol=1e-5)
