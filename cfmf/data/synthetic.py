"""Synthetic ratings, drawn from a seed, in the four files of the study and in their exact format.

A rating is round(μ + b_u + c_i + U_u·V_i + noise), clipped to 1 … 5. As the true parameters are
known, so is the lowest RMSE that any method can reach: the root of the mean variance of a rating
given the parameters.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from cfmf.progress import progress

log = logging.getLogger(__name__)

MEAN = 3.6
ACTIVITY_SPREAD = 1.0
POPULARITY_SPREAD = 1.5
LARGEST_USER_ID = 2_649_429  # of the Netflix Prize
FIRST_DAY, LAST_DAY = np.datetime64("1999-11-11"), np.datetime64("2005-12-31")
ADJECTIVES = (
    "Silent Golden Broken Hidden Last Crimson Electric Quiet Wild Lonely Final Paper".split()
)
NOUNS = "River Garden Summer Detective Station Mirror Orchestra Harbour Winter Letter Road".split()
# Titles in every file, with the difficulties of the Netflix Prize's titles and more.
SPECIAL_TITLES = (
    "The <script>alert(\"1\")</script> & Other 'Quotes'",
    "At Home Among Strangers, A Stranger Among Its Own",
    "Smokey's Café",
    "One, Two, Three: The Director's Cut",
)


@dataclass(frozen=True)
class Truth:
    """The true parameters: for each user and each item its id, bias and factors."""

    user_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    popularity: NDArray[np.float32]
    user_bias: NDArray[np.float64]
    item_bias: NDArray[np.float64]
    user_factors: NDArray[np.float64]
    item_factors: NDArray[np.float64]
    noise: float

    def means(self, user: int, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Ratings of one user without noise and rounding."""
        signal = self.item_factors[items] @ self.user_factors[user]
        means: NDArray[np.float64] = MEAN + self.user_bias[user] + self.item_bias[items] + signal
        return means


