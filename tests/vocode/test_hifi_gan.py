"""HiFi-GAN: published files load as they are, a long sound is made as a short one, and it learns."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

import mynah
from mynah.catalog.checkpoint import to_safetensors
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.features.mel import LOG10, MelFormat
from mynah.nets.normed import folded
from mynah.nets.nsf import Decoder, DecoderConfig
from mynah.vocode.hifi_gan import HifiGan, published
from mynah.vocode.hifi_gan.critics import Critics, critics_of
from mynah.vocode.hifi_gan.recipe import Plan, VocodeRecipe, course
from mynah.vocode.hifi_gan.sizes import Config, described

FORMAT = MelFormat(8000, 256, 64, 256, 40, 0.0, 3600.0)
SMALL = Config(FORMAT, DecoderConfig(8000, 32, (8, 8), (16, 16), (3, 5), ((1, 2), (2, 6)), normed=True, single=True))


def fresh(config: Config = SMALL) -> Decoder:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return published.net_of(config)


def mel(frames: int = 20) -> Tensor:
    return torch.randn(1, 40, frames, generator=Generator().manual_seed(1)) - 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As the original's training leaves it."""
    (tmp_path / "config.json").write_text(json.dumps(described(SMALL) | {"fmax_for_loss": None, "num_gpus": 0}))
    state = fresh().state_dict()
    torch.save({"generator": state}, tmp_path / "g_00005000")
    torch.save({"generator": {name: 0 * value for name, value in state.items()}}, tmp_path / "g_00000500")
    (tmp_path / "do_00005000").write_bytes(b"never opened")
    return tmp_path


def test_a_published_folder_loads_by_its_path_alone(folder: Path) -> None:
    wanted = HifiGan(SMALL, fresh()).wave(mel())
    loaded = mynah.vocode.vocoder(folder)
    assert isinstance(loaded, HifiGan)
    assert loaded.format == FORMAT
    assert loaded.wave(mel()).equal(wanted)
    assert HifiGan.load(str(folder / "g_00005000")).wave(mel()).equal(wanted)
    assert not any(name.endswith("_g") for name in loaded.net.state_dict())


@pytest.mark.parametrize("layout", ["new names", "no weight norm", "on several", "bare", "safetensors", "ours"])
def test_other_layouts_are_the_same_net(folder: Path, layout: str) -> None:
    state, path = fresh().state_dict(), folder / "generator.pth"
    wanted = HifiGan(SMALL, fresh()).wave(mel())
    for old in folder.glob("?*_0*"):
        old.unlink()
    if layout == "new names":
        new = ".parametrizations.weight.original"
        renamed = {name.replace(".weight_g", f"{new}0").replace(".weight_v", f"{new}1"): state[name] for name in state}
        torch.save({"generator": renamed}, path)
    elif layout == "no weight norm":
        torch.save({"generator": folded(fresh()).state_dict()}, path)
    elif layout == "on several":
        torch.save({"generator": {f"module.{name}": value for name, value in state.items()}}, path)
    elif layout == "bare":
        torch.save(state, path)
    elif layout == "safetensors":
        to_safetensors(state, folder / "model.safetensors")
    else:
        (folder / "config.json").unlink()
        published.write(SMALL, fresh(), folder / "model.safetensors")
    assert torch.allclose(HifiGan.load(str(folder)).wave(mel()), wanted, atol=1e-6)


def test_published_sizes_need_no_description(tmp_path: Path) -> None:
    config = Config(decoder=published.SIZES["v3"])
    torch.save({"generator": fresh(config).state_dict()}, tmp_path / "g_02500000")
    assert HifiGan.load(str(tmp_path)).config == config


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("false",)


def test_what_is_none_is_refused_in_a_line(folder: Path) -> None:
    path = folder / "g_00005000"
    state: dict[str, Any] = fresh().state_dict()

    def refused(held: Any, why: str) -> None:
        torch.save(held, path)
        with pytest.raises(BadCheckpoint, match=why):
            HifiGan.load(str(folder))

    refused({"generator": {name: value for name, value in state.items() if name != "ups.1.bias"}}, "1 missing")
    refused({"generator": state | {"cond.weight": torch.zeros(1)}}, "told more than a mel spectrogram")
    refused({"generator": state | {"conv_post.bias": torch.full((1,), math.nan)}}, "not numbers")
    refused({"mpd": {}, "msd": {}}, "critics")
    refused({"generator": Hostile()}, "no generator")
    refused({"epoch": 3}, "no generator")
    refused({"generator": state | {"ups.0.bias": torch.zeros(7)}}, "of another shape")
    torch.save({"generator": state}, path)
    for change, why in [
        ({"upsample_rates": [8, 4]}, "do not go with a hop"),
        ({"upsample_initial_channel": 10**9}, "a number from 1 to 4096"),
        ({"resblock": "3"}, "no description"),
        ({"resblock_kernel_sizes": [4, 5]}, "does not hold together"),
    ]:
        (folder / "config.json").write_text(json.dumps(described(SMALL) | change))
        with pytest.raises(BadCheckpoint, match=why):
            HifiGan.load(str(folder))
    assert not HifiGan.recognises(folder)
    with pytest.raises(BadOption, match="jik876"):
        HifiGan.load("default")
    with pytest.raises(BadOption, match="nothing that a vocoder here knows"):
        mynah.vocode.vocoder(folder)


def test_in_pieces_it_is_what_it_is_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    system = HifiGan(SMALL, fresh())
    whole = system.wave(mel(150))
    monkeypatch.setattr("mynah.vocode.hifi_gan.FRAMES", 40)
    assert torch.allclose(system.wave(mel(150)), whole, atol=1e-6)
    assert whole.shape == (1, 150 * 64)


