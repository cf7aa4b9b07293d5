"""Published Whispers: where they are, how their files are laid out, and which of their heads look where the word is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, load_safetensors
from mynah.catalog.weights import fetch
from mynah.core.errors import BadCheckpoint
from mynah.core.system import Weights
from mynah.features.whisper import HEAD, HUGGING_FACE
from mynah.features.whisper import remap as encoder_remap
from mynah.transcribe.whisper.net import Config
from mynah.transcribe.whisper.tokens import Tokens, from_hugging_face, from_tiktoken

DEFAULT = "small"
FILES = (  # of a folder of Hugging Face; every Whisper has its weights as safetensors there, beside other layouts
    "config.json", "generation_config.json", "tokenizer.json", "vocab.json", "added_tokens.json",
    "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors",
)  # fmt: skip
Heads = tuple[tuple[int, int], ...]

# Of each: the sha256, which is also in the address; the most bytes that the published size can mean; and layer.head.
_SIZES = {
    "tiny": (
        "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9", 76_000_000, "2.2 3.0 3.2 3.3 3.4 3.5",
    ),
    "tiny.en": (
        "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03", 75_571_315,
        "1.0 2.0 2.5 3.0 3.1 3.2 3.3 3.4",
    ),
    "base": (
        "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e", 146_000_000,
        "3.1 4.2 4.3 4.7 5.1 5.2 5.4 5.6",
    ),
    "base.en": (
        "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead", 146_000_000, "3.3 4.7 5.1 5.5 5.7",
    ),
    "small": (
        "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794", 485_000_000,
        "5.3 5.9 8.0 8.4 8.7 8.8 9.0 9.7 9.9 10.5",
    ),
    "small.en": (
        "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872", 485_000_000,
        "6.6 7.0 7.3 7.8 8.2 8.5 8.7 9.0 9.4 9.8 9.10 10.0 10.1 10.2 10.3 10.6 10.11 11.2 11.4",
    ),
    "medium": (
        "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1", 1_540_000_000,
        "13.15 15.4 15.15 16.1 20.0 23.4",
    ),
    "medium.en": (
        "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f", 1_540_000_000,
        "11.4 14.1 14.12 14.14 15.4 16.0 16.4 16.9 17.12 17.14 18.7 18.10 18.15 20.0 20.3 20.9 20.14 21.12",
    ),
    "large-v1": (
        "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a", 3_100_000_000,
        "9.19 11.2 11.4 11.17 22.7 22.11 22.17 23.2 23.15",
    ),
    "large-v2": (
        "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524", 3_100_000_000,
        "10.12 13.17 16.11 16.12 16.13 17.15 17.16 18.4 18.11 18.19 19.11 21.2 21.3 22.3 22.9 22.12 23.5 23.7 23.13 "
        "25.5 26.1 26.12 27.15",
    ),
    "large-v3": (
        "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb", 3_100_000_000,
        "7.0 10.17 12.18 13.12 16.1 17.14 19.11 21.4 24.1 25.6",
    ),
    "large-v3-turbo": (
        "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a", 1_630_000_000,
        "2.4 2.11 3.3 3.6 3.11 3.14",
    ),
}  # fmt: skip
WEIGHTS = {
    name: Weights(f"https://openaipublic.azureedge.net/main/whisper/models/{digest}/{name}.pt", digest, most, "MIT")
    for name, (digest, most, _) in _SIZES.items()
}
_ASSETS = "https://raw.githubusercontent.com/openai/whisper/v20250625/whisper/assets"
VOCABULARIES = {
    "multilingual.tiktoken": Weights(
        f"{_ASSETS}/multilingual.tiktoken",
        "b34b360dbb493e781e479794586d661700670d65564001f23024971d1f2fa126", 816_730, "MIT",
    ),
    "gpt2.tiktoken": Weights(
        f"{_ASSETS}/gpt2.tiktoken",
        "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930", 835_554, "MIT",
    ),
}  # fmt: skip
_ENGLISH = 51_864  # tokens of the models that know English alone
_DIMS = {
    "n_mels": "bands", "n_audio_ctx": "audio_context", "n_audio_state": "size", "n_audio_layer": "audio_layers",
    "n_vocab": "vocabulary", "n_text_ctx": "text_context", "n_text_layer": "text_layers",
}  # fmt: skip
_HUB = {
    "num_mel_bins": "bands", "max_source_positions": "audio_context", "d_model": "size",
    "encoder_layers": "audio_layers", "vocab_size": "vocabulary", "max_target_positions": "text_context",
    "decoder_layers": "text_layers",
}  # fmt: skip
_MOST = {"bands": 1024, "size": 8192, "audio_layers": 256, "audio_context": 16_384, "vocabulary": 1 << 20,
         "text_layers": 256, "text_context": 16_384}  # fmt: skip


@dataclass(frozen=True)
class Package:
    """What a checkpoint holds, in our names.

    Attributes:
        config: Sizes.
        state: Of `Net`.
        tokens: The vocabulary.
        heads: That look where the word is.
        banned: Tokens that the checkpoint says are never to be written; None where it says nothing.
    """

    config: Config
    state: dict[str, Tensor]
    tokens: Tokens
    heads: Heads
    banned: tuple[int, ...] | None = None


def read(path: Path) -> Package:
    """A file of openai/whisper, or a folder of Hugging Face.

    Raises:
        BadCheckpoint: Damaged, hostile, or no Whisper.
        Offline: The vocabulary is not beside the file, and cannot be fetched.
    """
    return _hugging_face(path) if path.is_dir() else _original(path)


def _original(path: Path) -> Package:
    loaded = load_foreign(path)
    dims, state = loaded.get("dims"), loaded.get("model_state_dict")
    if not isinstance(dims, dict) or not isinstance(state, dict):
        raise BadCheckpoint(
            f"{path} is no checkpoint of openai/whisper (no dims and model_state_dict); a model of Hugging Face "
            "is given as its folder"
        )
    config = _config(dims, _DIMS, str(path))
    if any(dims.get(f"n_{part}_head") != config.size // HEAD for part in ("audio", "text")):
        raise BadCheckpoint(f"{path}: heads of {HEAD} channels are what every Whisper has, and these are not")
    name = "gpt2.tiktoken" if config.vocabulary == _ENGLISH else "multilingual.tiktoken"
    beside = path.with_name(name)
    tokens = from_tiktoken(beside if beside.exists() else fetch(VOCABULARIES[name]), config.vocabulary)
    return Package(config, state, tokens, _known_heads(path.stem, config))


def _known_heads(name: str, config: Config) -> Heads:
    """Of a published checkpoint those that were found out; of any other, all heads of the later half."""
    heads = config.size // HEAD
    known = _heads(_SIZES[name][2]) if name in _SIZES else ()
    if known and all(layer < config.text_layers and head < heads for layer, head in known):
        return known
    return tuple((layer, head) for layer in range(config.text_layers // 2, config.text_layers) for head in range(heads))


def _heads(text: str) -> Heads:
    pairs = (place.split(".") for place in text.split())
    return tuple((int(layer), int(head)) for layer, head in pairs)


def _hugging_face(folder: Path) -> Package:
    told = _json(folder / "config.json")
    if told is None:
        raise BadCheckpoint(f"{folder}: no config.json: it is no folder of a Whisper")
    config = _config(told, _HUB, str(folder))
    if any(told.get(f"{part}_attention_heads") != config.size // HEAD for part in ("encoder", "decoder")):
        raise BadCheckpoint(f"{folder}: heads of {HEAD} channels are what every Whisper has, and these are not")
    generation = _json(folder / "generation_config.json") or {}
    tokens = from_hugging_face(folder, config.vocabulary)
    heads = generation.get("alignment_heads") or told.get("alignment_heads")
    banned = generation.get("suppress_tokens", told.get("suppress_tokens"))
    try:
        chosen = tuple((int(layer), int(head)) for layer, head in heads or ())
        never = None if banned is None else tuple(int(number) for number in banned)
    except (TypeError, ValueError) as error:
        raise BadCheckpoint(f"{folder}: its generation_config.json makes no sense: {error}") from error
    if not all(
        0 <= layer < config.text_layers and 0 <= head < config.size // HEAD for layer, head in chosen
    ) or not all(0 <= number < config.vocabulary for number in never or ()):
        raise BadCheckpoint(f"{folder}: its generation_config.json names heads or tokens that are not there")
    return Package(config, remap(_weights(folder)), tokens, chosen or _known_heads("", config), never)


def _weights(folder: Path) -> dict[str, Tensor]:
    index = _json(folder / "model.safetensors.index.json")
    if index is not None:
        names = sorted({str(name) for name in dict(index.get("weight_map", {})).values()})
        if not names or any(Path(name).name != name for name in names):
            raise BadCheckpoint(f"{folder}: its model.safetensors.index.json names no files of this folder")
        return {key: value for name in names for key, value in load_safetensors(folder / name).items()}
    if (folder / "model.safetensors").exists():
        return load_safetensors(folder / "model.safetensors")
    if (folder / "pytorch_model.bin").exists():
        return load_foreign(folder / "pytorch_model.bin")
    raise BadCheckpoint(f"{folder}: neither model.safetensors nor pytorch_model.bin is in it")


def remap(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """A checkpoint in Hugging Face's names, in those of openai/whisper, which are ours.

    Example:

        >>> import torch
        >>> list(remap({"model.decoder.layers.0.encoder_attn.q_proj.bias": torch.zeros(1)}))
        ['decoder.blocks.0.cross_attn.query.bias']
    """
    table = {
        "embed_tokens.": "token_embedding.",
        "layer_norm.": "ln.",
        "encoder_attn_layer_norm.": "cross_attn_ln.",
        **{
            theirs.replace("self_attn", "encoder_attn"): ours.replace("attn", "cross_attn")
            for theirs, ours in HUGGING_FACE.items()
            if theirs.startswith("self_attn.")
        },
    }
    tensors = {name.removeprefix("model."): value for name, value in state.items() if isinstance(value, Tensor)}
    ours = {"encoder." + name: value for name, value in encoder_remap(tensors).items()}
    for name, value in tensors.items():
        if name.startswith("decoder."):
            head, _, rest = name.removeprefix("decoder.").rpartition("layers.")
            number, _, part = rest.partition(".") if _ else ("", "", rest)
            for theirs, here in {**HUGGING_FACE, **table}.items():
                if part.startswith(theirs):
                    part = here + part.removeprefix(theirs)
                    break
            ours["decoder." + (f"blocks.{number}." if number else head) + part] = value
    return ours


def _config(told: Mapping[str, Any], names: Mapping[str, str], what: str) -> Config:
    found = {ours: told.get(theirs) for theirs, ours in names.items()}
    if wrong := [ours for ours, value in found.items() if type(value) is not int or not 0 < value <= _MOST[ours]]:
        raise BadCheckpoint(f"{what} is no Whisper: its {wrong[0]} is {found[wrong[0]]!r}")
    config = Config(**{ours: int(value) for ours, value in found.items() if value is not None})
    if config.size % HEAD:
        raise BadCheckpoint(f"{what} is no Whisper: {config.size} channels are no multiple of {HEAD}")
    return config


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path}: cannot be read: {error}") from error
    if not isinstance(told, dict):
        raise BadCheckpoint(f"{path}: cannot be read: it is no object")
    return told
