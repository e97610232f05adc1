"""Progress of long loops, as lines of a log rather than a bar that rewrites itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")


def progress(
    items: Iterable[Item],
    label: str,
    total: int | None = None,
    every: float = 10.0,
    before: int = 0,
) -> Iterator[Item]:
    """Pass `items` on and log how far the loop is, at most once in `every` seconds.

    Of the `total`, `before` were done by an earlier process, from whose checkpoint this one goes
    on; the seconds reported are this one's.
    """
    log = logging.getLogger("cfmf.progress")
    if total is None and isinstance(items, Sized):
        total = before + len(items)
    start = said = time.monotonic()
    for done, item in enumerate(items, before):
        now = time.monotonic()
        if now - said >= every:
            said = now
            share = f" of {total} ({done / total:.0%})" if total else ""
            log.info("%s: %d%s after %.0f s", label, done, share, now - start)
        yield item
