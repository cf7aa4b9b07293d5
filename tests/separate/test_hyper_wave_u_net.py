"""Parity with the published net, its checkpoints, and what the energy does to filters while it learns."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mynah.audio.files import write
from mynah.catalog.checkpoint import load_safetensors, load_strict, to_safetensors
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.types import Audio
from mynah.nets.wave_u_net import Shape, UNet
from mynah.separate.hyper_wave_u_net import Config, HyperRecipe, HyperWaveUNet, HyperWaveUNetOptions
from mynah.train.hyperspherical import Energy, hyperspherical_energy

# Every 21st sample of what the published code answered under TensorFlow 2.21 (`compat.v1`), with three levels of four
# filters; parameters and mix are sines that both sides can make.
ANSWER = [[-0.558654, -0.589737, -0.596272, -0.601862], [0.283041, 0.092779, 0.182232, 0.397263]]
TOLERANCE = 1e-5
SMALL = Shape(3, 4, difference=True, context=True, bias=False)


def variables() -> dict[str, Tensor]:
    """As the published code names and shapes them, with its training's own."""
    sizes: dict[str, tuple[int, ...]] = {}
    for level, (heard, given) in enumerate([(1, 4), (4, 8), (8, 12), (12, 16)]):
        sizes[f"separator/down_conv_{level}/W"] = (15, heard, given)
    for level, (heard, given) in enumerate([(28, 12), (20, 8), (12, 4)]):
        sizes[f"separator/up_conv_{level}/W"] = (5, heard, given)
    sizes |= {"separator/conv1d/kernel": (1, 5, 1), "separator/conv1d/bias": (1,)}
    made = {}
    for name, size in sizes.items():
        wave = torch.sin(1.7 * torch.arange(math.prod(size), dtype=torch.float64) + sum(name.encode())).reshape(size)
        made[name] = (wave * (math.sqrt(2 / (size[0] * size[1])) if len(size) == 3 else 0.1)).float()
    solver = {f"separator_solver/{name}/Adam": tensor for name, tensor in made.items()}
    return made | solver | {"global_step": torch.tensor(7), "separator_solver/beta1_power": torch.tensor(0.9)}


def test_parity_with_the_published_net() -> None:
    net = UNet(SMALL).eval()
    load_strict(net, HyperWaveUNet.remap(variables()), "sines")
    mix = (0.5 * torch.sin(0.31 * torch.arange(307, dtype=torch.float64) ** 1.1)).float()[None, None]
    with torch.no_grad():
        stems = net(mix)[0]
    torch.testing.assert_close(stems[:, 0, 5::21], torch.tensor(ANSWER), atol=TOLERANCE, rtol=0)


def test_it_has_as_many_parameters_as_the_published_one() -> None:
    with torch.device("meta"):
        net = UNet(Config().net)
    assert sum(weight.numel() for weight in net.parameters()) == 10_258_946
    assert [name for name in net.state_dict() if name.endswith("bias")] == ["out.0.bias"]


def test_a_checkpoint_has_to_fit() -> None:
    state = variables()
    del state["separator/up_conv_1/W"]
    with pytest.raises(BadCheckpoint, match=r"1 missing \(up\.1\.weight\)"):
        load_strict(UNet(SMALL), HyperWaveUNet.remap(state), "it")
    with pytest.raises(BadCheckpoint, match=r"1 surplus \(separator/down_conv_0/b\)"):
        load_strict(UNet(SMALL), HyperWaveUNet.remap(variables() | {"separator/down_conv_0/b": torch.zeros(4)}), "it")


def test_weights_are_brought(tmp_path: Path) -> None:
    for name in ("default", "no-such-weights"):
        with pytest.raises(BadOption, match=f"{name}.*mynah train"):
            HyperWaveUNet.load(name)
    to_safetensors(UNet(SMALL).state_dict(), tmp_path / "small.safetensors")
    with pytest.raises(BadCheckpoint, match="does not fit UNet"):
        HyperWaveUNet.load(str(tmp_path / "small.safetensors"))
    (tmp_path / "checkpoint.pt").touch()
    with pytest.raises(BadCheckpoint, match=r"there is no checkpoint\.pt\.index"):
        HyperWaveUNet.load(str(tmp_path / "checkpoint.pt"))


def test_stems_do_not_depend_on_how_a_song_is_cut() -> None:
    torch.manual_seed(0)
    system = HyperWaveUNet(Config(SMALL, 8000))
    mix = Audio(torch.rand(2, 20_000) - 0.5, 11_025)
    whole = system.separate(mix)
    blocks = [Audio(part, 11_025) for part in mix.samples.split(3777, -1)]
    pieces = list(system.stream(lambda: iter(blocks), HyperWaveUNetOptions(chunk=1)))
    for name in ("accompaniment", "vocals"):
        assert whole[name].samples.shape == mix.samples.shape
        joined = torch.cat([piece[name].samples for piece in pieces], -1)
        torch.testing.assert_close(joined, whole[name].samples, atol=2e-6, rtol=0)


