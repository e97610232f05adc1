"""Kills, a full disk, a bad network, lost and altered files: a plain rerun ends as if undisturbed.

Every fault is drawn from a seed, CFMF_FAULT_SEED (1 unless told), and counted; the counts are
printed at the end of the tests.
"""

import contextlib
import hashlib
import http.server
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import yaml

from tests.checkout import BRIEF, BUT_THE_REPORT, PARTS, ROOT, SMALL, Checkout, digests
from tests.checkout import FAULT_SEED as SEED
from tests.workflow.test_bad_input import archive_of_ratings

KILLS = 110
# How often each job is killed before it is let go, and within how many seconds of its start.
KILLS_A_JOB, LATEST = 5, 2.5


@pytest.fixture
def copy(undisturbed, tmp_path):
    """A copy of it, Snakemake's records included, to be disturbed."""
    shutil.copytree(undisturbed.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


def jobs_of(process):
    """Running job scripts below a Snakemake: process and name of the rule."""
    found = {}
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                script = re.search(r"\.snakemake/scripts/\w+\.(\w+)\.py", " ".join(child.cmdline()))
                if script and child.name() != "sh":
                    found[child] = script[1]
    return found


def disturbed_run(checkout, rng, kills):
    """Run the study, kill its jobs and at times Snakemake; its exit status and output."""
    process = checkout.start(*SMALL, "--retries", "100")
    ahead = {}
    end = time.monotonic() + rng.uniform(40, 120)  # of Snakemake itself, while kills are wanted
    while process.poll() is None:
        for job, rule in jobs_of(process).items():
            if job not in ahead:
                # The first of a rule at once: short jobs would often be over.
                latest = LATEST if kills.rules[rule] else 0.3
                ahead[job] = time.monotonic() + rng.uniform(0, latest)
            elif ahead[job] <= time.monotonic() and kills.wanted(rule):
                which = rng.choice([signal.SIGKILL, signal.SIGTERM])
                with contextlib.suppress(psutil.Error):
                    job.send_signal(which)
                    kills.counted(which, rule)
                ahead[job] = float("inf")
        if time.monotonic() >= end and kills.total < KILLS:
            # Everything at once, as a power cut would.
            os.killpg(process.pid, signal.SIGKILL)
            kills.counted(signal.SIGKILL, "the whole run")
        time.sleep(0.02)
    return process.returncode, process.ended()


class Kills:
    """Kills so far, and the share that each rule still has to take."""

    def __init__(self, shares):
        self.shares, self.total, self.rules, self.kinds = shares, 0, Counter(), Counter()

    def wanted(self, rule):
        enough = self.total >= KILLS and self.rules[rule] > 0
        return self.rules[rule] < self.shares[rule] and not enough

    def counted(self, which, rule):
        self.total += 1
        self.rules[rule] += 1
        self.kinds[f"{which.name} to {'Snakemake' if rule == 'the whole run' else 'a job'}"] += 1


def test_nothing_is_written_elsewhere(undisturbed):
    folder = undisturbed.folder
    made = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    kept = {str(path.relative_to(ROOT)) for part in PARTS for path in below(ROOT / part)}
    elsewhere = [name for name in made - kept if not name.startswith(("results/", ".snakemake/"))]
    assert elsewhere == []
    # Snakemake keeps its sources there; the study itself writes nothing.
    home = {path.relative_to(undisturbed.home).parts[:2] for path in below(undisturbed.home)}
    assert home <= {(".cache", "snakemake")}
    assert list(below(undisturbed.temporary)) == []


def below(path):
    """The file, or the files below the folder."""
    folders = os.walk(path, followlinks=True)  # a part may be a link to another
    return (
        [path] if path.is_file() else [Path(at, name) for at, _, names in folders for name in names]
    )


def test_killed_jobs_and_runs(undisturbed, tmp_path, faults):
    jobs = Counter(
        name.split("/")[1].removesuffix(".log") for name in undisturbed.results("logs/**/*.log")
    )
    kills = Kills({rule: KILLS_A_JOB * count for rule, count in jobs.items()})
    rng = random.Random(SEED)
    checkout = Checkout(tmp_path)
    for _ in range(20):
        status, output = disturbed_run(checkout, rng, kills)
        if status == 0:
            break
        checkout.small("--unlock")
    assert status == 0, output[-3000:]
    assert kills.total >= 100
    assert kills.kinds["SIGKILL to a job"] >= 20
    assert kills.kinds["SIGTERM to a job"] >= 20
    assert kills.kinds["SIGKILL to Snakemake"] >= 1
    assert set(kills.rules) >= set(jobs)
    assert checkout.digests() == undisturbed.digests()
    assert not list((tmp_path / "results").rglob("*.partial*"))
    faults.update(kills.kinds)


def test_full_disk(elsewhere, tmp_path, faults):
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    files = [path for path in (elsewhere / "results").rglob("*") if path.is_file()]
    pages = sum(-(-path.stat().st_size // 4096) for path in files)
    checkout = Checkout(tmp_path)
    results = checkout.folder / "results"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={int(pages * 0.6) * 4096}", "none", results]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this machine does not let root mount a small disk")
    try:
        status, output = checkout.run(*BRIEF)
        assert status != 0
        assert "No space left on device" in output
        subprocess.run(["mount", "-o", "remount,size=1g", results], check=True)
        status, output = checkout.run(*BRIEF)
        assert status == 0, output[-3000:]
        assert checkout.digests() == digests(elsewhere / "results/tiny")
    finally:
        subprocess.run(["umount", results], check=True)
    faults["full disk"] += 1


class Network(http.server.ThreadingHTTPServer):
    """Serves one file; `faults` are done to the answers in turn, the rest are whole."""

    def __init__(self, content, faults, rng):
        self.content, self.faults, self.done, self.rng = content, faults, [], rng
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content, rng = self.server.content, self.server.rng
        fault = self.server.faults.pop(0) if self.server.faults else None
        self.server.done.append(fault)
        if fault == "refused":
            self.send_error(503)
            return
        if fault == "altered":
            place = rng.randrange(len(content))
            content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: rng.randrange(len(content))] if fault == "cut off" else content)

    def log_message(self, *arguments):
        pass


