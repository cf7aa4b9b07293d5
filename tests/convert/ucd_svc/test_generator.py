"""The WaveNet against Parallel WaveGAN's own, run once on the same made-up weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.published import begun_with, vocoder
from mynah.convert.ucd_svc.sizes import FULL, Config, GeneratorConfig, config
from mynah.core.errors import BadCheckpoint
from mynah.nets.normed import folded

TINY = config(window=512, voice=8, layers=6, stacks=2, residual=8, gates=16, skip=8).generator


def sines(net: Generator) -> dict[str, Tensor]:
    """Weights that any machine makes alike, in Parallel WaveGAN's layout."""
    made = {}
    for number, (name, value) in enumerate(sorted(net.state_dict().items())):
        wave = torch.sin(0.7 * torch.arange(value.numel()) + number).view(value.shape)
        made[name] = 1 + 0.3 * wave if name.endswith("weight_g") else 0.1 * wave if name.endswith("bias") else wave
    return made


def drawn(sizes: GeneratorConfig = TINY) -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Generator(sizes)
        for parameter in net.upsample_net.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return net.eval().requires_grad_(False)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    sizes = GeneratorConfig(condition=80, voice=0, scales=(4, 4, 4, 4))
    torch.save({"model": {"generator": sines(Generator(sizes))}, "steps": 400_000}, tmp_path / "vocoder.pkl")
    return tmp_path / "vocoder.pkl"


def test_it_makes_what_parallel_wavegan_makes(published: Path) -> None:
    net = vocoder(published)
    frames = 12
    excitation = torch.sin(0.05 * torch.arange(frames * 256.0))[None, None]
    condition = torch.sin(0.3 * torch.arange(80 * frames)).view(1, 80, frames)
    with torch.no_grad():
        sound = net(excitation, condition)[0, 0]
    # Stored from kan-bayashi/ParallelWaveGAN: ParallelWaveGANGenerator() behind a ReplicationPad1d(2).
    wanted = [0.053124, 0.055194, 0.066323, 0.070206, 0.068839, 0.078917, 0.078744, 0.078278, 0.07323]
    places = [0, 1, 255, 256, 1000, 1537, 2048, 3000, 3071]
    assert sound[places].tolist() == pytest.approx(wanted, abs=2e-6)
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_346_042
    assert net.config.receptive_field == 6139


def test_a_published_generator_lends_its_stack(published: Path) -> None:
    net, lent = Generator(FULL.generator), vocoder(published)
    own = net.conv_layers[3].state_dict()["conv1x1_voice.weight_v"].clone()
    begun_with(net, lent)
    state, theirs = net.state_dict(), lent.state_dict()
    assert state["conv_layers.7.conv.weight_v"].equal(theirs["conv_layers.7.conv.weight_v"])
    assert state["last_conv_layers.3.weight_g"].equal(theirs["last_conv_layers.3.weight_g"])
    assert state["conv_layers.3.conv1x1_voice.weight_v"].equal(own)
    with pytest.raises(BadCheckpoint):
        begun_with(drawn(), lent)


@pytest.mark.parametrize("change", ["missing", "surplus", "shape"])
def test_it_loads_strictly(published: Path, change: str) -> None:
    tree = torch.load(published, weights_only=True)
    state = tree["model"]["generator"]
    if change == "missing":
        del state["conv_layers.29.conv.bias"]
    elif change == "surplus":
        state["conv_layers.29.extra"] = torch.zeros(1)
    else:
        state["conv_layers.29.conv.bias"] = torch.zeros(3)
    torch.save(tree, published)
    with pytest.raises(BadCheckpoint):
        vocoder(published)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {"generator": {"weight": torch.zeros(1)}}}, tmp_path / "other.pkl")
    with pytest.raises(BadCheckpoint, match="no generator of Parallel WaveGAN"):
        vocoder(tmp_path / "other.pkl")


def test_it_sees_as_far_as_its_dilations_reach_and_no_farther() -> None:
    net = drawn()
    assert net.config.receptive_field == 1 + 2 * sum([1, 2, 4]) * 2
    excitation = torch.zeros(1, 1, 64 * 20, requires_grad=True)
    sound = net(excitation, torch.zeros(1, 65, 20), torch.ones(1, 8) / 8**0.5)
    assert sound.shape == excitation.shape
    [gradient] = torch.autograd.grad(sound[0, 0, 640], excitation)
    seen = gradient[0, 0].nonzero()[:, 0]
    assert int(seen.max() - seen.min()) + 1 == net.config.receptive_field
    assert FULL.generator.receptive_field == 1 + 2 * 3 * 1023


def test_the_condition_reaches_as_far_as_it_says() -> None:
    net = drawn()
    told = torch.zeros(1, 65, 60, requires_grad=True)
    sound = net(torch.zeros(1, 1, 64 * 60), told, torch.ones(1, 8) / 8**0.5)
    [gradient] = torch.autograd.grad(sound[0, 0, 64 * 30], told)
    seen = gradient[0].abs().sum(0).nonzero()[:, 0]
    assert 30 - net.around <= int(seen.min()) < 30 < int(seen.max()) <= 30 + net.around


@pytest.mark.parametrize("frames", [1, 8, 9, 30])
def test_spreading_by_a_matrix_is_spreading_by_layers(frames: int) -> None:
    upsampling = drawn().upsample_net
    x = torch.randn(2, 5, frames, generator=torch.Generator().manual_seed(1))
    assert upsampling.spreader()(x).allclose(upsampling.spread(x), atol=1e-6)


def test_channels_may_be_mixed_before_frames_are_spread() -> None:
    net = drawn()
    layer, x = net.conv_layers[0], torch.randn(1, 65, 20, generator=torch.Generator().manual_seed(1))
    frames = net.upsample_net.conv_in(x)
    mixed_last = layer.conv1x1_aux(net.upsample_net.spread(frames))  # type: ignore[operator]
    assert net.upsample_net.spreader()(layer.conv1x1_aux(frames)).allclose(mixed_last, atol=1e-5)  # type: ignore[operator]


def test_folding_changes_nothing_that_is_heard() -> None:
    excitation, told = torch.randn(1, 1, 640), torch.randn(1, 65, 10)
    voice = torch.nn.functional.normalize(torch.randn(1, 8))
    before = drawn()(excitation, told, voice)
    assert folded(drawn())(excitation, told, voice).allclose(before, atol=1e-5)


def test_voices_matter() -> None:
    net, excitation, told = drawn(), torch.randn(1, 1, 640), torch.randn(1, 65, 10)
    one, other = torch.eye(8)[:2]
    assert (net(excitation, told, one[None]) - net(excitation, told, other[None])).abs().max() > 1e-3


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="stacks"):
        GeneratorConfig(layers=7, stacks=2)
    with pytest.raises(ValueError, match="65 channels"):
        Config(GeneratorConfig(condition=64))