# Learning


class Bursts:
    """Mixtures of notes with overtones and bursts of noise: what `Mixtures` gives, made on the spot."""

    rate = 8000

    def batch(self, step: int, clips: int, samples: int) -> dict[str, Tensor]:
        dice = torch.Generator().manual_seed(step)
        time = torch.arange(samples) / self.rate
        hz = 110 * 2 ** (2 * torch.rand(clips, 1, generator=dice))
        turns = [2 * torch.pi * k * hz * time + 6 * torch.rand(clips, 1, generator=dice) for k in (1, 2, 3)]
        notes = sum(turn.sin() / k for k, turn in enumerate(turns, 1))
        bursts = torch.randn(clips, samples, generator=dice).diff(dim=-1, prepend=torch.zeros(clips, 1))
        beat = (torch.rand(clips, 1, generator=dice) + 8 * time) % 1 < 0.35
        stems = torch.stack([0.3 * beat * bursts, 0.15 * notes], 1)[:, :, None]
        return {"mix": stems.sum(1), "stems": stems}


def recipe(energy: Energy | None) -> HyperRecipe:
    torch.manual_seed(0)
    shape = Shape(4, 8, difference=True, context=True, bias=False)
    return HyperRecipe(
        UNet(shape), Bursts(), energy=energy, half=True, heard=shape.giving(600)[0], steps=150, clips=4,
        rate=lambda step: 2e-3, compare=nn.functional.mse_loss, judged=Bursts(),
    )  # fmt: skip


def trained(energy: Energy | None) -> HyperRecipe:
    own = recipe(energy)
    descent = torch.optim.AdamW(own.parameters("net"), 2e-3, **own.optimizer("net"))
    for step in range(own.steps):
        descent.zero_grad()
        torch.stack(list(own.losses("net", own.batch(1000 + step)).values())).sum().backward()
        descent.step()
    return own


def likeness(own: HyperRecipe) -> list[float]:
    """Mean absolute cosine between the filters of each layer."""
    means = []
    for weight in own.hidden:
        filters = nn.functional.normalize(weight.detach().flatten(1), dim=1)
        means.append(float((filters @ filters.T)[*torch.triu_indices(len(filters), len(filters), 1)].abs().mean()))
    return means


def test_with_the_energy_it_learns_as_well_and_its_filters_are_less_alike() -> None:
    plain, spread = trained(None), trained("0")
    assert plain.measures()["gain_db"] > 5
    assert spread.measures()["gain_db"] > 5
    # The whole sphere lets filters be opposite; half of it does not, which is what absolute cosines tell.
    assert all(ours < 0.2 * theirs for ours, theirs in zip(likeness(spread), likeness(plain), strict=True))


def test_the_energy_of_all_hidden_layers_counts() -> None:
    own = recipe("1")
    losses = own.losses("net", own.batch(0))
    net = own.net
    every = [*(conv.weight for conv in net.down), *(conv.weight for conv in net.up)]
    assert len(every) == 2 * 4 + 1
    expected = sum(hyperspherical_energy(weight, "1", half=True) for weight in every) / (2 * 4)
    torch.testing.assert_close(losses["energy"], expected)
    assert list(recipe(None).losses("net", own.batch(0))) == ["error"]


def test_a_course_goes_on_from_its_first_stage(tmp_path: Path) -> None:
    time = torch.arange(60_000) / 22_050
    for name, hz in (("vocals", 220), ("drums", 330)):
        write(
            Audio(0.3 * torch.sin(2 * torch.pi * hz * time)[None], 22_050), tmp_path / "songs" / "one" / f"{name}.wav"
        )
    stages = HyperWaveUNet.course(tmp_path / "songs", tmp_path, energy="a2", half=True)
    assert list(stages) == ["long", "fine"]
    first = stages["long"]()
    assert (first.energy, first.half, first.clips, first.learning_rate("net", 9)) == ("a2", True, 16, 1e-4)
    assert first.heard == 147_443
    [file] = first.export(str(tmp_path))
    second = stages["fine"]()
    assert (second.clips, second.learning_rate("net", 9)) == (32, 1e-5)
    exported = load_safetensors(file)
    assert all(tensor.equal(exported[name]) for name, tensor in second.net.state_dict().items())
    assert HyperWaveUNet.load(file).net.state_dict()["down.3.weight"].equal(exported["down.3.weight"])
    assert second.measures() == {}