def test_bad_network(tmp_path, faults):
    content = archive_of_ratings()
    drawn = ["cut off", "altered", "refused", "cut off", "altered", "altered", "refused", "cut off"]
    rng = random.Random(SEED)
    with Network(content, drawn, rng) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/ml-1m.zip"
        known = {"url": url, "sha256": hashlib.sha256(content).hexdigest()}
        config = {
            "study": {"datasets": ["tiny"]},
            "datasets": {
                "tiny": {
                    "source": "movielens-1m",
                    "urls": [known],
                    "split": {"kind": "kfold", "folds": 3},
                }
            },
        }
        runs = []
        for name in ("disturbed", "plain"):
            checkout = Checkout(tmp_path / name)
            (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(config))
            for _ in range(len(drawn) + 1):
                status, output = checkout.run("ratings", "--configfile", "mine.yaml")
                if status == 0:
                    break
                assert url in output
                assert not (checkout.folder / "results/tiny/raw").exists()
            assert status == 0, output
            runs.append(checkout.digests())
        server.shutdown()
    assert not server.faults
    assert runs[0] == runs[1]
    faults.update(f"download {fault}" for fault in server.done if fault)


def test_lost_intermediates(copy, undisturbed, faults):
    asked = (
        r"ratings/(ratings|audit)|folds/folds|matrices/|similarity/|.*/metrics\.tsv|.*/tests\.tsv"
    )
    names = [name for name in copy.digests() if re.match(asked, name)]
    lost = random.Random(SEED).sample(names, 10)
    for name in lost:
        copy.results()[name].unlink()
    status, output = copy.small(*BUT_THE_REPORT)
    assert status == 0, output[-3000:]
    assert copy.digests() == undisturbed.digests()
    faults["intermediate lost"] += len(lost)


def test_two_runs_at_once(tmp_path, undisturbed, faults):
    checkout = Checkout(tmp_path)
    first = checkout.start("similarity", *SMALL)
    while not (checkout.folder / ".snakemake/locks").is_dir():
        assert first.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    # Held until the second one has been tried, however long that takes to start.
    first.send_signal(signal.SIGSTOP)
    status, output = checkout.small("similarity")
    first.send_signal(signal.SIGCONT)
    assert status != 0
    assert "Directory cannot be locked" in output
    assert "Traceback" not in output
    output = first.ended(600)
    assert first.returncode == 0, output[-3000:]
    found = checkout.digests()
    assert {"similarity/f1.npz", "matrices/f2/train.npz"} <= set(found)
    assert found.items() <= undisturbed.digests().items()
    faults["second run at once"] += 1


