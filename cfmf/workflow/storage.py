"""A run without a shared file system: each job has copies of its declared inputs and no other file.

Results are then in a storage, as a bucket, by `--default-storage-provider`. A job that wants to
know what else exists, or what was kept beside a result, does not find it there.
"""

from __future__ import annotations

import os

VARIABLE = "CFMF_STORAGE"
"""Environment variable that hands the name of the provider down to scripts."""


def decide_storage(provider: str | None, opened: bool) -> None:
    """Keep for the scripts whether results are in a storage.

    Parameters
    ----------
    provider
        `--default-storage-provider`; None where it is not given.
    opened
        Whether a data set has sealed folds that are opened.

    Raises
    ------
    ValueError
        If results are in a storage and sealed folds are opened: the record of what scored them is
        no declared result, so nothing would stop a second scoring.
    """
    os.environ[VARIABLE] = provider or ""
    if provider and opened:
        raise ValueError(
            "Sealed folds are opened, and results are in a storage"
            f" (--default-storage-provider {provider}), where no job finds the records of what"
            " scored them before. Run this study where all jobs share a file system"
        )


def uses_storage() -> bool:
    """Whether results are in a storage, as `decide_storage` decided."""
    return bool(os.environ.get(VARIABLE))
