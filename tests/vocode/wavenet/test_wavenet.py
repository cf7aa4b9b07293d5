"""WaveNet: files of both generations load, sound does not depend on how it is cut, and it learns."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

import mynah
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.features.mel import MelFormat
from mynah.vocode.wavenet import Wavenet, WaveNetOptions, published
from mynah.vocode.wavenet.net import WaveNetNet
from mynah.vocode.wavenet.recipe import Plan, WaveNetRecipe, course, statistics
from mynah.vocode.wavenet.sizes import Config
from tests.test_house import note

PRESET = {
    "name": "wavenet_vocoder", "input_type": "raw", "output_distribution": "Logistic", "quantize_channels": 65536,
    "sample_rate": 8000, "num_mels": 20, "fmin": 125, "fmax": 3600, "fft_size": 64, "hop_size": 16, "win_length": 64,
    "out_channels": 6, "layers": 4, "stacks": 2, "residual_channels": 8, "gate_channels": 8, "skip_out_channels": 8,
    "kernel_size": 3, "cin_channels": 20, "log_scale_min": -16.0,
}  # fmt: skip
LATER = PRESET | {
    "preprocess": "preemphasis", "global_gain_scale": 0.55, "highpass_cutoff": 70.0, "cin_pad": 2,
    "upsample_params": {"upsample_scales": [4, 4]}, "gin_channels": -1, "n_speakers": 7,
}  # fmt: skip
EARLY = PRESET | {
    "win_length": None, "upsample_scales": [4, 4], "freq_axis_kernel_size": 3, "gin_channels": 5, "n_speakers": 3,
    "log_scale_min": -32.23619130191664, "dropout": 0.05,
}  # fmt: skip


def saved(folder: Path, preset: dict[str, Any], early: bool, **config: Any) -> WaveNetNet:
    """A checkpoint as the original's training leaves it; gives its net."""
    (folder / "hparams.json").write_text(json.dumps(preset))
    read = published.config_of(preset, "the test", early=early)
    torch.manual_seed(1)
    net = WaveNetNet(replace(read, **config))
    held = {"state_dict": net.state_dict(), "optimizer": None, "global_step": 2000, "global_epoch": 1}
    torch.save(held, folder / "checkpoint_step000002000_ema.pth")
    torch.save({"state_dict": {}}, folder / "checkpoint_step000000500_ema.pth")
    return net


def test_a_file_of_the_later_generation_needs_its_statistics(tmp_path: Path) -> None:
    net = saved(tmp_path, LATER, early=False)
    with pytest.raises(BadCheckpoint, match=r"meanvar\.npy"):
        Wavenet.load(str(tmp_path))
    np.save(tmp_path / "meanvar.npy", np.stack([np.full(20, -3.0), np.full(20, 0.5)]))
    system = mynah.vocode.vocoder(tmp_path)
    assert isinstance(system, Wavenet)
    assert system.format == MelFormat(
        8000, 64, 16, 64, 20, 125.0, 3600.0, True, epsilon=0.0, scale=system.format.scale,
        means=(-3.0,) * 20, deviations=(0.5,) * 20,
    )  # fmt: skip
    mel = torch.randn(2, 20, 9, generator=Generator().manual_seed(0))
    assert system.wave(mel).equal(Wavenet(system.config, net).wave(mel))
    alone = system.wave(mel[:1])
    assert torch.allclose(system.wave(mel)[:1], alone, atol=1e-3)  # every row has its own random numbers
    assert not torch.allclose(system.wave(mel)[1:], alone, atol=0.1)
    np.save(tmp_path / "meanvar.npy", np.zeros((3, 20)))
    with pytest.raises(BadCheckpoint, match="two rows of 20"):
        Wavenet.load(str(tmp_path))


def test_a_file_of_2018_is_told_by_what_it_holds(tmp_path: Path) -> None:
    saved(tmp_path, EARLY, early=True)
    system = mynah.vocode.vocoder(tmp_path / "checkpoint_step000002000_ema.pth")
    assert isinstance(system, Wavenet)
    assert (system.config.early, system.config.speakers, system.config.gain) == (True, 3, 1.0)
    source = note(220, 0.1, 8000)
    sounded = [system.vocode(source, WaveNetOptions(speaker=speaker)) for speaker in (0, 2)]
    assert sounded[0].samples.shape == source.samples.shape
    assert not sounded[0].samples.equal(sounded[1].samples)
    with pytest.raises(BadOption, match="no speaker 3"):
        system.vocode(source, WaveNetOptions(speaker=3))


