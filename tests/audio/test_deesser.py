import math

import pytest
import torch

from mynah.audio.deesser import DeEsser

RATE = 44_100


def vowel(seconds: float = 0.5) -> torch.Tensor:
    t = torch.arange(round(seconds * RATE)) / RATE
    return 0.3 * torch.stack([torch.sin(2 * math.pi * 150 * k * t) / k for k in range(1, 40)]).sum(0)[None]


def hiss(seconds: float = 0.5) -> torch.Tensor:
    noise = torch.fft.rfft(torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0)))
    hz = torch.linspace(0, RATE / 2, len(noise))
    return torch.fft.irfft(noise * ((hz > 5000) & (hz < 9000)), round(seconds * RATE))[None]


def change_db(after: torch.Tensor, before: torch.Tensor) -> float:
    settled = slice(RATE // 10, None)  # the filters take a moment
    return 10 * math.log10(after[:, settled].square().mean() / before[:, settled].square().mean())


def test_a_hiss_is_softened_and_a_vowel_is_left() -> None:
    assert change_db(DeEsser(RATE, 8.0).push(hiss()), hiss()) == pytest.approx(
        -5.5, abs=0.7
    )  # the shelf is not yet all the way down there
    torch.testing.assert_close(DeEsser(RATE, 8.0).push(vowel())[:, 4410:], vowel()[:, 4410:], atol=1e-5, rtol=0)


def test_softer_sound_is_treated_alike() -> None:
    sound = torch.cat([vowel(), hiss(), vowel()], -1)
    torch.testing.assert_close(
        DeEsser(RATE, 6.0).push(0.01 * sound), 0.01 * DeEsser(RATE, 6.0).push(sound), atol=1e-5, rtol=0
    )


def test_what_lies_below_the_hiss_stays() -> None:
    together = DeEsser(RATE, 12.0).push(hiss() + 0.1 * vowel())
    tone = torch.exp(2j * math.pi * 150 * torch.arange(RATE // 2) / RATE)
    before, after = ((sound[0] * tone).sum().abs() for sound in (0.1 * vowel(), together))
    assert (after / before).item() == pytest.approx(1, abs=0.02)


def test_pieces_are_treated_as_the_whole() -> None:
    sound = torch.cat([vowel(), hiss()], -1).repeat(2, 1)
    whole = DeEsser(RATE, 6.0).push(sound)
    deesser = DeEsser(RATE, 6.0)
    pieces = [deesser.push(part) for part in sound.split([1, 0, 10_000, 34_099], -1)]
    torch.testing.assert_close(torch.cat(pieces, -1), whole, atol=1e-6, rtol=0)


def test_at_low_rates_and_for_nothing_it_does_nothing() -> None:
    assert torch.equal(DeEsser(8000, 6.0).push(hiss()), hiss())
    assert torch.equal(DeEsser(RATE, 0.0).push(hiss()), hiss())
