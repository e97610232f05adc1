"""The workflow, copied to a folder of its own and run as its users run it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = [
    "Snakefile", "config.yaml", "rules", "scripts", "envs", "config", "schemas", "report",
    "profiles", "cfmf",
]  # fmt: skip


class Checkout:
    """A copy of the workflow's files in which `snakemake` can be run and results looked at."""

    def __init__(self, folder: Path):
        self.folder = folder
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)

    def command(self, *arguments):
        return [str(Path(sys.executable).with_name("snakemake")), "--cores", "2", *arguments]

    def start(self, *arguments, **options):
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments, timeout=600):
        """Exit status and all that was printed."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output

    def tiny(self, *arguments, timeout=600):
        return self.run(*arguments, "--configfile", "config/tiny.yaml", timeout=timeout)

    def results(self, pattern="*", folder="results"):
        """Files below results/tiny by their path there."""
        base = self.folder / folder / "tiny"
        return {str(path.relative_to(base)): path for path in sorted(base.rglob(pattern))}

    def set_aside(self):
        """Move the results away, as if nothing had been run, and return them as they were."""
        aside = self.folder / "results-before"
        shutil.rmtree(aside, ignore_errors=True)
        (self.folder / "results").rename(aside)
        return self.results(folder="results-before")


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """The tiny study, run from raw data to report; every test leaves a complete one behind."""
    checkout = Checkout(tmp_path_factory.mktemp("study"))
    status, output = checkout.tiny()
    assert status == 0, output
    checkout.output = output
    return checkout
