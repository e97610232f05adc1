"""Prediction from the K nearest users, or the K nearest items: one method, two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.extras import explained
from cfmf.kernels.similarities import Comparison, Query
from cfmf.models import Explanation, Model, Prediction
from cfmf.neighbours.biases import Biases, fit_biases
from cfmf.neighbours.explain import neighbour_parts
from cfmf.neighbours.kept import Kept, Where
from cfmf.neighbours.known import Known, Pairs, Side
from cfmf.neighbours.newcomers import fitted_users, stacked
from cfmf.observed import checked_new, checked_pairs, stored_matrix

Floats = NDArray[np.float32]


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


@dataclass(frozen=True, eq=False)
class NearestNeighbours(Model):
    """x̂_ui = o_ui + Σ_v s_uv (x_vi − o_vi) / (γ + Σ_v s_uv), over the K nearest v that rated i.

    For item neighbours, users and items change places. Only neighbours with similarity above 0
    count, and no user or item is its own neighbour. Where no neighbour is left the prediction is
    b_ui, a fallback.

    Attributes
    ----------
    biases
        Of the users of `train`, then of those of `new`, and of items.
    new
        Ratings of users that were folded in; None where there are none.
    kept
        Similarities of the training ratings, once and where they were computed all.
    """

    by: Side
    train: sparse.csr_array = field(repr=False)
    averaging: Averaging
    biases: Biases = field(repr=False)
    where: Where = field(default_factory=Where)
    new: sparse.csr_array | None = field(default=None, repr=False)
    kept: Kept = field(default_factory=Kept, repr=False)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Prediction:
        """Predicted rating of every pair; see `Model.predict`."""
        shape = len(self.biases.user), len(self.biases.item)
        users, items = checked_pairs(users, items, shape)
        is_new = users >= self.train.shape[0]
        values, is_fallback = np.empty(len(users), "f4"), np.empty(len(users), bool)
        for chosen in (~is_new, is_new):
            pairs = users[chosen], items[chosen]
            if len(pairs[0]):
                [part] = self._known(pairs[0][0]).predict(pairs, [self.averaging], self.where)
                values[chosen], is_fallback[chosen] = part.values, part.is_fallback
        return Prediction(values, is_fallback)

    def _known(self, user: int) -> Neighbours:
        """What pairs of a user are predicted from, and of all others that are new as this one."""
        new = self.new if user >= self.train.shape[0] else None
        kept = Kept() if new is not None and self.by == "users" else self.kept
        return Neighbours(Known(self.by, self.train, self.biases, new), kept)

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
        from cfmf.kernels.scatter import nearest

        predicted = self.predict([user], [item])
        value, one = float(predicted.values[0]), self.averaging
        if predicted.is_fallback[0]:
            return Explanation(value, value, ())
        pair = np.array([user]), np.array([item])
        found = self._known(user)
        query = found.known.query(pair, ["raw", one.prediction])
        similarities = found.row(one, query.rows[0])
        places = query.of_column(query.columns[0])
        chosen = nearest(similarities, query.held[places], one.neighbours)
        parts = neighbour_parts(
            f"neighbour_{self.by[:-1]}", query, places.start + chosen, similarities, one.damping
        )
        return Explanation(float(found.known.offset(one.prediction, pair)[0]), value, parts)

    def similar_items(self, item: int) -> Floats:
        """The similarity of every item that predictions use; of item neighbours."""
        if self.by == "users":
            return super().similar_items(item)
        return self._known(0).row(self.averaging, item)

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
        alike = Neighbours(Known(by, train, fitted[key]), Kept())
        found.update(zip(places, alike.predict(queried, group, where), strict=True))
    return [found[place] for place in range(len(settings))]


class Neighbours(NamedTuple):
    """What predictions are made from, and the similarities that are kept of it."""

    known: Known
    kept: Kept

    def predict(
        self, pairs: Pairs, settings: Sequence[Averaging], where: Where
    ) -> list[Prediction]:
        """Predictions of settings with the same similarity and biases."""
        known, kinds = self.known, sorted({one.prediction for one in settings})
        shrinkages = sorted({one.shrinkage for one in settings})
        sizes = sorted({one.neighbours for one in settings})
        query = known.query(pairs, kinds)

        def compared() -> Comparison:
            return known.comparison(settings[0].similarity, any(shrinkages))

        similar: Comparison | Floats
        if len(shrinkages) == 1:
            similar = self.kept.similar(compared, shrinkages[0], query, where)
        else:
            similar = compared()
        sums = _summed(similar, query, shrinkages, sizes, where)
        fallback = known.biases.predict(*pairs)
        offsets = {kind: known.offset(kind, pairs) for kind in kinds}
        found = []
        for one in settings:
            of_setting = sums[shrinkages.index(one.shrinkage)][:, sizes.index(one.neighbours)]
            total, weight = of_setting[kinds.index(one.prediction)], of_setting[-1]
            found.append(averaged(one, offsets[one.prediction], total, weight, fallback))
        return found

    def row(self, one: Averaging, row: int) -> Floats:
        """Similarities of one row that the predictions of a setting use."""

        def compared() -> Comparison:
            return self.known.comparison(one.similarity, one.shrinkage > 0)

        return self.kept.row(compared, one.shrinkage, row)


def averaged(
    one: Averaging, offset: Floats, total: Floats, weight: Floats, fallback: Floats
) -> Prediction:
    """Predictions from the sums over neighbours: of s · deviation and of s."""
    is_fallback = weight == 0
    damped = np.where(is_fallback, 1, weight + np.float32(one.damping))
    values = np.where(is_fallback, fallback, offset + total / damped)
    return Prediction(values.astype(np.float32, copy=False), is_fallback)


def _summed(
    similar: Comparison | Floats,
    query: Query,
    shrinkages: list[float],
    neighbours: list[int],
    where: Where,
) -> Floats:
    """`nearest_sums` of the kernels for a device."""
    # Imported here so that a study without neighbours on a GPU never loads torch.
    if where.device == "cpu" or isinstance(similar, np.ndarray):
        from cfmf.kernels import few, scatter

        given = query, shrinkages, neighbours, where.threads, where.until
        if isinstance(similar, Comparison) and few.pays(similar, query):
            return few.nearest_sums(similar, *given)
        return scatter.nearest_sums(similar, *given)
    with explained():
        from cfmf.kernels import dense

    return dense.nearest_sums(similar, query, shrinkages, neighbours, where.device, where.until)
