from itertools import pairwise
from pathlib import Path

import pytest
import torch

from mynah.audio.files import read
from mynah.audio.flow import FLOWING, PCM_RATE, Flow
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio


def sweep(seconds: float, rate: int = 32_000) -> Audio:
    t = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return Audio((0.4 * torch.sin(2 * torch.pi * (200 * t + 300 * t.square()))).float()[None], rate)


def flowed(sound: Audio, path: Path, size: int = 8000) -> list[bytes]:
    """What a reader has after each piece."""
    seen = []
    with path.open("wb") as file, Flow(file, path.suffix[1:], sound.rate) as flow:
        for part in sound.samples.split(size, -1):
            flow.push(Audio(part, sound.rate))
            seen.append(path.read_bytes())
    return seen


def decoded(path: Path) -> Audio:
    if path.suffix != ".pcm":
        return read(path)
    return Audio(torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.int16)[None] / 32_767, PCM_RATE)


@pytest.mark.parametrize("format", FLOWING)
def test_what_was_read_early_is_the_beginning_of_the_whole(tmp_path: Path, format: str) -> None:
    sound = sweep(2.0)
    path = tmp_path / f"sound.{format}"
    seen = flowed(sound, path)
    whole = path.read_bytes()
    assert all(whole.startswith(piece) for piece in seen)
    assert all(len(early) < len(late) for early, late in pairwise(seen))
    assert flowed(sound, path)[-1] == seen[-1]  # no clock and no chance in it
    (tmp_path / f"early.{format}").write_bytes(seen[0])
    assert decoded(tmp_path / f"early.{format}").seconds > 0.1  # of the 0.25 s that were pushed by then


@pytest.mark.parametrize("format", FLOWING)
def test_it_sounds_as_it_did(tmp_path: Path, format: str) -> None:
    sound = sweep(1.0)
    flowed(sound, tmp_path / f"sound.{format}")
    back = decoded(tmp_path / f"sound.{format}")
    assert back.seconds == pytest.approx(1.0, abs=0.08)  # mp3 and aac have a little silence at both ends
    spectrum, heard = (torch.fft.rfft(each.samples[0], 1 << 17).abs() for each in (sound, back))
    at, there = ((each * torch.linspace(0, 1, len(each))).sum() / each.sum() for each in (spectrum, heard))
    assert float(there) * back.rate == pytest.approx(float(at) * sound.rate, rel=0.05)
    # LAME makes what it writes at few bits half a decibel softer by itself.
    assert back.samples.square().sum() / back.rate == pytest.approx(0.08, rel=0.11 if format == "mp3" else 0.02)


def test_loud_pieces_do_not_clip_and_channels_become_one(tmp_path: Path) -> None:
    sound = Audio(torch.cat([5 * sweep(0.5).samples, 5 * sweep(0.5).samples]), 32_000)
    flowed(sound, tmp_path / "sound.wav")
    back = read(tmp_path / "sound.wav")
    assert back.samples.shape == (1, 16_000)
    assert back.samples.abs().max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)


def test_what_cannot_flow_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "sound").open("wb") as file:
        with pytest.raises(BadOption, match="flac cannot be heard before it is whole"):
            Flow(file, "flac", 16_000)
        with pytest.raises(BadAudio, match="not finite"):
            Flow(file, "wav", 16_000).push(Audio(torch.full((1, 9), torch.nan), 16_000))