def alter(path, rng):
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def test_alteration_that_keeps_the_time_is_found_by_asking(copy, undisturbed, faults):
    path = copy.results()["matrices/f1/train.npz"]
    before = path.stat()
    alter(path, random.Random(SEED))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    asked = [sys.executable, "-m", "cfmf.workflow.verify"]
    done = subprocess.run(asked, cwd=copy.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "matrices/f1/train.npz: not as it was written" in done.stderr
    # It is asked for, and the first that reads it; that the rest is remade too is shown below.
    status, output = copy.small("matrices", "similarity")
    assert status == 0, output[-3000:]
    copy.results()["matrices/f1/train.npz.damaged"].unlink()
    assert copy.digests() == undisturbed.digests()
    faults["byte altered, its time kept"] += 1


# What is asked for, and files altered before. No file of a group is written by a job that reads
# another one: it would be replaced unread. Early ones are asked for as far as they are read first:
# what comes after is remade too, which the rest shows.
ALTERED = [
    ["all", "neighbours/user-knn/trials.tsv", "factorization/gibbs/k~4_reg~inferred/metrics.tsv",
     "factorization/mf/k~4_reg~0.2/history.parquet", "similarity/f1.npz",
     "factorization/mf-published/k~4_reg~0.01/predictions.parquet", "published/frame.parquet",
     "ratings/audit.json"],
    ["all", "evaluation/selection.tsv", "evaluation/user_errors.parquet",
     "evaluation/measured/mf/ranking.tsv", "adaptive/mf/f1/trials.tsv",
     "published/first_user.tsv"],
    ["all", "statistics/verdict.json", "evaluation/selected.tsv"],
    ["ratings matrices", "ratings/ratings.parquet"],
    ["ratings matrices", "ratings/users.parquet", "ratings/items.parquet"],
    ["ratings matrices", "folds/folds.json"],
    ["factorization", "matrices/f1/train.npz", "matrices/f1/validation.npz", "matrices/f2/test.npz",
     "matrices/f2/fit.npz"],
]  # fmt: skip


@pytest.mark.parametrize("asked", ALTERED, ids=lambda asked: asked[1].replace("/", "-"))
def test_altered_intermediates(copy, undisturbed, faults, asked):
    target, *names = asked
    rng = random.Random(SEED)
    for name in names:
        alter(copy.results()[name], rng)
    told = ""
    for _ in range(len(names) + 1):
        status, output = copy.small(*target.split())
        told += output
        if status == 0:
            break
    assert status == 0, output[-3000:]
    for name in names:
        assert re.search(rf"results/tiny/{re.escape(name)}\b.*: not as it was written", told), name
        copy.results()[f"{name}.damaged"].unlink()
    assert copy.digests() == undisturbed.digests()
    faults["byte altered"] += len(names)


@pytest.fixture(scope="module")
def matrices(tmp_path_factory):
    """The first stages of the small study, run without a disturbance."""
    checkout = Checkout(tmp_path_factory.mktemp("matrices"))
    status, output = checkout.small("ratings", "folds", "matrices")
    assert status == 0, output
    return checkout


@pytest.mark.parametrize(
    ("name", "reader", "damage"),
    [
        ("raw/netflix_train.txt", "parse_ratings", "altered"),
        ("raw/netflix_train.txt", "parse_ratings", "lost"),
        ("raw/manifest.json", "parse_ratings", "altered"),
        ("raw/manifest.json", "parse_ratings", "lost"),
        ("folds/folds.npz", "build_matrices", "altered"),
    ],
)
def test_altered_or_lost_raw_files_and_folds(matrices, tmp_path, faults, name, reader, damage):
    shutil.copytree(matrices.folder, tmp_path / "copy", symlinks=True)
    copy = Checkout(tmp_path / "copy")
    if damage == "lost":
        copy.results()[name].unlink()
    else:
        alter(copy.results()[name], random.Random(SEED))
    # What lies within a folder is seen when the folder is read.
    status, output = copy.small("matrices", "--forcerun", reader)
    assert status != 0
    assert "renamed to *.damaged" in output
    status, output = copy.small("ratings", "folds", "matrices")
    assert status == 0, output[-3000:]
    for aside in [path for path in copy.results().values() if path.name.endswith(".damaged")]:
        shutil.rmtree(aside) if aside.is_dir() else aside.unlink()
    assert copy.digests() == matrices.digests()
    faults[f"raw file or folds {damage}"] += 1
