"""A fitted model in one file, with the ids of the data: written, read, and asked by these ids.

The file is a ZIP archive of `.npy` arrays and JSON, neither compressed nor pickled. Reading it
needs neither the training data nor whatever fitted the model, and trusts nothing in it: every array
has the size that its header declares, and the model is of this package or of a method that is
registered here.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy import sparse

from cfmf.data.matrices import build_matrix
from cfmf.evaluation.conformal import Radii, interval
from cfmf.files import atomic_write
from cfmf.methods import registry
from cfmf.methods.base import Method
from cfmf.metrics import decimals
from cfmf.models import Explanation, Model, Part
from cfmf.neighbours.biases import REGS, Biases, fit_biases, tuned_regs
from cfmf.observed import row_numbers, stored_matrix

SUFFIX = ".cfmf"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every member, the earliest that ZIP knows, so that equal models are equal files."""
KINDS = "biufU"
"""Kinds of arrays that a file may have: numbers, truth values and text."""
HEADER = 10_000
"""Most bytes of the header of an array."""
LARGEST = 1e15
"""Largest number that a model may have; ratings cannot be larger either."""
PAIRS = 1 << 20
"""Pairs that are predicted at a time."""
Number = Annotated[float, Field(allow_inf_nan=False)]
Id = int | str


class Interval(BaseModel):
    """Radii of one coverage by the length of the history; see `cfmf.evaluation.conformal.Radii`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: Annotated[float, Field(gt=0, lt=1)]
    lowest: Annotated[tuple[int, ...], Field(min_length=1)]
    radii: tuple[Annotated[Number, Field(ge=0)] | None, ...]

    @model_validator(mode="after")
    def _of_groups(self) -> Self:
        if len(self.radii) != len(self.lowest) or list(self.lowest) != sorted({0, *self.lowest}):
            raise ValueError("the groups of histories do not increase from 0, one radius each")
        return self

    @classmethod
    def of(cls, radii: Radii) -> Interval:
        """As a file holds them."""
        held = tuple(one if np.isfinite(one) else None for one in radii.radii)
        return cls(coverage=radii.coverage, lowest=radii.lowest, radii=held)

    def known(self) -> Radii:
        """As predictions use them."""
        held = tuple(np.inf if one is None else one for one in self.radii)
        return Radii(self.lowest, held, self.coverage)


class About(BaseModel):
    """What a file of a model reports about itself, as its `about.json` has it.

    Attributes
    ----------
    method, settings
        Name and settings of the method.
    model
        Its class, `module:Class`.
    scale
        Lowest and highest rating.
    intervals
        One for each coverage, as `cfmf.evaluation.conformal.Radii` has them; a radius is None where
        there were too few validation ratings to bound it.
    provenance
        Where the model comes from: data, hashes, versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["cfmf model 1"] = "cfmf model 1"
    method: str
    settings: dict[str, Any]
    model: str
    scale: tuple[Number, Number]
    intervals: tuple[Interval, ...] = ()
    provenance: dict[str, Any] = {}


@dataclass(frozen=True)
class Names:
    """What users and items are called.

    Attributes
    ----------
    users, items
        Ids by number, whole numbers or texts.
    titles
        A title of each item; empty where there is none.
    """

    users: Sequence[Id]
    items: Sequence[Id]
    titles: Sequence[str] = ()

    def title(self, item: int) -> str:
        """Title of an item by its number, or its id."""
        return self.titles[item] if self.titles else str(self.items[item])

    @cached_property
    def _numbers(self) -> dict[str, dict[str, int]]:
        # A user who is there twice was folded in again: the last row counts.
        return {
            "user": {str(one): number for number, one in enumerate(self.users)},
            "item": {str(one): number for number, one in enumerate(self.items)},
        }

    def numbers(self, kind: Literal["user", "item"], ids: Iterable[Any]) -> NDArray[np.int64]:
        """Numbers of users or items by their ids, int64; -1 where there is no such id.

        An id is compared as text; where the data have whole numbers, `007` and `7.0` are 7.
        """
        known = self._numbers[kind]
        whole = all(isinstance(one, int) for one in (self.users if kind == "user" else self.items))
        texts = (_whole(str(one)) if whole else str(one) for one in ids)
        return np.array([known.get(text, -1) for text in texts], np.int64)


