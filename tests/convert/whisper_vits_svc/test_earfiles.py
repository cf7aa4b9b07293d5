"""The published ears by choice: in every layout that people have them in, and what is told when one is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import to_safetensors
from mynah.convert.whisper_vits_svc import WhisperVitsSvc, earfiles, hear
from mynah.convert.whisper_vits_svc.earfiles import Choice, choice_of
from mynah.convert.whisper_vits_svc.hear import PublishedEars
from mynah.convert.whisper_vits_svc.recipe import ears_by
from mynah.core.errors import BadCheckpoint, BadOption, Offline
from tests.convert.whisper_vits_svc.conftest import bring, hubert_state, singer_state, speaker_state, whisper_state

_WHISPER = {
    "positional_embedding": "embed_positions.weight",
    "ln_post.": "layer_norm.",
    "attn_ln.": "self_attn_layer_norm.",
    "mlp_ln.": "final_layer_norm.",
    "attn.query.": "self_attn.q_proj.",
    "attn.key.": "self_attn.k_proj.",
    "attn.value.": "self_attn.v_proj.",
    "attn.out.": "self_attn.out_proj.",
    "mlp.0.": "fc1.",
    "mlp.2.": "fc2.",
    "blocks.": "layers.",
}
_HUBERT = {
    "self_attn.out_proj.": "attention.out_proj.",
    "linear1.": "feed_forward.intermediate_dense.",
    "linear2.": "feed_forward.output_dense.",
    "norm1.": "layer_norm.",
    "norm2.": "final_layer_norm.",
    "feature_extractor.norm0.": "feature_extractor.conv_layers.0.layer_norm.",
    "feature_projection.norm.": "feature_projection.layer_norm.",
    "positional_embedding.conv.": "encoder.pos_conv_embed.conv.",
}


def whisper_of_hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in state.items():
        for ours, theirs in _WHISPER.items():
            name = name.replace(ours, theirs)
        renamed[f"model.{name}"] = value
    return renamed


def hubert_of_hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in state.items():
        for ours, theirs in _HUBERT.items():
            name = name.replace(ours, theirs)
        name = re.sub(r"feature_extractor\.conv(\d)\.", r"feature_extractor.conv_layers.\1.conv.", name)
        if name.startswith("norm."):
            name = f"encoder.layer_norm.{name.removeprefix('norm.')}"
        if found := re.fullmatch(r"(.*)self_attn\.in_proj_(weight|bias)", name):
            for part, rows in zip("qkv", value.chunk(3), strict=True):
                renamed[f"{found[1]}attention.{part}_proj.{found[2]}"] = rows.clone()
        elif not name.startswith("label_embedding"):
            renamed[name.replace("proj.", "final_proj.", 1) if name.startswith("proj.") else name] = value
    return renamed


def heard_by(choice: Choice) -> Tensor:
    wave = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return torch.cat(list(PublishedEars(choice=choice).frames([wave])), -1)


def test_every_layout_of_the_same_nets_hears_the_same(home: Path, tmp_path: Path) -> None:
    words, sounds = whisper_state(64, layers=4), hubert_state()
    openai = bring(tmp_path / "some.pt", {"dims": {}, "model_state_dict": words})
    folder = tmp_path / "whisper folder"
    folder.mkdir()
    to_safetensors(whisper_of_hugging_face(words), folder / "model.safetensors")
    bshall = bring(tmp_path / "hubert.pt", {f"module.{name}": value for name, value in sounds.items()})
    bring(tmp_path / "hubert folder" / "pytorch_model.bin", hubert_of_hugging_face(sounds))
    one = heard_by(Choice(str(openai), str(bshall)))
    assert one.shape == (64 + 256, 50)
    torch.testing.assert_close(heard_by(Choice(str(folder), str(tmp_path / "hubert folder"))), one)


@pytest.mark.parametrize("size", earfiles.SIZES)
def test_every_published_whisper_is_known_by_its_width(size: str, home: Path) -> None:
    ears = PublishedEars(choice=Choice(size))
    assert (ears.words, ears.sounds, ears.voice) == (earfiles.SIZES[size], 256, 256)
    with pytest.raises(Offline, match=rf"{size}\.pt .*put it at .*; or as a folder .*whisper-{size}$") as told:
        ears.ready()
    assert "\n" not in str(told.value)


MISSING: dict[str, tuple[Callable[[Path], Path], str]] = {
    "hubert": (lambda home: home / "ears" / "hubert-soft.pt", r"hubert-soft-0d54a1f4\.pt .*ears/hubert-soft$"),
    "speaker": (
        lambda home: home / "cache" / "weights" / "mozilla-tts" / "best_model.pth.tar",
        r"best_model\.pth\.tar from https.* and put it at .*best_model\.pth\.tar$",
    ),
}


@pytest.mark.parametrize("part", MISSING)
def test_what_is_missing_is_told_in_one_line_before_anything_is_heard(part: str, ears: Path, tmp_path: Path) -> None:
    place, why = MISSING[part]
    place(ears.parent).unlink()
    with pytest.raises(Offline, match=why) as told:
        WhisperVitsSvc.course(tmp_path, tmp_path, ears=["whisper=tiny"])
    assert "\n" not in str(told.value)


def test_ears_of_other_sizes_are_refused(ears: Path, tmp_path: Path) -> None:
    bring(ears / "whisper-base.pt", whisper_state(64))
    with pytest.raises(BadCheckpoint, match=r"whisper-base\.pt: hears 64 numbers a frame, where 512 are wanted"):
        ears_by(["whisper=base"])
    other = bring(tmp_path / "hubert.pt", hubert_state(units=100))
    with pytest.raises(BadCheckpoint, match=r"hubert\.pt: hears 100 numbers a frame, where 256"):
        ears_by(["whisper=tiny", f"hubert={other}"])
    lstm = bring(tmp_path / "lstm.tar", {"model": speaker_state(64)})
    with pytest.raises(BadCheckpoint, match=r"lstm\.tar: hears 64 numbers"):
        ears_by(["whisper=tiny", f"speaker={lstm}"])
    bare = {name: value for name, value in hubert_of_hugging_face(hubert_state()).items() if "proj.w" not in name}
    with pytest.raises(BadCheckpoint, match="without the projection"):
        earfiles.soft_hubert(
            bring(tmp_path / "bare.bin", {n: v for n, v in bare.items() if not n.startswith("final_proj")})
        )
    small = bring(tmp_path / "small.pt", whisper_state(64))
    start = bring(tmp_path / "start.pth", {"model_g": singer_state()})
    with pytest.raises(BadCheckpoint, match=r"start\.pth hears features of 384 and 256 .* give 64, 256 and 256"):
        ears_by([f"whisper={small}"], str(start))
    assert ears_by((), str(start)).words == 384  # what it was trained with, by its sizes


@pytest.mark.parametrize("key", ["encoder.conv1.weight", "encoder.blocks.0.mlp.0.bias", "encoder.more.bias"])
def test_a_checkpoint_with_a_key_too_few_or_too_many_is_refused(key: str, ears: Path, tmp_path: Path) -> None:
    state = whisper_state(64, layers=2)
    state = (
        {name: value for name, value in state.items() if name != key} if key in state else {key: torch.ones(1)} | state
    )
    path = bring(tmp_path / "bad.pt", state)
    with pytest.raises(BadCheckpoint, match=r"bad\.pt"):
        heard_by(Choice(str(path)))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (["huge"], "'huge' cannot be understood"),
        (["whisper="], "cannot be understood"),
        (["whisper=tiny", "whisper=base"], "once each"),
        (["house", "whisper=tiny"], "goes with no other"),
        (["ears=tiny"], "whisper=PLACE, hubert=PLACE, speaker=PLACE"),
    ],
)
def test_what_cannot_be_understood_is_told(told: list[str], why: str) -> None:
    with pytest.raises(BadOption, match=why):
        choice_of(told)


def test_a_place_where_nothing_is_is_told(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"neither a file nor a size of Whisper \(tiny, base"):
        ears_by([f"whisper={tmp_path / 'none.pt'}"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadOption, match=r"a folder needs model\.safetensors or pytorch_model\.bin"):
        ears_by([f"whisper={tmp_path / 'empty'}"])


def test_what_other_files_heard_is_not_taken_for_it(ears: Path, tmp_path: Path) -> None:
    one = hear.PublishedEars(choice=Choice("tiny")).ready()
    bring(ears / "hubert-soft.pt", {name: value + 1e-3 for name, value in hubert_state().items()})
    assert hear.PublishedEars(choice=Choice("tiny")).ready() != one
