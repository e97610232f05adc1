"""Gibbs sampling: conditional distributions, calibration by simulation, intervals and seeds."""

import tracemalloc
from dataclasses import replace

import numba
import numpy as np
import pytest
from scipy import sparse, stats

from cfmf.factorization import checkpoint
from cfmf.factorization.dated import DatedFactorization
from cfmf.factorization.gibbs import Gibbs
from cfmf.factorization.gibbs_chain import Chain, chain_seed
from cfmf.factorization.gibbs_known import Known
from cfmf.factorization.gibbs_rows import SPREADS, draw_normal_gamma, draw_spread
from cfmf.factorization.model import rated_rows
from cfmf.factorization.ordinal import WIDTH, Cutpoints, rating_moments
from cfmf.kernels.solve import draw_links, solve_pairs
from cfmf.methods import registry
from cfmf.observed import pairs, root_mean_square
from cfmf.side import Side
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


def known_of(settings, task):
    return Known.of(task, settings.implicit, settings.day_factors, settings.dtype, True)


def chain_of(settings, ratings, seed=0, side=None):
    return Chain(settings, known_of(settings, Task(ratings, seed, side=side)))


def test_links_converge_to_their_joint_posterior():
    """Long-run mean and covariance of the links against the closed-form regression."""
    rng = np.random.default_rng(0)
    design = (rng.random((20, 4)) < 0.6) * rng.uniform(0.3, 1, (20, 4))
    target = rng.normal(size=20)
    precision, prior = 3.0, 1.5
    covariance = np.linalg.inv(prior * np.eye(4) + precision * design.T @ design)
    mean = covariance @ (precision * design.T @ target)
    reached = sparse.csr_array(design.T)
    links = np.zeros((4, 8))
    residuals = np.repeat(target[:, None], 8, axis=1)
    found = []
    for _ in range(20_000):
        draw_links(
            reached.indptr,
            reached.indices,
            reached.data,
            residuals,
            links,
            np.full(8, precision),
            np.full(8, prior),
            rng.standard_normal((4, 8)),
        )
        found.append(links[:, 0].copy())
    np.testing.assert_allclose(residuals[:, 0], target - design @ links[:, 0], atol=1e-9)
    np.testing.assert_allclose(np.mean(found, axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(np.array(found).T), covariance, atol=0.02)


@pytest.mark.parametrize("serial", [False, True])
def test_rows_of_three_kinds_have_the_mean_of_the_regression(serial):
    """Without noise, the draw is the ridge regression that NumPy solves row by row."""
    rng = np.random.default_rng(5)
    k, c, bias = 3, 8, 3
    ratings = sparse.random_array((40, 9), density=0.5, rng=rng, format="csr")
    third = rng.integers(0, 4, ratings.nnz).astype(np.int32)
    others = rng.normal(size=(9, c)), rng.normal(size=(4, c))
    offsets, roots = (tuple(rng.random(len(one)) for one in others) for _ in range(2))
    precision, pull = rng.random((40, c)) + 0.5, rng.normal(size=(40, c))
    given = others, offsets, roots, (k, bias, k + 2), precision, pull, np.zeros((40, c)), serial
    found = solve_pairs(ratings, third, *given)
    for row in range(40):
        own = slice(ratings.indptr[row], ratings.indptr[row + 1])
        f, s = ratings.indices[own], third[own]
        design = np.zeros((len(f), k + 2))
        design[:, :k], design[:, bias] = (others[0][f] + others[1][s])[:, :k], 1
        interaction = (others[0][f] * others[1][s])[:, :k].sum(axis=1)
        target = ratings.data[own] - offsets[0][f] - offsets[1][s] - interaction
        weight = (roots[0][f] * roots[1][s])[:, None] ** 2
        normal = np.diag(precision[row, : k + 2]) + design.T @ (weight * design)
        expected = np.linalg.solve(normal, pull[row, : k + 2] + design.T @ (weight[:, 0] * target))
        np.testing.assert_allclose(found[row, : k + 2], expected, rtol=1e-9)


@pytest.mark.parametrize("day_factors", [False, True])
def test_the_model_predicts_what_the_chain_does(low_rank, day_factors):
    """Pairs with a day and without one, by the last draw that is kept."""
    train, _, test = low_rank
    rng = np.random.default_rng(6)
    side = beside(rng, train.shape, "all")
    side.days.data[rng.random(side.days.nnz) < 0.2] = 0
    side.days.eliminate_zeros()
    settings = Gibbs(k=3, implicit="both", day_factors=day_factors)
    chain = Chain(settings, known_of(settings, Task(train, 1, test=test, side=side)))
    for _ in range(4):
        chain.step()
    model = chain.model(rated_rows(train))
    np.testing.assert_allclose(
        model.predict(*pairs(test)).values, chain.predict("test"), rtol=1e-5, atol=1e-5
    )
    again = DatedFactorization.from_arrays(model.arrays())
    assert (
        again.predict(*pairs(test)).values.tobytes() == model.predict(*pairs(test)).values.tobytes()
    )
    explained = model.explain(3, 4)
    total = explained.expected + sum(part.contribution for part in explained.parts)
    assert total == pytest.approx(explained.prediction, abs=1e-4)


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
    chain = chain_of(Gibbs(k=1, dtype=np.float64), sparse.csr_array(ratings))
    kept = []
    for _ in range(60):
        chain.step()
        kept.append((chain.users.reliability, chain.users.spread, chain.items.spread))
    weights = np.mean([weights for weights, _, _ in kept[20:]], axis=0)
    assert weights[1::2].max() < weights[::2].min()
    assert np.median(weights[::2]) / np.median(weights[1::2]) == pytest.approx(25, rel=0.2)
    assert np.median([users for _, users, _ in kept[20:]]) < np.median([i for *_, i in kept[20:]])


def draw_rows(rng, rows):
    """From their prior: λ, μ, the links and their κ, and the vectors."""
    free, size = rows.free, (len(rows.block), len(rows.free))
    rows.precision[free] = rng.gamma(1.0, 1.0, size[1])
    rows.mean[free] = rng.normal(size=size[1]) / np.sqrt(rows.precision[free])
    for links in rows.links:
        links.precision[free] = rng.gamma(1.0, 1.0, size[1])
        shape = len(links.vectors), size[1]
        links.vectors[:, free] = rng.normal(size=shape) / np.sqrt(links.precision[free])
    rows.sums[:] = sum((one.reached.T @ one.vectors for one in rows.links), 0 * rows.block)
    noise = rng.normal(size=size) / np.sqrt(rows.precision[free])
    rows.block[:, free] = (rows.mean + rows.sums)[:, free] + noise


def simulate(rng, settings, pattern, side):
    """Ratings from the model's own prior, and a chain that stands at the truth."""
    levels = np.arange(4.0)
    pattern.data[:] = rng.permutation(np.arange(pattern.nnz) % len(levels))
    chain = chain_of(settings, pattern, int(rng.integers(2**31)), side)
    chain.mean = 0.0
    for name, rows in chain.kinds.items():
        draw_rows(rng, rows)
        if settings.noise == "own" and name != "days":
            rows.spread = float(rng.choice(SPREADS))
            rows.reliability = rng.gamma(rows.spread / 2, 2 / rows.spread, len(rows.block))
    for cells in chain.cells.values():
        cells.precision = rng.gamma(1.0, 1.0)
        cells.biases = rng.normal(size=len(cells.biases)) / np.sqrt(cells.precision)
    if chain.cutpoints is None:
        chain.alpha = rng.gamma(1.0, 1.0)
    deviation = 1 / np.sqrt(chain.precision(pattern))
    values = chain.predict("train") + rng.normal(size=pattern.nnz) * deviation
    if chain.cutpoints is not None:
        chain.cutpoints.values = np.sort(rng.normal(0, WIDTH, len(levels) - 1))
        chain.cutpoints.codes = np.searchsorted(chain.cutpoints.values, values)
        values = levels[chain.cutpoints.codes]
    pattern.data[:] = chain.target = values
    chain.observe(values)
    return chain


def quantities(chain):
    products = chain.users.block @ chain.items.block.T
    k = chain.settings.k
    found = [products[0, 0], products[1, 2], chain.users.precision[k]]
    found += [chain.alpha] if chain.cutpoints is None else [*chain.cutpoints.values]
    if chain.settings.noise == "own":
        found.append(chain.users.reliability[0] / chain.items.reliability[1])
    found += [links.precision[k] for links in chain.users.links]
    if "days" in chain.kinds:
        days = chain.kinds["days"]
        found += [days.precision[k], days.block[1, k], chain.predict("train")[3]]
    for cells in chain.cells.values():
        found += [cells.precision, cells.biases[0]]
    return found


def beside(rng, shape, known):
    """Synthetic days and attributes."""
    if known == "nothing":
        return None
    days = sparse.csr_array(rng.integers(1, 4, shape).astype(np.int32))
    users, items = (sparse.csr_array((rng.random((n, 2)) < 0.5) * 1.0) for n in shape)
    return Side(days) if known == "dates" else Side(days, users, items)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("implicit", "noise", "likelihood", "known"),
    [
        ("none", "shared", "gaussian", "nothing"),
        ("both", "shared", "gaussian", "nothing"),
        ("none", "own", "gaussian", "nothing"),
        ("users", "own", "gaussian", "nothing"),
        ("both", "own", "gaussian", "nothing"),
        ("none", "own", "gaussian", "dates"),
        ("none", "own", "gaussian", "all"),
        ("both", "shared", "gaussian", "all"),
        ("none", "own", "ordinal", "nothing"),
        ("none", "shared", "ordinal", "dates"),
    ],
)
def test_calibrated_on_data_from_its_own_prior(implicit, noise, likelihood, known):
    """Talts et al. (2018): ranks of the truth among draws of its posterior are uniform.

    The chain starts at the truth, which is itself a draw from the posterior, so that no burn-in
    can hide an error or make one.
    """
    rng = np.random.default_rng(2)
    settings = Gibbs(k=1, implicit=implicit, noise=noise, likelihood=likelihood, dtype=np.float64)
    observed = rng.random((7, 6)) < 0.7
    observed[0, 0], observed[1, 2] = True, False
    pattern = sparse.csr_array(np.where(observed, 1.0, 0.0))
    side = beside(rng, pattern.shape, known)
    ranks = []
    for _ in range(200):
        chain = simulate(rng, settings, pattern.copy(), side)
        truth = quantities(chain)
        draws = []
        for sweep in range(9 * 10):
            chain.step()
            if sweep % 10 == 9:
                draws.append(quantities(chain))
        ranks.append((np.array(draws) < truth).sum(axis=0))
    for found in np.array(ranks).T:
        counts = np.bincount(found // 2, minlength=5)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_cutpoints_follow_their_posterior():
    """Mean and standard deviation against those of the density by scipy, on a grid."""
    rng = np.random.default_rng(7)
    eta, root = rng.normal(size=30), rng.uniform(0.5, 2, 30)
    codes = np.searchsorted([-0.5, 0.7], eta + rng.normal(size=30) / root)
    cutpoints = Cutpoints(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 4.0])[codes])
    grid = np.linspace(-4, 4, 161)
    low, high = np.meshgrid(grid, grid, indexing="ij")
    ends = [np.full_like(low, -np.inf), low, high, np.full_like(low, np.inf)]
    log = stats.norm(0, WIDTH).logpdf(low) + stats.norm(0, WIDTH).logpdf(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        for code, mean, scale in zip(codes, eta, root, strict=True):
            normal = stats.norm(mean, 1 / scale)
            log = log + np.log(normal.cdf(ends[code + 1]) - normal.cdf(ends[code]))
    density = np.where(high > low, np.exp(log - np.nanmax(log[high > low])), 0)
    density /= density.sum()
    drawn = []
    for _ in range(4000):
        cutpoints.draw(eta, root, rng)
        drawn.append(cutpoints.values)
    drawn = np.array(drawn)
    for at, axis in ((0, low), (1, high)):
        mean = (density * axis).sum()
        deviation = np.sqrt((density * (axis - mean) ** 2).sum())
        assert drawn[:, at].mean() == pytest.approx(mean, abs=0.03)
        assert drawn[:, at].std() == pytest.approx(deviation, rel=0.06)


def test_latent_numbers_are_truncated_normal():
    """Also far from where η is, where differences of probabilities close to 1 are lost."""
    rng = np.random.default_rng(8)
    levels = np.array([1.0, 2.0, 3.0])
    for rating, eta, low, high in (
        (1, 9.0, -np.inf, -1.0),
        (2, 0.3, -1.0, 1.0),
        (3, -9.0, 1, np.inf),
    ):
        cutpoints = Cutpoints(levels, np.full(3000, float(rating)))
        cutpoints.values = np.array([-1.0, 1.0])
        drawn = cutpoints.latent(np.full(3000, eta), np.full(3000, 2.0), rng.random(3000))
        exact = stats.truncnorm((low - eta) * 2, (high - eta) * 2, eta, 0.5)
        assert ((drawn >= low) & (drawn <= high)).all()
        assert stats.kstest(drawn, exact.cdf).pvalue > 1e-3


def test_moments_of_ordinal_ratings_are_sums_over_the_levels():
    rng = np.random.default_rng(9)
    levels, cutpoints = np.array([1.0, 2.0, 5.0]), np.array([-0.4, 0.9])
    eta, root = rng.normal(size=20), rng.uniform(0.5, 2, 20)
    below = stats.norm.cdf((cutpoints - eta[:, None]) * root[:, None])
    shares = np.diff(np.column_stack([np.zeros(20), below, np.ones(20)]))
    mean, variance = rating_moments(levels, cutpoints, eta, root)
    np.testing.assert_allclose(mean, shares @ levels)
    np.testing.assert_allclose(variance, shares @ levels**2 - (shares @ levels) ** 2)


def test_many_levels_are_taken_for_gaussian(ratings):
    ratings.data[:] = np.arange(ratings.nnz)
    found = [
        Gibbs(k=1, sweeps=6, burn_in=2, likelihood=likelihood).fit(ratings).predictions["train"]
        for likelihood in ("gaussian", "ordinal")
    ]
    assert found[0].tobytes() == found[1].tobytes()


@pytest.mark.parametrize("likelihood", ["gaussian", "ordinal"])
def test_predicted_shares_of_levels_are_those_of_the_test_ratings(levels_of_rank_one, likelihood):
    """On average, within their noise, if ordinal; they have the predicted mean and sum to 1."""
    train, test = levels_of_rank_one
    settings = Gibbs(k=1, sweeps=90, burn_in=40, likelihood=likelihood)
    model = settings.fit(train).model
    levels = np.arange(1.0, 6)
    shares = model.probabilities(*pairs(test), levels)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    if likelihood == "ordinal":
        found = (test.data[:, None] == levels).mean(axis=0)
        np.testing.assert_allclose(shares.mean(axis=0), found, atol=0.03)
        predicted = model.predict(*pairs(test))
        np.testing.assert_allclose(shares @ levels, predicted.values, atol=1e-4)
        variance = shares @ levels**2 - (shares @ levels) ** 2
        np.testing.assert_allclose(predicted.sd, np.sqrt(variance), atol=1e-4)
        with pytest.raises(ValueError, match="the levels are"):
            model.probabilities(*pairs(test), levels + 1)


@pytest.fixture
def levels_of_rank_one():
    """Training and test ratings of 1 to 5 with thresholds that are not evenly spaced."""
    rng = np.random.default_rng(10)
    latent = rng.normal(size=(80, 1)) * rng.normal(size=(1, 60)) + rng.normal(size=(80, 60))
    values = 1 + np.searchsorted([-1.5, -1.0, 0.8, 1.2], latent)
    part = rng.choice(2, latent.shape, p=[0.6, 0.4])
    return [sparse.csr_array(np.where(part == one, values, 0).astype("f4")) for one in (0, 1)]


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


def test_chains_are_averaged_whatever_the_number_of_cores(low_rank):
    """Three chains on one core or two, or one by one: the same bytes as the mean of each alone."""
    train, _, test = low_rank
    options = {"k": 3, "sweeps": 20, "burn_in": 5, "implicit": "both"}
    before, found = numba.get_num_threads(), []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        found.append(Gibbs(chains=3, draws=6, **options).fit(train, test=test, seed=3))
    numba.set_num_threads(before)
    one, two = (fitted.predictions["test"] for fitted in found)
    assert one.tobytes() == two.tobytes()
    alone = [Gibbs(**options).fit(train, test=test, seed=chain_seed(3, c)) for c in range(3)]
    mean = np.mean([fitted.predictions["test"] for fitted in alone], axis=0)
    np.testing.assert_allclose(one, mean, atol=1e-6)
    assert alone[0].predictions["test"].tobytes() != alone[1].predictions["test"].tobytes()
    assert found[0].model.draws() == 6


def test_chains_resume_where_they_stopped(low_rank, tmp_path):
    train, validation, test = low_rank
    settings = Gibbs(k=2, sweeps=12, burn_in=3, chains=2, implicit="both")
    whole = settings.fit(train, validation, test)

    def stop(sweep, _):
        if sweep == 7:
            raise KeyboardInterrupt

    task = Task(train, 1, validation, test)
    path = tmp_path / "state.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            settings.fit_tasks([replace(task, report=stop)], path)
    assert path.with_stem("state-0").exists()
    resumed = settings.fit_tasks([task], path)[0]
    assert resumed.predictions["test"].tobytes() == whole.predictions["test"].tobytes()
    assert len(resumed.history) == len(whole.history)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 2, "sweeps": 10, "burn_in": 10}, "burn_in is 10 of 10"),
        ({"k": 2, "chains": 0}, "chains is 0"),
        ({"k": 2, "implicit": "items"}, "implicit is 'items'"),
        ({"k": 2, "noise": "none"}, "noise is 'none'"),
        ({"k": 2, "likelihood": "probit"}, "likelihood is 'probit'"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Gibbs(**options)


def test_a_fit_holds_few_bytes_a_rating():
    """At a hundred million ratings, ten bytes are a gigabyte: the limit is 8 GB with the inputs."""
    rng = np.random.default_rng(1)
    table = rng.integers(1, 6, (400, 400)) * (rng.random((400, 400)) < 0.7)
    task = Task(sparse.csr_array(table.astype(np.float32)), epochs=4)
    method = registry.method("gibbs")(k=2, sweeps=4, burn_in=1, draws=2)
    method.fit_tasks([task])  # compiles
    tracemalloc.start()
    method.fit_tasks([task])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 70 * task.train.nnz
