"""Readings to learn from, made of sounds that anybody can tell apart: one steady tone for each letter."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from mynah.audio.files import write
from mynah.core.types import Audio

RATE = 22_050
TONES = {letter: 180.0 * 2 ** (number / 4) for number, letter in enumerate("abcdefgh")}
LETTER_SECONDS = 0.09


def spoken(text: str) -> Audio:
    """Every letter for a while, a space as silence."""
    time = torch.arange(int(RATE * LETTER_SECONDS)) / RATE
    parts = [
        sum(torch.sin(math.tau * TONES[letter] * k * time) / k for k in range(1, 8)) * 0.1
        if letter in TONES
        else torch.zeros_like(time)
        for letter in text
    ]
    quiet = torch.zeros(RATE // 10)
    sound = torch.cat([quiet, *[torch.as_tensor(part) for part in parts], quiet])
    return Audio(sound[None] + 1e-5 * torch.randn(1, len(sound), generator=torch.Generator().manual_seed(0)), RATE)


def texts(count: int, length: int = 6) -> list[str]:
    dice = torch.Generator().manual_seed(1)
    return ["".join("abcdefgh"[int(k)] for k in torch.randint(8, (length,), generator=dice)) for _ in range(count)]


def ljspeech(folder: Path, count: int = 4, length: int = 6) -> Path:
    """A folder as LJSpeech is laid out."""
    rows = []
    for number, text in enumerate(texts(count, length)):
        write(spoken(text), folder / "wavs" / f"R{number:03}.wav")
        rows.append(f"R{number:03}|{text.upper()}|{text}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder


def manifest(folder: Path, count: int = 4, speakers: tuple[str, ...] = ("ann",)) -> Path:
    """A folder with a manifest."""
    rows = ["path,speaker,text"]
    for number, text in enumerate(texts(count)):
        speaker = speakers[number % len(speakers)]
        write(spoken(text), folder / speaker / f"{number}.wav")
        rows.append(f"{speaker}/{number}.wav,{speaker},{text}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder
