"""One GPU a job, told failures, the CPU only where it is allowed: with GPUs that are not there."""

import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import sparse

from cfmf.devices import gpu_count
from cfmf.factorization import torch_adamw
from cfmf.methods.mf import MF
from cfmf.training import Limits, Run, train_point
from cfmf.workflow import devices
from cfmf.workflow.devices import DeviceError, own_device, run_on_device

HOLDER = """
import sys
from pathlib import Path
from cfmf.workflow.devices import own_device
with own_device(Path(sys.argv[1])) as name:
    print(name, flush=True)
    sys.stdin.read()
"""


def hold(folder, visible):
    """A process that takes a GPU, prints its name and holds it until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": visible},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_jobs_that_run_at_once_hold_different_gpus(tmp_path):
    jobs = {}
    for _ in range(3):
        job = hold(tmp_path, "0,1,2")
        jobs[job.stdout.readline().strip()] = job
    assert set(jobs) == {"0", "1", "2"}
    waiting = hold(tmp_path, "0,1,2")
    jobs.pop("1").communicate()
    assert waiting.stdout.readline().strip() == "1"
    for job in (*jobs.values(), waiting):
        job.communicate()


def test_gpu_of_a_killed_job_is_free_again(tmp_path):
    first = hold(tmp_path, "0,1")
    assert first.stdout.readline().strip() == "0"
    first.kill()
    first.communicate()
    assert hold(tmp_path, "0,1").communicate()[0].strip() == "0"


def test_only_the_held_gpu_is_visible(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8f2a, GPU-../x")
    with own_device(tmp_path) as outer:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == outer == "GPU-8f2a"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-8f2a, GPU-../x"
    assert [path.parent for path in tmp_path.rglob("*.lock")] == [tmp_path]


def test_the_only_visible_gpu_is_taken_without_a_lock(tmp_path, monkeypatch):
    # A cluster may call every job's GPU 0: a lock on the name would make its jobs wait in turn.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with own_device(tmp_path) as first, own_device(tmp_path) as second:
        assert first == second == "0"


def test_lock_of_a_gpu_is_its_machines_own(tmp_path, monkeypatch):
    # Nodes that share the folder call different GPUs by the same number.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with own_device(tmp_path) as here:
        monkeypatch.setattr(devices, "HOST", "another")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        with own_device(tmp_path) as there:
            assert here == there == "0"


def test_driver_is_asked_where_nothing_is_told(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    lines = (
        "GPU 0: RTX 4090 Laptop GPU (UUID: GPU-8f2a)",
        "  MIG 1g.5gb (UUID: MIG-1)",
        "GPU 1: x",
    )
    told = "".join(f"echo '{line}'\n" for line in lines)
    program.write_text(f"#!/bin/sh\n{told}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu_count.cache_clear()
    assert devices.visible_devices() == ["0", "1"]
    gpu_count.cache_clear()


def build(monkeypatch, cuda="13.0", available=True):
    """Make torch look like a CUDA build, or one that sees no GPU."""
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "made up")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)


def unfit(*arguments, **options):
    raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")


FAILURES = {
    "the CPU build": ({"cuda": None}, "is the CPU build; install the CUDA build"),
    "no driver": ({"available": False}, "sees no GPU; compare its CUDA 13.0"),
    "an older GPU": (
        {},
        "built for CUDA 13.0 and cannot compute on this GPU: CUDA error: no kernel",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure_is_told_and_falls_back_only_where_allowed(name, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    torch_is, told = FAILURES[name]
    build(monkeypatch, **torch_is)
    monkeypatch.setattr(torch, "arange", unfit)
    with pytest.raises(DeviceError, match=told) as error:
        run_on_device(str, gpu=True, fallback=False, locks=tmp_path)
    assert "device: auto" in str(error.value)
    assert run_on_device(str, gpu=True, fallback=True, locks=tmp_path) == "cpu"
    assert any(told in record.message for record in caplog.records if record.levelname == "WARNING")


def test_out_of_memory_is_told_and_falls_back_only_where_allowed(tmp_path, monkeypatch):
    build(monkeypatch)
    monkeypatch.setattr(torch, "arange", lambda *_, **__: SimpleNamespace(sum=lambda: 6))
    ran = []

    def work(device):
        ran.append(device)
        if device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 90 GiB.\nmore")
        return device

    with pytest.raises(DeviceError, match=r"ran out of memory.*90 GiB"):
        run_on_device(work, gpu=True, fallback=False, locks=tmp_path)
    assert run_on_device(work, gpu=True, fallback=True, locks=tmp_path) == "cpu"
    assert ran == ["cuda", "cuda", "cpu"]


def test_point_whose_gpu_runs_out_of_memory_is_trained_on_the_cpu(tmp_path, monkeypatch, caplog):
    """The solver says DeviceMemoryError for torch's OutOfMemoryError: both mean the same here."""
    build(monkeypatch)
    monkeypatch.setattr(torch, "arange", lambda *_, **__: SimpleNamespace(sum=lambda: 6))

    def training(settings, tasks):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 90 GiB.")

    monkeypatch.setattr(torch_adamw, "_Training", training)
    stars = np.random.default_rng(1).integers(1, 6, (8, 6)).astype(np.float32)
    run = Run("f1", 1, *[sparse.csr_array(stars)] * 4)

    def work(device):
        return train_point(MF(k=2, reg=0.1, max_epochs=3), [run], limits=Limits(device))

    told = r"GPU .* ran out of memory \(mf, k 2, reg 0.1: the GPU has no memory left for k = 2"
    with pytest.raises(DeviceError, match=told):
        run_on_device(work, gpu=True, fallback=False, locks=tmp_path)
    found = run_on_device(work, gpu=True, fallback=True, locks=tmp_path)
    assert found.predictions["prediction"].notna().all()
    assert "using the CPU" in caplog.text


@pytest.mark.parametrize(
    "failure", [ValueError("bad settings"), MemoryError("of the machine, not of the GPU")], ids=type
)
def test_other_failures_are_not_taken_for_the_gpu(failure, tmp_path, monkeypatch):
    build(monkeypatch)
    monkeypatch.setattr(torch, "arange", lambda *_, **__: SimpleNamespace(sum=lambda: 6))

    def work(device):
        raise failure

    with pytest.raises(type(failure), match=str(failure)):
        run_on_device(work, gpu=True, fallback=True, locks=tmp_path)


def test_no_gpu_is_touched_where_none_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "own_device", unfit)
    assert run_on_device(str, gpu=False, fallback=False, locks=tmp_path) == "cpu"
