"""Item–item weights learned by regression on the ratings, all of a user's weights jointly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from cfmf.deadline import check_deadline
from cfmf.kernels.similarities import Features, transposed
from cfmf.models import Explanation, Model, Part, Prediction
from cfmf.neighbours.biases import Biases
from cfmf.neighbours.newcomers import fitted_users
from cfmf.observed import checked_new, checked_pairs, row_numbers, stored_matrix
from cfmf.threads import use_threads

TOLERANCE, MOST_STEPS = 1e-3, 200
"""The equations are solved until what is left is this share of the ratings, in so many steps."""
NEW_TOLERANCE = 1e-5  # of those of new users, which are few
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Relations:
    """Which items and which users are alike; see `cfmf.methods.item_linear.ItemLinear`.

    Attributes
    ----------
    ratings
        Users × items: residuals of the biases, divided by their standard deviation.
    by_item, order
        The same transposed, and the place in `ratings` of each of its entries.
    items
        Features of items: s_ij = Σ_v of their products.
    users
        Features of users, of who rated what alone.
    implicit
        Their weight.
    """

    ratings: sparse.csr_array
    by_item: sparse.csr_array
    order: NDArray[np.integer]
    items: Features
    users: Features
    implicit: float

    @classmethod
    def of(
        cls, residuals: sparse.csr_array, agreement: float, shrinkage: float, implicit: float
    ) -> Relations:
        """Those of a matrix of residuals in units of their standard deviation."""
        by_item, order = transposed(residuals)
        counts, size = np.diff(by_item.indptr), residuals.shape[1]
        squares = np.bincount(residuals.indices, np.square(residuals.data, dtype="f8"), size)
        norms = np.sqrt(np.maximum(squares + shrinkage, 1e-12))
        values = agreement**0.5 * by_item.data / np.repeat(norms, counts)
        scales = np.sqrt((1 - agreement) / np.maximum(counts + shrinkage, 1e-12))
        items = Features(by_item, scales.astype("f4"), values.astype("f4"))
        users = Features(residuals, own_scales(residuals, implicit), np.empty(0, "f4"))
        return cls(residuals, by_item, order, items, users, implicit)

    def sums(self, weights: Floats, queried: sparse.csr_array) -> tuple[Floats, Floats]:
        """Σ_j a_uj s_ij over the items of u, and Σ_v a_vi t_uv over the users of i.

        Of every queried pair, in CSR order; `weights` are a in that of `ratings`.
        """
        return self.item_sums(weights, queried), self.user_sums(weights, queried)

    def item_sums(self, weights: Floats, queried: sparse.csr_array) -> Floats:
        """The first of `sums`."""
        from cfmf.kernels.co_rated import co_rated_sums

        return co_rated_sums(self.ratings, weights, self.items, queried)

    def user_sums(self, weights: Floats, queried: sparse.csr_array) -> Floats:
        """The second of `sums`."""
        from cfmf.kernels.co_rated import co_rated_sums

        turned, order = transposed(queried)
        found = np.empty(queried.nnz, np.float32)
        found[order] = co_rated_sums(self.by_item, weights[self.order], self.users, turned)
        return found

    def widened(self, ratings: sparse.csr_array) -> Relations:
        """With new users: `ratings` are those of the known ones, then theirs.

        What is alike stays so: the features of items are of the known users alone, and new users
        rated no item as far as another user's prediction is concerned.
        """
        size, by_item, features = ratings.shape[0], self.by_item, self.items
        wide = (by_item.shape[0], size)
        by_item, rows = (
            sparse.csr_array((one.data, one.indices, one.indptr), shape=wide)
            for one in (by_item, features.rows)
        )
        users = Features(ratings, own_scales(ratings, self.implicit), np.empty(0, "f4"))
        return Relations(
            ratings, by_item, self.order, features._replace(rows=rows), users, self.implicit
        )

    def solve_new(self, weights: Floats, known: int, reg: float) -> Floats:
        """The a of new users, those after `known` ones, by the equations of `solve`.

        `weights` are a in the order of `ratings`, zeros of the new ones. New users are in no
        equation but their own, and no known user's a changes.

        Raises
        ------
        FloatingPointError
            If the equations are not solved in `MOST_STEPS` steps.
        """
        ratings, first = self.ratings, self.ratings.indptr[known]
        starts = np.maximum(ratings.indptr, first) - first
        new = sparse.csr_array(
            (ratings.data[first:], ratings.indices[first:], starts), shape=ratings.shape
        )
        only = replace(self, ratings=new)
        # What a rating says of its own user by way of the item, over the user's other items.
        counts = np.diff(starts)[row_numbers(new)]
        diagonal = reg + self.implicit * (counts - 1) / np.maximum(counts, 1)

        def product(a: NDArray[np.float64]) -> NDArray[np.float64]:
            return only.item_sums(a.astype("f4"), new) + diagonal * a

        target = new.data - only.user_sums(weights, new).astype("f8")
        size = len(target)
        system = LinearOperator((size, size), matvec=product, dtype=np.float64)
        found, failed = cg(system, target, rtol=NEW_TOLERANCE, maxiter=MOST_STEPS)
        if failed:
            raise FloatingPointError(f"the weights of new users are not found in {failed} steps")
        return np.asarray(found, np.float32)

    def solve(self, regs: Sequence[float], until: float | None = None) -> list[Floats]:
        """The a with Σ_j a_uj s_ij + Σ_v a_vi t_uv + λ a_ui = residual, for each λ of `regs`.

        By conjugate gradients for the lowest λ; the others share its products (Jegerlehner 1996,
        *Krylov space solvers for shifted linear systems*). Vectors are in float64.

        Raises
        ------
        OutOfTimeError
            If it is not done by `until`.
        """
        lowest = min(regs)
        shifts = np.array([reg - lowest for reg in regs])
        left = self.ratings.data.astype(np.float64)
        found = np.zeros((len(regs), len(left)))
        ahead = np.repeat(left[None], len(regs), axis=0)
        ahead_of_lowest = left.copy()
        now, before = np.ones(len(regs)), np.ones(len(regs))
        step, turn, size = 1.0, 0.0, float(left @ left)
        enough = TOLERANCE**2 * size
        for _ in range(MOST_STEPS):
            # What is left of each λ is `left` times its factor; one that is solved stays as it is,
            # because its factor would soon be 0 in float64.
            unsolved = np.flatnonzero(now**2 * size > enough)
            if not len(unsolved):
                break
            check_deadline(until)
            of_items, of_users = self.sums(ahead_of_lowest.astype("f4"), self.ratings)
            product = of_items + of_users + lowest * ahead_of_lowest
            last_step, step = step, size / float(ahead_of_lowest @ product)
            one, other = now[unsolved], before[unsolved]
            after = one * other * last_step
            after /= step * turn * (other - one) + other * last_step * (1 + shifts[unsolved] * step)
            found[unsolved] += (step * after / one)[:, None] * ahead[unsolved]
            left -= step * product
            turn, size = float(left @ left) / size, float(left @ left)
            ahead_of_lowest = left + turn * ahead_of_lowest
            kept = (turn * (after / one) ** 2)[:, None] * ahead[unsolved]
            ahead[unsolved] = after[:, None] * left + kept
            before[unsolved], now[unsolved] = one, after
        return list(found.astype(np.float32))


@dataclass(frozen=True, eq=False)
class ItemRegression(Model):
    """x̂_ui = b_ui + σ (Σ_j a_uj s_ij + Σ_v a_vi t_uv), with the a that the ratings determine.

    Attributes
    ----------
    train
        Users × items, checked; the last ones may have been folded in.
    biases
        Of all of them, and of items.
    weights
        a in the CSR order of `train`, float32.
    relations
        Of `train`.
    unit
        σ: standard deviation of the residuals.
    declared
        agreement, shrinkage and implicit, as `Relations.of` takes them.
    reg, reg_user
        Penalties by which new users are folded in: λ, and that of their biases.
    fitted
        How many users the model was fitted to; None: all.
    """

    train: sparse.csr_array = field(repr=False)
    biases: Biases = field(repr=False)
    weights: Floats = field(repr=False)
    declared: tuple[float, float, float]
    reg: float
    reg_user: float
    threads: int = 1
    fitted: int | None = None
    relations: Relations = field(init=False, repr=False)
    unit: float = field(init=False)

    def __post_init__(self) -> None:
        learned = self.train if self.fitted is None else self.train[: self.fitted]
        relations, unit = relations_of(learned, self.biases, *self.declared)
        if learned.shape != self.train.shape:
            residuals = self.biases.residuals(self.train) / np.float32(unit)
            given = residuals, self.train.indices, self.train.indptr
            relations = relations.widened(sparse.csr_array(given, shape=self.train.shape))
        object.__setattr__(self, "relations", relations)
        object.__setattr__(self, "unit", unit)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Prediction:
        """See `Model.predict`; a fallback to b_ui where the ratings say nothing of the pair."""
        users, items = checked_pairs(users, items, self.train.shape)
        use_threads(self.threads)
        queried, order = _as_matrix(users, items, self.train.shape)
        moved = np.empty(len(users), np.float64)
        moved[order] = np.add(*self.relations.sums(self.weights, queried))
        values = self.biases.predict(users, items) + self.unit * moved
        return Prediction(values.astype(np.float32), moved == 0)

    def fold_in(self, ratings: sparse.csr_array) -> ItemRegression:
        """See `Model.fold_in`: the equations of the new users, all that is learned held fixed."""
        ratings, known = checked_new(ratings, self.train.shape[1]), self.train.shape[0]
        use_threads(self.threads)
        wide = replace(
            self,
            train=sparse.csr_array(sparse.vstack([self.train, ratings], format="csr")),
            biases=self.biases.with_users(ratings, self.reg_user),
            weights=np.append(self.weights, np.zeros(ratings.nnz, np.float32)),
            fitted=known if self.fitted is None else self.fitted,
        )
        if ratings.nnz:
            found = wide.relations.solve_new(wide.weights, known, self.reg)
            wide.weights[len(self.weights) :] = found
        return wide

    def explain(self, user: int, item: int) -> Explanation:
        """What every item that the user rated adds, the largest contribution first."""
        predicted = self.predict([user], [item])
        value = float(predicted.values[0])
        expected = float(self.biases.predict(np.array([user]), np.array([item]))[0])
        if predicted.is_fallback[0]:
            return Explanation(value, value, ())
        own = slice(*self.train.indptr[user : user + 2])
        rated = self.train.indices[own]
        alike = self.similar_items(item, without=user)[rated]
        moved = self.weights[own].astype("f8") * alike + self._implicit(user, item, rated)
        sizes = np.abs(moved) / max(float(np.abs(moved).sum()), 1e-30)
        columns = (rated, self.unit * moved, sizes, alike, self.train.data[own])
        rows = [[one.item() for one in row] for row in zip(*columns, strict=True)]
        parts = [Part("neighbour_item", *row) for row in rows]
        parts.sort(key=lambda part: -part.share)
        return Explanation(expected, value, tuple(parts))

    def _implicit(self, user: int, item: int, rated: NDArray[np.integer]) -> NDArray[np.float64]:
        """The part of Σ_v a_vi t_uv that comes from each item that the user rated."""
        relations = self.relations
        raters = relations.by_item[[item]]
        scales = relations.users.scales.astype("f8")
        own = slice(*relations.by_item.indptr[item : item + 2])
        weights = self.weights[relations.order[own]] * scales[raters.indices]
        weights[raters.indices == user] = 0
        held = relations.ratings[raters.indices]
        shares = np.bincount(held.indices, np.repeat(weights, np.diff(held.indptr)), held.shape[1])
        shares[item] = 0
        return np.asarray(scales[user] * shares[rated])

    def similar_items(self, item: int, without: int | None = None) -> Floats:
        """s_ij of every item j, as over all users or `without` one."""
        features = self.relations.items
        own = slice(*features.rows.indptr[item : item + 2])
        raters = features.rows.indices[own]
        common, values = np.zeros((2, features.rows.shape[1]), np.float32)
        common[raters], values[raters] = features.scales[item], features.values[own]
        if without is not None:
            common[without] = values[without] = 0
        numbers = row_numbers(features.rows)
        terms = features.scales[numbers] * common[features.rows.indices]
        terms += features.values * values[features.rows.indices]
        return np.bincount(numbers, terms, features.rows.shape[0]).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The training ratings, the biases, the weights and the settings."""
        return {
            "ratings": self.train.data,
            "indices": self.train.indices,
            "indptr": self.train.indptr,
            "mean": np.array(self.biases.mean),
            "user_bias": self.biases.user,
            "item_bias": self.biases.item,
            "weights": self.weights,
            "declared": np.array(self.declared),
            "regs": np.array([self.reg, self.reg_user]),
            "fitted_users": np.array(self.train.shape[0] if self.fitted is None else self.fitted),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """See `Model.from_arrays`."""
        biases = Biases(float(arrays["mean"]), arrays["user_bias"], arrays["item_bias"])
        shape = (len(biases.user), len(biases.item))
        train = stored_matrix((arrays["ratings"], arrays["indices"], arrays["indptr"]), shape)
        if arrays["weights"].shape != train.data.shape:
            raise ValueError("every rating needs one weight")
        agreement, shrinkage, implicit = (float(one) for one in arrays["declared"])
        return cls(
            train,
            biases,
            arrays["weights"],
            (agreement, shrinkage, implicit),
            reg=float(arrays["regs"][0]),
            reg_user=float(arrays["regs"][1]),
            fitted=fitted_users(arrays),
        )


def own_scales(ratings: sparse.csr_array, implicit: float) -> Floats:
    """The feature of each user that all their ratings share, so that their squares sum to it."""
    own = np.sqrt(implicit / np.maximum(np.diff(ratings.indptr), 1))
    return np.asarray(own, np.float32)


def relations_of(
    train: sparse.csr_array, biases: Biases, agreement: float, shrinkage: float, implicit: float
) -> tuple[Relations, float]:
    """The relations of training ratings, and the standard deviation of their residuals."""
    residuals = biases.residuals(train)
    unit = float(residuals.std(dtype=np.float64)) or 1.0
    matrix = sparse.csr_array(
        (residuals / np.float32(unit), train.indices, train.indptr), train.shape
    )
    return Relations.of(matrix, agreement, shrinkage, implicit), unit


def _as_matrix(
    users: NDArray[np.int64], items: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[sparse.csr_array, NDArray[np.int64]]:
    """Pairs as the entries of a matrix, and which pair each of its entries is; pairs may repeat."""
    order = np.lexsort((items, users))
    starts = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=shape[0]))])
    places = items[order].astype(np.int32), starts.astype(np.int32 if len(users) < 2**31 else int)
    ones = np.ones(len(users), np.float32)
    return sparse.csr_array((ones, *places), shape=shape), order
