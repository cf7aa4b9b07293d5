"""Slices of recordings."""

from itertools import pairwise

import torch
from torch import Tensor

from mynah.train.slicing import slices

RATE = 16_000


def tone(seconds: float, level: float = 0.3) -> Tensor:
    return level * torch.sin(torch.arange(int(RATE * seconds)) / 7)


def silence(seconds: float) -> Tensor:
    return torch.zeros(int(RATE * seconds))


def test_phrases_are_cut_apart_and_short_gaps_are_kept() -> None:
    wave = torch.cat([silence(1), tone(1), silence(0.2), tone(1), silence(1), tone(2), silence(1)])
    assert slices(wave, RATE) == [(45, 120), (205, 110)]


def test_what_is_too_short_is_dropped_and_silence_gives_nothing() -> None:
    assert slices(torch.cat([silence(1), tone(0.5), silence(1)]), RATE) == []
    assert slices(silence(5), RATE) == []
    assert slices(torch.zeros(0), RATE) == []


def test_a_long_phrase_is_cut_at_its_quietest_place_and_nothing_is_lost() -> None:
    wave = torch.cat([tone(6), tone(0.1, 0.02), tone(14)])
    parts = slices(wave, RATE, longest=10)
    assert parts[0] == (0, 300) or 300 <= parts[0][1] <= 305
    assert all(50 <= frames <= 500 for _, frames in parts)
    assert sum(frames for _, frames in parts) == len(wave) // 320
    assert all(first + frames == after for (first, frames), (after, _) in pairwise(parts))


def test_breath_noise_far_below_the_voice_is_a_pause() -> None:
    hiss = 1e-4 * torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    assert len(slices(torch.cat([tone(2), hiss, tone(2)]), RATE)) == 2
