"""Studies of Optuna with Hyperband: in memory, every setting explicit, saved when they are done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from cfmf.files import atomic_write


def new_study(
    name: str, sampler: optuna.samplers.BaseSampler, block: Mapping[str, Any]
) -> optuna.Study:
    """A study in memory that minimizes, with Hyperband as pruner.

    Parameters
    ----------
    name
        Hyperband draws the bracket of every trial from it.
    block
        A block of the config with min_resource, max_resource and reduction_factor. Optuna's
        `auto` would wait for the first complete trial.
    """
    return optuna.create_study(
        study_name=name,
        storage=optuna.storages.InMemoryStorage(),
        direction="minimize",
        sampler=sampler,
        pruner=optuna.pruners.HyperbandPruner(
            min_resource=block["min_resource"],
            max_resource=block["max_resource"],
            reduction_factor=block["reduction_factor"],
        ),
    )


def keep_study(study: optuna.Study, path: Path) -> None:
    """Write a finished study to a SQLite file of its own, whole or not at all."""
    with atomic_write(path) as temporary:
        optuna.copy_study(
            from_study_name=study.study_name,
            from_storage=study._storage,
            to_storage=f"sqlite:///{temporary}",
        )