@dataclass(frozen=True)
class Ratings:
    """Ratings to learn from, or to judge predictions by.

    Attributes
    ----------
    matrix
        Users × items, CSR, float32.
    names
        Ids of its rows and columns, and titles.
    scale
        Lowest and highest rating that can be given.
    provenance
        What is known of their origin.
    """

    matrix: sparse.csr_array
    names: Names
    scale: tuple[float, float]
    provenance: dict[str, Any] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """Columns user, item and rating, one row for each rating, in CSR order."""
        rows = self.matrix.tocoo()
        users, items = (
            np.array(ids, object) if any(isinstance(one, str) for one in ids) else np.array(ids)
            for ids in (self.names.users, self.names.items)
        )
        return pd.DataFrame({"user": users[rows.row], "item": items[rows.col], "rating": rows.data})


@dataclass(frozen=True)
class Saved:
    """A model, and what is needed to ask it by ids.

    Attributes
    ----------
    seen
        Users × items, CSR, bool: the pairs with a training rating.
    fallback
        What predicts pairs of an unknown user or item: the mean, with the bias of the one that is
        known.
    """

    about: About
    model: Model
    names: Names
    seen: sparse.csr_array
    fallback: Biases

    @property
    def method(self) -> Method:
        """The method at its settings.

        Raises
        ------
        ValueError
            If no method of this name, or with these settings, is known here.
        """
        return registry.method(self.about.method)(**self.about.settings, scale=self.about.scale)

    @property
    def digits(self) -> int:
        """Decimals of ratings in texts: two of five stars, and as many digits on other scales."""
        low, high = self.about.scale
        return max(0, decimals(high - low) - 2)

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """Number of training ratings of each item, int64."""
        return np.bincount(self.seen.indices, minlength=self.seen.shape[1])

    def radii(self, coverage: float) -> Radii:
        """Half the widths of the intervals that have a coverage.

        Raises
        ------
        ValueError
            If the file has no intervals with this coverage.
        """
        held = {one.coverage: one for one in self.about.intervals}
        if coverage not in held:
            known = ", ".join(map(str, held)) or "none"
            raise ValueError(
                f"the model has no intervals with a coverage of {coverage:g}; it has {known}"
            )
        return held[coverage].known()

    def values(
        self, users: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Predictions of pairs by their numbers, float32, and which are fallbacks; -1 is unknown.

        They are not clipped to the scale.
        """
        known = (users >= 0) & (items >= 0)
        user, item = np.append(self.fallback.user, 0.0), np.append(self.fallback.item, 0.0)
        values = (self.fallback.mean + user[users] + item[items]).astype(np.float32)
        is_fallback = np.ones(len(users), bool)
        places = np.flatnonzero(known)
        for start in range(0, len(places), PAIRS):
            at = places[start : start + PAIRS]
            values[at], is_fallback[at], _ = self.model.predict(users[at], items[at])
        return values, is_fallback

    def has_seen(self, users: Iterable[Any], items: Iterable[Any]) -> NDArray[np.bool_]:
        """Which pairs of ids have a rating that the model has learned from."""
        width = self.seen.shape[1]
        rows, columns = self.names.numbers("user", users), self.names.numbers("item", items)
        held = row_numbers(self.seen).astype(np.int64) * width + self.seen.indices
        return (rows >= 0) & (columns >= 0) & np.isin(rows * width + columns, held)

    def predict(
        self, users: Iterable[Any], items: Iterable[Any], coverage: float | None = None
    ) -> pd.DataFrame:
        """Predicted ratings of pairs of ids.

        Parameters
        ----------
        coverage
            Of the interval; None leaves it out.

        Returns
        -------
        Columns user and item as given, prediction (float32, clipped to the scale), low and high of
        the interval, and is_fallback: nothing specific to the pair is known. Where a user or item
        is unknown, the prediction is the mean rating, plus the bias of the one that is known.
        """
        users, items = list(users), list(items)
        numbers = self.names.numbers("user", users), self.names.numbers("item", items)
        values, is_fallback = self.values(*numbers)
        table = pd.DataFrame({"user": users, "item": items})
        shown = self._shown(numbers[0], values, coverage)
        return table.assign(**shown, is_fallback=is_fallback)

    def recommend(
        self,
        users: Sequence[Any] | None = None,
        top: int = 10,
        coverage: float | None = None,
        explained: int = 0,
    ) -> pd.DataFrame:
        """The items with the highest predictions of each user, without those that they rated.

        Equal predictions are in order of the items' numbers of ratings.

        Parameters
        ----------
        users
            Ids; None: every user of the training data.
        top
            Items for each user.
        explained
            Parts of the explanation that are named for each; 0 leaves it out. Empty for a method
            that does not explain.

        Returns
        -------
        Columns user, rank, item, title, prediction, low, high, is_fallback and explanation.
        """
        ids = list(dict.fromkeys(self.names.users if users is None else users))
        numbers = self.names.numbers("user", ids)
        owners, ranks, items, values, is_fallback = self._ranked(numbers, top)
        table = pd.DataFrame(
            {
                "user": [ids[owner] for owner in owners],
                "rank": ranks,
                "item": [self.names.items[item] for item in items],
                "title": [self.names.title(item) for item in items],
                **self._shown(numbers[owners], values, coverage),
                "is_fallback": is_fallback,
            }
        )
        if explained:
            pairs = zip(numbers[owners].tolist(), items.tolist(), strict=True)
            table["explanation"] = [self._because(*pair, explained) for pair in pairs]
        return table

    def with_ratings(self, users: Iterable[Any], items: Iterable[Any], ratings: ArrayLike) -> Saved:
        """The model that also knows the ratings of new users, without being fitted again.

        A user whom the model knows is a new one from then on: give all ratings of theirs, the old
        ones too. Items that the model does not know are left out.

        Raises
        ------
        ValueError
            If the method cannot learn of new users, or a rating is not finite or occurs twice.
        """
        given = pd.DataFrame({"user": list(users), "item": self.names.numbers("item", items)})
        given["rating"] = np.asarray(ratings, np.float32)
        given = given[given["item"] >= 0]
        given["user"], ids = pd.factorize(given["user"])
        shape = len(ids), len(self.names.items)
        new = build_matrix(given, np.arange(len(given)), *shape)
        if not np.isfinite(new.data).all():
            raise ValueError("a rating is not a finite number; correct it or leave it out")
        try:
            model = self.model.fold_in(new)
        except NotImplementedError:
            raise ValueError(
                f"{self.about.method} cannot learn of new users; fit it again with their ratings"
            ) from None
        unbiased = replace(self.fallback, user=np.zeros(len(ids)))
        left = np.bincount(row_numbers(new), unbiased.residuals(new), len(ids))
        bias = left / (np.diff(new.indptr) + REGS[0])
        known = sparse.csr_array((np.ones(new.nnz, bool), new.indices, new.indptr), shape)
        return replace(
            self,
            model=model,
            names=replace(self.names, users=[*self.names.users, *ids.tolist()]),
            seen=sparse.csr_array(sparse.vstack([self.seen, known])),
            fallback=replace(self.fallback, user=np.append(self.fallback.user, bias)),
        )

    def explain(self, user: Any, item: Any) -> Explanation:
        """Why the rating of a pair of ids is predicted.

        Raises
        ------
        ValueError
            If the user or item is unknown, or the method does not explain.
        """
        pair = []
        for kind, one in (("user", user), ("item", item)):
            number = int(self.names.numbers(kind, [one])[0])  # type: ignore[arg-type]
            if number < 0:
                raise ValueError(f"the model knows no {kind} {one}, so it has no explanation")
            pair.append(number)
        try:
            return self.model.explain(*pair)
        except NotImplementedError:
            raise ValueError(f"{self.about.method} does not explain its predictions") from None

    def part_name(self, part: Part) -> str:
        """What a part of an explanation is called: a title, an id, or the number of a factor."""
        named = {"user": "the user", "item": "the item", "factor": f"factor {part.number + 1}"}
        if part.kind in named:
            return named[part.kind]
        users = part.kind == "neighbour_user"
        name = f"user {self.names.users[part.number]}" if users else self.names.title(part.number)
        return name if np.isnan(part.rating) else f"{name}, rated {part.rating:g}"

    def _because(self, user: int, item: int, most: int) -> str:
        if user < 0:
            return ""
        try:
            parts = self.model.explain(user, item).parts[:most]
        except NotImplementedError:
            return ""
        named = (f"{self.part_name(one)} {one.contribution:+.{self.digits}f}" for one in parts)
        return "; ".join(named)

    def _ranked(self, users: NDArray[np.int64], top: int) -> tuple[NDArray[Any], ...]:
        """Of all recommendations: place of the user, rank, item, value and is_fallback."""
        at_once = max(1, PAIRS // len(self.names.items))
        starts = range(0, len(users), at_once)
        blocks = [self._best(users[start : start + at_once], top) for start in starts]
        counts, *found = (np.concatenate(one) for one in zip(*blocks, strict=True))
        first = np.repeat(np.cumsum(counts) - counts, counts)
        ranks = np.arange(len(first)) - first + 1
        return np.repeat(np.arange(len(users)), counts), ranks, *found

    def _best(self, users: NDArray[np.int64], top: int) -> tuple[NDArray[Any], ...]:
        """How many items are recommended to each user, by number, and what these are.

        Of all users together: the items, their predictions, and whether these are fallbacks.
        """
        shape = len(users), len(self.names.items)
        values, is_fallback = self.values(
            np.repeat(users, shape[1]), np.tile(range(shape[1]), shape[0])
        )
        scores = values.reshape(shape)
        chosen = []
        for user, row in zip(users, scores, strict=True):
            if user >= 0:
                row[
                    self.seen.indices[self.seen.indptr[user] : self.seen.indptr[user + 1]]
                ] = -np.inf
            left = int(np.count_nonzero(row > -np.inf))
            order = np.lexsort((np.arange(shape[1]), -self.popularity, -row))
            chosen.append(order[: min(top, left)])
        counts = np.array([len(one) for one in chosen])
        items = np.concatenate(chosen)
        at = np.repeat(np.arange(shape[0]), counts) * shape[1] + items
        return counts, items, values[at], is_fallback[at]

    def _shown(
        self, users: NDArray[np.int64], values: NDArray[np.float32], coverage: float | None
    ) -> dict[str, NDArray[np.float32]]:
        """Predictions, and ends of their intervals, clipped to the scale."""
        low, high = self.about.scale
        found = {"prediction": np.clip(values, np.float32(low), np.float32(high))}
        if coverage is not None:
            # An unknown user has no history.
            history = np.append(np.diff(self.seen.indptr), 0)[users]
            reach = self.radii(coverage).of(history)
            ends = interval(values, reach, self.about.scale)
            found |= dict(
                zip(("low", "high"), (end.astype(np.float32) for end in ends), strict=True)
            )
        return found


def saved(
    model: Model,
    method: Method,
    train: sparse.csr_array,
    names: Names,
    *,
    radii: Iterable[Radii] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Saved:
    """A fitted model with what is needed to ask it by ids.

    Parameters
    ----------
    train
        What it was fitted to: users × items, CSR.
    radii
        Of its predictions' intervals, one for each coverage.

    Raises
    ------
    ValueError
        If there are other numbers of names than users and items.
    """
    sizes = len(names.users), len(names.items)
    if sizes != train.shape or len(names.titles) not in (0, train.shape[1]):
        raise ValueError(
            f"the ratings are of {train.shape[0]} users and {train.shape[1]} items, the names of"
            f" {sizes[0]} and {sizes[1]}, with {len(names.titles)} titles"
        )
    low, high = method.scale or (train.data.min(), train.data.max())
    kind = type(model)
    about = About(
        method=method.name,
        settings=method.model_dump(mode="json"),
        model=f"{kind.__module__}:{kind.__qualname__}",
        scale=(float(low), float(high)),
        intervals=tuple(map(Interval.of, radii)),
        provenance=dict(provenance or {}),
    )
    seen = sparse.csr_array((np.ones(train.nnz, bool), train.indices, train.indptr), train.shape)
    return Saved(about, model, names, seen, fit_biases(train, *tuned_regs(train)))


def save(path: str | Path, saved: Saved) -> None:
    """Write a model, whole or not at all; equal models give equal bytes.

    Raises
    ------
    ValueError
        If the model is one of another package that has no form to be saved in.
    """
    try:
        held = saved.model.arrays()
    except NotImplementedError as error:
        raise ValueError(f"{saved.about.method} has no form to be saved in: {error}") from None
    arrays = {f"model/{name}": array for name, array in held.items()}
    arrays |= {f"seen/{name}": getattr(saved.seen, name) for name in ("indices", "indptr")}
    arrays |= {f"fallback/{name}": getattr(saved.fallback, name) for name in ("user", "item")}
    arrays["fallback/mean"] = np.array(saved.fallback.mean)
    texts: dict[str, Any] = {"about": saved.about.model_dump(mode="json")}
    texts |= {name: list(getattr(saved.names, name)) for name in ("users", "items", "titles")}
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for name, text in texts.items():
            _write(file, f"{name}.json", json.dumps(text, ensure_ascii=False, indent=1).encode())
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(
                content, np.asarray(array, order="C"), (1, 0), allow_pickle=False
            )
            _write(file, f"{name}.npy", content.getvalue())


def load(path: str | Path) -> Saved:
    """Read a model that `save` wrote.

    Raises
    ------
    ValueError
        If the file is not one, is damaged, or is of a method that is not known here.
    """
    path = Path(path)
    try:
        found = _read(path)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; fit a model first (cfmf fit)") from None
    except Exception as error:  # whatever NumPy, zipfile and a model raise of damaged files
        raise ValueError(
            f"{path} is not a readable model of cfmf ({_first_line(error)}); fit and save it again"
        ) from error
    return found


def _write(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.external_attr = 0o644 << 16
    file.writestr(member, content)


def _read(path: Path) -> Saved:
    members = _members(path)
    about = About.model_validate_json(members.pop("about.json"))
    users, items, titles = (
        _texts(json.loads(members.pop(f"{name}.json")), name)
        for name in ("users", "items", "titles")
    )
    arrays = {name.removesuffix(".npy"): _array(one, name) for name, one in members.items()}
    indices, indptr = arrays.pop("seen/indices"), arrays.pop("seen/indptr")
    seen = stored_matrix((np.ones(len(indices), bool), indices, indptr), (len(users), len(items)))
    mean, user, item = (arrays.pop(f"fallback/{name}") for name in ("mean", "user", "item"))
    own = {name.removeprefix("model/"): array for name, array in arrays.items()}
    model = _class_of(about).from_arrays(own)
    found = Saved(about, model, Names(users, items, titles), seen, Biases(float(mean), user, item))
    _check(found)
    return found


def _members(path: Path) -> dict[str, bytes]:
    """The content of every member. None is compressed, so none is larger than the file."""
    with zipfile.ZipFile(path) as file:
        listed = file.infolist()
        if any(one.compress_type != zipfile.ZIP_STORED for one in listed):
            raise ValueError("a part of it is compressed")
        if sum(one.file_size for one in listed) > path.stat().st_size:
            raise ValueError("its parts are larger than the file")
        return {one.filename: file.read(one) for one in listed}


def _array(content: bytes, name: str) -> NDArray[Any]:
    """An array of a `.npy` file whose content is as long as its header declares."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} has another version of the format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=HEADER)
    size = math.prod(shape) * dtype.itemsize
    if dtype.kind not in KINDS or dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"{name} has values of the type {dtype}")
    if len(content) - stream.tell() != size:
        raise ValueError(f"{name} is not as long as its header declares")
    flat = np.frombuffer(content, dtype, offset=stream.tell())
    array = flat.reshape(shape, order="F" if fortran else "C").copy()
    # Compiled loops rank similarities, which have no order where a sum is no number.
    if array.dtype.kind == "f" and not (np.abs(array) <= LARGEST).all():
        raise ValueError(f"{name} has values that are no numbers, or too large ones")
    return array


