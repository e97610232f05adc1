"""The contract of a method: its settings, what it declares, and how it is fitted.

A method is one class in one file. Its fields are its settings: typed, documented, with the values
that a study tries by default. Config schema, documentation, colours and the list of methods are
made from them. Its class variables declare what it is and what its models can do; whoever uses a
method reads the declaration and never probes for attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, InstanceOf
from pydantic.json_schema import SkipJsonSchema
from scipy import sparse

from cfmf.deadline import check_deadline
from cfmf.models import Explanation, Model, Part, Prediction
from cfmf.observed import pairs
from cfmf.side import Side, Use
from cfmf.tasks import HISTORY, Fitted, Task

__all__ = ["Explanation", "Method", "Model", "Part", "Prediction", "setting"]

Capability = Literal["explain", "fold_in", "predict_training", "similar_items", "factors", "sd"]
Progress = Callable[[int, Mapping[str, float]], None]


def setting(
    default: Any,
    description: str,
    *,
    grid: Sequence[Any] | None = None,
    step: float | None = None,
    search: tuple[float, float] | None = None,
    **limits: Any,
) -> Any:
    """A field of a method: one of its settings.

    Parameters
    ----------
    default
        Value of a method made without it.
    description
        One or two sentences for the documentation, with the unit.
    grid
        Values that a study tries by default. A setting with a grid is a list in the config, and
        validation chooses; a setting without one is a single value.
    step, search
        Factor from one value to the next, and the lowest and the highest value, of a search that
        starts from the grid, as `cfmf.lattice` makes it. Without them the grid is all that is
        tried.
    limits
        `ge`, `gt`, `le`, `lt` of a number.

    Raises
    ------
    ValueError
        If a step is below 1.2, or without a grid and the limits of a search.
    """
    extra: dict[str, Any] = {}
    if step is not None:
        if grid is None or search is None or step < 1.2 or not 0 < search[0] <= search[1]:
            raise ValueError(
                f"a step must be at least 1.2 and needs a grid and limits above 0; given are"
                f" the step {step}, the grid {grid} and the limits {search}"
            )
        extra["step"] = step
    if grid is not None:
        extra["grid"] = list(grid)
    if search is not None:
        extra["search"] = list(search)
    return Field(default, description=description, json_schema_extra=extra, **limits)


class Method(BaseModel):
    """A method at one setting; see `fit` for what a new one has to write.

    Attributes
    ----------
    name
        As in the config and in every table: lower-case words joined by hyphens.
    label
        As in figures and tables of the report.
    equation
        What it predicts, or minimizes, in plain text with `<sub>` and `<sup>`; for its card in the
        report, as `source`.
    source
        The paper that it is from.
    family
        What it is compared as.
    can
        What its models do beyond predicting: `explain`, `fold_in`, `predict_training`,
        `similar_items` and `factors` are methods of `Model`; `sd` says that predictions have one.
    neighbours_of
        `users` or `items` of a method that predicts from similar ones, else empty: whose rows the
        predictions of one job share.
    shared_pass
        Setting whose equal values make candidates share one pass over the data, so that
        `predict_grid` is given them together; empty where every candidate is fitted by itself.
    job_per_point
        Whether each (k, reg) of the grid is a job of its own, which trains all folds and seeds. The
        others try their whole grid in one job. Needs a setting `k` and perhaps `reg`.
    stochastic
        Whether it draws random numbers, so that seeds matter.
    iterates
        `epochs` or `sweeps` of a method that trains in passes, else empty.
    stops_on_validation
        Whether validation decides how many passes the training on all training ratings takes.
    several_starts
        Whether what its training reaches depends on the random start, so that several are tried
        where `cfmf.convergence` says so. Its solver can start from `Task.start`; it needs a
        setting `k`.
    watches_test
        Whether its learning curve shows the test RMSE of every pass, as the published study's did.
    on_gpu
        Whether it computes on a GPU where there is one.
    environment
        Name of the file in envs/ that its jobs need, where it is not that of their stage.
    raw_values
        Whether it is defined on the ratings as they are, so that ratings a·x + b need not give
        predictions a·x̂ + b.
    uses
        What it uses beside the ratings: `dates`, also those of the pairs that it predicts,
        `user_attributes` and `item_attributes`. It is compared as a method that knows more.
    known_failures
        Properties of `cfmf.testing.check_method` that it does not have yet, with the reason.
    scale
        Lowest and highest rating that can be given, for bounded outputs; of the data set, and no
        setting. None takes those of the training ratings.
    side
        What is known beside the ratings, for a method with `uses`; of the data set, and no setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    equation: ClassVar[str] = ""
    source: ClassVar[str] = ""
    family: ClassVar[Literal["baseline", "neighbours", "factorization", "foreign"]]
    can: ClassVar[frozenset[Capability]] = frozenset()
    neighbours_of: ClassVar[Literal["", "users", "items"]] = ""
    shared_pass: ClassVar[str] = ""
    job_per_point: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    iterates: ClassVar[Literal["", "epochs", "sweeps"]] = ""
    stops_on_validation: ClassVar[bool] = False
    several_starts: ClassVar[bool] = False
    watches_test: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = False
    environment: ClassVar[str] = ""
    raw_values: ClassVar[bool] = False
    uses: ClassVar[frozenset[Use]] = frozenset()
    known_failures: ClassVar[Mapping[str, str]] = {}

    scale: tuple[float, float] | None = Field(None, exclude=True, repr=False)
    side: SkipJsonSchema[InstanceOf[Side] | None] = Field(None, exclude=True, repr=False)

    def fit(
        self,
        train: sparse.csr_array,
        validation: sparse.csr_array | None = None,
        *,
        seed: int = 1,
        threads: int = 1,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Model:
        """Learn from ratings. A new method writes this, and nothing else is required.

        Parameters
        ----------
        train
            Users × items, CSR, float32; the stored entries are the observed ratings.
        validation
            Likewise, of the same shape: ratings that may decide when to stop, and nothing else.
        seed
            Of everything random.
        threads
            Cores to use; the result does not depend on it beyond 1e-6.
        device
            `cpu`, or a torch device such as `cuda`.
        progress
            Called after every pass with its number and what was measured; what it raises ends the
            training.
        checkpoint
            File (`.npz`) for the state of a long training; a training resumes from it.

        Raises
        ------
        ValueError
            If the ratings or a setting cannot be used; the message says what to change.
        FloatingPointError
            If the training diverges.
        """
        raise NotImplementedError

    def known(self, shape: tuple[int, int]) -> Side:
        """What a method with `uses` knows beside the ratings of a matrix of this shape.

        Raises
        ------
        ValueError
            If it was not given all of it, or that of another matrix.
        """
        side = (self.side or Side()).only(self.uses)
        for what, matrix, wanted in (
            ("the days", side.days, shape),
            ("the attributes of users", side.users, shape[:1]),
            ("the attributes of items", side.items, shape[1:]),
        ):
            if matrix is not None and matrix.shape[: len(wanted)] != wanted:
                raise ValueError(f"{what} are of {matrix.shape}, and the ratings of {shape}")
        return side

    def fit_tasks(
        self,
        tasks: Sequence[Task],
        *,
        threads: int = 1,
        device: str = "cpu",
        checkpoint: Path | None = None,
    ) -> list[Fitted]:
        """Train several matrices of one shape; overridden where side by side is faster.

        `Task.epochs` and `Task.seconds` are for methods that train in passes; ignored here.
        """
        found = []
        for number, task in enumerate(tasks):
            path = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-{number}")
            model = self.fit(
                task.train,
                task.validation,
                seed=task.seed,
                threads=threads,
                device=device,
                progress=task.report,
                checkpoint=path,
            )
            predicted = {name: model.predict(*pairs(part)) for name, part in task.queried().items()}
            deviations = {name: one.sd for name, one in predicted.items() if one.sd is not None}
            values = {name: one.values for name, one in predicted.items()}
            found.append(
                Fitted(model, pd.DataFrame(columns=HISTORY), 0, values, deviations or None)
            )
        return found

    @classmethod
    def predict_grid(
        cls,
        candidates: Sequence[Method],
        train: sparse.csr_array,
        users: np.ndarray,
        items: np.ndarray,
        *,
        threads: int = 1,
        device: str = "cpu",
        until: float | None = None,
    ) -> list[Prediction]:
        """Predictions of several settings of this method; overridden where they share work.

        Parameters
        ----------
        until
            When to give up, by the monotonic clock; None: never.

        Raises
        ------
        cfmf.deadline.OutOfTimeError
            If it is not done by `until`.
        """
        found = []
        for candidate in candidates:
            check_deadline(until)
            model = candidate.fit(train, threads=threads, device=device)
            found.append(model.predict(users, items))
        return found

    def shortened(self, passes: int) -> Method:
        """The method with so few passes, to time one; itself where it trains in none."""
        return self

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """Multiply-adds of one pass (or of the whole fit and the queried predictions) by a formula.

        Up to a constant factor: only how it grows is compared with measured times.
        """
        return float(train.nnz)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """Numbers that a fitted model keeps to predict, for `ratings` ratings of this shape."""
        return int(sum(array.size for array in model.arrays().values()))

    def with_size(self, k: int) -> Method | None:
        """The method with k factors (or neighbours), for timing; None where it has no such size."""
        return self.model_copy(update={"k": k}) if "k" in type(self).model_fields else None

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Its settings by name, in the order of the class: pydantic's fields that are no data."""
        return {name: field for name, field in cls.model_fields.items() if not field.exclude}

    @classmethod
    def grids(cls) -> dict[str, list[Any]]:
        """The settings that validation chooses, with the values tried by default."""
        extras = {name: field.json_schema_extra for name, field in cls.settings().items()}
        return {
            name: list(extra["grid"])
            for name, extra in extras.items()
            if isinstance(extra, dict) and "grid" in extra
        }

    @classmethod
    def listed(cls, block: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The settings that validation chooses, with the values that a block of the config lists.

        Raises
        ------
        ValueError
            If a list is empty or has a value twice.
        """
        lists = {name: block.get(name, values) for name, values in cls.grids().items()}
        for name, values in lists.items():
            if not isinstance(values, Sequence) or isinstance(values, str):
                lists[name] = [values]
        for name, values in lists.items():
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{cls.name} lists {values} for {name}; list each value once")
        return lists

    @classmethod
    def candidates(
        cls,
        block: Mapping[str, Any],
        scale: tuple[float, float] | None = None,
        side: Side | None = None,
    ) -> list[Method]:
        """Every setting of a block of the config, the last grid changing fastest.

        Raises
        ------
        ValueError
            If the block has a key that is no setting, or a value that is none of its type.
        """
        lists = cls.listed(block)
        fixed = {name: value for name, value in block.items() if name not in (*lists, "class")}
        unknown = sorted(set(fixed) - set(cls.settings()))
        if unknown:
            known = ", ".join(cls.settings()) or "none"
            raise ValueError(f"{cls.name} has no setting {', '.join(unknown)}; it has {known}")
        return [
            cls(**fixed, **dict(zip(lists, values, strict=True)), scale=scale, side=side)
            for values in product(*lists.values())
        ]

    @classmethod
    def named(
        cls,
        block: Mapping[str, Any],
        text: Any,
        scale: tuple[float, float] | None = None,
        side: Side | None = None,
    ) -> Method:
        """The candidate that `chosen_text` writes as `text`, with the other settings of a block.

        A missing value, as a table without any setting has it, is the empty text. A search may have
        found values that the block does not list.

        Raises
        ------
        ValueError
            If the text is of no setting of this method.
        """
        parts = text_parts(text)
        text = text if isinstance(text, str) else ""
        if list(parts) == list(cls.grids()):
            try:
                [found] = cls.candidates(
                    {**block, **{name: [x] for name, x in parts.items()}}, scale, side
                )
            except ValueError as error:
                raise ValueError(f"{cls.name} cannot be set to {text!r}: {error}") from error
            if found.chosen_text() == text:
                return found
        raise ValueError(
            f"{cls.name} chose {text!r}, which is no setting of it any more; tune it again"
        )

    def chosen_text(self) -> str:
        """Its searched settings as `name=value name=value`, numbers without exponents."""
        return text_of({name: getattr(self, name) for name in self.grids()})


def text_of(parts: Mapping[str, Any]) -> str:
    """Settings as every table writes them: `name=value name=value`."""
    return " ".join(f"{name}={plain(value)}" for name, value in parts.items())


def text_parts(text: object) -> dict[str, str]:
    """The parts of what `text_of` writes, by their names; none of a missing text."""
    return dict(part.split("=", 1) for part in text.split()) if isinstance(text, str) else {}


def plain(value: Any) -> str:
    """A value as tables and paths write it: `0.01`, never `1e-2`; `1`, never `1.0`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return np.format_float_positional(float(value), trim="-")
