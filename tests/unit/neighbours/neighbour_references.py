"""Small rating matrices, and dense float64 references written without a look at the package."""

import numpy as np
from scipy import sparse


def ratings_of(seed, users=24, items=17, density=0.45, half_stars=False):
    """Ratings of a random part of the pairs, every user and item keeping at least one."""
    rng = np.random.default_rng(seed)
    held = rng.random((users, items)) < density
    held[np.arange(users), rng.integers(items, size=users)] = True
    held[rng.integers(users, size=items), np.arange(items)] = True
    rows, columns = np.nonzero(held)
    values = rng.integers(1, 6, len(rows)) if not half_stars else rng.integers(1, 11, len(rows)) / 2
    return matrix_of(rows, columns, values, (users, items))


def matrix_of(rows, columns, values, shape):
    indices = np.asarray(rows, dtype=np.int32), np.asarray(columns, dtype=np.int32)
    return sparse.csr_array((np.asarray(values, dtype=np.float32), indices), shape=shape)


def pairs_of(matrix):
    coordinates = matrix.tocoo()
    return coordinates.coords


class Dense:
    """Neighbour methods by their definitions, pair by pair, in float64."""

    def __init__(self, matrix, by, baseline):
        users, items = pairs_of(matrix)
        self.held = np.zeros(matrix.shape, dtype=bool)
        self.held[users, items] = True
        self.ratings = np.zeros(matrix.shape)
        self.ratings[users, items] = matrix.data
        self.expected = np.asarray(baseline, dtype=np.float64)
        self.mean = self.ratings[self.held].mean()
        self.user_means = self.means(self.ratings, self.held)
        self.by = by

    def means(self, ratings, held):
        lines = zip(ratings, held, strict=True)
        return np.array([row[mask].mean() if mask.any() else self.mean for row, mask in lines])

    def sides(self, *matrices):
        return [matrix if self.by == "users" else matrix.T for matrix in matrices]

    def similarity(self, kind, shrinkage=0.0):
        values = {
            "cosine": self.ratings,
            "adjusted-cosine": (self.ratings - self.user_means[:, np.newaxis]) * self.held,
            "pearson": self.ratings,
            "pearson-baseline": (self.ratings - self.expected) * self.held,
        }[kind]
        values, held = self.sides(values, self.held)
        size = len(values)
        result = np.zeros((size, size))
        for a in range(size):
            for b in range(size):
                both = held[a] & held[b]
                if a != b and both.any():
                    result[a, b] = self.alike(kind, values[a], values[b], both)
                    result[a, b] *= both.sum() / (both.sum() + shrinkage)
        return result

    @staticmethod
    def alike(kind, x, y, both):
        if kind == "pearson":
            x, y = x[both] - x[both].mean(), y[both] - y[both].mean()
        elif kind == "pearson-baseline":
            x, y = x[both], y[both]
        scale = np.linalg.norm(x) * np.linalg.norm(y)
        return x @ y / scale if scale > 1e-9 else 0.0

    def offsets(self, prediction):
        if prediction == "raw":
            return np.zeros(self.ratings.shape)
        if prediction == "baseline":
            return self.expected
        if self.by == "users":
            return np.repeat(self.user_means[:, np.newaxis], self.ratings.shape[1], axis=1)
        return np.repeat(self.means(self.ratings.T, self.held.T)[np.newaxis], len(self.held), 0)

    def predict(self, users, items, setting):
        similarity = self.similarity(setting["similarity"], setting["shrinkage"])
        offset = self.offsets(setting["prediction"])
        deviation, held = self.sides((self.ratings - offset) * self.held, self.held)
        steps = np.floor(similarity * 2**20 + 0.5)
        predicted = []
        for user, item in zip(users, items, strict=True):
            row, column = (user, item) if self.by == "users" else (item, user)
            near = [v for v in np.flatnonzero(held[:, column]) if v != row and steps[row, v] >= 1]
            near = sorted(near, key=lambda v: (-steps[row, v], v))[: setting["neighbours"]]
            weights = similarity[row, near]
            if len(near):
                total = weights @ deviation[near, column]
                value = offset[user, item] + total / (weights.sum() + setting["damping"])
            else:
                value = self.expected[user, item]
            predicted.append(value)
        return np.array(predicted)
