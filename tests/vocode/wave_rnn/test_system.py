"""What a listener notices: length, seeds, pieces, progress."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio
from mynah.vocode.wave_rnn import WaveRnn, WaveRnnOptions


def mel(frames: int = 40) -> Tensor:
    return torch.randn(1, 8, frames, generator=torch.Generator().manual_seed(0))


def test_another_seed_is_another_sound_and_the_same_the_same() -> None:
    vocoder = WaveRnn.tiny()
    first = vocoder.wave(mel(), seed=1)
    assert first.equal(vocoder.wave(mel(), seed=1))
    assert not first.equal(vocoder.wave(mel(), seed=2))


def test_pieces_that_are_longer_than_the_sound_are_no_pieces() -> None:
    vocoder = WaveRnn.tiny()
    whole = vocoder.wave(mel(), options=WaveRnnOptions(batched=False))
    assert whole.equal(vocoder.wave(mel(), options=WaveRnnOptions(piece=10)))
    cut = vocoder.wave(mel(), options=WaveRnnOptions(piece=0.05, overlap=0.02))
    assert cut.shape == whole.shape
    assert cut[:, :100].equal(whole[:, :100])  # the first piece
    assert not cut.equal(whole)


def test_how_many_pieces_lie_side_by_side_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.vocode.wave_rnn import sampling

    vocoder, options = WaveRnn.tiny(), WaveRnnOptions(piece=0.05, overlap=0.02)
    together = vocoder.wave(mel(), options=options)
    monkeypatch.setattr(sampling, "ABREAST", 2)
    monkeypatch.setattr(sampling, "AHEAD", 7)
    torch.testing.assert_close(vocoder.wave(mel(), options=options), together, atol=1e-6, rtol=0)


def test_it_says_how_far_it_is() -> None:
    told: list[float] = []
    WaveRnn.tiny().wave(mel().expand(2, -1, -1), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_it_dies_away_at_the_end() -> None:
    sound = WaveRnn.tiny().wave(mel(60))[0]
    assert sound[-1] == 0
    assert sound[-16:].abs().max() < sound[:300].abs().max() / 5


def test_an_empty_recording_is_refused_and_a_blip_is_not() -> None:
    with pytest.raises(BadAudio, match="empty"):
        WaveRnn.tiny().vocode(Audio(torch.zeros(1, 0), 2000))
    assert WaveRnn.tiny().vocode(Audio(torch.ones(2, 3), 2000)).samples.shape == (1, 3)


def test_options_have_bounds() -> None:
    with pytest.raises(BadOption, match="piece"):
        WaveRnnOptions.of(piece=0.0)
