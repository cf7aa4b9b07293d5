from pathlib import Path

import pytest
import torch

import mynah.separate.mynah as module
from mynah.audio.mixing import match_channels
from mynah.core.types import Audio
from mynah.separate.mynah import TRUST, Mynah, MynahOptions, cautious
from mynah.separate.mynah.net import MaskConfig, MaskNet, middle_and_side
from mynah.separate.mynah.recipe import MaskRecipe
from mynah.train.mixtures import Mixtures


def noise(seconds: float, channels: int = 2, rate: int = 44_100) -> Audio:
    dice = torch.Generator().manual_seed(0)
    return Audio(0.1 * torch.randn(channels, round(seconds * rate), generator=dice), rate)


@pytest.mark.parametrize(("seconds", "channels", "rate"), [(1.0, 2, 44_100), (0.2, 1, 8_000), (0.7, 6, 96_000)])
def test_stems_add_up_to_the_mix(seconds: float, channels: int, rate: int) -> None:
    mix = noise(seconds, channels, rate)
    stems = Mynah.tiny().separate(mix)
    both = stems["vocals"].samples + stems["accompaniment"].samples
    whole = match_channels(mix, min(channels, 2)).samples
    assert both.shape == whole.shape
    assert stems["vocals"].rate == rate
    assert (both - whole).abs().max() < 1e-6


def test_chunked_equals_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    system, mix = Mynah.tiny(), noise(3.0)
    whole = system.separate(mix)["vocals"].samples
    monkeypatch.setattr(module, "FRAMES", 64)
    pieces = list(system.stream(lambda: (Audio(part, mix.rate) for part in mix.samples.split(7001, -1))))
    assert len(pieces) > 5
    chunked = torch.cat([piece["vocals"].samples for piece in pieces], -1)
    assert (chunked - whole).abs().max() < 1e-6 < whole.abs().max()


def test_a_mask_of_one_gives_the_mix_back(monkeypatch: pytest.MonkeyPatch) -> None:
    system, mix = Mynah.tiny(), noise(1.3)
    monkeypatch.setattr(system, "_vocals", lambda spectrum, options: spectrum)
    stems = system.separate(mix)
    # All but the highest bin, which no mask covers.
    assert stems["accompaniment"].samples.norm() < 0.1 * mix.samples.norm()
    lower = torch.fft.rfft(stems["accompaniment"].samples).abs()[:, :-300]
    assert lower.norm() < 1e-3 * torch.fft.rfft(mix.samples).norm()


def test_silence_stays_silent() -> None:
    for stem in Mynah.tiny().separate(Audio(torch.zeros(2, 44_100), 44_100)).values():
        assert not stem.samples.any()


def test_how_loud_the_song_is_makes_no_difference() -> None:
    system, mix = Mynah.tiny(), noise(1.0)
    loud = system.separate(mix)["vocals"].samples
    soft = system.separate(Audio(mix.samples / 64, mix.rate))["vocals"].samples * 64
    assert (loud - soft).abs().max() < 1e-4 * loud.abs().max()


def test_more_views_are_an_average() -> None:
    system, mix = Mynah.tiny(), noise(1.0)
    two = system.separate(mix, MynahOptions(views=2, caution=0))["vocals"].samples
    swapped = Audio(mix.samples.flip(0), mix.rate)
    one = system.separate(mix, MynahOptions(caution=0))["vocals"].samples
    other = system.separate(swapped, MynahOptions(caution=0))["vocals"].samples.flip(0)
    assert torch.allclose(two, (one + other) / 2, atol=1e-6)


def test_caution_takes_only_what_is_hardly_vocals() -> None:
    mix = torch.ones(2, 3, 1, dtype=torch.complex64)
    vocals = mix * torch.tensor([1.0, 0.5, 0.1])[None, :, None]  # all, half and a tenth of a bin
    less = cautious(vocals, mix, 1.0)
    assert torch.allclose(less, TRUST * vocals * torch.tensor([1.0, 0.5, 0.1])[None, :, None], atol=1e-6)
    assert not cautious(torch.zeros_like(mix), torch.zeros_like(mix), 1.0).any()


