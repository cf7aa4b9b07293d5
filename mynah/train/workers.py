"""Work spread over processes: results in order, and never more under way than keeps everybody busy."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 8  # things for each process that may be under way


def spread(deed: Callable[[T], R], things: Sequence[T], workers: int, few: int) -> Iterator[R]:
    """What a deed makes of each thing, in their order; of hundreds of thousands only a handful wait at a time.

    Args:
        deed: A function of a module, because other processes have to find it.
        things: What they are sent.
        workers: Processes.
        few: So many or fewer are done in this process, before a second one would have started.
    """
    if workers == 1 or len(things) <= few:
        yield from map(deed, things)
        return
    # Not forked: a fork of a process in which torch has run its threads may hang.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_settle)
    waiting: deque[Future[R]] = deque()
    try:
        for thing in things:
            waiting.append(pool.submit(deed, thing))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _settle() -> None:
    """One thread for each process; and Ctrl-C is for the one that waits for them."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
