"""What is taken from a recording: the sine, loudness, words, and the same in pieces as at once."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from mynah.convert.ucd_svc.condition import condition, excited
from mynah.convert.ucd_svc.excitation import HISS, excitation, sine, start_turns
from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.hear import Heard, content_of, loudness_of, pitch_of
from mynah.convert.ucd_svc.listeners import student_ear
from mynah.convert.ucd_svc.rendering import render
from mynah.convert.ucd_svc.sizes import PITCH_HOP, RATE, config
from mynah.core.types import Contour
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.loudness import a_weighting

TINY = config(window=512, voice=8, layers=6, stacks=2, residual=8, gates=16, skip=8)


def sung(hz: torch.Tensor) -> torch.Tensor:
    pitch = torch.cat([hz, hz[-1:]])[None]
    return sine(pitch, start_turns(hz[None], PITCH_HOP, RATE), PITCH_HOP, RATE)[0][0]


@pytest.mark.parametrize("hz", [61.7, 220.0, 987.8])
def test_the_sine_has_the_pitch_that_it_was_given(hz: float) -> None:
    wave = sung(torch.full((300,), hz)).double()
    rising = ((wave[:-1] < 0) & (wave[1:] >= 0)).nonzero()[:, 0]
    crossing = rising - wave[rising] / (wave[rising + 1] - wave[rising])
    measured = RATE * (len(crossing) - 1) / (crossing[-1] - crossing[0])
    assert float(measured) == pytest.approx(hz, rel=1e-3)


def test_it_glides_along_straight_lines() -> None:
    """The phase is the sum of the pitch, sample by sample."""
    hz = torch.tensor([200.0, 260.0, 230.0, 230.0])
    per_sample = torch.cat([torch.lerp(a, b, torch.arange(160) / 160) for a, b in pairwise(hz)])
    turns = (per_sample.double() / RATE).cumsum(0) - per_sample[0] / RATE
    assert sung(hz)[:480].numpy() == pytest.approx(torch.sin(2 * torch.pi * turns).numpy(), abs=0.02)


def test_the_phase_stands_still_while_nothing_is_voiced() -> None:
    hz = torch.cat([torch.full((20,), 200.0), torch.zeros(30), torch.full((20,), 200.0)])
    turns = start_turns(hz[None], PITCH_HOP, RATE)[0]
    assert float(turns[49] - turns[21]) == 0
    wave = sung(hz)
    assert not wave[21 * 160 : 49 * 160].any()
    # Where the note returns it goes on; the halves of the frames next to the gap count as sung.
    assert wave[49 * 160 + 80 :].allclose(sung(torch.full((41,), 200.0))[21 * 160 - 80 :], atol=1e-4)


def test_stretches_of_a_long_song_are_cut_from_it_exactly() -> None:
    """After five hours as at the beginning: the phase is kept in float64, modulo one."""
    hz = torch.full((5 * 3600 * 100,), 440.1)
    turns = start_turns(hz[None], PITCH_HOP, RATE)
    late = len(hz) - 50
    wave, _ = sine(hz[None, late - 1 :], turns[:, late:], PITCH_HOP, RATE)
    exact = 2 * math.pi * ((late * 160 + np.arange(49 * 160)) * np.float64(hz[0]) / RATE % 1.0)
    assert wave[0, : 49 * 160].numpy() == pytest.approx(np.sin(exact), abs=1e-3)


def test_there_is_noise_where_there_is_no_note() -> None:
    noise = torch.randn(1, 3200, generator=torch.Generator().manual_seed(0))
    voiced = torch.arange(3200)[None] < 1600
    made = excitation(torch.zeros(1, 3200), voiced, noise, 0.03)
    assert made[:, :1600].std() == pytest.approx(0.03, rel=0.1)
    assert made[:, 1600:].std() == pytest.approx(HISS, rel=0.1)


def test_loudness_is_that_of_numpy() -> None:
    time = np.arange(RATE) / RATE
    wave = 0.3 * np.sin(2 * np.pi * 1000 * time) + 0.1 * np.sin(2 * np.pi * 100 * time)
    ours = loudness_of(torch.from_numpy(wave).float(), 2048)
    assert len(ours) == RATE // 64
    frame = 125
    cut = wave[frame * 64 - 1024 : frame * 64 + 1024] * np.hanning(2049)[:-1]
    power = np.abs(np.fft.rfft(cut)) ** 2 * 2 / (2048 * 2048 * 3 / 8)
    curve = a_weighting(torch.linspace(0, RATE / 2, 1025)).numpy()
    assert ours[frame].item() == pytest.approx(10 * np.log10((power * curve).sum()), abs=1e-3)
    assert 10 * math.log10(a_weighting(torch.tensor([1000.0])).item()) == pytest.approx(0.0, abs=0.01)
    assert ours[frame].item() == pytest.approx(20 * math.log10(0.3 / 2**0.5), abs=0.1)  # 100 Hz hardly counts


def test_long_recordings_are_heard_in_pieces_as_at_once() -> None:
    wave = 0.1 * torch.randn(25 * RATE, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student = ContentStudent(ContentConfig(channels=8, dilations=(1, 2), ahead=(1, 0))).eval()
    with torch.no_grad():
        at_once = student(wave[None])[0]
        assert content_of(wave, student_ear(student)).allclose(at_once, atol=1e-4)
    assert loudness_of(wave, 2048)[2000:4000].allclose(loudness_of(wave[64_000:], 2048)[1000:3000], atol=1e-3)


def test_melodies_come_to_the_grid() -> None:
    contour = Contour(torch.tensor([200.0, 200.0, torch.nan, 300.0]), 0.01, "Hz")
    assert pitch_of(contour, 2).tolist() == pytest.approx([200, 200, 0, 300, 300])


def test_without_the_sine_the_net_is_told_the_bare_pitch() -> None:
    bare = config("pitch", window=512, voice=8, layers=2, stacks=1, residual=8, gates=16, skip=8)
    hz = torch.full((1, 9), 440.0)
    told = condition(bare, torch.zeros(1, 64, 4), torch.zeros(1, 20), hz)
    assert told.shape == (1, 67, 20)
    assert told[0, 65:, 0].tolist() == [1.0, 1.0]  # an octave above 220 Hz, and voiced
    noise = torch.randn(1, 1280)
    assert excited(bare, hz, torch.zeros(1, 8), noise).equal(noise[:, None])


def test_songs_rendered_in_stretches_have_no_seams() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Generator(TINY.generator).eval().requires_grad_(False)
    dice = torch.Generator().manual_seed(0)
    frames = 60
    hz = (200 + 5 * torch.randn(2 * frames + 1, generator=dice)) * (torch.rand(2 * frames + 1, generator=dice) < 0.8)
    heard = Heard(torch.randn(64, frames, generator=dice), -20 + torch.randn(5 * frames, generator=dice), hz)
    voice = torch.eye(8)[0]
    whole = torch.cat(list(render(net, TINY, heard, voice, 3, frames=1000)))
    for stretch in (7, 20, 59):
        pieces = torch.cat(list(render(net, TINY, heard, voice, 3, frames=stretch)))
        assert pieces.shape == whole.shape == (frames * 320,)
        assert pieces.allclose(whole, atol=1e-5)
    assert not whole.allclose(torch.cat(list(render(net, TINY, heard, voice, 4))))
