"""Prediction from the K nearest users, or the K nearest items: one method, two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.neighbours.baseline import Baseline
from cfmf.neighbours.compare import SIMILARITIES, Comparison, compare, transposed
from cfmf.neighbours.ratings import checked, checked_pairs, means
from cfmf.observed import row_numbers

PREDICTIONS = ("raw", "centred", "baseline")
Floats = NDArray[np.float32]


@dataclass
class KNN:
    """x̂_ui = o_ui + Σ_v s_uv (x_vi − o_vi) / (γ + Σ_v s_uv), over the K nearest v that rated i.

    For item neighbours, users and items change places. Only neighbours with similarity above 0
    count, and nobody is their own neighbour. Where no neighbour is left the prediction is the
    baseline b_ui; `alone` marks these pairs of the last `predict`, `fallbacks` counts them.

    Parameters
    ----------
    similarity
        One of `compare.SIMILARITIES`; see `compare.compare`.
    shrinkage
        β in s·c/(c + β), with c the ratings that two neighbours share.
    neighbours
        K ≥ 1.
    prediction
        What o_ui is: `raw` 0, `centred` the mean rating of the user (of the item, for item
        neighbours), `baseline` b_ui (Koren, 2010, eq. 3).
    damping
        γ, a weight of its own for "no deviation": few or hardly similar neighbours move the
        prediction from o_ui less. 0 is the plain weighted mean.
    reg_user, reg_item
        Of the baseline; see `Baseline`.
    threads
        Cores to use; no result depends on it.
    device
        `cpu` for the kernels of `cfmf.neighbours.kernels`, a torch device such as `cuda` for those
        of `cfmf.neighbours.device`.
    """

    similarity: str = "pearson-baseline"
    shrinkage: float = 100.0
    neighbours: int = 40
    prediction: str = "baseline"
    damping: float = 0.1
    reg_user: float = 10.0
    reg_item: float = 5.0
    threads: int = 1
    device: str = "cpu"
    alone: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool), init=False)
    by: ClassVar[str] = "users"

    def fit(self, train: sparse.csr_array) -> Self:
        """Keep the ratings and fit the baseline; similarities are computed where they are used.

        Raises
        ------
        ValueError
            If a parameter is out of its range or the matrix is not usable.
        """
        check_setting(self.setting())
        self.train = checked(train)
        self.baseline = Baseline(self.reg_user, self.reg_item).fit(self.train)
        return self

    @property
    def fallbacks(self) -> int:
        """How many pairs of the last `predict` had no neighbour."""
        return int(np.count_nonzero(self.alone))

    def setting(self) -> dict[str, Any]:
        """The parameters that decide the predictions."""
        return {
            "similarity": self.similarity,
            "shrinkage": self.shrinkage,
            "neighbours": self.neighbours,
            "prediction": self.prediction,
            "damping": self.damping,
            "reg_user": self.reg_user,
            "reg_item": self.reg_item,
        }

    def predict(self, users: ArrayLike, items: ArrayLike) -> Floats:
        """Predicted rating of every pair, float32; sets `alone` and so `fallbacks`.

        Raises
        ------
        ValueError
            If a user or item is outside the training matrix.
        """
        predicted, alone = predict_settings(
            self.by,
            self.train,
            users,
            items,
            [self.setting()],
            self.threads,
            self.device,
            {(self.reg_user, self.reg_item): self.baseline},
        )
        self.alone = alone[0]
        return predicted[0]

    def predict_block(
        self, asked: sparse.csr_array, start: int, stop: int
    ) -> tuple[NDArray[np.int64], Floats]:
        """Predictions of the stored pairs of `asked` whose row is from `start` up to `stop`.

        Rows are users for user neighbours and items for item neighbours, so that the jobs of one
        study share no similarity. Whatever the blocks, together they hold what `predict` gives.

        Returns
        -------
        Places of the pairs in the CSR order of `asked`, and their predictions.
        """
        users, items = row_numbers(asked), asked.indices
        rows = users if self.by == "users" else items
        places = np.flatnonzero((rows >= start) & (rows < stop))
        return places, self.predict(users[places], items[places])


def check_setting(setting: Mapping[str, Any]) -> None:
    """Raise ValueError if a parameter of a kNN is out of its range."""
    for name, known in (("similarity", SIMILARITIES), ("prediction", PREDICTIONS)):
        if setting[name] not in known:
            raise ValueError(f"no {name} is called {setting[name]!r}; known are {', '.join(known)}")
    for name in ("shrinkage", "damping"):
        if not setting[name] >= 0:
            raise ValueError(f"{name} is {setting[name]}; it must not be negative")
    if setting["neighbours"] < 1 or setting["neighbours"] != int(setting["neighbours"]):
        raise ValueError(
            f"neighbours is {setting['neighbours']}; it must be a whole number above 0"
        )


def predict_settings(
    by: str,
    train: sparse.csr_array,
    users: ArrayLike,
    items: ArrayLike,
    settings: Sequence[Mapping[str, Any]],
    threads: int = 1,
    device: str = "cpu",
    fitted: Mapping[tuple[float, float], Baseline] | None = None,
    until: float | None = None,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Predictions of many settings at once; settings of one similarity share its computation.

    Parameters
    ----------
    by
        `users` or `items`: whose neighbours.
    train
        Users × items, checked.
    settings
        The parameters of `KNN`, each with every key.
    fitted
        Baselines that are already fitted to `train`, by (reg_user, reg_item).
    until
        When to give up, by the monotonic clock; None: never.

    Returns
    -------
    Settings × pairs: predictions, float32, and whether they fell back to the baseline.

    Raises
    ------
    ValueError
        If a setting is out of its range or a pair outside the training matrix.
    OutOfTimeError
        If it is not done by `until`.
    """
    users, items = checked_pairs(users, items, train.shape)
    predicted = np.empty((len(settings), len(users)), dtype=np.float32)
    alone = np.zeros(predicted.shape, dtype=bool)
    baselines = dict(fitted or {})
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, setting in enumerate(settings):
        check_setting(setting)
        key = (setting["similarity"], setting["reg_user"], setting["reg_item"])
        groups.setdefault(key, []).append(place)
    for (similarity, reg_user, reg_item), places in groups.items():
        if (reg_user, reg_item) not in baselines:
            baselines[reg_user, reg_item] = Baseline(reg_user, reg_item).fit(train)
        baseline = baselines[reg_user, reg_item]
        base = baseline.predict(users, items)
        group = [settings[place] for place in places]
        counted = any(setting["shrinkage"] for setting in group)
        comparison = compare(train, by, similarity, baseline, counted)
        offsets = {
            kind: offset_and_target(by, train, kind, baseline, users, items)
            for kind in sorted({setting["prediction"] for setting in group})
        }
        shrinkages = sorted({setting["shrinkage"] for setting in group})
        sizes = sorted({setting["neighbours"] for setting in group})
        targets = [target for _, target in offsets.values()]
        rows, columns = (users, items) if by == "users" else (items, users)
        sums = summed(comparison, targets, rows, columns, shrinkages, sizes, threads, device, until)
        for place, setting in zip(places, group, strict=True):
            kind = setting["prediction"]
            of_setting = sums[shrinkages.index(setting["shrinkage"])]
            of_setting = of_setting[:, sizes.index(setting["neighbours"])]
            total, weight = of_setting[list(offsets).index(kind)], of_setting[-1]
            alone[place] = weight == 0
            damped = np.where(alone[place], 1, weight + np.float32(setting["damping"]))
            predicted[place] = np.where(alone[place], base, offsets[kind][0] + total / damped)
    return predicted, alone


