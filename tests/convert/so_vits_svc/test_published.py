"""Files as so-vits-svc writes them, in every spelling, and files that only look like them."""

import json
import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.convert.so_vits_svc import SoVitsSvc, published, sizes
from mynah.convert.so_vits_svc.net import Singer, Trainee
from mynah.convert.so_vits_svc.share import export, merge
from mynah.convert.so_vits_svc.sizes import NetConfig
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.nets.normed import folded

CONFIG = NetConfig(
    words=256, bins=9, latent=8, hidden=8, filters=8, layers=1, voices=3, condition=4,
    decoder=sizes.decoder(channels=32),
)  # fmt: skip
DESCRIPTION: dict[str, Any] = {
    "train": {"epochs": 10_000},
    "data": {"sampling_rate": 44_100, "hop_length": 512, "filter_length": 2048},
    "model": {
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "upsample_rates": [8, 8, 2, 2, 2],
        "upsample_kernel_sizes": [16, 16, 4, 4, 4],
        "ssl_dim": 256,
        "n_speakers": 3,
    },
    "spk": {"ann": 0, "bo": 2},
}


def trained(config: NetConfig = CONFIG, seed: int = 0) -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return dict(Trainee(config).state_dict())


def described(part: str, **changes: Any) -> dict[str, Any]:
    description = deepcopy(DESCRIPTION)
    description[part] |= changes
    return description


def saved(state: dict[str, Any], folder: Path, description: Any = DESCRIPTION) -> Path:
    path = folder / "G_800.pth"
    torch.save({"model": state, "iteration": 800, "optimizer": {"state": {}}, "learning_rate": 1e-4}, path)
    (folder / "config.json").write_text(json.dumps(description))
    return path


@pytest.mark.parametrize("kind", ["4.1", "4.0", "no guess", "loud", "released"])
def test_every_kind_of_file_is_read_strictly(kind: str, tmp_path: Path) -> None:
    changed = {"4.1": {"words": 768}, "no guess": {"guesses": False}, "loud": {"loud": True}}.get(kind, {})
    config = NetConfig(**{**vars(CONFIG), **changed})
    state = trained(config)
    more = {"speech_encoder": "vec768l12"} if kind == "4.1" else {}
    if kind == "released":
        state = {name: value.half() for name, value in state.items() if not name.startswith("enc_q.")}
        config = NetConfig(**{**vars(CONFIG), "bins": 1025})  # nobody can tell, and nobody needs it
    given = published.read(saved(state, tmp_path, described("model", **more)))
    assert given.config == config
    assert given.speakers == {"ann": 0, "bo": 2}
    assert len(given.state) == len(state)
    load_strict(Singer(given.config), given.singer, "the test")


def test_it_becomes_safetensors_and_means_the_same(tmp_path: Path) -> None:
    path = saved(trained(), tmp_path)
    first = published.converted(path, tmp_path / "new" / "first.safetensors")
    once, twice = published.read(path), published.read(first)
    assert (once.config, once.speakers) == (twice.config, twice.speakers)
    assert all(value.equal(twice.state[name]) for name, value in once.state.items())
    again = published.converted(first, tmp_path / "again.safetensors")
    assert again.read_bytes() == first.read_bytes()
    less = published.converted(path, tmp_path / "less.safetensors", training=False)
    assert published.read(less).state.keys() == once.singer.keys()


def test_new_names_and_folded_weights_sing_alike() -> None:
    state = trained()
    new = {
        f"module.{name}".replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): value
        for name, value in state.items()
    }
    assert all(value.equal(state[name]) for name, value in published.parted(new, DESCRIPTION, "").state.items())
    net = Trainee(CONFIG).eval()
    net.load_state_dict(state)
    plain = dict(folded(net).state_dict())
    again = Trainee(CONFIG).eval()
    load_strict(again, published.parted(plain, DESCRIPTION, "").state, "the test")
    assert all(torch.allclose(value, plain[name], atol=1e-6) for name, value in folded(again).state_dict().items())


def spoilt(name: str, change: Callable[[Tensor], Any]) -> dict[str, Any]:
    state: dict[str, Any] = trained()
    state[name] = change(state[name])
    return state


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in trained().items() if key != name}