def test_what_is_none_is_refused_in_a_line(tmp_path: Path) -> None:
    net = saved(tmp_path, LATER, early=False)
    path, state = tmp_path / "checkpoint_step000002000_ema.pth", net.state_dict()
    np.save(tmp_path / "meanvar.npy", np.stack([np.zeros(20), np.ones(20)]))

    def refused(held: Any, why: str, preset: dict[str, Any] | None = None) -> None:
        torch.save(held, path)
        (tmp_path / "hparams.json").write_text(json.dumps(preset or LATER))
        with pytest.raises(BadCheckpoint, match=why):
            Wavenet.load(str(path))

    refused({"state_dict": {"a": torch.zeros(1)}}, "holds no WaveNet")
    refused({"state_dict": {name: value for name, value in state.items() if "up_layers.1" not in name}}, "2 missing")
    refused({"state_dict": state | {"first_conv.bias": torch.full((8,), math.inf)}}, "not numbers")
    refused({"state_dict": state}, "do not fit a hop", LATER | {"hop_size": 32})
    refused({"state_dict": state}, "no preset", LATER | {"layers": 10**9})
    refused({"state_dict": state}, "nobody published", LATER | {"kernel_size": 2})
    (tmp_path / "hparams.json").unlink()
    with pytest.raises(BadCheckpoint, match="none of the published sizes"):
        Wavenet.load(str(path))
    with pytest.raises(BadOption, match="r9y9"):
        Wavenet.load("default")


def test_how_it_is_cut_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    system = Wavenet.tiny()
    mel = torch.randn(1, 8, 40, generator=Generator().manual_seed(0))
    whole = system.wave(mel)
    monkeypatch.setattr("mynah.vocode.wavenet.sampling.FRAMES", 7)
    assert torch.allclose(system.wave(mel), whole, atol=1e-5)
    assert not system.wave(mel, seed=1).equal(whole)


class Tones:
    """Tones that glide up and down, in place of `Sounds`."""

    rate = 8000

    def __init__(self) -> None:
        time = torch.arange(8192) / self.rate
        noise = 0.002 * torch.randn(8192, generator=Generator().manual_seed(0))
        every = [700 * 2 ** (0.8 * torch.sin(math.tau * (time + place / 8))) for place in range(8)]
        self.waves = [0.4 * torch.sin(math.tau * hz.cumsum(0) / self.rate) + noise for hz in every]
        self.training, self.held_out = list(range(8)), []

    def draw(self, dice: Generator, count: int, samples: int) -> Tensor:
        places = torch.randint(8, (count,), generator=dice).tolist()
        return torch.stack([self.window(place, dice, samples) for place in places])

    def window(self, take: int, dice: Generator, samples: int) -> Tensor:
        first = int(torch.randint(8192 - samples + 1, (), generator=dice))
        return self.waves[take][first : first + samples]

    def wave(self, take: int) -> Tensor:
        return self.waves[take]


STEPS = 150
FORMAT = MelFormat(8000, 256, 64, 256, 40, 125.0, 3600.0, True, epsilon=0.0)


def learnt(kind: Any) -> tuple[WaveNetRecipe, float]:
    """A small net that was trained on tones, and by how much less they surprise it."""
    tones: Any = Tones()
    config = Config(
        statistics(tones, FORMAT, 0.0), kind, layers=8, stacks=2, residual=16, gate=32, skip=32, scales=(8, 8),
        mixture=3, gain=1.0, emphasis=0.0, cut_hz=0.0,
    )  # fmt: skip
    recipe = WaveNetRecipe(tones, config, Plan(steps=STEPS, clips=4, frames=12))
    optimizer = torch.optim.Adam(recipe.parameters("net"), 5e-3)
    begun = recipe.measures()["expected"]
    for step in range(STEPS):
        [loss] = recipe.losses("net", recipe.batch(step)).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return recipe, recipe.measures()["expected"] - begun


def test_a_mixture_learns_tones() -> None:
    assert learnt("mol")[1] > 2


def test_steps_learn_tones_and_sound_one_that_was_never_heard() -> None:
    recipe, _ = learnt("mulaw")
    assert recipe.measures()["expected"] > -3  # nats; ln 256 is 5.5
    hiss = 0.002 * torch.randn(3200, generator=Generator().manual_seed(9))  # as in all that was learnt
    unheard = (0.4 * torch.sin(math.tau * 700 * torch.arange(3200) / 8000) + hiss)[None]
    made = Wavenet(recipe.config, recipe.net).wave(recipe.config.format(unheard))
    spectrum = torch.fft.rfft(made[0, 1000:3000] * torch.hann_window(2000)).abs()
    assert spectrum.argmax().item() * 4 == pytest.approx(700, abs=100)  # a band


def test_what_is_exported_goes_on(tmp_path: Path) -> None:
    tones: Any = Tones()
    config = Config(FORMAT, layers=4, stacks=2, residual=8, gate=8, skip=8, scales=(8, 8), cut_hz=70.0)
    config = replace(config, format=statistics(tones, FORMAT, 70.0))
    recipe = WaveNetRecipe(tones, config, Plan(clips=2, frames=4))
    [file] = recipe.export(str(tmp_path))
    assert mynah.vocode.vocoder(file).format == config.format
    again, net = published.read(Path(file))
    assert again == config
    assert all(value.equal(recipe.net.state_dict()[name]) for name, value in net.state_dict().items())
    assert recipe.batch(3)["wave"].equal(recipe.batch(3)["wave"])
    assert recipe.learning_rate("net", 400_000) == pytest.approx(2.5e-4)
    assert list(course(tmp_path, tmp_path, start="gaussian")) == ["vocode"]
    with pytest.raises(BadCheckpoint, match="no such file"):
        course(tmp_path, tmp_path, start="no")
