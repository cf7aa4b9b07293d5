"""How well vocoders sound recordings again: nepers of mel, melody, and speed.

    python benchmarks/vocode.py FOLDER --weights PLACE [--clips 6] [--seconds 4]

FOLDER holds recordings of speech, one folder for each reader; as many clips are taken from all over it. Each goes to a
mel spectrogram and back, once by Griffin-Lim and once with the weights. Printed are the mean difference of log mel, in
the bands of the vocoder and in as many up to half the rate; how well the melody follows (correlation of log pitch where
both are voiced, and the share of frames on whose voicing both agree); and seconds of work for a second of sound.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from mynah.audio.files import read
from mynah.audio.mixing import as_one
from mynah.audio.resample import resample
from mynah.core.types import Audio
from mynah.features.pitch import pitch
from mynah.train.data import scan
from mynah.vocode import vocoder


def main() -> None:
    """Parse, sound, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()

    every = scan(arguments.folder)
    chosen = [every[(2 * place + 1) * len(every) // (2 * arguments.clips)] for place in range(arguments.clips)]
    loaded = vocoder(arguments.weights)
    format = loaded.format
    sounds = [clip(item.path, format.rate, arguments.seconds) for item in chosen]
    table = Table(title=f"{len(sounds)} clips, {sum(sound.seconds for sound in sounds):.1f} s")
    for column in (
        "vocoder",
        "nepers",
        "up to half the rate",
        "pitch correlation",
        "voicing agrees",
        "real-time factor",
        "of a core",
    ):
        table.add_column(column, justify="right")
    wide = replace(format, high_hz=None)
    for name, engine in (("griffin_lim", vocoder("griffin_lim", format)), (arguments.weights, loaded)):
        figures = torch.tensor([measured(engine, sound, wide) for sound in sounds]).mean(0).tolist()
        table.add_row(Path(name).name, *(f"{figure:.3f}" for figure in figures))
    Console(width=120).print(table)
    print(f"{torch.get_num_threads()} threads of {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")


def clip(path: Path, rate: int, seconds: float) -> Audio:
    """The beginning of a recording."""
    whole = resample(as_one(read(path)), rate)
    return Audio(whole.samples[:, : int(seconds * rate)], rate)


def measured(engine: Any, sound: Audio, wide: Any) -> list[float]:
    """Of one clip."""
    engine.vocode(Audio(sound.samples[:, : sound.rate // 4], sound.rate))  # what is made once is made
    began, worked = time.perf_counter(), time.process_time()
    made = engine.vocode(sound)
    wall, work = time.perf_counter() - began, time.process_time() - worked
    far = [(mel(made.samples) - mel(sound.samples)).abs().mean().item() for mel in (engine.format, wide)]
    theirs, ours = (pitch(each).values.log2() for each in (sound, made))
    both = theirs.isfinite() & ours.isfinite()
    follows = torch.corrcoef(torch.stack([theirs[both], ours[both]]))[0, 1].item()
    agree = (theirs.isfinite() == ours.isfinite()).float().mean().item()
    return [*far, follows, agree, wall / sound.seconds, work / sound.seconds]


if __name__ == "__main__":
    main()
