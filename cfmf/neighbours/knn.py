"""Prediction from the K nearest users, or the K nearest items: one method, two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.extras import explained
from cfmf.kernels.similarities import Comparison, transposed
from cfmf.models import Explanation, Model, Prediction
from cfmf.neighbours.biases import Biases, fit_biases
from cfmf.neighbours.compare import compare
from cfmf.neighbours.explain import holders, neighbour_parts
from cfmf.neighbours.newcomers import among_items, among_users, fitted_users, stacked
from cfmf.observed import checked_new, checked_pairs, means, row_numbers, stored_matrix

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]
Pairs = tuple[Numbers, Numbers]
Side = Literal["users", "items"]


@dataclass(frozen=True)
class Averaging:
    """How neighbours are compared, chosen and averaged; see `cfmf.methods.knn.KNN`."""

    similarity: str
    prediction: str
    shrinkage: float
    neighbours: int
    damping: float
    reg_user: float
    reg_item: float


@dataclass(frozen=True)
class Where:
    """Where predictions are computed, and until when.

    Attributes
    ----------
    threads
        Cores to use; no result depends on it.
    device
        `cpu` for `cfmf.kernels.scatter`, a torch device such as `cuda` for `cfmf.kernels.dense`.
    until
        When to give up, by the monotonic clock; None: never.
    """

    threads: int = 1
    device: str = "cpu"
    until: float | None = None


@dataclass(frozen=True, eq=False)
class NearestNeighbours(Model):
    """x̂_ui = o_ui + Σ_v s_uv (x_vi − o_vi) / (γ + Σ_v s_uv), over the K nearest v that rated i.

    For item neighbours, users and items change places. Only neighbours with similarity above 0
    count, and no user or item is its own neighbour. Where no neighbour is left the prediction is
    b_ui, a fallback. Similarities are computed where they are used, and never kept.

    Attributes
    ----------
    biases
        Of the users of `train`, then of those of `new`, and of items.
    new
        Ratings of users that were folded in; None where there are none.
    """

    by: Side
    train: sparse.csr_array = field(repr=False)
    averaging: Averaging
    biases: Biases = field(repr=False)
    where: Where = field(default_factory=Where)
    new: sparse.csr_array | None = field(default=None, repr=False)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Prediction:
        """Predicted rating of every pair; see `Model.predict`."""
        shape = len(self.biases.user), len(self.biases.item)
        users, items = checked_pairs(users, items, shape)
        known = users < self.train.shape[0]
        regs = {(self.averaging.reg_user, self.averaging.reg_item): self.biases}
        found = [Prediction(np.empty(len(users), "f4"), np.empty(len(users), bool))]
        pairs, settings = (users[known], items[known]), [self.averaging]
        if known.any() or not len(known):
            found += predict_settings(self.by, self.train, *pairs, settings, self.where, regs)
        if not known.all():
            found.append(self._predict_new((users[~known], items[~known])))
        if len(found) == 2:
            return found[1]
        for chosen, part in zip((known, ~known), found[1:], strict=True):
            found[0].values[chosen], found[0].is_fallback[chosen] = part.values, part.is_fallback
        return found[0]

    def _predict_new(self, pairs: Pairs) -> Prediction:
        from cfmf.kernels.scatter import nearest_sums

        comparison, offset, target, rows, columns = self._compared(pairs)
        one, fallback = self.averaging, self.biases.predict(*pairs)
        limits = [one.shrinkage], [one.neighbours], self.where.threads, self.where.until
        [sums] = nearest_sums(comparison, [target], rows, columns, *limits)
        return averaged(one, offset, sums[0, 0], sums[1, 0], fallback)

    def _compared(self, pairs: Pairs) -> tuple[Comparison, Floats, Floats, Numbers, Numbers]:
        """Comparison, offsets, target, and rows and columns: of pairs of known or of new users."""
        by, kind, (users, items) = self.by, self.averaging.similarity, pairs
        given = self.averaging.prediction, self.biases, pairs, self.train
        rows, columns = (users, items) if by == "users" else (items, users)
        if self.new is None or (users < self.train.shape[0]).all():
            offset, target = offset_and_target(by, self.train, *given)
            return compare(self.train, by, kind, self.biases), offset, target, rows, columns
        offset, target = offset_and_target(by, stacked(self.train, self.new), *given)
        if by == "items":
            comparison = among_items(self.train, self.new, kind, self.biases)
            return comparison, offset, target, rows, columns
        comparison, target = among_users(self.train, self.new, kind, self.biases, target)
        return comparison, offset, target, rows, columns + self.train.shape[1]

    def fold_in(self, ratings: sparse.csr_array) -> NearestNeighbours:
        """See `Model.fold_in`: new users have neighbours and biases, and are neighbours of nobody.

        Items are as similar as they were.
        """
        ratings = checked_new(ratings, self.train.shape[1])
        biases = self.biases.with_users(ratings, self.averaging.reg_user)
        new = ratings if self.new is None else stacked(self.new, ratings)
        return replace(self, biases=biases, new=new)

    def explain(self, user: int, item: int) -> Explanation:
        """The neighbours of a pair, the most similar first; no parts for a fallback."""
        from cfmf.kernels.scatter import nearest, similarity_row

        predicted = self.predict([user], [item])
        value = float(predicted.values[0])
        if predicted.is_fallback[0]:
            return Explanation(value, value, ())
        pair = np.array([user]), np.array([item])
        comparison, offset, target, (row,), (column,) = self._compared(pair)
        similarities = similarity_row(comparison, row, self.averaging.shrinkage)
        held = holders(comparison, column)
        chosen = held[nearest(similarities, held, self.averaging.neighbours)]
        name, damping = f"neighbour_{self.by[:-1]}", self.averaging.damping
        parts = neighbour_parts(name, comparison, column, chosen, similarities, target, damping)
        return Explanation(float(offset[0]), value, parts)

    def similar_items(self, item: int) -> Floats:
        """The similarity of every item that predictions use; of item neighbours."""
        if self.by == "users":
            return super().similar_items(item)
        from cfmf.kernels.scatter import similarity_row

        comparison = compare(self.train, "items", self.averaging.similarity, self.biases)
        return similarity_row(comparison, item, self.averaging.shrinkage)

    def arrays(self) -> dict[str, np.ndarray]:
        """The training ratings, the biases and the settings."""
        biases = self.biases
        train = self.train if self.new is None else stacked(self.train, self.new)
        return {
            "ratings": train.data,
            "indices": train.indices,
            "indptr": train.indptr,
            "fitted_users": np.array(self.train.shape[0]),
            "mean": np.array(biases.mean),
            "user_bias": biases.user,
            "item_bias": biases.item,
            "by": np.array(self.by),
            **{name: np.array(value) for name, value in asdict(self.averaging).items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """See `Model.from_arrays`."""
        biases = Biases(float(arrays["mean"]), arrays["user_bias"], arrays["item_bias"])
        shape = (len(biases.user), len(biases.item))
        train = stored_matrix((arrays["ratings"], arrays["indices"], arrays["indptr"]), shape)
        averaging = Averaging(**{one.name: arrays[one.name].item() for one in fields(Averaging)})
        if averaging.neighbours < 1 or arrays["by"].item() not in get_args(Side):
            raise ValueError(f"no predictions are of {averaging.neighbours} {arrays['by']}")
        fitted = fitted_users(arrays)
        new = train[fitted:] if fitted < train.shape[0] else None
        return cls(arrays["by"].item(), train[:fitted], averaging, biases, new=new)


def predict_settings(
    by: Side,
    train: sparse.csr_array,
    users: ArrayLike,
    items: ArrayLike,
    settings: Sequence[Averaging],
    where: Where,
    biases: Mapping[tuple[float, float], Biases] | None = None,
) -> list[Prediction]:
    """Predictions of many settings at once; settings of one similarity share its computation.

    Parameters
    ----------
    by
        Whose neighbours.
    train
        Users × items, checked.
    biases
        Those of `train` that are already fitted, by (reg_user, reg_item).

    Raises
    ------
    ValueError
        If a pair is outside the training matrix.
    OutOfTimeError
        If it is not done by `where.until`.
    """
    queried = checked_pairs(users, items, train.shape)
    fitted = dict(biases or {})
    found: dict[int, Prediction] = {}
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, one in enumerate(settings):
        groups.setdefault((one.similarity, one.reg_user, one.reg_item), []).append(place)
    for (_, *regs), places in groups.items():
        key = (regs[0], regs[1])
        if key not in fitted:
            fitted[key] = fit_biases(train, *key)
        group = [settings[place] for place in places]
        predictions = _predict_alike(by, train, queried, group, where, fitted[key])
        found.update(zip(places, predictions, strict=True))
    return [found[place] for place in range(len(settings))]


def _predict_alike(
    by: Side,
    train: sparse.csr_array,
    queried: Pairs,
    settings: Sequence[Averaging],
    where: Where,
    biases: Biases,
) -> list[Prediction]:
    """Predictions of settings with the same similarity and biases."""
    counted = any(one.shrinkage for one in settings)
    comparison = compare(train, by, settings[0].similarity, biases, counted)
    offsets = {
        kind: offset_and_target(by, train, kind, biases, queried)
        for kind in sorted({one.prediction for one in settings})
    }
    shrinkages = sorted({one.shrinkage for one in settings})
    sizes = sorted({one.neighbours for one in settings})
    targets = [target for _, target in offsets.values()]
    rows, columns = queried if by == "users" else queried[::-1]
    sums = _summed(comparison, targets, (rows, columns), shrinkages, sizes, where)
    fallback = biases.predict(*queried)
    found = []
    for one in settings:
        of_setting = sums[shrinkages.index(one.shrinkage)][:, sizes.index(one.neighbours)]
        total, weight = of_setting[list(offsets).index(one.prediction)], of_setting[-1]
        found.append(averaged(one, offsets[one.prediction][0], total, weight, fallback))
    return found


def averaged(
    one: Averaging, offset: Floats, total: Floats, weight: Floats, fallback: Floats
) -> Prediction:
    """Predictions from the sums over neighbours: of s · deviation and of s."""
    is_fallback = weight == 0
    damped = np.where(is_fallback, 1, weight + np.float32(one.damping))
    values = np.where(is_fallback, fallback, offset + total / damped)
    return Prediction(values.astype(np.float32, copy=False), is_fallback)


def _summed(
    comparison: Comparison,
    targets: list[Floats],
    queried: Pairs,
    shrinkages: list[float],
    neighbours: list[int],
    where: Where,
) -> Floats:
    """`nearest_sums` of the kernels for a device; `queried` are rows and columns."""
    # Imported here so that a study without neighbours on a GPU never loads torch.
    given = (comparison, targets, *queried, shrinkages, neighbours)
    if where.device == "cpu":
        from cfmf.kernels import scatter

        return scatter.nearest_sums(*given, where.threads, where.until)
    with explained():
        from cfmf.kernels import dense

    return dense.nearest_sums(*given, where.device, where.until)


def offset_and_target(
    by: Side,
    train: sparse.csr_array,
    prediction: str,
    biases: Biases,
    queried: Pairs,
    learned: sparse.csr_array | None = None,
) -> tuple[Floats, Floats]:
    """o_ui of queried pairs, and x − o of the training ratings in the order of the comparison.

    `learned` are the ratings that items have their means from, by default all.
    """
    users, items = queried
    if prediction == "raw":
        offset = np.zeros(len(users), dtype=np.float32)
        target = train.data
    elif prediction == "centred":
        groups, rows = row_numbers(train), users
        if by == "items":
            groups, rows, known = train.indices, items, train if learned is None else learned
            middle = means(known.indices, known.data, train.shape[1])
        else:
            middle = means(groups, train.data, train.shape[0])
        offset, target = middle[rows].astype("f4"), (train.data - middle[groups]).astype("f4")
    else:
        offset = biases.predict(users, items)
        target = biases.residuals(train)
    if by == "items":
        target = target[transposed(train)[1]]
    return offset, target