def test_the_net_looks_no_further_than_it_says() -> None:
    config = Mynah.tiny().config.mask
    net, frames = Mynah.tiny().net, 4 * config.context
    spectrum = torch.randn(1, 2, config.size // 2, frames, dtype=torch.complex64)
    changed = spectrum.clone()
    changed[..., : frames - config.context - config.step] += 1
    assert torch.allclose(net(spectrum)[..., -config.step :], net(changed)[..., -config.step :], atol=1e-5)


def test_middle_and_side_is_its_own_inverse() -> None:
    sides = torch.randn(1, 2, 4, 4)
    assert torch.allclose(middle_and_side(middle_and_side(sides)), sides, atol=1e-6)


def test_the_shipped_net_is_that_of_the_default_configuration() -> None:
    system = Mynah.load()
    assert system.rate == 44_100
    assert sum(parameter.numel() for parameter in system.net.parameters()) * 2 < 10e6  # bytes as float16


def test_it_learns_to_tell_low_from_high(tmp_path: Path) -> None:
    """Low notes sing, high ones accompany: a few steps on a few channels suffice."""
    from mynah.audio.files import write

    dice = torch.Generator().manual_seed(1)
    time = torch.arange(4 * 8000) / 8000
    for song in range(3):
        for stem, lowest in (("vocals", 200.0), ("accompaniment", 1500.0)):
            hz = lowest * 2 ** torch.rand(8, generator=dice).repeat_interleave(len(time) // 8)
            wave = 0.2 * torch.sin(2 * torch.pi * torch.cumsum(hz, 0) / 8000)
            write(Audio(wave.expand(2, -1), 8000), tmp_path / str(song) / f"{stem}.wav")
    mixtures = Mixtures(tmp_path, tmp_path / "cache", ("vocals", "accompaniment"), rate=8000)
    config = MaskConfig(256, 64, ((4, 8), (8, 12)), channels=(8, 12), blocks=(1, 1), kernel=(3, 3))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        recipe = MaskRecipe(mixtures, config=config, steps=80, clips=4, seconds=1.0)
    optimizer = torch.optim.AdamW(recipe.parameters("net"), 1e-2)
    falls = []
    for step in range(recipe.steps):
        losses = recipe.losses("net", recipe.batch(step))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        falls.append(losses["spectrum"].item())
    assert falls[-1] < 0.3 * falls[0]
    [file] = recipe.export(str(tmp_path))
    assert Path(file).stat().st_size < 200_000


def test_training_goes_on_from_a_net_that_has_learnt(tmp_path: Path) -> None:
    from mynah.audio.files import write

    for stem in ("vocals", "accompaniment"):
        write(noise(1.0), tmp_path / "song" / f"{stem}.wav")
    fresh = Mynah.course(tmp_path, tmp_path)["mask"]()
    further = Mynah.course(tmp_path, tmp_path, start="default")["mask"]()
    assert isinstance(fresh, MaskRecipe) and isinstance(further, MaskRecipe)
    shipped = Mynah.load().net.state_dict()
    assert all(value.equal(shipped[name]) for name, value in further.net.state_dict().items())
    assert further.steps < fresh.steps and further.learning_rate("mask", 500) < fresh.learning_rate("mask", 500)


def test_a_net_that_lets_everything_pass() -> None:
    """Two-by-two masks can hand over middle and side untouched, bin by bin."""
    net = Mynah.tiny().net
    for weight, bias, (width, _) in zip(net.tell, net.bias, net.config.widths, strict=True):
        weight.zero_()
        identity = torch.tensor([1.0, 0, 0, 0, 0, 0, 1, 0])  # [out, in, real and imaginary]
        bias.copy_(identity.repeat(width))
    spectrum = torch.randn(2, 2, 256, 8, dtype=torch.complex64)
    assert torch.equal(net(spectrum), spectrum)
    assert torch.equal(net(spectrum, 1), spectrum[:, :, :64])


def test_masks_have_a_place_for_every_bin() -> None:
    net = MaskNet(MaskConfig(512, 128, ((8, 8), (16, 12)), channels=(4, 6, 8), blocks=(1, 1, 1), kernel=(3, 3)))
    assert net(torch.zeros(2, 2, 256, 8, dtype=torch.complex64)).shape == (2, 2, 256, 8)
