"""How many cores compiled code may use."""

from __future__ import annotations

import sys


def use_threads(threads: int) -> None:
    """Let numba, and torch where it is loaded, use this number of cores in this process.

    Not all solvers need torch, which takes a second and a half to load.
    """
    import numba

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    # After numba: its pool, as it starts, sets the threads of the OpenMP that torch may share.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
