from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mynah.train import studio
from mynah.train.studio import driven, echoed, flanged, gated, held, narrowed, noises, processed, sliced, vocoded

RATE = 16_000
TIME = 3 * RATE


def glide() -> Tensor:
    """A buzz that rises from 150 to 300 Hz and is soft at both ends."""
    hz = torch.linspace(150, 300, TIME)
    wave = torch.remainder(torch.cumsum(hz / RATE, 0), 1) - 0.5
    return (0.3 * wave * torch.hann_window(TIME)).expand(2, -1).contiguous()


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spectrum(sound: Tensor) -> Tensor:
    return torch.fft.rfft(sound.mean(0) * torch.hann_window(sound.shape[-1])).abs()


@pytest.mark.parametrize("change", [sliced, held, vocoded, gated, driven, flanged, narrowed, echoed])
def test_what_is_made_is_as_long_as_before_and_sounds(
    change: Callable[[Tensor, int, np.random.Generator], Tensor],
) -> None:
    for seed in range(12):
        made = change(glide(), RATE, dice(seed))
        assert made.shape == (2, TIME) and made.isfinite().all()
        assert made.abs().max() > 0.01
        assert made.equal(change(glide(), RATE, dice(seed)))


@pytest.mark.parametrize("voice", [True, False])
def test_silence_and_what_is_short_survive(voice: bool) -> None:
    for seed in range(30):
        assert processed(torch.zeros(2, TIME), RATE, dice(seed), voice=voice).isfinite().all()
        short = glide()[:, : RATE // 2]
        assert processed(short, RATE, dice(seed), voice=voice).equal(short)


def test_what_is_held_does_not_move() -> None:
    made = held(glide(), RATE, dice())
    early, late = spectrum(made[:, RATE // 2 : RATE]), spectrum(made[:, -RATE : -RATE // 2])
    assert torch.nn.functional.cosine_similarity(early, late, dim=0) > 0.9
    moving = [spectrum(glide()[:, part]) for part in (slice(RATE // 2, RATE), slice(-RATE, -RATE // 2))]
    assert torch.nn.functional.cosine_similarity(*moving, dim=0) < 0.6


def test_a_gate_only_lets_less_through() -> None:
    kept = []
    for seed in range(12):
        made, sound = gated(glide(), RATE, dice(seed)), glide()
        assert (made.abs() <= sound.abs() + 1e-6).all()
        kept.append((made.square().sum() / sound.square().sum()).item())
    assert max(kept) < 1 and min(kept) < 0.2


def test_a_vocoder_takes_its_pitch_from_elsewhere() -> None:
    """Noise has none; laid over saws it has theirs."""
    noise = torch.randn(1, TIME, generator=torch.Generator().manual_seed(0))

    def sharpest(sound: Tensor) -> float:
        return (spectrum(sound).max() / spectrum(sound).mean()).item()

    assert max(sharpest(vocoded(noise, RATE, dice(seed))) for seed in range(12)) > 4 * sharpest(noise)


def test_distortion_keeps_the_level() -> None:
    made, sound = driven(glide(), RATE, dice()), glide()
    assert made.square().mean().item() == pytest.approx(sound.square().mean().item(), rel=1e-3)


def test_a_telephone_has_neither_lows_nor_highs() -> None:
    noise = torch.randn(1, TIME, generator=torch.Generator().manual_seed(0))
    for seed in range(12):
        gain = spectrum(narrowed(noise, RATE, dice(seed))) / spectrum(noise)
        hz = torch.linspace(0, RATE / 2, len(gain))
        assert gain[(hz > 5) & (hz < 40)].median() < 0.5 * gain.max()


def test_an_echo_comes_after() -> None:
    click = torch.zeros(2, TIME)
    click[0, 100] = 1.0
    made = echoed(click, RATE, dice())
    assert made[:, :101].equal(click[:, :101])
    assert made[1].abs().max() > 0.1  # from side to side
    assert made.abs().sum() > 1.2


def test_held_and_vocoded_are_voices_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    for name in ("held", "vocoded"):
        monkeypatch.setattr(studio, name, lambda sound, rate, dice, name=name: used.append(name) or sound)
    for seed in range(60):
        processed(glide(), RATE, dice(seed), voice=False)
    assert not used
    for seed in range(60):
        processed(glide(), RATE, dice(seed), voice=True)
    assert set(used) == {"held", "vocoded"}


def test_noises_hit_or_swell_and_are_of_one_level() -> None:
    peaks = []
    for seed in range(20):
        made = noises(2, TIME, RATE, dice(seed))
        assert made.shape == (2, TIME)
        assert made.square().mean().item() == pytest.approx(1, rel=1e-2)
        power = torch.nn.functional.avg_pool1d(made.square().mean(0, keepdim=True), RATE // 20)[0]
        peaks.append((power.max() / power.mean()).item())
    assert min(peaks) > 1.5 and max(peaks) > 6
