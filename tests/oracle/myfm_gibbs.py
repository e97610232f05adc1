"""What myfm's factorization machines predict, for test_myfm_gibbs.py to compare with.

    python tests/oracle/myfm_gibbs.py

in an environment with myfm 0.4.0 writes myfm_gibbs.json.
"""

import json
from pathlib import Path

import numpy as np
from scipy import sparse

USERS, ITEMS, KINDS, RANK = 60, 40, 3, 2
CASES = ("plain", "attributes", "ordinal")
CUTPOINTS = (-1.6, -0.9, 0.6, 1.4)


def ratings(case: str) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]:
    """Synthetic training and test ratings, users × items, and attributes, users × kinds."""
    rng = np.random.default_rng(CASES.index(case))
    kind = rng.integers(0, KINDS, USERS)
    by_kind = rng.normal(size=(KINDS, RANK))
    left = by_kind[kind] + 0.3 * rng.normal(size=(USERS, RANK))
    scores = left @ rng.normal(size=(RANK, ITEMS)) + rng.normal(size=ITEMS)
    scores = scores + rng.normal(size=scores.shape)
    values = 1 + np.searchsorted(CUTPOINTS, scores) if case == "ordinal" else 10 + scores
    part = rng.choice(3, scores.shape, p=[0.4, 0.2, 0.4])
    train, test = (sparse.csr_array(np.where(part == one, values, 0)) for one in (0, 1))
    return train, test, sparse.csr_array(np.eye(KINDS)[kind])


def features(matrix: sparse.csr_array, attributes: sparse.csr_array) -> sparse.csr_matrix:
    """One row a rating: user, item and the user's attributes."""
    users = np.repeat(np.arange(USERS), np.diff(matrix.indptr))
    of_user, of_item = (np.eye(n)[at] for n, at in ((USERS, users), (ITEMS, matrix.indices)))
    return sparse.csr_matrix(np.hstack([of_user, of_item, attributes.toarray()[users]]))


def main() -> None:
    """Mean predictions of four chains on the test pairs, in CSR order."""
    import myfm

    found = {}
    for case in CASES:
        train, test, attributes = ratings(case)
        if case != "attributes":
            attributes = attributes[:, :0]
        given = [features(one, attributes) for one in (train, test)]
        groups = [USERS, ITEMS] + ([KINDS] if case == "attributes" else [])
        chains = []
        for seed in range(4):
            if case == "ordinal":
                model = myfm.MyFMOrderedProbit(rank=RANK, random_seed=seed)
                codes = train.data.astype(int) - 1
                model.fit(given[0], codes, n_iter=1000, n_kept_samples=800, group_shapes=groups)
                chains.append(model.predict_proba(given[1]) @ np.arange(1, 6))
            else:
                model = myfm.MyFMRegressor(rank=RANK, random_seed=seed)
                options = {"n_iter": 1000, "n_kept_samples": 800, "group_shapes": groups}
                model.fit(given[0], train.data, **options)
                chains.append(model.predict(given[1]))
        found[case] = np.mean(chains, axis=0).round(4).tolist()
    Path(__file__).with_suffix(".json").write_text(json.dumps(found) + "\n", "utf-8")


if __name__ == "__main__":
    main()
