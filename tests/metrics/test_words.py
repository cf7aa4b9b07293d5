from __future__ import annotations

import pytest
import torch

from mynah.core.errors import BadAudio
from mynah.core.types import Audio
from mynah.features.whisper import WhisperConfig, WhisperEncoder
from mynah.metrics import words


def frames(seed: int, count: int = 200) -> torch.Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(seed))


def test_the_same_words_are_the_same() -> None:
    assert words.frame_similarity(frames(0), frames(0)) == pytest.approx(1, abs=1e-5)


def test_another_voice_saying_them_is_forgiven() -> None:
    voice = 10 * frames(1, 1)
    assert words.frame_similarity(frames(0), frames(0) + voice) == pytest.approx(1, abs=1e-4)


def test_other_words_are_others() -> None:
    assert abs(words.frame_similarity(frames(0), frames(2))) < 0.1
    assert words.frame_similarity(frames(0), -frames(0)) == pytest.approx(-1, abs=1e-5)


def test_half_the_words_are_half_as_similar() -> None:
    half = torch.cat([frames(0)[:100], frames(2)[100:]])
    assert words.frame_similarity(frames(0), half) == pytest.approx(0.5, abs=0.1)


def test_the_shorter_one_says_how_far() -> None:
    assert words.frame_similarity(frames(0), frames(0)[:150]) > 0.99
    with pytest.raises(BadAudio, match="no words"):
        words.frame_similarity(frames(0), frames(0)[:0])


def test_whisper_listens() -> None:
    torch.manual_seed(0)
    ear = WhisperEncoder(WhisperConfig(size=64, layers=1, context=100)).eval()
    noise = Audio(0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0)), 16_000)
    other = Audio(0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(1)), 16_000)
    assert words.similarity(noise, noise, ear) == pytest.approx(1, abs=1e-5)
    assert words.similarity(noise, other, ear) < 0.9
