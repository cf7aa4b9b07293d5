"""Files as RVC and Applio write them, in every spelling, and files that only look like them."""

import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.convert.rvc import published
from mynah.convert.rvc.net import Singer, Trainee
from mynah.convert.rvc.sizes import PUBLISHED, DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint
from mynah.nets.normed import folded

CONFIG = NetConfig(
    words=256, bins=9, latent=8, hidden=8, filters=8, heads=2, layers=1, voices=3, condition=4,
    decoder=DecoderConfig(32_000, 64, (10, 8, 2, 2), (20, 16, 4, 4)),
)  # fmt: skip


def trained(config: NetConfig = CONFIG) -> Trainee:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Trainee(config)


def shared(**changes: Any) -> dict[str, Any]:
    state = OrderedDict((name, value.half()) for name, value in trained().state_dict().items())
    weight = OrderedDict((name, value) for name, value in state.items() if not name.startswith("enc_q."))
    about = {"info": "200epoch", "sr": "32k", "f0": 1, "version": "v1"}
    return {"weight": weight, "config": published.description(CONFIG), **about, **changes}


def saved(held: Any, tmp_path: Path) -> Path:
    torch.save(held, tmp_path / "singer.pth")
    return tmp_path / "singer.pth"


def with_config(place: int, value: Any) -> dict[str, Any]:
    config = published.description(CONFIG)
    config[place] = value
    return shared(config=config)


def test_a_shared_voice_is_read_with_what_it_says_of_itself(tmp_path: Path) -> None:
    given = published.read(saved(shared(author="somebody"), tmp_path))
    assert given.about == {"info": "200epoch", "sr": "32k", "f0": "1", "version": "v1", "author": "somebody"}
    assert given.config.decoder == CONFIG.decoder
    assert not given.complete
    load_strict(Singer(given.config), given.singer, "the test")


def test_it_becomes_safetensors_and_means_the_same(tmp_path: Path) -> None:
    path = saved(shared(), tmp_path)
    before = path.read_bytes()
    first = published.converted(path, tmp_path / "first.safetensors")
    assert path.read_bytes() == before
    once, twice = published.read(path), published.read(first)
    assert once.config == twice.config
    assert {name: value for name, value in twice.about.items() if name in once.about} == once.about
    assert all(value.equal(twice.state[name]) for name, value in once.state.items())
    again = published.converted(first, tmp_path / "again.safetensors")
    assert again.read_bytes() == first.read_bytes()


@pytest.mark.parametrize("key", sorted(PUBLISHED, key=str))
def test_a_training_run_tells_its_rate_by_its_shapes(key: tuple[str, int]) -> None:
    bins, decoder = PUBLISHED[key]
    config = NetConfig(
        words=256, bins=bins, latent=2, hidden=4, filters=4, heads=2, layers=1, voices=3, condition=2, decoder=decoder
    )
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Trainee(config).state_dict().items()}
    held = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    given = published.parted({"model": held, "iteration": 7, "optimizer": {}, "learning_rate": 1e-4}, "G_7.pth")
    assert given.config == config
    assert given.complete
    assert given.about == {"steps": "7"}


def test_new_names_and_folded_weights_sing_alike() -> None:
    net = trained().eval()
    state = dict(net.state_dict())
    new = {
        f"module.{name}".replace(".weight_g", ".parametrizations.weight.original0").replace(
            ".weight_v", ".parametrizations.weight.original1"
        ): value
        for name, value in state.items()
    }
    config = published.description(CONFIG)
    assert all(
        value.equal(state[name])
        for name, value in published.parted({"weight": new, "config": config}, "").state.items()
    )
    plain = dict(folded(net).state_dict())
    assert not any(name.endswith("weight_g") for name in plain)
    again = Trainee(CONFIG).eval()
    load_strict(again, published.parted({"weight": plain, "config": config}, "").state, "the test")
    assert all(torch.allclose(value, plain[name], atol=1e-6) for name, value in folded(again).state_dict().items())


def spoilt(name: str, change: Callable[[Tensor], Any]) -> dict[str, Any]:
    held = shared()
    held["weight"][name] = change(held["weight"][name])
    return held


def without(name: str) -> dict[str, Any]:
    held = shared()
    del held["weight"][name]
    return held


WRONG = {
    "NaN": (spoilt("dec.conv_pre.bias", lambda x: x * torch.nan), "not numbers"),
    "no tensor": (spoilt("dec.conv_pre.bias", lambda x: "text"), "holds no model of RVC"),
    "whole numbers": (spoilt("dec.conv_pre.bias", lambda x: x.int()), "holds no model of RVC"),
    "flat": (spoilt("emb_g.weight", lambda x: x.flatten()), "no prior"),
    "no decoder": (without("dec.conv_pre.weight"), "no decoder"),
    "no prior": (without("enc_p.emb_phone.weight"), "no prior"),
    "another content": (spoilt("enc_p.emb_phone.weight", lambda x: x[:, :64]), "hears content of size 64"),
    "critics": ({"model": {"discriminators.0.bias": torch.ones(1)}}, "file that begins with G"),
    "another net": ({"model": {"encoder.weight": torch.ones(1)}}, "holds 'encoder.weight'"),
    "nothing": ({}, "no model"),
    "a short list": (shared(config=[1, 2]), "not the list of 18"),
    "no list": (shared(config="x" * 18), "not the list of 18"),
    "other blocks": (with_config(9, "2"), "blocks"),
    "huge rates": (with_config(12, [10**9, 8, 2, 2]), "no decoder has"),
    "other rates": (with_config(12, [10, 8, 2]), "another one"),
    "odd kernels": (with_config(10, [3, 6, 11]), "hold together"),
    "other dilations": (with_config(11, [[1, 3, 5]]), "hold together"),
    "another rate": (with_config(17, 48_000), "does not go with"),
    "another vocoder": (shared(vocoder="RefineGAN"), "RefineGAN"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    held, why = WRONG[name]
    with pytest.raises(BadCheckpoint, match=why):
        published.read(saved(held, tmp_path))


class Bomb:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.victim),)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    path = saved(shared(info=Bomb(tmp_path / "victim")), tmp_path)
    with contextlib.suppress(BadCheckpoint):
        published.read(path)
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_half_a_file_is_refused(share: float, tmp_path: Path) -> None:
    path = saved(shared(), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadCheckpoint):
        published.read(path)
