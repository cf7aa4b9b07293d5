import math
from pathlib import Path

import pytest
import torch

from mynah.audio.files import read, write
from mynah.audio.reverb import Convolver, ReverbMatch, response
from mynah.audio.spectra import reshaped
from mynah.core.errors import BadOption
from mynah.core.types import Audio
from mynah.scenes.cover.dereverb import Dryer, dried

RATE, SIZE = 16_000, 736
ROOM = ReverbMatch(1.2, -8.0, 0.5)


def notes() -> torch.Tensor:
    """Ten buzzing notes that glide up by a third, with pauses."""
    t = torch.arange(round(0.45 * RATE)) / RATE
    parts = []
    for index in range(10):
        hz = 150 * 2 ** (index * 5 % 12 / 12)
        parts += [
            sum(torch.sin(2 * math.pi * hz * k * (t + 0.28 * t.square()) + k) / k for k in range(1, 20)),
            torch.zeros(RATE * 3 // 5),
        ]
    return 0.2 * torch.cat(parts)[None]


def in_room() -> tuple[torch.Tensor, torch.Tensor]:
    """The voice with the first 50 ms of the room, and what the room adds later: `[2, time]` each."""
    answer = response(ROOM, RATE)
    early = answer.clone()
    early[:, RATE // 20 :] = 0
    voice = notes() + Convolver(early).push(notes())
    return voice, Convolver(answer - early).push(notes())


def power_db(wave: torch.Tensor) -> float:
    return 10 * math.log10(wave.square().mean())


def test_the_trail_is_turned_down_and_the_voice_is_not(tmp_path: Path) -> None:
    voice, late = in_room()
    path = write(Audio(voice + late, RATE), tmp_path / "vocals.wav", bits=32, peak_db=None)
    dried(path, tmp_path / "dry.wav", 1.0)
    result = read(tmp_path / "dry.wav").samples
    assert result.shape == voice.shape
    sings = (notes()[0].unfold(0, 160, 160).square().mean(1) > 0).repeat_interleave(160)
    pause = ~sings & sings.roll(RATE // 5).logical_not() & sings.roll(-RATE // 10).logical_not()  # 0.2 s after a note
    assert power_db(result[:, pause]) < power_db((voice + late)[:, pause]) - 8
    assert power_db(result[:, sings]) > power_db((voice + late)[:, sings]) - 2


def test_the_direct_sound_gains_on_the_late() -> None:
    voice, late = in_room()
    dryer = Dryer(ROOM, RATE, SIZE, 1.0)

    def both(spectra: torch.Tensor) -> torch.Tensor:
        mix = spectra[:2] + spectra[2:]
        gains = dryer(mix).abs() / mix.abs().clamp(min=1e-9)
        return torch.cat([spectra[:2] * gains, spectra[2:] * gains])

    result = torch.cat(list(reshaped([torch.cat([voice, late])], both, size=SIZE)), -1)
    gained = power_db(result[:2]) - power_db(result[2:]) - power_db(voice) + power_db(late)
    assert gained > 3
    assert power_db(result[:2]) > power_db(voice) - 1.5


def test_less_strength_takes_less(tmp_path: Path) -> None:
    voice, late = in_room()
    path = write(Audio(voice + late, RATE), tmp_path / "vocals.wav", bits=32, peak_db=None)
    powers = []
    for strength in (0.0, 0.5, 1.0):
        dried(path, tmp_path / "dry.wav", strength)
        powers.append(power_db(read(tmp_path / "dry.wav").samples))
    assert powers[0] > powers[1] > powers[2]
    dried(path, tmp_path / "dry.wav", 0.0)
    assert torch.equal(read(tmp_path / "dry.wav").samples, read(path).samples)


def test_a_dry_vocal_stays_as_it_is(tmp_path: Path) -> None:
    path = write(Audio(notes(), RATE), tmp_path / "vocals.wav", bits=32)
    dried(path, tmp_path / "dry.wav", 1.0)
    assert torch.equal(read(tmp_path / "dry.wav").samples, read(path).samples)


def test_how_the_sound_is_cut_makes_no_difference() -> None:
    voice, late = in_room()
    whole, pieces = (
        torch.cat(list(reshaped((voice + late).split(cut, -1), Dryer(ROOM, RATE, SIZE, 1.0), size=SIZE)), -1)
        for cut in (10**6, 12_345)
    )
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)


def test_a_strength_out_of_bounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="from 0"):
        dried(tmp_path / "vocals.wav", tmp_path / "dry.wav", 1.5)
