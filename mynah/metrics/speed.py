"""Speed and memory: what a piece of work costs on this machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Of one piece of work.

    Attributes:
        seconds: Wall clock.
        peak_bytes: The most memory that the process held meanwhile, libraries and all; None where it cannot be told.
    """

    seconds: float
    peak_bytes: int | None

    def real_time_factor(self, audio_seconds: float) -> float:
        """Seconds of work for each second of sound.

        Example:

            >>> Cost(seconds=0.5, peak_bytes=None).real_time_factor(20)
            0.025
        """
        return self.seconds / audio_seconds


def measured(job: Callable[[], Result]) -> tuple[Result, Cost]:
    """Do something in this process, and tell what it cost.

    On Linux the peak is that of the job alone (plus what was there before it); elsewhere it is the highest of the
    process so far. A figure that nothing else blurs comes from `command`.
    """
    _forget_peak()
    start = time.perf_counter()
    result = job()
    return result, Cost(time.perf_counter() - start, _peak_bytes())


def command(arguments: Sequence[str]) -> Cost:
    """Run a program to its end, and tell what it cost, start and imports included.

    Raises:
        subprocess.CalledProcessError: It failed; what it wrote to its standard error is in the exception.
    """
    start = time.perf_counter()
    # A child's peak begins with what its parent held when it was made, so a small process stands between.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", _BETWEEN, *arguments], capture_output=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, list(arguments), stderr=done.stderr)
    told = done.stdout.split()
    if not told:  # a system that does not tell
        return Cost(time.perf_counter() - start, None)
    return Cost(float(told[0]), int(told[1]) * _maxrss_unit())


_BETWEEN = """
import os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
if hasattr(os, "wait4"):
    _, status, usage = os.wait4(child.pid, 0)
    print(time.perf_counter() - start, usage.ru_maxrss)
    sys.exit(os.waitstatus_to_exitcode(status))
sys.exit(child.wait())
"""


def _maxrss_unit() -> int:
    return 1 if sys.platform == "darwin" else 1024


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # not Linux, or not allowed: the peak so far stands


def _peak_bytes() -> int | None:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _maxrss_unit()
