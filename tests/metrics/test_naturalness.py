from __future__ import annotations

import importlib.util

import pytest
import torch

from mynah.core.errors import BadAudio, MissingExtra
from mynah.core.types import Audio
from mynah.metrics import naturalness


def tone(seconds: float, rate: int = 16_000) -> Audio:
    t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    return Audio((0.2 * torch.sin(2 * torch.pi * 220 * t)).float()[None], rate)


def test_it_has_the_opinion_of_the_package() -> None:
    # Stored from speechmos 0.0.1.1: dnsmos.run, whose figures for three readers agreed to the last digit as well.
    heard = naturalness.opinion(tone(3.0))
    assert heard.overall == pytest.approx(1.0255653, abs=2e-3)
    assert heard.signal == pytest.approx(1.3155664, abs=2e-3)
    assert heard.background == pytest.approx(1.1971321, abs=2e-3)


def test_bad_recordings_are_refused() -> None:
    with pytest.raises(BadAudio, match="empty"):
        naturalness.opinion(Audio(torch.zeros(1, 0), 16_000))
    with pytest.raises(BadAudio, match="NaN"):
        naturalness.opinion(Audio(torch.full((1, 100), torch.nan), 16_000))


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mynah\[naturalness\]"):
        naturalness.opinion(tone(1.0))
