import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from mynah.nets.source import sine


def test_a_note_has_the_pitch_it_was_given() -> None:
    wave = sine(torch.full((1, 100), 440.0), hop=160, rate=16_000).squeeze()
    assert torch.fft.rfft(wave).abs().argmax().item() == 440  # one second, so bins are Hz


def test_a_hop_that_is_no_whole_number_of_samples_keeps_the_pitch() -> None:
    wave = sine(torch.full((1, 1000), 441.0), hop=110.25, rate=11_025).squeeze()
    t = torch.arange(110_250, dtype=torch.float64) / 11_025
    torch.testing.assert_close(wave, torch.sin(2 * torch.pi * 441 * t).float(), atol=1e-5, rtol=0)


def test_unvoiced_frames_are_silent_and_the_phase_waits_for_them() -> None:
    pitch = torch.full((1, 30), 200.0)
    pitch[:, 10:20] = torch.nan
    gapped = sine(pitch, hop=160, rate=16_000)
    silent = slice(1520, 3120)  # frames are centred: half a hop earlier than their number says
    assert gapped[..., silent].abs().max() == 0
    spliced = torch.cat([gapped[..., :1520], gapped[..., 3120:]], dim=-1)
    torch.testing.assert_close(spliced, sine(torch.full((1, 20), 200.0), hop=160, rate=16_000), atol=1e-5, rtol=0)


@given(st.lists(st.floats(50, 2000), min_size=2, max_size=20))
def test_a_melody_never_jumps(hz: list[float]) -> None:
    wave = sine(torch.tensor([hz]), hop=80, rate=16_000)
    steepest = 2 * math.pi * max(hz) / 16_000
    assert wave.diff().abs().max() <= steepest + 1e-5


def test_an_hour_of_frames_keeps_its_phase() -> None:
    hz, rate = 110.0, 1000
    wave = sine(torch.full((1, 3600 * 100), hz), hop=10, rate=rate)[0, 0, -rate:]
    t = torch.arange(3600 * rate - rate, 3600 * rate, dtype=torch.float64) / rate
    torch.testing.assert_close(wave, torch.sin(2 * torch.pi * hz * t).float(), atol=1e-4, rtol=0)


def test_batches_do_not_mix() -> None:
    pitch = torch.tensor([[100.0] * 50, [torch.nan] * 50, [333.0] * 50])
    together = sine(pitch, hop=100, rate=10_000)
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], sine(pitch[row : row + 1], hop=100, rate=10_000))