def summed(
    comparison: Comparison,
    targets: list[Floats],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    shrinkages: list[float],
    neighbours: list[int],
    threads: int,
    device: str,
    until: float | None,
) -> Floats:
    """`kernels.nearest_sums`, or its twin in `device` for another device than `cpu`."""
    # Imported here so that a study without neighbours on a GPU never loads torch.
    if device == "cpu":
        from cfmf.neighbours import kernels

        return kernels.nearest_sums(
            comparison, targets, rows, columns, shrinkages, neighbours, threads, until
        )
    from cfmf.neighbours import device as torch_device

    return torch_device.nearest_sums(
        comparison, targets, rows, columns, shrinkages, neighbours, device, until
    )


def offset_and_target(
    by: str,
    train: sparse.csr_array,
    prediction: str,
    baseline: Baseline,
    users: NDArray[np.int64],
    items: NDArray[np.int64],
) -> tuple[Floats, Floats]:
    """o_ui of the asked pairs, and x − o of the training ratings in the order of the comparison."""
    train_users = row_numbers(train)
    if prediction == "raw":
        offset = np.zeros(len(users), dtype=np.float32)
        target = train.data
    elif prediction == "baseline":
        offset = baseline.predict(users, items)
        target = train.data - baseline.predict(train_users, train.indices)
    else:
        groups, size, asked = train_users, train.shape[0], users
        if by == "items":
            groups, size, asked = train.indices, train.shape[1], items
        middle = means(groups, train.data, size).astype(np.float32)
        offset, target = middle[asked], train.data - middle[groups]
    if by == "items":
        target = target[transposed(train)[1]]
    return offset, target