def _class_of(about: About) -> type[Model]:
    """The class of a model: of this package, or of the package of a registered method."""
    module, _, name = about.model.partition(":")
    package = module.split(".")[0]
    # Only where needed, as finding all methods takes longer than reading a model.
    if package != "cfmf" and package not in {
        one.__module__.split(".")[0] for one in registry.methods().values()
    }:
        raise ValueError(
            f"its class {about.model} is of no method that is known here; register its method first"
        )
    found = getattr(import_module(module), name, None)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise ValueError(f"{about.model} is no model")
    return found


def first_fault(error: ValidationError) -> str:
    """The first fault that pydantic found, in one line."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _texts(found: Any, name: str) -> list[Any]:
    whole = isinstance(found, list) and all(type(one) in (int, str) for one in found)
    if not whole:
        raise ValueError(f"{name}.json is not a list of texts and whole numbers")
    return list(found)


def _check(found: Saved) -> None:
    """That the parts have the same numbers of users and items: the model predicts the last pair.

    Raises
    ------
    ValueError
        If not.
    """
    users, items = found.seen.shape
    fallback, titles = found.fallback, len(found.names.titles)
    if (len(fallback.user), len(fallback.item)) != (users, items) or titles not in (0, items):
        raise ValueError(f"its parts are not all of {users} users and {items} items")
    low, high = found.about.scale
    last = found.model.predict(np.array([0, users - 1]), np.array([0, items - 1]))
    if not (low < high and np.isfinite(last.values).all()):
        raise ValueError("its predictions or its scale are not finite")
    try:
        found.model.predict(np.array([users]), np.array([0]))
        found.model.predict(np.array([0]), np.array([items]))
    except ValueError:
        return
    raise ValueError(f"the model is not of {users} users and {items} items")


def _whole(text: str) -> str:
    """A whole number as it is written without leading zeros or a decimal part of zero."""
    text = text.removesuffix(".0")
    return text.lstrip("0") or "0" if text.isdigit() else text


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return f"about.json: {first_fault(error)}"
    if isinstance(error, KeyError):
        return f"it has no part {error}"
    return (str(error).splitlines() or [type(error).__name__])[0]
