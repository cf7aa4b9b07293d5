"""Files as three repositories write them, and files that only look like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.features.mel import MelFormat
from mynah.vocode import vocoder
from mynah.vocode.wave_rnn import WaveRnn
from mynah.vocode.wave_rnn.net import FATCHORD, FORWARD_TACOTRON, VOICE_CLONING, Config, WaveRnnNet
from mynah.vocode.wave_rnn.published import FORMATS, read, recognises

SMALL = {"units": 8, "hidden": 12, "channels": 6, "aside": 8, "blocks": 2}


def state(scales: tuple[int, ...] = (5, 5, 8), classes: int = 512) -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return WaveRnnNet(Config(FORMATS[scales], scales, classes, **SMALL)).state_dict()


def saved(held: Any, tmp_path: Path, name: str = "vocoder.pt") -> Path:
    torch.save(held, tmp_path / name)
    return tmp_path / name


def voice_cloning(**changes: Tensor) -> dict[str, Any]:
    return {
        "model_state": state() | {"step": torch.tensor([1_159_000])} | changes,
        "optimizer_state": {"state": {0: {"step": 3, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]},
    }


def test_the_published_sizes_are_those_of_the_paper_trail() -> None:
    with torch.device("meta"):
        net = WaveRnnNet(Config())
    assert sum(parameter.numel() for parameter in net.parameters()) == 4_480_936 - 1  # the step is one of them there
    assert len(net.state_dict()) == 148 - 1
    assert net.fc3.weight.shape == (512, 512)


@pytest.mark.parametrize(
    ("scales", "classes", "around", "format"),
    [
        ((5, 5, 8), 512, "model_state", VOICE_CLONING),
        ((4, 8, 8), 512, "model", FORWARD_TACOTRON),
        ((4, 8, 8), 30, "", FORWARD_TACOTRON),
        ((5, 5, 11), 1024, "", FATCHORD),
    ],
)
def test_every_layout_is_read(
    scales: tuple[int, ...], classes: int, around: str, format: object, tmp_path: Path
) -> None:
    held: Any = state(scales, classes) | {"step": torch.tensor([7])}
    path = saved({around: held, "optim": {}, "config": {"dsp": {}}} if around else held, tmp_path)
    config, found = read(path)
    assert config == Config(FORMATS[scales], scales, classes, **SMALL)
    assert config.format == format
    assert "step" not in found
    assert recognises(path)
    assert recognises(tmp_path)  # the folder, where the other parts of SV2TTS lie as well
    loaded = WaveRnn.load(str(tmp_path))
    assert all(value.equal(found[name]) for name, value in loaded.net.state_dict().items())


def test_that_of_forward_tacotron_sounds_whatever_is_meant_for_hifi_gan(tmp_path: Path) -> None:
    path = saved({"model": state((4, 8, 8), 30)}, tmp_path)
    assert vocoder(path, MelFormat()).wave(torch.zeros(1, 80, 2)).shape == (1, 512)
    with pytest.raises(BadOption, match="other mel spectrograms"):
        vocoder(path, VOICE_CLONING)


def test_a_vocoder_is_found_by_what_is_in_the_file(tmp_path: Path) -> None:
    found = vocoder(saved(voice_cloning(), tmp_path, "anything"))
    assert isinstance(found, WaveRnn)
    ours = to_safetensors(state(), tmp_path / "wave_rnn.safetensors")
    assert isinstance(vocoder(ours), WaveRnn)


@pytest.mark.parametrize(
    ("held", "complaint"),
    [
        (voice_cloning(**{"fc1.bias": torch.full((12,), torch.nan)}), "NaN"),
        (voice_cloning(**{"fc1.bias": torch.zeros(11)}), "another shape"),
        (voice_cloning(surplus=torch.zeros(1)), "surplus"),
        (voice_cloning(**{"upsample.up_layers.5.weight": torch.zeros(1, 1, 1, 9)}), "5 x 5 x 4"),
        (voice_cloning(**{"fc3.weight": torch.zeros(100, 12)}), "no WaveRNN that is known"),
        (voice_cloning(**{"fc3.weight": torch.tensor(1.0)}), "no WaveRNN that is known"),
        (voice_cloning(**{"rnn2.weight_hh_l0": torch.tensor(1.0)}), "no WaveRNN that is known"),
        (voice_cloning(**{"upsample.up_layers.1.weight": torch.tensor(1.0)}), "no WaveRNN that is known"),
        (voice_cloning(**{"upsample.resnet.conv_in.weight": torch.zeros(5)}), "no WaveRNN that is known"),
        ({"model_state": {"encoder.embedding.weight": torch.zeros(66, 512)}}, "holds no WaveRNN"),
        ({"step": torch.tensor(0)}, "holds no WaveRNN"),
    ],
)
def test_anything_else_is_refused_in_one_line(held: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=complaint) as caught:
        WaveRnn.load(str(saved(held, tmp_path)))
    assert "\n" not in str(caught.value)


def test_what_is_no_weights_is_not_recognised(tmp_path: Path) -> None:
    page = tmp_path / "vocoder.pt"
    page.write_text("<!DOCTYPE html><title>Virus scan warning</title>")
    assert not recognises(page)
    assert not recognises(tmp_path / "absent.pt")
    with pytest.raises(BadCheckpoint, match="web page"):
        WaveRnn.load(str(page))
    with pytest.raises(BadOption, match=r"vocoder\.pt of huggingface"):
        WaveRnn.load()
