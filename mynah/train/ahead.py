"""Batches made ahead of time, in one background thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(make: Callable[[int], T], first: int, last: int, *, depth: int = 2) -> Generator[T, None, None]:
    """`make(first)` to `make(last - 1)` in order, at most `depth` of them finished before they are asked for.

    What `make` raises is raised here. When the reader goes away, whatever is being made is finished and the rest
    dropped, so no thread is left behind.

    Example:

        >>> list(ahead(lambda step: step * step, 3, 6))
        [9, 16, 25]
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="mynah-batches")
    waiting: deque[Future[T]] = deque()
    try:
        for step in range(first, last):
            waiting.append(pool.submit(make, step))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