def best_prediction(
    means: NDArray[np.float64], noise: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expectation and variance of the rating round(mean + noise·ε) clipped to 1 … 5, ε ~ N(0, 1).

    By E r = 1 + Σ P(r > s) and E r² = 1 + Σ (2s + 1) P(r > s) over s = 1 … 4.
    """
    stars = np.arange(1, 5)
    above = ndtr((means[:, np.newaxis] - stars - 0.5) / noise)
    expected = 1 + above.sum(axis=1)
    return expected, 1 + above @ (2 * stars + 1) - expected**2


def write_netflix_files(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write users.txt, netflix_train.txt, netflix_test.txt and movie_titles.txt.

    Parameters
    ----------
    settings
        The `synthetic` block of the data set's config: users, items, titles, train, test, rank,
        signal, bias, noise, seed.
    folder
        Where to write; it exists.

    Returns
    -------
    The settings, the lowest reachable RMSE on the test part (`best_rmse`, the root of the mean
    variance given the true parameters) and the RMSE of the best predictions on the test ratings
    that were drawn (`oracle_rmse`).

    Raises
    ------
    ValueError
        If the numbers of users and items allow no such number of ratings.
    """
    rng = np.random.default_rng(settings["seed"])
    n_users, n_items = settings["users"], settings["items"]
    n_train, n_test = settings["train"], settings["test"]
    forced = -(-n_items // n_users)
    activity = _apportion(
        rng.lognormal(0, ACTIVITY_SPREAD, n_users), n_train + n_test, forced + 1, n_items
    )
    room = activity - np.bincount(np.arange(n_items) % n_users, minlength=n_users)
    tests = _apportion(activity * n_test / (n_train + n_test), n_test, 0, room)
    truth = _draw_truth(rng, settings)
    (folder / "users.txt").write_bytes(b"".join(b"%d\r\n" % one for one in truth.user_ids.tolist()))
    _write_titles(rng, max(settings["titles"], n_items), folder / "movie_titles.txt")
    variance, error = _write_ratings(truth, activity, tests, settings["seed"], folder)
    return dict(settings) | {
        "mean": MEAN,
        "best_rmse": math.sqrt(variance / n_test),
        "oracle_rmse": math.sqrt(error / n_test),
    }


def _write_ratings(
    truth: Truth,
    activity: NDArray[np.int64],
    tests: NDArray[np.int64],
    seed: int,
    folder: Path,
) -> tuple[float, float]:
    """Draw and write the ratings; sums of the test ratings' variance and of the squared errors."""
    n_users = len(truth.user_ids)
    days = np.datetime_as_string(np.arange(FIRST_DAY, LAST_DAY + 1)).tolist()
    variance = error = 0.0
    with (
        open(folder / "netflix_train.txt", "w", encoding="ascii", newline="") as train,
        open(folder / "netflix_test.txt", "w", encoding="ascii", newline="") as test,
    ):
        for user in progress(range(n_users), "users written", n_users):
            # A generator for each user: the first users are the same however many follow.
            rng = np.random.default_rng([seed, user])
            items = _draw_items(rng, truth.popularity, activity[user], user, n_users)
            means = truth.means(user, items)
            noisy = means + truth.noise * rng.standard_normal(len(items))
            ratings = np.clip(np.rint(noisy), 1, 5).astype(np.int64)
            first_day = rng.integers(len(days) - 1)
            dates = rng.integers(first_day, len(days), len(items)).tolist()
            rows = [
                f"{truth.user_ids[user]} {item} {rating} {days[date]}\r\n"
                for item, rating, date in zip(
                    truth.item_ids[items].tolist(), ratings.tolist(), dates, strict=True
                )
            ]
            tested = tests[user]
            test.writelines(rows[:tested])
            train.writelines(rows[tested:])
            best, spread = best_prediction(means[:tested], truth.noise)
            variance += float(spread.sum())
            error += float(((ratings[:tested] - best) ** 2).sum())
    return variance, error


def _draw_truth(rng: np.random.Generator, settings: Mapping[str, Any]) -> Truth:
    """Ids, popularity, biases and factors, whose products have the standard deviation `signal`."""
    n_users, n_items, rank = settings["users"], settings["items"], settings["rank"]
    n_titles = max(settings["titles"], n_items)
    scale = math.sqrt(settings["signal"] / math.sqrt(rank)) if rank else 0.0
    return Truth(
        user_ids=1 + rng.permutation(max(LARGEST_USER_ID, 4 * n_users))[:n_users],
        item_ids=1 + np.sort(rng.permutation(n_titles)[:n_items]),
        popularity=rng.lognormal(0, POPULARITY_SPREAD, n_items).astype(np.float32),
        user_bias=rng.normal(0, settings["bias"], n_users),
        item_bias=rng.normal(0, settings["bias"], n_items),
        user_factors=rng.normal(0, scale, (n_users, rank)),
        item_factors=rng.normal(0, scale, (n_items, rank)),
        noise=settings["noise"],
    )


def _draw_items(
    rng: np.random.Generator, popularity: NDArray[np.float32], count: int, user: int, n_users: int
) -> NDArray[np.int64]:
    """Distinct items of one user, drawn by popularity, in random order.

    The smallest exponential variates over the weights are such a draw: Efraimidis & Spirakis
    (2006). Every item is first given to one user, and comes last, in the train part.
    """
    keys = rng.standard_exponential(len(popularity), np.float32) / popularity
    forced = np.arange(user, len(popularity), n_users)
    keys[forced] = np.inf
    drawn = np.argpartition(keys, count - len(forced) - 1)[: count - len(forced)]
    return np.concatenate([rng.permutation(drawn), forced])


def _apportion(
    weight: NDArray[np.float64], total: int, low: int, high: int | NDArray[np.int64]
) -> NDArray[np.int64]:
    """Whole numbers from `low` to `high` that are about proportional to weights and sum to `total`.

    Raises
    ------
    ValueError
        If there are none.
    """
    largest = np.broadcast_to(high, weight.shape)
    if not low * len(weight) <= total <= largest.sum():
        raise ValueError(
            f"{total:,} ratings cannot be divided among {len(weight):,} users with {low:,} to"
            f" {int(largest.max()):,} each; change `users`, `items`, `train` or `test` under"
            " `synthetic` of the data set"
        )
    below, above = 0.0, 2.0 * (total + 1) / weight.min()
    for _ in range(200):
        middle = (below + above) / 2
        counts = np.clip(np.floor(middle * weight), low, largest)
        below, above = (middle, above) if counts.sum() <= total else (below, middle)
    result: NDArray[np.int64] = np.clip(np.floor(below * weight), low, largest).astype(np.int64)
    while (missing := total - int(result.sum())) > 0:
        result[np.flatnonzero(result < largest)[:missing]] += 1
    return result


def _write_titles(rng: np.random.Generator, count: int, path: Path) -> None:
    """Titles of movies 1 … count, ISO-8859-1, line feeds; some have commas, some no year.

    The genuine file ends its lines with a line feed, the other three with CR LF.
    """
    years = rng.integers(1915, 2006, count).astype(str)
    years[rng.permutation(count)[: max(1, count // 2500)]] = "NULL"
    adjective, noun = (
        rng.integers(len(ADJECTIVES), size=count),
        rng.integers(len(NOUNS), size=count),
    )
    series = rng.random(count)
    with open(path, "w", encoding="iso-8859-1", newline="\n") as file:
        for index in range(count):
            title = f"The {ADJECTIVES[adjective[index]]} {NOUNS[noun[index]]} {index + 1}"
            if index < len(SPECIAL_TITLES):
                title = SPECIAL_TITLES[index]
            elif series[index] < 0.02:
                title = f"{title}, Part {index % 3 + 1}"
            file.write(f"{index + 1},{years[index]},{title}\n")
