"""Gibbs sampling: conditional distributions, calibration by simulation, intervals and seeds."""

import numpy as np
import pytest
from scipy import sparse, stats

from cfmf.factorization.gibbs import SPREADS, Gibbs, _Sampling, draw_normal_gamma, draw_spread
from cfmf.kernels.solve import draw_links
from cfmf.observed import root_mean_square
from cfmf.tasks import Task


def test_mean_and_precision_come_from_their_posterior():
    """λ is gamma with shape 1 + n/2, and μ is t-distributed around n x̄ / (n + 1)."""
    rows = np.random.default_rng(0).normal(2, 0.7, (6, 1))
    rng = np.random.default_rng(1)
    draws = np.array([draw_normal_gamma(rows, rng) for _ in range(4000)])[:, :, 0]
    n, average = 6, rows.mean()
    rate = 1 + 0.5 * ((rows - average) ** 2).sum() + 0.5 * n * average**2 / (n + 1)
    assert stats.kstest(draws[:, 1], stats.gamma(1 + n / 2, scale=1 / rate).cdf).pvalue > 1e-3
    scale = np.sqrt(rate / ((1 + n / 2) * (n + 1)))
    marginal = stats.t(2 + n, n * average / (n + 1), scale)
    assert stats.kstest(draws[:, 0], marginal.cdf).pvalue > 1e-3


