"""The workflow, copied to a folder of its own and run as its users run it."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
PARTS = [
    "Snakefile", "config.yaml", "rules", "scripts", "envs", "config", "schemas", "report",
    "profiles", "cfmf",
]  # fmt: skip

TINY = ("--configfile", "config/tiny.yaml")
# The same rules in as few jobs as will do.
SMALL = (*TINY, str(ROOT / "tests/small.yaml"))
# From the ratings to the report in fewer still.
BRIEF = (*TINY, str(ROOT / "tests/brief.yaml"))
FAULT_SEED = int(os.environ.get("CFMF_FAULT_SEED", "1"))
# For what looks at `digests`, which have nothing of the report.
BUT_THE_REPORT = ("--omit-from", "render_report")

# What holds times, and pages that tell them.
TIMED = re.compile(
    r"^(logs|benchmarks|hashes)/|(costs|timings|scaling)\.tsv$|^(published/search|adaptive/.*)\.db$"
    r"|^(report|provenance|ro-crate)"
)


def untimed(path):
    """Bytes of a result, without its column of seconds or the times of its plans if it has any."""
    if path.name in ("plan.json", "first.json"):
        return re.sub(rb'"written": "[^"]*"', b"", path.read_bytes())
    if path.name not in ("history.parquet", "curve.parquet"):
        return path.read_bytes()
    return pd.read_parquet(path).drop(columns="seconds").to_csv().encode()


def digests(results):
    """SHA-256 of every result that holds no time, by its path below this folder."""
    names = {str(path.relative_to(results)): path for path in sorted(results.rglob("*"))}
    return {
        name: hashlib.sha256(untimed(path)).hexdigest()
        for name, path in names.items()
        if path.is_file() and not TIMED.search(name)
    }


class Run(subprocess.Popen):
    """A Snakemake whose output goes to a file: a pipe that nobody reads would stop it."""

    def __init__(self, command, **options):
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        super().__init__(
            command,
            stdout=self.file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )

    def ended(self, timeout=None):
        """All that was printed, once it has ended."""
        self.wait(timeout)
        self.file.seek(0)
        return self.file.read().decode()


@cache
def planning():
    """The process that makes dry runs; it ends with this one."""
    command = [sys.executable, ROOT / "tests/planner.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


COPY = partial(shutil.copytree, ignore=shutil.ignore_patterns("__pycache__"))


class Checkout:
    """A copy of the workflow's files in which `snakemake` can be run and results looked at.

    All share the compiled kernels of the package itself: the first that needs one compiles it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            if not (folder / part).exists():
                (COPY if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, folder / part)
        kernels = ROOT / "cfmf/kernels/__pycache__"
        kernels.mkdir(exist_ok=True)
        if not (folder / "cfmf/kernels/__pycache__").exists():
            (folder / "cfmf/kernels/__pycache__").symlink_to(kernels)

    def command(self, *arguments, cores=2):
        where = [] if cores is None else ["--cores", str(cores)]
        return [str(Path(sys.executable).with_name("snakemake")), *where, *arguments]

    def start(self, *arguments, cores=2, **options):
        return Run(self.command(*arguments, cores=cores), cwd=self.folder, **options)

    def run(self, *arguments, timeout=1200, **options):
        """Exit status and all that was printed; nothing of it goes on after the time."""
        process = self.start(*arguments, **options)
        try:
            output = process.ended(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output

    def planned(self, *arguments):
        """Exit status and all that a dry run printed, in a fraction of the time of `run`."""
        with tempfile.NamedTemporaryFile() as file:
            asked = [str(self.folder), ["--cores", "2", *map(str, arguments)], file.name]
            planner = planning()
            print(json.dumps(asked), file=planner.stdin, flush=True)
            status = int(planner.stdout.readline())
            return status, file.read().decode()

    def tiny(self, *arguments, timeout=1200, **options):
        return self.run(*arguments, *TINY, timeout=timeout, **options)

    def small(self, *arguments, timeout=1200, **options):
        return self.run(*arguments, *SMALL, timeout=timeout, **options)

    def results(self, pattern="*"):
        """Files below results/tiny by their path there."""
        base = self.folder / "results/tiny"
        return {str(path.relative_to(base)): path for path in sorted(base.rglob(pattern))}

    def digests(self):
        """Those of its results."""
        return digests(self.folder / "results/tiny")
