"""One way to fit any method of either family at the setting that validation chose for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.config import registry
from cfmf.evaluation.collect import collect
from cfmf.methods import registry as methods
from cfmf.models import Model
from cfmf.observed import pairs
from cfmf.selection import choose
from cfmf.tables import read_table

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Setting:
    """What validation chose for a method on one fold.

    Attributes
    ----------
    options
        For a neighbour method its parameters; for a factorization its block of the config.
    k, reg, seed
        Of a factorization, as canonical text; empty where the method has none.
    epochs
        How many the chosen training is to take, as found on the fold's fit part; None where the
        method's own rules end it.
    """

    method: str
    fold: str
    options: Mapping[str, Any]
    k: str = ""
    reg: str = ""
    seed: str = ""
    epochs: int | None = None

    @property
    def keys(self) -> dict[str, str]:
        """Columns fold, method, k, reg and seed of a table."""
        names = ("fold", "method", "k", "reg", "seed")
        return {name: getattr(self, name) for name in names}

    def with_k(self, k: int) -> Setting:
        """The setting with another number of factors, or of neighbours."""
        if self.k:
            return replace(self, k=str(k))
        return replace(self, options={**self.options, "neighbours": k})


@dataclass(frozen=True)
class Fit:
    """A fitted method.

    Attributes
    ----------
    model
        Predicts any pair of a user and an item of the training matrix.
    asked
        Predictions of the pairs asked for when fitting, float32, in their CSR order; empty where
        none were. Of a Bayesian method they are the mean over every counted sweep, where `model`
        has a few draws.
    deviations
        Standard deviation of the rating that a Bayesian method predicts for each of those pairs;
        None of other methods.
    """

    model: Model
    asked: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    deviations: Floats | None = None


def chosen_setting(
    method: str,
    fold: str,
    metrics: pd.DataFrame,
    settings: pd.DataFrame | None,
    block: Mapping[str, Any],
) -> Setting:
    """The setting that validation chose on a fold, with the first of the study's seeds.

    Parameters
    ----------
    metrics
        The method's `metrics` table, of all its settings.
    settings
        The `settings` table of a neighbour method; not looked at for a factorization.
    block
        The method's block of the config.

    Raises
    ------
    ValueError
        If the tables do not tell it.
    """
    if registry()[method] == "neighbours":
        rows = settings[settings["fold"] == fold] if settings is not None else pd.DataFrame()
        if not len(rows):
            raise ValueError(f"no setting of {method} was chosen on fold {fold}; predict it first")
        named = methods.method(method).named(block, rows.iloc[0]["setting"])
        return Setting(method, fold, named.model_dump())
    rows = metrics[(metrics["method"] == method) & (metrics["fold"] == fold)]
    best = choose(rows).iloc[0]
    rows = rows[(rows["k"] == best["k"]) & (rows["reg"] == best["reg"])]
    seed = str(rows["seed"].iloc[0])
    rows = rows[(rows["seed"] == seed) & (rows["split"] == "fit")]
    told = dict(zip(rows["metric"], rows["value"], strict=True))
    if "epochs" not in told:
        raise ValueError(f"the metrics of {method} on fold {fold} do not tell its epochs; train it")
    from cfmf.factorization import method as entry

    # As the study's own final training: see `cfmf.training.refit_task`.
    fixed = entry(method).stops_on_validation or told.get("out_of_time", 0)
    epochs = int(told["epochs"]) if fixed else None
    return Setting(method, fold, dict(block), best["k"], best["reg"], seed, epochs)


def read_setting(
    method: str,
    fold: str,
    metrics: Iterable[str | Path],
    settings: Iterable[str | Path],
    block: Mapping[str, Any],
) -> Setting:
    """`chosen_setting` from the files of the tables."""
    told = [read_table(path, "settings") for path in settings]
    found = [read_table(path, "metrics") for path in metrics]
    return chosen_setting(
        method,
        fold,
        collect(found) if found else pd.DataFrame(),
        told[0] if told else None,
        block,
    )


def predictions_of(setting: Setting, paths: Mapping[tuple[str, str, str], str | Path]) -> Floats:
    """Test predictions of a setting as the study made them, in the CSR order of the test matrix.

    Parameters
    ----------
    paths
        `predictions.parquet` of each method, k and reg.
    """
    frame = pd.read_parquet(paths[setting.method, setting.k, setting.reg])
    rows = frame[(frame["fold"] == setting.fold) & (frame["seed"] == setting.seed)]
    return rows["prediction"].to_numpy(np.float32)


def fit(
    setting: Setting,
    train: sparse.csr_array,
    asked: sparse.csr_array | None = None,
    *,
    scale: tuple[float, float] | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> Fit:
    """Fit a method at its setting to a matrix.

    Parameters
    ----------
    train
        Users × items; the stored entries are the ratings to learn from.
    asked
        Its stored entries are pairs to predict; their values, finite, are not looked at.
    scale
        Lowest and highest rating.

    Raises
    ------
    ValueError, FloatingPointError
        As the method's own `fit`.
    """
    if registry()[setting.method] == "neighbours":
        chosen = methods.method(setting.method)(**setting.options, scale=scale)
        model = chosen.fit(train, threads=threads, device=device)
        values = model.predict(*pairs(asked)).values if asked is not None else np.zeros(0, "f4")
        return Fit(model, values)
    from cfmf.tasks import Task

    point = {"k": int(setting.k), **({"reg": float(setting.reg)} if setting.reg else {})}
    [solver] = methods.method(setting.method).candidates({**setting.options, **point}, scale)
    name = f"fold {setting.fold}"
    task = Task(train, int(setting.seed), test=asked, epochs=setting.epochs, name=name)
    found = solver.fit_tasks([task], threads=threads, device=device)[0]
    deviations = found.deviations["test"] if found.deviations and asked is not None else None
    return Fit(found.model, found.predictions.get("test", np.zeros(0, "f4")), deviations)
