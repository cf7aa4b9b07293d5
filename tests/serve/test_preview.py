"""Where the first seconds are taken from, and how little is heard for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mynah.audio.files import read, write
from mynah.core.types import Audio
from mynah.serve.preview import SECONDS, alone, excerpt

RATE = 8000


def song(path: Path, silence: float, seconds: float) -> Path:
    """A hum on both sides, and after some seconds somebody in the middle."""
    time = torch.arange(round(seconds * RATE)) / RATE
    band = 0.3 * torch.sin(2 * torch.pi * 110 * time)
    voice = torch.where(time >= silence, 0.3 * torch.sin(2 * torch.pi * 440 * time), 0.0)
    return write(Audio(torch.stack([voice + band, voice - band]), RATE), path, bits=32, peak_db=None)


class Ear:
    """Middle and sides; counts the seconds that it heard."""

    seconds = 0.0

    def __call__(self, piece: Audio) -> tuple[Audio, Audio]:
        self.seconds += piece.seconds
        middle = piece.samples.mean(0, keepdim=True).expand(2, -1)
        return Audio(middle, RATE), Audio(piece.samples - middle, RATE)


@pytest.mark.parametrize("silence", [0.0, 1.5, 7.0, 11.9, 12.0, 31.3])
def test_ten_seconds_from_where_somebody_sings(tmp_path: Path, silence: float) -> None:
    ear = Ear()
    file = song(tmp_path / "song.wav", silence, 60)
    found = excerpt(file, ear)
    assert found is not None
    assert found.song.seconds == found.voice.seconds == found.rest.seconds == SECONDS
    whole = read(file).samples
    begin = round(max(0.0, silence - 0.5) * RATE)  # looked for in steps of a tenth of a second
    places = range(max(0, begin - RATE // 10), begin + 1)
    assert any(found.song.samples.equal(whole[:, place : place + 10 * RATE]) for place in places)
    assert (found.voice.samples + found.rest.samples - found.song.samples).abs().max() < 1e-6
    assert found.voice.samples[:, RATE:].square().mean().sqrt() > 0.2
    assert ear.seconds <= silence + 2 * 14.0
    files = found.write(tmp_path)
    assert read(files["vocals"]).samples.allclose(found.voice.samples, atol=1e-6)


def test_what_begins_late_is_short(tmp_path: Path) -> None:
    found = excerpt(song(tmp_path / "song.wav", 27.0, 30), Ear())
    assert found is not None
    assert found.voice.seconds == pytest.approx(3.5, abs=0.11)


def test_where_nobody_sings_nothing_is_taken(tmp_path: Path) -> None:
    ear = Ear()
    assert excerpt(song(tmp_path / "song.wav", 200.0, 150), ear) is None
    assert ear.seconds < 105
    assert excerpt(song(tmp_path / "short.wav", 99.0, 30), Ear()) is None


def test_a_bare_voice_is_its_own(tmp_path: Path) -> None:
    found = excerpt(song(tmp_path / "voice.wav", 0.0, 30), alone)
    assert found is not None
    assert found.voice is found.song or found.voice.samples.equal(found.song.samples)
    assert not found.rest.samples.any()
