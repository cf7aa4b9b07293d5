"""Models handed on: what other programs open, and what two models have between them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.convert.rvc import Rvc, published
from mynah.convert.rvc.net import Trainee
from mynah.convert.rvc.share import export, merge
from mynah.convert.rvc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.recipe import Shares

DECODER = DecoderConfig(32_000, 64, (10, 8, 2, 2), (20, 16, 4, 4))
OTHERWISE = DecoderConfig(32_000, 64, (10, 8, 2, 2), (20, 16, 4, 4), dilations=((1, 3, 7),) * 3)


def model(folder: Path, name: str, seed: int = 0, **changes: Any) -> Path:
    """A training run."""
    sizes = {"bins": 513, "latent": 8, "hidden": 8, "filters": 8, "layers": 1, "voices": 3, "condition": 4}
    config = NetConfig(**{"words": 256, **sizes, "decoder": DECODER, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = Trainee(config).state_dict()
    torch.save({"weight": state, "config": published.description(config), "info": "7epoch"}, folder / f"{name}.pth")
    return folder / f"{name}.pth"


@pytest.mark.parametrize("pitched", [True, False])
@pytest.mark.parametrize("words", [256, 768])
def test_what_is_exported_is_what_other_programs_open(pitched: bool, words: int, tmp_path: Path) -> None:
    path = model(tmp_path, "run", pitched=pitched, words=words)
    out = export(path, tmp_path / "singer.pth")
    # In this mode torch takes nothing but tensors and plain containers.
    held = torch.load(out, weights_only=True)
    assert sorted(held) == ["config", "f0", "info", "sr", "version", "vocoder", "weight"]
    assert (held["f0"], held["sr"], held["info"]) == (int(pitched), "32k", "7epoch")
    assert held["version"] == ("v1" if words == 256 else "v2")
    assert held["vocoder"] == "HiFi-GAN"
    assert len(held["config"]) == 18
    assert held["config"][-3:] == [3, 4, 32_000]
    assert {weight.dtype for weight in held["weight"].values()} == {torch.float16}
    assert not any(name.startswith("enc_q.") for name in held["weight"])
    assert all(weight.untyped_storage().nbytes() == 2 * weight.numel() for weight in held["weight"].values())
    # And so do we, without running anything.
    before, after = published.read(path), published.read(out)
    assert after.config == before.config
    assert all(value.equal(before.state[name].half()) for name, value in after.state.items())


def test_there_and_back_nothing_is_lost(tmp_path: Path) -> None:
    path = export(model(tmp_path, "run"), tmp_path / "half.pth")
    ours = export(path, tmp_path / "ours.safetensors")
    again = export(ours, tmp_path / "again.pth")
    one, other = (torch.load(file, weights_only=True) for file in (path, again))
    assert one["config"] == other["config"]
    assert all(value.equal(other["weight"][name]) for name, value in one["weight"].items())


def test_a_merged_model_lies_between(tmp_path: Path) -> None:
    first, second = (model(tmp_path, name, seed) for name, seed in (("ann", 1), ("bo", 2)))
    between = published.read(merge(first, second, tmp_path / "both.safetensors", 0.25))
    one, other = published.read(first).singer, published.read(second).singer
    for name, value in between.state.items():
        torch.testing.assert_close(value, 0.75 * one[name] + 0.25 * other[name])
    assert between.about["info"] == "0.75 of ann, 0.25 of bo"
    alone = published.read(merge(first, second, tmp_path / "none.safetensors", 0.0)).state
    assert all(value.equal(one[name]) for name, value in alone.items())
    assert torch.load(merge(first, second, tmp_path / "both.pth"), weights_only=True)["version"] == "v1"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"words": 768}, "v1 with HiFi-GAN at 32000 Hz"),
    "rate": ({"decoder": DecoderConfig(40_000, 64, (10, 10, 2, 2), (16, 16, 4, 4))}, "at 40000 Hz"),
    "dilations": ({"decoder": OTHERWISE}, "made otherwise"),
    "voices": ({"voices": 5}, r"different sizes \(emb_g\.weight\)"),
    "melody": ({"pitched": False}, "different sizes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_models_of_different_kinds_are_not_merged(name: str, tmp_path: Path) -> None:
    changes, why = WRONG[name]
    with pytest.raises(BadCheckpoint, match=why):
        merge(model(tmp_path, "ann"), model(tmp_path, "bo", **changes), tmp_path / "both.pth")
    assert not (tmp_path / "both.pth").exists()


def test_layouts_and_shares_that_are_not_there_are_refused(tmp_path: Path) -> None:
    path = model(tmp_path, "ann")
    with pytest.raises(BadOption, match=r"ends in \.safetensors, or in \.pth"):
        export(path, tmp_path / "singer.onnx")
    with pytest.raises(BadOption, match="from 0 to 1"):
        merge(path, path, tmp_path / "both.pth", 1.5)


def test_the_command_line_finds_whose_model_it_is(tmp_path: Path) -> None:
    assert issubclass(Rvc, Shares)
    assert Rvc.owns(model(tmp_path, "ann"))
    torch.save({"weight": torch.ones(1)}, tmp_path / "other.pth")
    assert not Rvc.owns(tmp_path / "other.pth")
    assert Rvc.export(tmp_path / "ann.pth", tmp_path / f"out{Rvc.layouts()['original']}").is_file()
