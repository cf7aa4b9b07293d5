"""How much memory converting a file takes, by its length: with nets of a few channels, so that sound is what counts.

    python benchmarks/memory_convert.py [SYSTEM ...]

Every figure is the peak of a process of its own, imports included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from mynah.audio.files import Writer
from mynah.core.registry import find
from mynah.core.types import Audio, Voice
from mynah.core.verbs import options_of
from mynah.metrics.speed import measured

MINUTES = (2, 20)
RATE = 16_000
SYSTEMS = ("convert/rvc", "convert/so_vits_svc", "convert/whisper_vits_svc")


def song(path: Path, minutes: int) -> Path:
    """Notes of a third of a second."""
    time = torch.arange(60 * RATE) / RATE
    hz = 200 + 20 * ((3 * time).floor() % 7)
    wave = 0.1 * sum((torch.sin(2 * torch.pi * k * hz * time) / k for k in range(2, 7)), torch.sin(time * 1257))
    with Writer(path, RATE, channels=1) as writer:
        for _ in range(minutes):
            writer.push(Audio(wave[None], RATE))
    return path


def alone(name: str, source: Path) -> None:
    """One conversion, as the process that was started for it."""
    system = find(name)
    engine: Any = system.tiny()
    clip = Audio(0.1 * torch.randn(1, 3 * RATE, generator=torch.Generator().manual_seed(0)), RATE)
    voice = Voice("somebody", (0.0, 0.0), clips=(clip,))
    start = time.perf_counter()
    options = options_of(system, "convert")()
    _, cost = measured(lambda: engine.convert_file(source, voice, options, source.with_suffix(".out.wav")))
    print(f"{(cost.peak_bytes or 0) / 2**20:8.0f} MiB {time.perf_counter() - start:8.1f} s")


def main(names: list[str]) -> None:
    """A line for each system and length."""
    with tempfile.TemporaryDirectory() as folder:
        for minutes in MINUTES:
            source = song(Path(folder) / f"{minutes}.wav", minutes)
            for name in names:
                done = subprocess.run(
                    [sys.executable, __file__, "--alone", name, str(source)], capture_output=True, text=True, check=True
                )
                print(f"{name:26} {minutes:3} min {done.stdout.rstrip()}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        alone(sys.argv[2], Path(sys.argv[3]))
    else:
        main(sys.argv[1:] or list(SYSTEMS))
