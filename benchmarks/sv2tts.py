"""SV2TTS: how far the way in which pauses are told from speech changes a voice, and how fast WaveRNN draws samples.

    python benchmarks/sv2tts.py pauses FOLDER... [--clips 12]
    python benchmarks/sv2tts.py speed

`pauses` asks webrtcvad, as the original does, and the level, as Mynah does, what of a recording is speech, and compares
what the published encoder hears of both: needs `pip install webrtcvad-wheels`. Each FOLDER is a row; recordings are
taken at even distances. `speed` takes a net of the published sizes with random weights; seconds are of the processor,
on one thread, which a busy machine changes less than those on the wall.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.ndimage import binary_dilation
from torch import Tensor

from mynah.audio.files import read
from mynah.features import ge2e
from mynah.speak.sv2tts.published import EPSILON, STEP
from mynah.train.data import SUFFIXES
from mynah.vocode.wave_rnn import WaveRnn, WaveRnnOptions
from mynah.vocode.wave_rnn.net import Config, WaveRnnNet

WINDOW = 480  # samples that webrtcvad judges at a time
SECONDS = 2.0  # of sound


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pauses", "speed"))
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--clips", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    Console().print(pauses(arguments.folders, arguments.clips) if arguments.what == "pauses" else speed())


def pauses(folders: list[Path], clips: int) -> Table:
    """A row for each folder: what is kept of it, and how alike the voices are."""
    encoder = ge2e.load()
    encoder.epsilon = EPSILON
    table = Table(
        "folder", "n", "kept by level", "kept by webrtcvad", "alike (mean)", "alike (least)", "two recordings"
    )
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        rows, voices = [], []
        for path in paths[:: max(1, len(paths) // clips)][:clips]:
            wave = ge2e.prepared(read(path), trim=False)
            ours, theirs = ge2e.shorten_pauses(wave), by_webrtcvad(wave)
            if len(theirs) < ge2e.RATE:
                continue
            own, other = (encoder.embed_wave(kept, step=STEP) for kept in (ours, theirs))
            rows.append((len(ours) / len(wave), len(theirs) / len(wave), float(own @ other)))
            voices.append(other)
        kept, kept_theirs, alike = zip(*rows, strict=True)
        among = mean(float(first @ second) for first, second in pairwise(voices))
        figures = (mean(kept), mean(kept_theirs), mean(alike), min(alike), among)
        table.add_row(folder.name, str(len(rows)), *(f"{figure:.3f}" for figure in figures))
    return table


def by_webrtcvad(wave: Tensor) -> Tensor:
    """What is left of a 16 kHz recording without long pauses, as Real-Time Voice Cloning has it."""
    import webrtcvad

    judge: Any = webrtcvad.Vad(mode=3)
    wave = wave[: len(wave) // WINDOW * WINDOW]
    pieces = (wave.clamp(-1, 1) * 32767).round().numpy().astype("<i2").reshape(-1, WINDOW)
    speech = np.array([judge.is_speech(piece.tobytes(), sample_rate=ge2e.RATE) for piece in pieces], float)
    smooth = np.convolve(np.pad(speech, (3, 4)), np.ones(8) / 8, "valid")
    return wave[torch.from_numpy(np.repeat(binary_dilation(np.round(smooth), np.ones(7)), WINDOW))]


def speed() -> Table:
    """A row for each way of cutting."""
    vocoder = WaveRnn(WaveRnnNet(Config()))
    rate, hop = vocoder.format.rate, vocoder.format.hop
    mel = torch.rand(1, 80, round(SECONDS * rate / hop), generator=torch.Generator().manual_seed(0)) * 2 - 1
    table = Table("pieces", "samples/s of a processor", "seconds of a processor for one of sound")
    ways = [
        ("one after another", WaveRnnOptions(batched=False)),
        ("of 0.5 s, 10 s of sound", WaveRnnOptions()),
        ("of 0.1 s", WaveRnnOptions(piece=0.1)),
    ]
    for name, options in ways:
        some = mel.repeat(1, 1, 5) if "10 s" in name else mel
        begin = time.process_time()
        samples = vocoder.wave(some, options=options).shape[-1]
        took = time.process_time() - begin
        table.add_row(name, f"{samples / took:.0f}", f"{took * rate / samples:.1f}")
    return table


if __name__ == "__main__":
    main()
