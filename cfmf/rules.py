"""The one seam between rules and package: a job's log and parameters."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def job(snakemake: Any) -> Iterator[tuple[logging.Logger, Any]]:
    """Set up a rule's job: log to its file, and log the reason when it fails.

    The reason is logged last and in one line, after the traceback, and printed, so that whoever
    opens the log or looks at the terminal sees what to do without reading Python.
    """
    logging.basicConfig(
        filename=snakemake.log[0],
        filemode="w",
        level=logging.INFO,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    log = logging.getLogger(snakemake.rule)
    start = time.perf_counter()
    log.info("%s started with %d threads", snakemake.rule, snakemake.threads)
    try:
        yield log, snakemake.params
    except Exception as error:
        reason = f"{snakemake.rule} failed: {error}"
        log.exception("traceback")
        log.error("%s", reason)
        print(f"{reason}\nThe whole story is in {snakemake.log[0]}", file=sys.stderr)
        sys.exit(1)
    log.info("%s done in %.1f s", snakemake.rule, time.perf_counter() - start)


def folds_of(snakemake: Any, *parts: str) -> dict[str, dict[str, str]]:
    """For each of the job's folds, the paths of the named parts, in the order of the config.

    The rule gives `params.folds`, and under each part's name as many inputs in the same order.
    """
    return {
        fold: {part: snakemake.input[part][number] for part in parts}
        for number, fold in enumerate(snakemake.params.folds)
    }
