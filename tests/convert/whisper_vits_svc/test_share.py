"""Models handed on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, to_safetensors
from mynah.convert.whisper_vits_svc import WhisperVitsSvc
from mynah.convert.whisper_vits_svc.net import Trainee
from mynah.convert.whisper_vits_svc.published import TRAINEE, read
from mynah.convert.whisper_vits_svc.share import Story, export, merge, model_card
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.recipe import Shares

TINY = NetConfig(
    words=6, sounds=3, voice=5, bins=9, latent=4, hidden=8, condition=4, filters=8, layers=1, posterior_layers=1,
    flow_layers=1, couplings=1, decoder=DecoderConfig(channels=32),
)  # fmt: skip


def trained(path: Path, seed: int, config: NetConfig = TINY) -> dict[str, Tensor]:
    """A checkpoint as the original's training writes it; gives what is in its net."""
    torch.manual_seed(seed)
    state = dict(Trainee(config).state_dict())
    torch.save({"model_g": state, "model_d": {"MSD.conv_post.bias": torch.zeros(1)}, "step": 3, "epoch": 1}, path)
    return state


@pytest.mark.parametrize("name", ["out.safetensors", "out.pth"])
def test_what_is_exported_sings_the_same_and_learns_no_more(tmp_path: Path, name: str) -> None:
    state = trained(tmp_path / "run.pt", 1)
    held = read(export(tmp_path / "run.pt", tmp_path / name))
    assert not held.complete and held.critics is None
    assert {key.partition(".")[0] + "." for key in held.net} == set(TRAINEE[:3])
    assert all(value.equal(state[key]) for key, value in held.net.items())


def test_the_published_layout_is_the_published_layout(tmp_path: Path) -> None:
    trained(tmp_path / "run.pt", 1)
    held = load_foreign(export(tmp_path / "run.pt", tmp_path / "out.pth"))
    assert list(held) == ["model_g"]
    assert (tmp_path / "out.pth").stat().st_size < (tmp_path / "run.pt").stat().st_size


def test_two_models_are_mixed_by_their_shares(tmp_path: Path) -> None:
    first, second = (trained(tmp_path / f"{seed}.pt", seed) for seed in (1, 2))
    files = tmp_path / "1.pt", tmp_path / "2.pt"
    ends = [read(merge(*files, tmp_path / f"{share}.safetensors", share)).net for share in (0, 1)]
    mixed = read(merge(*files, tmp_path / "mixed.safetensors", 0.25)).net
    for name, value in mixed.items():
        assert ends[0][name].equal(first[name]) and ends[1][name].equal(second[name])
        torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name])


def test_models_of_different_sizes_and_shares_beyond_are_refused(tmp_path: Path) -> None:
    trained(tmp_path / "1.pt", 1)
    trained(tmp_path / "2.pt", 2, NetConfig(**{**vars(TINY), "hidden": 16}))
    files = tmp_path / "1.pt", tmp_path / "2.pt"
    with pytest.raises(BadCheckpoint, match="different sizes"):
        merge(*files, tmp_path / "out.pth")
    with pytest.raises(BadOption, match="from 0 to 1"):
        merge(files[0], files[0], tmp_path / "out.pth", 1.5)
    with pytest.raises(BadOption, match=r"\.safetensors"):
        export(files[0], tmp_path / "out.bin")
    assert not list(tmp_path.glob("out*"))


def test_a_model_knows_its_system_and_another_file_does_not(tmp_path: Path) -> None:
    trained(tmp_path / "run.pt", 1)
    to_safetensors({"letter": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert WhisperVitsSvc.owns(export(tmp_path / "run.pt", tmp_path / "out.safetensors"))
    assert WhisperVitsSvc.owns(tmp_path / "run.pt") and not WhisperVitsSvc.owns(tmp_path / "other.safetensors")
    assert issubclass(WhisperVitsSvc, Shares)
    for suffix in WhisperVitsSvc.layouts().values():
        if suffix == ".onnx":
            pytest.importorskip("onnx")
        assert WhisperVitsSvc.export(tmp_path / "run.pt", tmp_path / f"again{suffix}").stat().st_size


@pytest.mark.parametrize("change", ["missing", "surplus"])
def test_a_model_with_a_key_too_few_or_too_many_is_not_handed_on(tmp_path: Path, change: str) -> None:
    state = trained(tmp_path / "run.pt", 1)
    if change == "missing":
        del state["flow.flows.0.post.bias"]
    else:
        state["flow.flows.0.more.bias"] = torch.zeros(1)
    to_safetensors(state, tmp_path / "bad.safetensors")
    with pytest.raises(BadCheckpoint, match=rf"1 {change} \(flow\.flows\.0"):
        export(tmp_path / "bad.safetensors", tmp_path / "out.pth")


def test_a_card_holds_what_somebody_has_to_know(tmp_path: Path) -> None:
    story = Story("x", "CC0-1.0", 10, {"a|b": 1.5, "c": 2.0}, "ears", start="a pretrain", remarks=["Low notes growl."])
    card = model_card(story)
    assert "10 steps on from a pretrain, on 3.5 minutes" in card
    assert r"| a\|b | 1.5 |" in card
    assert "- Low notes growl." in card and "license: cc0-1.0" in card