def test_links_converge_to_their_joint_posterior():
    """Long-run mean and covariance of the links against the closed-form regression."""
    rng = np.random.default_rng(0)
    design = (rng.random((20, 4)) < 0.6) * rng.uniform(0.3, 1, (20, 1))
    weights = design.max(axis=1)
    target = rng.normal(size=20)
    precision, prior = 3.0, 1.5
    covariance = np.linalg.inv(prior * np.eye(4) + precision * design.T @ design)
    mean = covariance @ (precision * design.T @ target)
    reached = sparse.csr_array(design.T)
    links = np.zeros((4, 1))
    residuals = target[:, None].copy()
    found = []
    for _ in range(20_000):
        draw_links(
            reached.indptr,
            reached.indices,
            weights,
            residuals,
            links,
            np.array([precision]),
            np.array([prior]),
            rng.standard_normal((4, 1)),
        )
        found.append(links[:, 0].copy())
    np.testing.assert_allclose(residuals[:, 0], target - design @ links[:, 0], atol=1e-9)
    np.testing.assert_allclose(np.mean(found, axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(np.array(found).T), covariance, atol=0.02)


def test_spread_follows_its_posterior():
    """Shares of the draws against the likelihood of every ν, by scipy's density."""
    weights = stats.gamma(4, scale=1 / 4).rvs(12, random_state=3)
    likelihood = [stats.gamma(nu / 2, scale=2 / nu).logpdf(weights).sum() for nu in SPREADS]
    shares = np.exp(np.array(likelihood) - np.logaddexp.reduce(likelihood))
    rng = np.random.default_rng(0)
    drawn = [draw_spread(weights, rng) for _ in range(4000)]
    found = np.array([drawn.count(nu) for nu in SPREADS]) / 4000
    assert np.abs(found - shares).max() < 4 * np.sqrt(0.25 / 4000)


def test_noise_of_users_is_found():
    """Every second user rates with five times the noise: told apart, and ν says so."""
    rng = np.random.default_rng(4)
    noise = np.where(np.arange(60) % 2, 1.0, 0.2)
    ratings = 3 + rng.normal(size=(60, 40)) * noise[:, None]
    sampling = _Sampling(Gibbs(k=1, dtype=np.float64), Task(sparse.csr_array(ratings), 0))
    kept = []
    for sweep in range(60):
        sampling.sweep()
        sampling.record(sweep, 0.0)
        kept.append((sampling.users.reliability, sampling.users.spread, sampling.items.spread))
    weights = np.mean([weights for weights, _, _ in kept[20:]], axis=0)
    assert weights[1::2].max() < weights[::2].min()
    assert np.median(weights[::2]) / np.median(weights[1::2]) == pytest.approx(25, rel=0.2)
    assert np.median([users for _, users, _ in kept[20:]]) < np.median([i for *_, i in kept[20:]])


def draw_side(rng, rows, k, bias, links, weights):
    """A side from its prior: μ, λ, links and their κ, rows."""
    free = [*range(k), bias]
    precision = rng.gamma(1.0, 1.0, k + 1)
    mean = rng.normal(size=k + 1) / np.sqrt(precision)
    link_precision = rng.gamma(1.0, 1.0, k + 1)
    y = rng.normal(size=(links, k + 1)) / np.sqrt(link_precision)
    sums = weights @ y
    block = mean + sums + rng.normal(size=(rows, k + 1)) / np.sqrt(precision)
    return free, mean, precision, y, link_precision, sums, block


def simulate(rng, settings, pattern):
    """Ratings from the model's own prior, and a chain that stands at the truth."""
    k, (m, n) = settings.k, pattern.shape
    sampling = _Sampling(settings, Task(pattern, int(rng.integers(2**31))))
    sampling.mean = 0.0
    for side, rows, bias in ((sampling.users, m, k), (sampling.items, n, k + 1)):
        weights = np.zeros((rows, 1))
        if side.implicit:
            weights = side.weights[:, None] * (side.reached.T.toarray() != 0)
        links = weights.shape[1]
        free, mean, precision, y, link_precision, sums, block = draw_side(
            rng, rows, k, bias, links, weights
        )
        side.mean[free], side.precision[free] = mean, precision
        side.block[:, free] = block
        if side.implicit:
            side.links[:, free], side.link_precision[free] = y, link_precision
            side.sums[:, free] = sums
        if settings.noise == "own":
            side.spread = float(rng.choice(SPREADS))
            side.reliability = rng.gamma(side.spread / 2, 2 / side.spread, rows)
    sampling.alpha = rng.gamma(1.0, 1.0)
    truth = sampling.users.block @ sampling.items.block.T
    weights = np.outer(sampling.users.reliability, sampling.items.reliability)
    noisy = truth + rng.normal(size=truth.shape) / np.sqrt(sampling.alpha * weights)
    users = np.repeat(np.arange(m), np.diff(pattern.indptr))
    pattern.data[:] = noisy[users, pattern.indices]
    sampling.items.ratings.data[:] = pattern.T.tocsr().data
    return sampling


def quantities(sampling):
    products = sampling.users.block @ sampling.items.block.T
    found = [
        sampling.alpha,
        products[0, 0],
        products[1, 2],
        sampling.users.precision[sampling.settings.k],
    ]
    if sampling.settings.noise == "own":
        found.append(sampling.users.reliability[0] / sampling.items.reliability[1])
    if sampling.users.implicit:
        found.append(sampling.users.link_precision[sampling.settings.k])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("implicit", "noise"),
    [("none", "shared"), ("both", "shared"), ("none", "own"), ("users", "own"), ("both", "own")],
)
def test_calibrated_on_data_from_its_own_prior(implicit, noise):
    """Talts et al. (2018): ranks of the truth among draws of its posterior are uniform.

    The chain starts at the truth, which is itself a draw from the posterior, so that no burn-in
    can hide an error or make one.
    """
    rng = np.random.default_rng(2)
    settings = Gibbs(k=1, implicit=implicit, noise=noise, dtype=np.float64)
    observed = rng.random((7, 6)) < 0.7
    observed[0, 0], observed[1, 2] = True, False
    pattern = sparse.csr_array(np.where(observed, 1.0, 0.0))
    ranks = []
    for _ in range(200):
        sampling = simulate(rng, settings, pattern.copy())
        truth = quantities(sampling)
        draws = []
        for sweep in range(9 * 20):
            sampling.sweep()
            sampling.record(sweep, 0.0)
            if sweep % 20 == 19:
                draws.append(quantities(sampling))
        ranks.append((np.array(draws) < truth).sum(axis=0))
    for found in np.array(ranks).T:
        counts = np.bincount(found // 2, minlength=5)
        assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("noise", ["own", "shared"])
@pytest.mark.parametrize("implicit", ["none", "users", "both"])
def test_intervals_hold_what_they_promise(low_rank, implicit, noise):
    train, _, test = low_rank
    settings = Gibbs(k=4, sweeps=120, burn_in=40, implicit=implicit, noise=noise)
    found = settings.fit(train, test=test)
    error = np.abs(found.predictions["test"] - test.data)
    inside = np.mean(error <= 1.6449 * found.deviations["test"])
    assert inside == pytest.approx(0.9, abs=3.5 * np.sqrt(0.09 / test.nnz))


def test_kept_draws_predict_nearly_as_all_sweeps(low_rank):
    train, _, test = low_rank
    found = Gibbs(k=4, sweeps=120, burn_in=40, draws=40).fit(train, test=test)
    users = np.repeat(np.arange(test.shape[0]), np.diff(test.indptr))
    kept = found.model.predict(users, test.indices)
    assert found.model.draws() == 40
    assert root_mean_square(kept.values - found.predictions["test"]) < 0.05
    np.testing.assert_allclose(kept.sd, found.deviations["test"], rtol=0.2)


def test_same_seed_same_bits(low_rank):
    train, _, test = low_rank
    first, second = (
        Gibbs(k=3, sweeps=20, burn_in=5, implicit="both").fit(train, test=test, seed=3)
        for _ in range(2)
    )
    assert first.predictions["test"].tobytes() == second.predictions["test"].tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 2, "sweeps": 10, "burn_in": 10}, "burn_in is 10 of 10"),
        ({"k": 2, "implicit": "items"}, "implicit is 'items'"),
        ({"k": 2, "noise": "none"}, "noise is 'none'"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Gibbs(**options)