WRONG: dict[str, tuple[dict[str, Any], Any, str]] = {
    "NaN": (spoilt("dec.conv_pre.bias", lambda x: x * torch.nan), DESCRIPTION, "not numbers"),
    "no tensor": (spoilt("dec.conv_pre.bias", lambda x: "text"), DESCRIPTION, "not numbers"),
    "flat": (spoilt("emb_g.weight", lambda x: x.flatten()), DESCRIPTION, "another shape"),
    "no decoder": (without("dec.conv_pre.weight_v"), DESCRIPTION, r"dec\.conv_pre is missing"),
    "less": (without("flow.flows.0.post.bias"), DESCRIPTION, r"flow\.flows\.0\.post\.bias"),
    "more": (trained() | {"dec.extra": torch.ones(1)}, DESCRIPTION, r"dec\.extra"),
    "critics": ({"discriminators.0.bias": torch.ones(1)}, DESCRIPTION, "begins with G"),
    "diffusion": ({"decoder.denoise_fn.bias": torch.ones(1)}, DESCRIPTION, "diffusion model"),
    "another net": ({"encoder.weight": torch.ones(1)}, DESCRIPTION, "no model of so-vits-svc"),
    "other content": (trained(), described("model", speech_encoder="vec768l12"), "do not go together"),
    "another listener": (trained(), described("model", speech_encoder="whisper-ppg"), "'whisper-ppg'; only vec256l9"),
    "snake": (trained(), described("model", vocoder_name="nsf-snake-hifigan"), "nsf-snake-hifigan"),
    "transformers": (trained(), described("model", use_transformer_flow=True), "use_transformer_flow"),
    "depth-wise": (trained(), described("model", use_depthwise_conv=True), "use_depthwise_conv"),
    "shared": (trained(), described("model", flow_share_parameter=True), "flow_share_parameter"),
    "another way": (trained(), described("data", unit_interpolate_mode="cubic"), "cubic"),
    "another hop": (trained(), described("data", hop_length=256), "do not go with it"),
    "another rate": (trained(), described("data", sampling_rate="44k"), "do not go with it"),
    "huge rates": (trained(), described("model", upsample_rates=[10**9, 8, 2, 2, 2]), "no decoder has"),
    "odd kernels": (trained(), described("model", resblock_kernel_sizes=[3, 6, 11]), "another one"),
    "too many speakers": (trained(), described("spk", zoe=3), "table of speakers"),
    "no description": (trained(), [1, 2], "is not the config.json"),
    "half a description": (trained(), {"model": {}}, "no 'data'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    state, description, why = WRONG[name]
    with pytest.raises(BadCheckpoint, match=why):
        published.read(saved(state, tmp_path, description))


def test_a_model_without_its_description_says_what_is_missing(tmp_path: Path) -> None:
    path = saved(trained(), tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(BadCheckpoint, match=r"no config\.json beside it"):
        published.read(path)


class Bomb:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.victim),)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    path = saved(trained() | {"bomb": Bomb(tmp_path / "victim")}, tmp_path)
    with pytest.raises(BadCheckpoint):
        published.read(path)
    assert not (tmp_path / "victim").exists()


def test_a_model_among_files_is_adopted_whole(tmp_path: Path) -> None:
    path, home = saved(trained(), tmp_path), tmp_path / "home"
    files = {
        path: {"model": {name: value.to("meta") for name, value in trained().items()}},
        tmp_path / "config.json": DESCRIPTION,
        tmp_path / "D_800.pth": {"model": {"discriminators.0.bias": torch.ones(1, device="meta")}},
    }
    assert SoVitsSvc.recognises(files)
    voice = SoVitsSvc.adopt(files, home)
    assert voice.weights == home / "weights.safetensors"
    assert list(home.iterdir()) == [voice.weights]
    assert published.read(voice.weights).speakers == {"ann": 0, "bo": 2}
    assert not SoVitsSvc.recognises({tmp_path / "config.json": DESCRIPTION, tmp_path / "added.index": None})


def test_of_two_models_nobody_knows_which_is_meant(tmp_path: Path) -> None:
    files = {tmp_path / f"G_{step}.pth": {"model": trained()} for step in (1, 2)}
    with pytest.raises(BadCheckpoint, match=r"one of 2 models of so-vits-svc \(G_1\.pth, G_2\.pth\)"):
        SoVitsSvc.adopt(files, tmp_path / "home")


def test_a_merged_model_lies_between(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2), ("kinds", 3)):
        (tmp_path / name).mkdir()
        changes = {"unit_interpolate_mode": "linear"} if name == "kinds" else {}
        saved(trained(seed=seed), tmp_path / name, described("data", **changes))
    first, second, third = (tmp_path / name / "G_800.pth" for name in ("one", "two", "kinds"))
    between = published.read(merge(first, second, tmp_path / "both.safetensors", 0.25))
    assert between.speakers == {"ann": 0, "bo": 2}
    one, other = published.read(first).singer, published.read(second).singer
    assert between.state.keys() == one.keys()
    for name, value in between.state.items():
        torch.testing.assert_close(value, 0.75 * one[name] + 0.25 * other[name])
    with pytest.raises(BadCheckpoint, match="other descriptions"):
        merge(first, third, tmp_path / "none.safetensors")
    with pytest.raises(BadOption, match=r"as \.safetensors"):
        export(first, tmp_path / "out.pth")
    assert SoVitsSvc.owns(SoVitsSvc.export(first, tmp_path / "out.safetensors"))
    assert not SoVitsSvc.owns(tmp_path / "one" / "config.json")
