import math
import sys
from pathlib import Path

import pytest
import torch

from mynah.audio.files import write
from mynah.audio.reverb import Convolver, ReverbMatch, response
from mynah.core.errors import BadOption, MissingExtra
from mynah.core.types import Audio
from mynah.scenes.cover.vocal import VocalEffects, polish, reverb_of

pytest.importorskip("pedalboard")
RATE = 44_100
NOTHING = VocalEffects(high_pass_hz=0, de_ess_db=0, compress_ratio=1, presence_db=0, air_db=0, reverb=0.0)


def tone(hz: float, seconds: float = 1.0, level: float = 0.3) -> torch.Tensor:
    return level * torch.sin(2 * math.pi * hz * torch.arange(round(seconds * RATE)) / RATE)[None]


def polished(wave: torch.Tensor, match: ReverbMatch | None = None, *cuts: int, **changed: object) -> torch.Tensor:
    pieces = wave.split(list(cuts), -1) if cuts else [wave]
    effects = NOTHING.model_copy(update=changed)
    return torch.cat([block.samples for block in polish((Audio(piece, RATE) for piece in pieces), effects, match)], -1)


def gain_db(hz: float, level: float = 0.3, **changed: object) -> float:
    wave = tone(hz, level=level)
    settled = slice(RATE // 2, None)
    after = polished(wave, **changed)
    return 20 * math.log10(after[:, settled].std() / wave[:, settled].std())


def voice(seconds: float = 2.0, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.2 * torch.randn(channels, round(seconds * RATE), generator=generator)


def test_no_effects_are_no_change() -> None:
    assert torch.equal(polished(voice()), voice())


def test_the_high_pass_takes_rumble_alone() -> None:
    assert gain_db(25, high_pass_hz=100.0) < -18
    assert abs(gain_db(1000, high_pass_hz=100.0)) < 0.3


def test_the_equaliser_raises_what_it_says() -> None:
    assert gain_db(3500, presence_db=4.0) == pytest.approx(4, abs=0.3)
    assert abs(gain_db(300, presence_db=4.0)) < 0.5
    assert gain_db(16_000, air_db=-5.0) == pytest.approx(-5, abs=1)
    assert abs(gain_db(1000, air_db=-5.0)) < 0.3


def test_the_compressor_lessens_differences() -> None:
    loud, soft = (gain_db(500, level, compress_ratio=4.0, compress_above_db=-20.0) for level in (0.5, 0.02))
    assert soft == pytest.approx(0, abs=0.2)
    assert -12 < loud < -7  # 14 dB above the threshold become 3.5


def test_hiss_is_softened() -> None:
    assert gain_db(7000, de_ess_db=6.0) == pytest.approx(-5, abs=0.7)
    assert gain_db(700, de_ess_db=6.0) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("channels", [1, 2])
def test_pieces_are_polished_as_the_whole(channels: int) -> None:
    wave, match = voice(channels=channels), ReverbMatch(0.6, -9.0, 0.7)
    effects = VocalEffects().model_dump()
    whole = polished(wave, match, **effects)
    pieces = polished(wave, match, 1, 30_000, 0, 17, 58_182, **effects)
    assert whole.shape == (2, wave.shape[-1])
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)


def test_channels_follow_the_reverb() -> None:
    wave = voice(0.3)
    assert polished(wave, ReverbMatch(0.5, -9.0, 0.0), reverb="match").shape[0] == 1
    assert polished(wave, ReverbMatch(0.5, -9.0, 0.5), reverb="match").shape[0] == 2
    assert polished(wave, ReverbMatch(0.0, -math.inf, 0.0), reverb="match").shape[0] == 1
    assert torch.equal(polished(wave, None, reverb="match"), wave)
    assert polished(wave, None, reverb=0.3).shape[0] == 2
    assert not list(polish(iter([]), VocalEffects(), None))


def test_the_reverb_of_one_voice_is_given_to_another(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    notes = torch.cat([part for _ in range(8) for part in (voice(0.4), torch.zeros(1, RATE * 3 // 4))], -1)
    dry = write(Audio(notes, RATE), tmp_path / "dry.wav", bits=32)
    wet = notes + Convolver(response(ReverbMatch(1.0, -10.0, 0.5), RATE)).push(notes)
    lead = write(Audio(wet, RATE), tmp_path / "lead.wav", bits=32)
    first = reverb_of(lead)
    assert first.decay_seconds == pytest.approx(1.0, rel=0.3) and first.wet_db == pytest.approx(-10, abs=3)
    assert reverb_of(lead, dry).wet_db == pytest.approx(-10, abs=1.5)
    assert not reverb_of(dry).audible
    others = notes * torch.randn(1, notes.shape[-1], generator=generator)
    again = write(Audio(polished(others, first, reverb="match"), RATE), tmp_path / "again.wav", bits=32)
    second = reverb_of(again)
    assert second.decay_seconds == pytest.approx(first.decay_seconds, rel=0.2)
    assert second.wet_db == pytest.approx(first.wet_db, abs=2)
    assert second.width == pytest.approx(first.width, abs=0.15)


def test_what_is_out_of_bounds_is_refused() -> None:
    for wrong in ({"reverb": 2}, {"reverb": "hall"}, {"compress_ratio": 0.5}, {"high_pass_hz": -1}):
        with pytest.raises(BadOption):
            VocalEffects.of(**wrong)


def test_without_pedalboard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pedalboard", None)
    with pytest.raises(MissingExtra, match=r"mynah\[cover\]"):
        polished(voice(0.1))
