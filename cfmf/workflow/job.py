"""What every job does in addition to its work: a log, checked inputs, hashes of its outputs."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

from cfmf.files import DamagedError, quarantine
from cfmf.terminal import printable
from cfmf.workflow.hashes import QUARANTINED, record, verify
from cfmf.workflow.layout import hash_file, prefix
from cfmf.workflow.machine import PACKAGES, machine, packages_with, versions
from cfmf.workflow.sealed import scored_once


@contextmanager
def job(snakemake: Any) -> Iterator[tuple[logging.Logger, Any]]:
    """Set up a rule's job: log to its file, check its inputs, and log the reason when it fails.

    The reason is logged last and in one line, after the traceback, and printed, so that whoever
    opens the log or looks at the terminal sees what to do without reading Python. A result that the
    package finds damaged is quarantined, as in `cfmf.workflow.hashes.verify`: Snakemake would take
    it for made. Methods that the config names as `module:Class` are known to every job that has
    what they import; their modules may be in the working directory.
    """
    logging.basicConfig(
        filename=snakemake.log[0],
        filemode="w",
        level=logging.INFO,
        force=True,
    )
    logging.getLogger().handlers[0].setFormatter(
        _Printable("%(asctime)s %(name)s %(levelname)s %(message)s")
    )
    # What may be read wrongly is for the user to decide, who may not open the log.
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(_Printable("%(message)s"))
    logging.getLogger("cfmf.data").addHandler(terminal)
    logging.captureWarnings(True)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    log = logging.getLogger(snakemake.rule)
    start = time.perf_counter()
    log.info("%s started with %d threads", snakemake.rule, snakemake.threads)
    log.info("run by %s", sys.executable)
    log.info("runs with %s", json.dumps(_runs_with(snakemake.config)))
    _register(snakemake.config, log)
    before = prefix(snakemake.log[0])
    try:
        verify(snakemake.input, before)
        with scored_once(snakemake):
            yield log, snakemake.params
        record(snakemake.output, before)
    except Exception as error:
        reason = f"{snakemake.rule} failed: {error}"
        damaged = error.path if isinstance(error, DamagedError) else None
        if damaged and hash_file(damaged, before) and damaged.exists():
            quarantine(damaged)
            reason += f". {QUARANTINED}"
        log.exception("traceback")
        log.error("%s", reason)
        told = printable(reason, keep="\n")
        print(f"{told}\nDetails are in {snakemake.log[0]}", file=sys.stderr)
        sys.exit(1)
    log.info("%s done in %.1f s", snakemake.rule, time.perf_counter() - start)


class _Printable(logging.Formatter):
    """Lines of a log, in which nothing of a server, an archive or a file steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return printable(super().format(record), keep="\n\t")


def _register(config: Mapping[str, Any], log: logging.Logger) -> None:
    """Make the methods known that a config names as `module:Class`, and foreign predictions.

    Only where the job's script has imported the registry: the others ask for no method, need not
    have what methods import, and do not depend on its code.
    """
    registry = sys.modules.get("cfmf.methods.registry")
    if registry is None:
        return
    registry.register_predictions(config.get("predictions") or {})
    for name, block in (config.get("methods") or {}).items():
        try:
            registry.register({name: block})
        except ValueError as error:
            log.warning("%s unknown to this job: %s", name, error)


def _runs_with(config: Mapping[str, Any]) -> dict[str, Any]:
    """The machine and versions of packages, those of methods from outside the package included."""
    blocks = (config.get("methods") or {}).values()
    modules = [str(block["class"]) for block in blocks if "class" in (block or {})]
    modules += [entry.value for entry in entry_points(group="cfmf.methods")]
    return {"versions": versions([*PACKAGES, *packages_with(modules)]), "machine": machine()}


def folds_of(snakemake: Any, *parts: str) -> dict[str, dict[str, str]]:
    """For each of the job's folds, the paths of the named parts, in the order of the config.

    The rule gives `params.folds`, and under each part's name as many inputs in the same order.
    """
    return {
        fold: {part: snakemake.input[part][number] for part in parts}
        for number, fold in enumerate(snakemake.params.folds)
    }
