"""Synthetic ratings: their format to the byte, their shape, and what is said to be reachable."""

import re

import numpy as np
import pytest
from scipy import stats

from cfmf.data.formats import read
from cfmf.data.sources import retrieve
from cfmf.data.synthetic import MEAN, best_prediction, write_netflix_files

SETTINGS = {
    "users": 60,
    "items": 80,
    "titles": 100,
    "train": 1600,
    "test": 400,
    "rank": 4,
    "signal": 0.6,
    "bias": 0.4,
    "noise": 0.7,
    "seed": 1,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return folder, write_netflix_files(SETTINGS, folder)


def test_files_have_the_study_s_format_to_the_byte(made):
    folder, _ = made
    row = rb"[1-9]\d{0,6} [1-9]\d{0,4} [1-5] (1999|200[0-5])-\d\d-\d\d\r\n"
    for name, rows in (("netflix_train.txt", 1600), ("netflix_test.txt", 400)):
        content = (folder / name).read_bytes()
        assert re.fullmatch(rb"(?:%s){%d}" % (row, rows), content)
    assert re.fullmatch(rb"(?:\d+\r\n){60}", (folder / "users.txt").read_bytes())
    titles = (folder / "movie_titles.txt").read_bytes()
    assert re.fullmatch(rb"(?:\d+,(?:\d{4}|NULL),[^\r\n]+\n){100}", titles)
    assert b"NULL" in titles
    assert b"Caf\xe9" in titles
    assert b"<script>" in titles
    lines = titles.decode("iso-8859-1").splitlines()
    assert any(line.count(",") > 2 for line in lines)


def test_same_seed_same_bytes_and_another_seed_others(made, tmp_path):
    folder, _ = made
    for seed, same in ((1, True), (2, False)):
        other = tmp_path / str(seed)
        other.mkdir()
        write_netflix_files(SETTINGS | {"seed": seed}, other)
        for name in ("users.txt", "netflix_train.txt", "netflix_test.txt"):
            assert ((folder / name).read_bytes() == (other / name).read_bytes()) == same


def test_every_user_and_item_is_in_train_and_no_pair_occurs_twice(tiny, dataset):
    parsed = read(tiny, dataset(source="synthetic"))
    assert (len(parsed.users), len(parsed.items), len(parsed.ratings)) == (60, 80, 2000)
    train = parsed.ratings[parsed.ratings["part"] == "train"]
    assert (train["user"].nunique(), train["item"].nunique()) == (60, 80)
    assert parsed.audit["checks"]["duplicates"]["count"] == 0
    assert parsed.audit["checks"]["test_in_train"]["count"] == 0
    assert parsed.items["title"].str.contains("<script>", regex=False).any()


@pytest.mark.parametrize("noise", [0.1, 0.7, 2.0])
def test_best_prediction_is_expectation_and_variance_of_the_rounded_rating(noise):
    means = np.linspace(-1, 7, 41)
    stars = np.arange(1, 6)
    edges = np.array([-np.inf, 1.5, 2.5, 3.5, 4.5, np.inf])
    chance = np.diff(stats.norm.cdf(edges, means[:, np.newaxis], noise), axis=1)
    expected, variance = best_prediction(means, noise)
    np.testing.assert_allclose(expected, chance @ stars, atol=1e-12)
    np.testing.assert_allclose(variance, chance @ stars**2 - (chance @ stars) ** 2, atol=1e-12)


def test_without_signal_and_biases_the_best_is_the_spread_of_the_ratings(tmp_path, dataset):
    flat = SETTINGS | {"train": 2000, "test": 2000, "signal": 0, "bias": 0, "rank": 0}
    truth = retrieve(dataset(source="synthetic", synthetic=flat), tmp_path / "raw")["truth"]
    test = read(tmp_path / "raw", dataset(source="synthetic")).ratings.query("part == 'test'")
    expected, variance = best_prediction(np.array([MEAN]), flat["noise"])
    assert truth["best_rmse"] == pytest.approx(np.sqrt(variance[0]))
    oracle = np.sqrt(((test["rating"] - expected[0]) ** 2).mean())
    assert truth["oracle_rmse"] == pytest.approx(oracle, rel=1e-6)
    assert test["rating"].mean() == pytest.approx(expected[0], abs=4 * np.sqrt(variance[0] / 2000))


def test_activity_and_popularity_are_skewed(tmp_path, dataset):
    large = SETTINGS | {"users": 400, "items": 300, "titles": 0, "train": 16_000, "test": 4_000}
    retrieve(dataset(source="synthetic", synthetic=large), tmp_path / "raw")
    ratings = read(tmp_path / "raw", dataset(source="synthetic")).ratings
    for name in ("user", "item"):
        counts = np.sort(ratings[name].value_counts().to_numpy())[::-1]
        assert counts[: len(counts) // 10].sum() > 0.2 * len(ratings)


def test_a_full_matrix_can_be_made_and_one_rating_more_cannot(tmp_path):
    full = SETTINGS | {"users": 10, "items": 10, "titles": 0, "train": 80, "test": 20}
    write_netflix_files(full, tmp_path)
    rows = (tmp_path / "netflix_train.txt").read_bytes().splitlines()
    rows += (tmp_path / "netflix_test.txt").read_bytes().splitlines()
    assert len({tuple(row.split()[:2]) for row in rows}) == 100
    with pytest.raises(ValueError, match="101 ratings cannot be divided among 10 users"):
        write_netflix_files(full | {"test": 21}, tmp_path)
