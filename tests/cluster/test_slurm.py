"""The small study through the shipped profiles, on a real Slurm of one node.

Its two GPUs are null devices, and `nvidia-smi` is a script that lists two: jobs ask for a GPU and
get one from Slurm, and compute on the CPU, as `device: auto` allows.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.checkout import SMALL, Checkout
from tests.environments.test_conda import stand_in

SCRIPT = Path(__file__).parent / "slurm.sh"
SLURM = (
    *("--workflow-profile", "profiles/slurm", "--latency-wait", "10"),
    *("--slurm-init-seconds-before-status-checks", "2"),
)
GENERIC = (
    *("--workflow-profile", "profiles/cluster-generic", "--latency-wait", "10"),
    *("--seconds-between-status-checks", "2"),
)


def control(action, folder):
    subprocess.run(["bash", SCRIPT, action, folder], check=True)


@pytest.fixture(scope="module", params=["squeue", "sacct"])
def status_command(request):
    """A running Slurm, without and then with accounting, and how a job's state is asked for."""
    if os.name != "posix" or os.getuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("a Slurm can be installed and started here only by root, with apt-get")
    # Its authentication wants every folder above its socket open to all.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        try:
            if request.param == "sacct":
                control("database", folder)
            control("start", folder)
            yield request.param
        finally:
            control("stop", folder)


@pytest.fixture(scope="module")
def squeue(status_command):
    if status_command != "squeue":
        pytest.skip("tested without accounting")


@pytest.fixture
def gpus(tmp_path_factory, monkeypatch):
    program = tmp_path_factory.mktemp("driver") / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: made up'\necho 'GPU 1: made up'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


def queue():
    """Numbers of the jobs that wait or run."""
    done = subprocess.run(["squeue", "--noheader", "--format=%i"], capture_output=True, check=True)
    return done.stdout.split()


def wait_until(condition, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.ended()
        assert time.monotonic() < deadline, subprocess.check_output(["squeue", "--long"], text=True)
        time.sleep(0.2)


def held(logs):
    """GPU, first and last moment of every job that had one."""
    found = []
    for path in logs:
        text = path.read_text()
        if gpu := re.search(r"GPU (\S+) is this job's own", text):
            moments = re.findall(r"^(\S+ \S+),(\d+) ", text, re.MULTILINE)
            first, last = (
                datetime.fromisoformat(f"{second}.{fraction}").timestamp()
                for second, fraction in (moments[0], moments[-1])
            )
            found.append((gpu[1], first, last))
    return found


def test_interrupted_and_killed_study_ends_as_the_plain_one(squeue, gpus, undisturbed, tmp_path):
    cluster = Checkout(tmp_path)

    # A shell's background jobs ignore Ctrl-C, and so would all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Ctrl-C takes the jobs along.
    process = cluster.start(*SLURM, *SMALL, cores=None)
    wait_until(queue, process)
    process.send_signal(signal.SIGINT)
    process.wait(120)
    assert process.returncode != 0
    deadline = time.monotonic() + 60
    while queue() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not queue()

    # A killed controller leaves them running; the rerun comes on top of them.
    process = cluster.start(*SLURM, *SMALL, cores=None)
    wait_until(lambda: cluster.results("factorization/*/*/metrics.tsv") and queue(), process, 600)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = queue()
    cluster.run(*SMALL, "--unlock")
    status, output = cluster.run(*SLURM, *SMALL, cores=None, timeout=1200)
    assert status == 0, output
    assert left
    assert cluster.digests() == undisturbed.digests()

    jobs = held(cluster.results("logs/**/*.log").values())
    assert {gpu for gpu, _, _ in jobs} <= {"0", "1"}
    assert len(jobs) >= 5
    for place, (gpu, first, last) in enumerate(jobs):
        for other, begun, ended in jobs[place + 1 :]:
            assert gpu != other or last <= begun or ended <= first


def test_job_beyond_its_memory_comes_back_with_more(squeue, tmp_path):
    checkout = Checkout(tmp_path)
    rules = checkout.folder / "rules/data.smk"
    text = rules.read_text()
    less = re.sub(
        r"(rule parse_ratings.*?mem_mb=)[^\n]+", r"\g<1>megabytes(200, 0),", text, flags=re.S
    )
    assert less != text
    rules.write_text(less)
    status, output = checkout.run("ratings", *SLURM, *SMALL, cores=None)
    assert status == 0, output
    asked = re.findall(r"rule parse_ratings:.*?\bmem_mb=(\d+)", output, re.DOTALL)
    assert asked[:2] == ["200", "400"]
    # Slurm killed the first one, which did not fail of itself.
    killed = (checkout.folder / ".snakemake/slurm_logs/rule_parse_ratings").rglob("*.log")
    assert any("exceeded memory limit" in path.read_text() for path in killed)
    assert (checkout.folder / "results/tiny/ratings/audit.json").exists()


def test_jobs_run_in_their_environment(squeue, shared, tmp_path, monkeypatch):
    for name, value in ({} if shutil.which("conda") else stand_in(shared)).items():
        monkeypatch.setenv(name, value)
    checkout = Checkout(tmp_path)
    status, output = checkout.run("folds", *SLURM, "--sdm", "conda", *SMALL, cores=None)
    assert status == 0, output
    for path in checkout.results("logs/*.log").values():
        [interpreter] = re.findall(r"run by (\S+)", path.read_text())
        assert Path(interpreter).is_relative_to(checkout.folder / ".snakemake/conda")


def test_state_is_told_by_either_command(status_command, tmp_path):
    checkout = Checkout(tmp_path)
    asked = ("--slurm-status-command", status_command)
    status, output = checkout.run("ratings", *SLURM, *asked, *SMALL, cores=None)
    assert status == 0, output


def test_plain_sbatch_works_too(squeue, tmp_path):
    checkout = Checkout(tmp_path)
    status, output = checkout.run("ratings", *GENERIC, *SMALL, cores=None)
    assert status == 0, output
    assert list((checkout.folder / ".snakemake/cluster_logs").glob("*.log"))
