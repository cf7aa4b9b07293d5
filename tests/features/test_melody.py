import math

import pytest
import torch

from mynah.core.errors import BadOption
from mynah.features.melody import notes_of, semitones_to_fit, tuned

NAN = math.nan


def cents(value: float, reference: float) -> float:
    return 1200 * math.log2(value / reference)


def test_a_low_voice_gets_a_high_song_an_octave_lower() -> None:
    song = torch.tensor([400.0, NAN, 440.0, 500.0])
    assert semitones_to_fit(song, (100.0, 400.0)) == -12
    assert semitones_to_fit(song, (300.0, 600.0)) == 0


def test_semitones_centre_the_song_on_the_voice() -> None:
    song = torch.full((50,), 220.0)
    assert semitones_to_fit(song, (220.0, 440.0), step=1) == 6
    assert semitones_to_fit(torch.full((9,), NAN), (100.0, 200.0), step=1) == 0


def test_halfway_between_octaves_nothing_moves() -> None:
    assert semitones_to_fit(torch.full((9,), 220.0), (220.0, 440.0)) == 0


def test_a_sharp_note_is_put_right_and_its_vibrato_stays() -> None:
    time = torch.arange(200) * 0.01
    vibrato = 50 * torch.sin(2 * math.pi * 6 * time)
    sharp = 440 * 2 ** ((30 + vibrato) / 1200)
    corrected = tuned(sharp, 1.0, "A major")
    assert abs(cents(corrected[20:-20].log2().mean().exp2().item(), 440)) < 4
    left = 1200 * (corrected / 440).log2()[20:-20]
    assert left.max() > 35 and left.min() < -35


def test_half_strength_goes_half_the_way_and_zero_nowhere() -> None:
    sharp = torch.full((100,), 440 * 2 ** (40 / 1200))
    assert abs(cents(tuned(sharp, 0.5, "chromatic")[50].item(), 440) - 20) < 1
    torch.testing.assert_close(tuned(sharp, 0.0, "chromatic"), sharp)


def test_only_notes_of_the_scale_are_sung() -> None:
    c_sharp = torch.full((100,), 277.18 * 2 ** (-10 / 1200))
    assert abs(cents(tuned(c_sharp, 1.0, "C major")[50].item(), 261.63)) < 5


def test_neighbouring_notes_are_not_averaged() -> None:
    melody = torch.cat([torch.full((60,), 440.0), torch.full((60,), 523.25)])
    torch.testing.assert_close(tuned(melody, 1.0, "chromatic"), melody, atol=0.5, rtol=0)


def test_unvoiced_frames_stay_unvoiced() -> None:
    melody = torch.tensor([NAN, 440.0, NAN])
    assert tuned(melody, 1.0, "chromatic").isnan().tolist() == [True, False, True]


@pytest.mark.parametrize("scale", ["H major", "C lydian", "", "C"])
def test_scales_that_do_not_exist(scale: str) -> None:
    with pytest.raises(BadOption, match="scale"):
        notes_of(scale)
    assert notes_of("Bb minor") == notes_of("A# minor")