def test_a_speaker_with_another_scale_is_understood_and_another_rate_is_not(folder: Path) -> None:
    theirs = replace(FORMAT, centred=True, scale=LOG10)
    fitted = mynah.vocode.vocoder(folder, theirs)
    assert fitted.format == theirs
    assert torch.allclose(fitted.wave(mel() / math.log(10)), mynah.vocode.vocoder(folder).wave(mel()), atol=1e-4)
    with pytest.raises(BadOption, match="rate 16000 and 8000"):
        mynah.vocode.vocoder(folder, replace(FORMAT, rate=16_000))
    assert mynah.vocode.vocoder("griffin_lim", theirs).format == theirs


class Tones:
    """Harmonic tones with vibrato in place of `Sounds`; the last one is held out."""

    def __init__(self) -> None:
        time, dice = torch.arange(8192) / 8000, Generator().manual_seed(0)
        self.waves = []
        for hz in (110, 140, 170, 200, 230, 260, 290, 185):
            turns = hz * time + 0.01 * hz * torch.sin(math.tau * 5 * time) / 5
            tone = 0.25 * sum(torch.sin(math.tau * k * turns) / k for k in range(1, 12))
            self.waves.append(tone + 0.003 * torch.randn(8192, generator=dice))
        self.training, self.held_out = list(range(7)), [7]

    def draw(self, dice: Generator, count: int, samples: int) -> Tensor:
        places = torch.randint(7, (count,), generator=dice).tolist()
        first = torch.randint(8192 - samples, (count,), generator=dice).tolist()
        return torch.stack(
            [self.waves[place][begin : begin + samples] for place, begin in zip(places, first, strict=True)]
        )

    def wave(self, take: int, first: int = 0, samples: int | None = None) -> Tensor:
        return self.waves[take][first:][:samples]


PLAN = Plan(steps=100, clips=4, segment=2048, rate=2e-3, weights={"mel": 45.0}, part=32)


def learn(recipe: VocodeRecipe, steps: int) -> list[dict[str, float]]:
    """The trainer's turns, without it."""
    optimizers = {
        turn: torch.optim.AdamW(recipe.parameters(turn), recipe.plan.rate, **recipe.optimizer(turn))
        for turn in recipe.turns
    }
    told = []
    for step in range(steps):
        batch, losses = recipe.batch(step), {}
        for turn in recipe.turns:
            found = recipe.losses(turn, batch)
            if found:
                optimizers[turn].zero_grad()
                torch.stack(list(found.values())).sum().backward()
                optimizers[turn].step()
            losses |= {name: loss.item() for name, loss in found.items()}
        told.append(losses)
    return told


def test_it_learns_tones_and_a_tone_that_it_never_heard() -> None:
    tones: Any = Tones()
    recipe = VocodeRecipe(tones, SMALL, PLAN, net=fresh())
    before = -recipe.measures()["likeness"]
    told = learn(recipe, 160)
    assert told[-1]["mel"] < 0.5 * told[0]["mel"]
    assert -recipe.measures()["likeness"] < 0.6 * before
    against = VocodeRecipe(tones, SMALL, replace(PLAN, weights=Plan().weights, rate=2e-4), net=recipe.net)
    critics = {name: value.clone() for name, value in against.critics.named_parameters()}
    told = learn(against, 4)
    assert set(told[0]) == {"mel", "feature", "score", "critic"}
    assert all(math.isfinite(loss) for losses in told for loss in losses.values())
    assert not any(value.equal(critics[name]) for name, value in against.critics.named_parameters() if "_g" in name)


def test_what_is_exported_goes_on_and_sounds(tmp_path: Path) -> None:
    tones: Any = Tones()
    recipe = VocodeRecipe(tones, SMALL, PLAN, net=fresh())
    files = [Path(file) for file in recipe.export(str(tmp_path))]
    assert [file.name for file in files] == ["hifi_gan.safetensors", "hifi_gan.critics.safetensors"]
    assert HifiGan.recognises(files[0]) and not HifiGan.recognises(files[1])
    config, net = published.read(tmp_path)  # the critics beside it are none
    assert config == SMALL
    assert all(value.equal(recipe.net.state_dict()[name]) for name, value in net.state_dict().items())
    critics = critics_of(files[1])
    assert all(value.equal(recipe.critics.state_dict()[name]) for name, value in critics.state_dict().items())
    assert recipe.preview(recipe.batch(0)).rate == 8000


def test_critics_of_the_original_are_read(tmp_path: Path) -> None:
    critics = Critics(32)
    torch.save({"mpd": critics.mpd.state_dict(), "msd": critics.msd.state_dict(), "steps": 7}, tmp_path / "do_00000007")
    again = critics_of(tmp_path / "do_00000007")
    assert all(value.equal(critics.state_dict()[name]) for name, value in again.state_dict().items())
    torch.save({"generator": {}}, tmp_path / "g_00000007")
    with pytest.raises(BadCheckpoint, match="no critics"):
        critics_of(tmp_path / "g_00000007")


def test_what_to_start_from_is_checked_before_anything_long_begins(tmp_path: Path) -> None:
    assert list(course(tmp_path, tmp_path, start="v2")) == ["vocode"]
    with pytest.raises(BadOption, match="--start takes"):
        course(tmp_path, tmp_path, start="a,b,c")
    with pytest.raises(BadCheckpoint, match="no such file"):
        course(tmp_path, tmp_path, start="v4")
