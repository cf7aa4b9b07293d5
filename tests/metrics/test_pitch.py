from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mynah.core.types import Contour
from mynah.metrics.pitch import agreement

NAN = math.nan


def song(frames: int = 400) -> Contour:
    t = torch.arange(frames) * 0.01
    hz = 220 * 2 ** (0.5 * torch.sin(t))
    hz[100:150] = NAN
    return Contour(hz, 0.01, "Hz")


def moved(melody: Contour, semitones: float | torch.Tensor) -> Contour:
    return Contour(melody.values * 2 ** (torch.as_tensor(semitones) / 12), melody.hop_seconds, "Hz")


def test_a_melody_agrees_with_itself() -> None:
    heard = agreement(song(), song())
    assert heard.correlation == pytest.approx(1)
    assert heard.median_cents == pytest.approx(0, abs=1e-6)
    assert heard.rmse_cents == pytest.approx(0, abs=1e-6)
    assert heard.voicing_f1 == 1
    assert heard.frames == 350


@given(st.floats(-24, 24))
def test_a_transposition_is_no_error(semitones: float) -> None:
    for given_as in (None, semitones):
        heard = agreement(song(), moved(song(), semitones), transpose=given_as)
        assert heard.rmse_cents == pytest.approx(0, abs=0.01)
        assert heard.transposed_semitones == pytest.approx(semitones, abs=1e-4)


def test_a_known_transposition_shows_a_mistuning() -> None:
    sharp = moved(song(), 12.3)
    assert agreement(song(), sharp, transpose=12).median_cents == pytest.approx(30, abs=0.01)
    assert agreement(song(), sharp).median_cents == pytest.approx(0, abs=0.01)


def test_cents_are_cents() -> None:
    off = torch.where(torch.arange(400) % 2 == 0, 0.2, -0.2)
    heard = agreement(song(), moved(song(), off), transpose=0)
    assert heard.median_cents == pytest.approx(20, abs=0.01)
    assert heard.rmse_cents == pytest.approx(20, abs=0.01)


def test_wrong_octaves_are_not_forgiven() -> None:
    wild = song()
    wild.values[:35] *= 2  # a tenth of the voiced frames
    heard = agreement(song(), wild)
    assert heard.median_cents == pytest.approx(0, abs=0.01)
    assert heard.rmse_cents == pytest.approx(1200 * math.sqrt(0.1), rel=0.01)
    assert heard.correlation is not None
    assert heard.correlation < 0.99


def test_another_melody_does_not_correlate() -> None:
    other = Contour(song().values.flip(0), 0.01, "Hz")
    correlation = agreement(song(), other).correlation
    assert correlation is not None
    assert correlation < 0.9


def test_voicing_is_counted_both_ways() -> None:
    # Half of the voiced frames are lost, none is invented: precision 1, recall 1/2.
    source = Contour(torch.full((100,), 200.0), 0.01, "Hz")
    lost = Contour(torch.where(torch.arange(100) < 50, 200.0, NAN), 0.01, "Hz")
    assert agreement(source, lost).voicing_f1 == pytest.approx(2 / 3)
    assert agreement(lost, source).voicing_f1 == pytest.approx(2 / 3)


def test_what_cannot_be_told_is_not_told() -> None:
    held = Contour(torch.full((100,), 200.0), 0.01, "Hz")
    silent = Contour(torch.full((100,), NAN), 0.01, "Hz")
    assert agreement(held, held).correlation is None
    assert agreement(held, held).rmse_cents == 0
    lost = agreement(held, silent)
    assert (lost.correlation, lost.median_cents, lost.rmse_cents, lost.voicing_f1) == (None, None, None, 0)
    assert agreement(silent, silent).voicing_f1 is None


def test_lengths_and_hops_may_differ() -> None:
    longer = Contour(torch.cat([song().values, torch.full((7,), 100.0)]), 0.01, "Hz")
    assert agreement(song(), longer).rmse_cents == pytest.approx(0, abs=1e-6)
    coarse = Contour(song().values[::2], 0.02, "Hz")
    heard = agreement(song(), coarse)
    assert heard.rmse_cents is not None
    assert heard.rmse_cents < 1
