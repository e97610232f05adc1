"""What baycomp's hierarchical test finds, for test_baycomp_hierarchical.py to compare with.

    python tests/oracle/baycomp_hierarchical.py

in an environment with baycomp 1.0.3 and pystan 3.10.0 writes baycomp_hierarchical.json.
"""

import json
from pathlib import Path

import numpy as np

MARGIN = 0.01
# Data sets, folds, mean difference, its spread between and within data sets, the last one's shift.
DESIGNS = {
    "clear": (6, 5, -0.02, 0.004, 0.004, 0.0),
    "noise": (8, 10, 0.0, 0.003, 0.004, 0.0),
    "few": (3, 5, -0.01, 0.005, 0.003, 0.0),
    "near the margin": (10, 5, -0.01, 0.01, 0.003, 0.0),
}
OUTLIER = (7, 5, -0.004, 0.002, 0.002, 0.05)
"""Here the posterior has two modes, between which baycomp's sampler does not pass."""


def differences(name: str) -> np.ndarray:
    """Synthetic differences of a design, or of `OUTLIER`: data sets × folds."""
    sets, folds, mean, between, within, shift = DESIGNS.get(name, OUTLIER)
    rng = np.random.default_rng(len(name) * 7 + sets)
    means = mean + between * rng.standard_normal(sets)
    means[-1] += shift
    return means[:, None] + within * rng.standard_normal((sets, folds))


def main() -> None:
    """Mean probability of each side for the next data set, over the draws of four chains."""
    from baycomp.multiple import HierarchicalTest

    found = {}
    for name in DESIGNS:
        x = differences(name)
        sample = HierarchicalTest.sample(np.zeros_like(x), x, MARGIN, nsamples=5000)
        found[name] = [round(float(one), 4) for one in sample.mean(axis=0)]
    lines = [f' "{name}": {json.dumps(value)}' for name, value in found.items()]
    Path(__file__).with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
