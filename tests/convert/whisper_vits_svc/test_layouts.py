from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import to_safetensors
from mynah.convert.whisper_vits_svc import Config, WhisperVitsSvc, published
from mynah.convert.whisper_vits_svc.critics import Critics
from mynah.convert.whisper_vits_svc.net import Singer, Trainee
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint, BadOption

# As little as keeps the published number of stages, and the features of this house.
SMALL = NetConfig(
    words=64, sounds=0, voice=192, bins=9, latent=4, hidden=4, condition=4, filters=4, layers=1, posterior_layers=1,
    flow_layers=1, couplings=1, decoder=DecoderConfig(channels=32),
)  # fmt: skip


def count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_sizes_and_names_are_the_published_ones() -> None:
    with torch.device("meta"):
        trainee, singer, critics = Trainee(NetConfig()), Singer(NetConfig()), Critics()
    assert (count(trainee), len(trainee.state_dict())) == (29_508_084, 1017)
    assert (count(singer), len(singer.state_dict())) == (20_003_444, 903)
    assert (count(critics), len(critics.state_dict())) == (23_460_708, 183)
    shapes = {
        "enc_p.pre.weight": (192, 1280, 5),
        "enc_p.enc.attn_layers.0.emb_rel_k": (1, 9, 96),
        "enc_q.enc.in_layers.15.weight_v": (384, 192, 5),
        "enc_q.enc.cond_layer.weight_v": (6144, 256, 1),
        "flow.flows.6.snac.weight": (192, 256, 1),
        "dec.adapter.W_scale.weight": (192, 256),
        "dec.ups.0.weight_v": (320, 160, 15),
        "dec.ups.0.weight_g": (320, 1, 1),
        "dec.noise_convs.0.weight": (160, 1, 128),
        "dec.resblocks.14.activations.5.act.alpha": (10,),
        "dec.resblocks.0.activations.0.upsample.filter": (1, 1, 12),
        "dec.resblocks.0.activations.0.downsample.lowpass.filter": (1, 1, 12),
        "dec.m_source.merge_w": (1, 11),
    }
    state = trainee.state_dict()
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


@pytest.fixture(scope="module")
def whole() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return Trainee(SMALL).state_dict()


def written(layout: str, net: dict[str, Tensor], folder: Path) -> Path:
    critics = {"MRD.discriminators.0.conv_post.bias": torch.zeros(1)}
    path = folder / f"{layout}.pth"
    match layout:
        case "pretrained":
            torch.save({"model_g": net, "model_d": critics}, path)
        case "training":
            optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 5e-5, "params": [0]}]}
            held = {"model_g": net, "model_d": critics, "optim_g": optimizer, "optim_d": optimizer}
            torch.save(held | {"step": 1200, "epoch": 7, "hp_str": "train:\n  seed: 1234\n"}, path)
        case "exported":
            torch.save({"model_g": published.singer_of(net)}, path)
        case "ours":
            to_safetensors(published.singer_of(net), path)
    return path


@pytest.mark.parametrize("layout", ["pretrained", "training", "exported", "ours"])
def test_every_file_that_the_original_writes_is_read(layout: str, whole: dict[str, Tensor], tmp_path: Path) -> None:
    found = published.read(written(layout, whole, tmp_path))
    assert found.complete == (layout in ("pretrained", "training"))
    assert (found.critics is not None) == found.complete
    assert found.steps == (1200 if layout == "training" else None)
    config = published.config_of(found.net, "the file")
    assert published.singer_of(found.net).keys() == Singer(config).state_dict().keys()
    if found.complete:
        assert config == SMALL
        assert found.net.keys() == whole.keys()
    system = WhisperVitsSvc.load(str(tmp_path / f"{layout}.pth"))
    assert system.config.ears == "own"
    torch.testing.assert_close(system.singer.enc_p.pit.weight, whole["enc_p.pit.weight"])


def test_nothing_is_made_up(whole: dict[str, Tensor], tmp_path: Path) -> None:
    name = "dec.ups.0.weight_g"
    bad = {
        "missing": {key: value for key, value in whole.items() if key != name},
        "surplus": whole | {"dec.ups.9.bias": torch.zeros(3)},
        "another shape": whole | {name: torch.zeros(3, 1, 1)},
        "not the filter": whole | {"dec.activation_post.upsample.filter": torch.ones(1, 1, 12)},
        "holds no model": {"decoder.weight": torch.zeros(3)},
        "no prior and decoder": {"dec.ups.0.bias": torch.zeros(3)},
        "nothing here hears with": whole | {"enc_p.pre.weight": torch.zeros(4, 99, 5)},
    }
    for complaint, net in bad.items():
        torch.save({"model_g": net}, tmp_path / "bad.pth")
        with pytest.raises(BadCheckpoint, match=complaint):
            WhisperVitsSvc.load(str(tmp_path / "bad.pth"))
    with pytest.raises(BadOption, match="no weights"):
        WhisperVitsSvc.load("nobody")


def test_a_net_has_to_hear_what_it_was_made_for() -> None:
    with pytest.raises(ValueError, match="cannot do with"):
        WhisperVitsSvc(Config(net=NetConfig()))
