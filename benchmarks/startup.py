"""Start-up: how long `import mynah` and `mynah --help` take. Claims: 0.15 s and 0.4 s."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 9
CLAIMS = {
    "import mynah": ([sys.executable, "-c", "import mynah"], 0.15),
    "mynah --help": ([sys.executable, "-m", "mynah", "--help"], 0.4),
    "mynah --version": ([sys.executable, "-m", "mynah", "--version"], 0.4),
    "mynah systems": ([sys.executable, "-m", "mynah", "systems"], 0.8),
}


def seconds(command: list[str]) -> float:
    """Wall time of one run, from nothing to the end of the process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    bare = statistics.median(seconds([sys.executable, "-c", "pass"]) for _ in range(RUNS))
    print(f"{'':18} {'median':>8} {'claim':>8}   (an empty Python takes {bare:.3f} s, and is counted)")
    for name, (command, claim) in CLAIMS.items():
        median = statistics.median(seconds(command) for _ in range(RUNS))
        print(f"{name:18} {median:7.3f}s {claim:7.2f}s   {'reached' if median <= claim else 'MISSED'}")


if __name__ == "__main__":
    main()
