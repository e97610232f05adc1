"""Prediction from the K nearest users, or the K nearest items: one method, two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
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
from cfmf.observed import checked_pairs, means, row_numbers, stored_matrix

Floats = NDArray[np.float32]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
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
    """

    by: Side
    train: sparse.csr_array = field(repr=False)
    averaging: Averaging
    biases: Biases = field(repr=False)
    where: Where = field(default_factory=Where)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Prediction:
        """Predicted rating of every pair; see `Model.predict`."""
        known = {(self.averaging.reg_user, self.averaging.reg_item): self.biases}
        settings = [self.averaging]
        return predict_settings(self.by, self.train, users, items, settings, self.where, known)[0]

    def explain(self, user: int, item: int) -> Explanation:
        """The neighbours of a pair, the most similar first; no parts for a fallback."""
        from cfmf.kernels.scatter import nearest, similarity_row

        predicted = self.predict([user], [item])
        value = float(predicted.values[0])
        if predicted.is_fallback[0]:
            return Explanation(value, value, ())
        pair = checked_pairs(user, item, self.train.shape)
        kind, by = self.averaging.prediction, self.by
        offset, target = offset_and_target(by, self.train, kind, self.biases, pair)
        comparison = compare(self.train, by, self.averaging.similarity, self.biases)
        row, column = (user, item) if by == "users" else (item, user)
        similarities = similarity_row(comparison, row, self.averaging.shrinkage)
        held = holders(comparison, column)
        chosen = held[nearest(similarities, held, self.averaging.neighbours)]
        name, damping = f"neighbour_{by[:-1]}", self.averaging.damping
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
        train, biases = self.train, self.biases
        return {
            "ratings": train.data,
            "indices": train.indices,
            "indptr": train.indptr,
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
        return cls(arrays["by"].item(), train, averaging, biases)


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
        is_fallback = weight == 0
        damped = np.where(is_fallback, 1, weight + np.float32(one.damping))
        values = np.where(is_fallback, fallback, offsets[one.prediction][0] + total / damped)
        found.append(Prediction(values.astype(np.float32, copy=False), is_fallback))
    return found


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
    by: Side, train: sparse.csr_array, prediction: str, biases: Biases, queried: Pairs
) -> tuple[Floats, Floats]:
    """o_ui of queried pairs, and x − o of the training ratings in the order of the comparison."""
    users, items = queried
    if prediction == "raw":
        offset = np.zeros(len(users), dtype=np.float32)
        target = train.data
    elif prediction == "centred":
        groups, size, rows = row_numbers(train), train.shape[0], users
        if by == "items":
            groups, size, rows = train.indices, train.shape[1], items
        middle = means(groups, train.data, size)
        offset, target = middle[rows].astype("f4"), (train.data - middle[groups]).astype("f4")
    else:
        offset = biases.predict(users, items)
        target = biases.residuals(train)
    if by == "items":
        target = target[transposed(train)[1]]
    return offset, target
