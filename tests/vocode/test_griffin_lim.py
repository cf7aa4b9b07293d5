"""Griffin-Lim: the bands of its sound are those it was asked for."""

from __future__ import annotations

import pytest
import torch

from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio
from mynah.features.mel import SYMMETRIC, MelFormat
from mynah.vocode.griffin_lim import GriffinLim, GriffinLimOptions, spread
from tests.test_house import note


def breathy(rate: int, seconds: float = 0.4) -> Audio:
    """A note with some noise, as all recordings have."""
    noise = torch.randn(1, int(rate * seconds), generator=torch.Generator().manual_seed(0))
    return Audio(note(200, seconds, rate).samples + 0.01 * noise, rate)


@pytest.mark.parametrize(
    "format",
    [
        MelFormat(),
        MelFormat(centred=True, epsilon=0.0),
        MelFormat(16_000, 800, 200, 800, 80, 55.0, 7600.0, True, scale=SYMMETRIC, preemphasis=0.97, epsilon=0.0),
        MelFormat(22_050, 1024, 275, 1000, 80, 0.0, None),
    ],
)
def test_bands_come_out_as_they_went_in(format: MelFormat) -> None:
    source = breathy(format.rate)
    sounded = GriffinLim.load(format=format).vocode(source)
    assert sounded.samples.shape == source.samples.shape
    nepers = MelFormat(epsilon=0.0)
    wanted, found = (nepers.values(format.strengths(each.samples)) for each in (source, sounded))
    inner = (wanted - found)[..., 4:-4]
    assert inner.abs().mean() < 0.35  # silent bands between harmonics included
    loud = wanted[..., 4:-4] > wanted.max() - 4
    assert inner[loud].abs().mean() < 0.2


def test_more_rounds_come_nearer() -> None:
    source, vocoder = breathy(22_050), GriffinLim.load()

    def far(rounds: int) -> float:
        sounded = vocoder.vocode(source, GriffinLimOptions(rounds=rounds))
        return (vocoder.format(sounded.samples) - vocoder.format(source.samples)).abs().mean().item()

    assert far(32) < 0.6 * far(1)


def test_bins_are_not_negative_and_give_their_bands() -> None:
    format = MelFormat()
    strengths = format.strengths(breathy(22_050).samples).transpose(1, 2)
    bins = spread(strengths, format)
    assert bins.min() >= 0
    assert ((bins @ format.filters().T - strengths).abs() / strengths.clamp(min=1e-3)).mean() < 0.05


def test_another_seed_is_another_sound() -> None:
    mel = MelFormat()(breathy(22_050).samples)
    vocoder = GriffinLim.load()
    assert not vocoder.wave(mel, seed=1).equal(vocoder.wave(mel, seed=2))


def test_a_blip_is_sounded_and_nothing_is_refused() -> None:
    assert GriffinLim.load().vocode(Audio(torch.ones(2, 5), 44_100)).samples.shape == (1, 3)
    with pytest.raises(BadAudio, match="empty"):
        GriffinLim.load().vocode(Audio(torch.zeros(1, 0), 44_100))
    with pytest.raises(BadOption, match="no weights"):
        GriffinLim.load("some.pth")
