"""How evaluation fits any method: at the setting that validation chose, by its declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.convergence import STARTS, from_start
from cfmf.methods.base import Method, Model
from cfmf.methods.registry import method as method_named
from cfmf.observed import pairs
from cfmf.side import Side
from cfmf.tasks import Task

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Setting:
    """A method as validation chose it on one fold, and where to fit it.

    Attributes
    ----------
    method
        At the chosen setting.
    k, reg, seed
        As in the tables; empty where the method has none.
    start
        Number of the random start, as `cfmf.convergence` counts them; the solution on the fit part
        is none, and the first is taken then.
    epochs
        Passes of the training, as found on the fold's fit part; None where the method's own rules
        end it.
    threads, device
        As `Method.fit` takes them.
    """

    method: Method
    fold: str
    dataset: str = ""
    k: str = ""
    reg: str = ""
    seed: str = ""
    start: int = 0
    epochs: int | None = None
    threads: int = 1
    device: str = "cpu"

    @classmethod
    def of(
        cls,
        chosen: Mapping[str, Any],
        block: Mapping[str, Any],
        scale: tuple[float, float] | None = None,
        threads: int = 1,
        side: Side | None = None,
    ) -> Setting:
        """The setting of a row of a `selection` table.

        Parameters
        ----------
        block
            The method's block of the config.
        scale
            Lowest and highest rating.
        side
            What is known beside the ratings, for a method that uses it.

        Raises
        ------
        ValueError
            If the config no longer lists the setting, or the row lacks a number of epochs.
        """
        name, fold = chosen["method"], chosen["fold"]
        found = method_named(name).named(block, chosen["setting"], scale, side)
        epochs = None
        # As in the study's own final training: what ended the training on fit also ends this one.
        if found.stops_on_validation or chosen["out_of_time"]:
            if pd.isna(chosen["epochs"]):
                raise ValueError(f"the number of epochs of {name} on fold {fold} is not known")
            epochs = int(chosen["epochs"])
        keys = {key: str(chosen[key]) for key in ("dataset", "fold", "k", "reg", "seed")}
        start = int(chosen["start"]) % STARTS
        return cls(found, start=start, epochs=epochs, threads=threads, **keys)

    @property
    def name(self) -> str:
        """The method's name."""
        return self.method.name

    @property
    def keys(self) -> dict[str, str]:
        """Columns dataset, fold and method of a table."""
        return {"dataset": self.dataset, "fold": self.fold, "method": self.name}

    def with_size(self, k: int) -> Setting | None:
        """The setting with k factors (or neighbours); None where the method has no such size."""
        method = self.method.with_size(k)
        return None if method is None else replace(self, method=method, k=str(k) if self.k else "")

    def of_users(self, users: NDArray[np.int64]) -> Setting:
        """The setting for a matrix of some of the users, in their order."""
        if self.method.side is None:
            return self
        side = self.method.side.rows(users)
        return replace(self, method=self.method.model_copy(update={"side": side}))

    def shortened(self, passes: int) -> Setting:
        """The setting with exactly this number of passes; unchanged for a method without passes."""
        method = self.method.shortened(passes)
        return replace(self, method=method, epochs=passes if method.iterates == "epochs" else None)

    def fit(self, train: sparse.csr_array, queried: sparse.csr_array | None = None) -> Fit:
        """Fit the method to a matrix, users × items.

        Parameters
        ----------
        queried
            Its stored entries are pairs to predict; their values, finite, are ignored.

        Raises
        ------
        ValueError, FloatingPointError
            As the method's own `fit`.
        """
        seed = int(self.seed or 1)
        if self.method.iterates:
            name = f"fold {self.fold}"
            task = Task(
                train, seed, test=queried, epochs=self.epochs, fitted_values=False, name=name
            )
            task = from_start(task, self.start)
            [found] = self.method.fit_tasks([task], threads=self.threads, device=self.device)
            deviations = found.deviations or {}
            predictions = found.predictions.get("test", np.zeros(0, "f4"))
            return Fit(found.model, predictions, deviations.get("test"))
        model = self.method.fit(train, seed=seed, threads=self.threads, device=self.device)
        if queried is None:
            return Fit(model)
        predicted = model.predict(*pairs(queried))
        return Fit(model, predicted.values, predicted.sd)


@dataclass(frozen=True)
class Fit:
    """A fitted method.

    Attributes
    ----------
    model
        Predicts any pair of a user and an item of the training matrix.
    predictions
        Of the pairs queried when fitting, float32, in their CSR order; empty where none were. Of a
        Bayesian method they are the mean over every counted sweep, where `model` has a few draws.
    sd
        Standard deviation of the rating that a method predicts for each of those pairs; None of a
        method that predicts no distribution.
    """

    model: Model
    predictions: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    sd: Floats | None = None


def predictions_of(setting: Setting, paths: Mapping[tuple[str, str, str], str | Path]) -> Floats:
    """Test predictions of a setting as the study made them, in the CSR order of the test matrix.

    Parameters
    ----------
    paths
        `predictions.parquet` of each method, k and reg.
    """
    frame = pd.read_parquet(paths[setting.name, setting.k, setting.reg])
    rows = frame[(frame["fold"] == setting.fold) & (frame["seed"] == setting.seed)]
    return rows["prediction"].to_numpy(np.float32)
