"""The published study's own numbers: what each erratum says of them follows from them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from cfmf.published.printed import printed_numbers, quotes

PRINTED = printed_numbers()
SPACING = 2.0**-24
DEVICES = """
import jax, jax.numpy as jnp
second = jax.devices()[1]
jax.default_device = second
assert jnp.ones(3).devices() == {jax.devices()[0]}
try:
    with jax.default_device(second):
        pass
except TypeError:
    print("no context manager")
jax.config.update("jax_default_device", second)
assert jnp.ones(3).devices() == {second}
"""


def fourth_root(k):
    return (k + 13.3) ** 0.25


def dunn_in_order():
    """Holm-adjusted p of Dunn's comparisons, smallest first."""
    return sorted(PRINTED["dunn"].values())


CHECKS = {
    "1 the metric of JAX is the root of its loss": (
        [
            PRINTED["trial_0_loss"] ** 0.5,
            PRINTED["jax_loss"] ** 0.5,
            PRINTED["jax_start_loss"] ** 0.5,
        ],
        [PRINTED["trial_0_train"], PRINTED["jax_train"], PRINTED["jax_start_train"]],
    ),
    "1 test RMSE of JAX at k 50, of the best trial": (
        [PRINTED["jax_test"] ** 2, PRINTED["best_trial"] ** 2],
        [0.9571, 0.8389],
    ),
    "1 test RMSE by k": (
        [value**2 for value in PRINTED["best_by_k"].values()],
        [0.9181, 0.9251, 0.8389, 0.8794],
    ),
    "2 the loss of torch is half the mean squared error": (
        [PRINTED["torch_start_train"] ** 2 / 2, PRINTED["torch_train"] ** 2 / 2],
        [PRINTED["torch_start_loss"], PRINTED["torch_loss"]],
    ),
    "2 a change of its loss as a change of RMSE": ([1e-6 / PRINTED["torch_train"] * 1e6], [1.4792]),
    "3 all sixty trials are in the tests": ([PRINTED["anova_df"][2] + 1], [PRINTED["trials"]]),
    "3 the median of k 16 is the first report of trial 1": (
        [PRINTED["medians"][16]],
        [PRINTED["trial_1_rung"]],
    ),
    "3 untrained models": (
        [fourth_root(k) for k in PRINTED["medians"]],
        [1.945, 2.039, 2.327, 2.965],
    ),
    "3 the constant is that of JAX before training": (
        [PRINTED["jax_start_loss"] ** 2 - 50],
        [13.29],
    ),
    "8 last changes of JAX": (
        [delta / SPACING for delta in PRINTED["jax_deltas"]],
        [21, 23, 20, 18, 14],
    ),
    "8 last changes of torch": (
        [delta / SPACING for delta in PRINTED["torch_deltas"]],
        [16.806, 16.805, 16.789, 16.785, 16.765],
    ),
    "15 memory of broadcasting": ([10_000**3 * 4 / 2**30], [3725.29]),
    "19 p of Bartlett": ([stats.chi2.sf(PRINTED["bartlett"], 3)], [PRINTED["bartlett_p"]]),
    "19 sums of squares": (
        [PRINTED["ss_between"] + PRINTED["ss_within"]],
        [PRINTED["ss_total"]],
    ),
    "19 F": (
        [
            PRINTED["ss_between"] / 3 / (PRINTED["ss_within"] / 56),
            stats.f.sf(PRINTED["anova_f"], 3, 56),
        ],
        [PRINTED["anova_f"], 1.031394e-4],
    ),
    "20 p of Kruskal and Wallis": (
        [stats.chi2.sf(PRINTED["kruskal_h"], 3) * 1e5],
        [PRINTED["kruskal_p"] * 1e5],
    ),
    "20 p of the pairs called very significant": (
        [PRINTED["dunn"]["4-16"], PRINTED["dunn"]["1-16"]],
        [0.033024, 0.035515],
    ),
    "29 place of the best reg in its range": (
        [
            np.log(PRINTED["best_reg"] / PRINTED["reg_range"][0])
            / np.log(PRINTED["reg_range"][1] / PRINTED["reg_range"][0])
        ],
        [0.9458],
    ),
    "30 parameters against similarities": (
        [(PRINTED["users"] + PRINTED["items"]) * PRINTED["setting"]["k"], PRINTED["users"] ** 2],
        [1e6, 1e8],
    ),
    "32 the medians that are called means": (
        [PRINTED["medians"][4], PRINTED["medians"][1]],
        [1.1118, 1.7269],
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_errata_follow_from_the_printed_numbers(name):
    found, expected = CHECKS[name]
    np.testing.assert_allclose(found, expected, rtol=4e-4, err_msg=name)


def test_changes_of_jax_are_rounding_and_those_of_torch_are_not():
    """The loss of JAX is in [0.5, 1), where float32 numbers are 2**-24 apart."""
    assert 0.5 <= PRINTED["jax_loss"] < 1
    assert np.spacing(np.float32(PRINTED["jax_loss"])) == SPACING
    steps = np.array(PRINTED["jax_deltas"]) / SPACING
    np.testing.assert_allclose(steps, np.round(steps), atol=2e-5)
    steps = np.array(PRINTED["torch_deltas"]) / SPACING
    assert (np.abs(steps - np.round(steps)) > 0.1).all()
    assert (np.diff(steps) < 0).all()


def test_only_medians_of_large_k_are_near_untrained_models():
    gaps = {k: abs(value / fourth_root(k) - 1) for k, value in PRINTED["medians"].items()}
    assert max(gaps[16], gaps[64]) < 0.012
    assert min(gaps[1], gaps[4]) > 0.1


def test_training_error_of_the_search_rises_from_1_to_4_only():
    train = list(PRINTED["train_by_k"].values())
    assert np.sign(np.diff(train)).tolist() == [1, -1, -1]


def test_corner_of_the_similarities_has_every_user_with_themselves():
    corner = np.array(PRINTED["similarity_corner"])
    np.testing.assert_array_equal(corner, corner.T)
    assert (np.diag(corner) == 1).all()


def test_dunn_p_are_holm_steps():
    """Raw p of the six pairs, from the adjusted ones, rise; equal ones were raised to the last."""
    adjusted = dunn_in_order()
    raw = [p / (6 - place) for place, p in enumerate(adjusted)]
    assert raw == sorted(raw)
    assert adjusted[3] == adjusted[4]


def test_torch_draws_by_mersenne_twister_on_the_cpu():
    """Erratum 27; numpy's legacy generator is the reference."""
    generator = torch.Generator().manual_seed(42)
    drawn = torch.randint(0, 2**24, (2000,), generator=generator, dtype=torch.int32).numpy()
    bits = np.random.RandomState(42).randint(0, 2**32, 2000, dtype=np.uint32)
    np.testing.assert_array_equal(drawn, bits % 2**24)


def test_default_device_of_jax_is_not_set_by_assignment():
    """Erratum 12, on two devices."""
    pytest.importorskip("jax", reason="JAX is not installed")
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    found = subprocess.run(
        [sys.executable, "-c", DEVICES],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "no context manager"


def test_quotes_are_of_the_published_text():
    """Every quote is in its line, where the study's text is at hand."""
    path = os.environ.get("CFMF_STUDY_TEXT")
    if not path:
        pytest.skip("CFMF_STUDY_TEXT does not name the study's text")
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    wrong = [
        (place, line)
        for place, found in quotes().items()
        for line, quote in found.items()
        if quote not in lines[line - 1]
    ]
    assert wrong == []
    assert list(quotes()) == list(range(1, 36))
