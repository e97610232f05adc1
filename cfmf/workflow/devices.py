"""One GPU for each job that requests one, and whether jobs request one."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cfmf.devices import DeviceError, DeviceMemoryError, gpu_count, has_gpu
from cfmf.files import HOST

Result = TypeVar("Result")
VARIABLE = "CUDA_VISIBLE_DEVICES"
REQUEST = "CFMF_GPU"
"""The environment variable that hands the decision of `decide_request` down to the jobs.

Each job reads the rules again, sometimes on a node whose GPUs it may not use, and Snakemake
evaluates the job's resources there once more. Of what is decided where the run starts Snakemake
hands nothing to a job but the command line, the config files and the variables under `envvars`.
"""
LOCKS = Path(".snakemake/gpus")
EVERY_SECONDS = 0.5

log = logging.getLogger(__name__)


def decide_request(device: str, limit: int | None, main_process: bool) -> str:
    """Decide, where the run starts, whether jobs request a GPU, and keep it for the jobs.

    Parameters
    ----------
    device
        `device` of the config. `auto` requests a GPU on a machine that has one, so that without
        one the jobs run side by side on the cores; `cuda` always does, which is right where jobs
        are sent to another machine; `cpu` never does.
    limit
        `gpu` of `--resources`; None where it is not given. With 0 no job requests one.
    main_process
        Whether this is the process that starts the jobs.

    Returns
    -------
    Name of the environment variable that jobs need.
    """
    if main_process:
        wanted = device == "cuda" or (device == "auto" and has_gpu())
        os.environ[REQUEST] = str(int(wanted and limit != 0))
    return REQUEST


def requested() -> bool:
    """Whether jobs request a GPU, as `decide_request` decided."""
    return os.environ[REQUEST] == "1"


def visible_devices() -> list[str]:
    """Names of the GPUs that this process may use, by CUDA_VISIBLE_DEVICES; all if it is unset."""
    listed = os.environ.get(VARIABLE)
    if listed is None:
        return [str(number) for number in range(gpu_count())]
    return [name.strip() for name in listed.split(",") if name.strip()]


@contextmanager
def own_device(folder: Path = LOCKS) -> Iterator[str | None]:
    """Hold a visible GPU that no other job of this workflow holds; make it the only visible one.

    Each GPU of each machine has a lock file in `folder`, and the system drops the lock when its
    process ends, however it ends. Where all are held this waits. Where only one is visible there is
    nothing to choose, and the batch system or Snakemake's `gpu` resource counts jobs: that one is
    taken as it is, and so it is on clusters that call each job's GPU 0. Must come before the first
    use of CUDA.

    Yields
    ------
    Name of the GPU; None where none is visible.
    """
    names = visible_devices()
    if len(names) < 2:
        yield names[0] if names else None
        return
    folder.mkdir(parents=True, exist_ok=True)
    before = os.environ.get(VARIABLE)
    lock, name = _first_free(folder, names)
    try:
        os.environ[VARIABLE] = name
        yield name
    finally:
        os.close(lock)
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def _first_free(folder: Path, names: list[str]) -> tuple[int, str]:
    """Lock, as an open file, and name of the first free GPU."""
    logged = False
    while True:
        for name in names:
            file = "".join(letter if letter.isalnum() else "-" for letter in name)
            lock = os.open(folder / f"{HOST}.{file}.lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                return lock, name
        if not logged:
            log.info("waiting for one of the GPUs %s", ", ".join(names))
            logged = True
        time.sleep(EVERY_SECONDS)


def check_cuda() -> None:
    """Compute something small on the GPU.

    Raises
    ------
    DeviceError
        If it cannot be done: a build of torch without CUDA, no driver, or a driver or GPU that
        this build does not fit.
    """
    import torch

    if torch.version.cuda is None:
        raise DeviceError(f"torch {torch.__version__} is the CPU build; install the CUDA build")
    if not torch.cuda.is_available():
        visible = os.environ.get(VARIABLE)
        raise DeviceError(
            f"torch {torch.__version__} sees no GPU; compare its CUDA {torch.version.cuda} with"
            " what nvidia-smi reports as supported"
            + ("" if visible is None else f", and note that {VARIABLE} is '{visible}'")
        )
    try:
        total = float(torch.arange(4, device="cuda").sum())
    except RuntimeError as error:
        raise DeviceError(
            f"torch {torch.__version__} was built for CUDA {torch.version.cuda} and cannot compute"
            f" on this GPU: {str(error).splitlines()[0]}"
        ) from error
    if total != 6:
        raise DeviceError(f"the GPU sums 0 + 1 + 2 + 3 to {total:g}; it or its driver is broken")


def of_job(snakemake: Any, work: Callable[[str], Result]) -> Result:
    """`run_on_device` as a job's resources and its `params.device` specify.

    Snakemake scales a job's request to 0 under `--resources gpu=0`: then no GPU may be used.
    """
    gpu = bool(snakemake.resources.gpu)
    return run_on_device(work, gpu, fallback=snakemake.params.device != "cuda")


def run_on_device(
    work: Callable[[str], Result], gpu: bool, fallback: bool, locks: Path = LOCKS
) -> Result:
    """`work("cuda")` on a GPU of its own where one is requested, else `work("cpu")`.

    Parameters
    ----------
    work
        Computes on the device that it is given and keeps nothing from a failed call.
    gpu
        Whether a GPU is requested.
    fallback
        Whether to use the CPU, with a warning, where the GPU fails or runs out of memory.
    locks
        See `own_device`.

    Raises
    ------
    DeviceError
        If the GPU fails and `fallback` is false.
    """
    if gpu:
        with own_device(locks) as name:
            log.info("GPU %s is this job's own", name)
            try:
                return _on_gpu(work, name)
            except DeviceError as error:
                if not fallback:
                    raise DeviceError(
                        f"{error}. The config sets `device: cuda`: with `device: auto` the CPU"
                        " would be used, with `device: cpu` no GPU is requested"
                    ) from error
                log.warning("%s; using the CPU, as `device: auto` allows", error)
    log.info("computing on the CPU")
    return work("cpu")


def _on_gpu(work: Callable[[str], Result], name: str | None) -> Result:
    import torch

    check_cuda()
    log.info("computing on GPU %s, %s", name, torch.cuda.get_device_name())
    try:
        return work("cuda")
    except (torch.OutOfMemoryError, DeviceMemoryError) as error:
        # Solvers turn the first into the second, which names the method and what to lower.
        torch.cuda.empty_cache()
        lines = str(error).splitlines() or [type(error).__name__]
        raise DeviceError(
            f"GPU {name} ran out of memory ({lines[0]}); a smaller k, or fewer seeds and folds at"
            " once, need less"
        ) from error
