"""The files that RVC and Applio write: a shared voice, a training run, and a state alone; and our own safetensors.

All are told by what they hold, and read without running anything. Widths are taken from the tensors themselves, so that
a file cannot claim more memory than it brings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, require_fit, to_safetensors
from mynah.catalog.header import read_header
from mynah.convert.rvc.decoders import HIFI, NORMED, count, decoder_of, inward, kind_of, outward, refuse, told
from mynah.convert.rvc.net import Singer, Trainee
from mynah.convert.rvc.sizes import PUBLISHED, WORDS, DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint
from mynah.nets.normed import old_names, split

PARTS = ("enc_p.", "flow.", "dec.", "emb_g.", "enc_q.")
_ONLY_TRAINING = "enc_q."
_NORMED = re.compile(r"(?:flow\.flows\.\d+|enc_q)\.enc\..*\.weight")
LISTENERS = ("", "contentvec", "hubert", "hubert_base")  # what ContentVec is called there; of old, nothing was said
_FORMAT = "mynah convert/rvc"


@dataclass(frozen=True)
class Published:
    """What a file holds.

    Attributes:
        config: Sizes.
        state: In our names, as stored; with what only training needs, where that is there.
        about: What the file says of itself, such as `info` and `version`.
    """

    config: NetConfig
    state: dict[str, Tensor]
    about: dict[str, str]

    @property
    def complete(self) -> bool:
        """Whether it can be trained further."""
        return any(name.startswith(_ONLY_TRAINING) for name in self.state)

    @property
    def singer(self) -> dict[str, Tensor]:
        """What sings: without what only training needs."""
        return {name: value for name, value in self.state.items() if not name.startswith(_ONLY_TRAINING)}


def read(path: Path | str) -> Published:
    """Any of the files.

    Raises:
        BadCheckpoint: Damaged, hostile, or of another system; the message says why.
    """
    held = load_foreign(path)
    metadata = _metadata(Path(path))
    if metadata.get("format") == _FORMAT:
        held = {"weight": held, "config": _parsed(metadata.get("config", ""), path), **_about(metadata)}
    given = parted(held, path)
    # Whether every part is there is told before memory is spent on a net that the file may not fill.
    with torch.device("meta"):
        net = Trainee(given.config) if given.complete else Singer(given.config)
    require_fit(net, given.state, str(path))
    return given


def parted(held: Mapping[str, Any], where: object) -> Published:
    """What was read from a file, told apart and checked.

    Raises:
        BadCheckpoint: Of another system; names `where`.
    """
    state: Any = held
    claimed: Any = None
    about: dict[str, str] = {}
    if "weight" in held and "config" in held:
        state, claimed, about = held["weight"], held["config"], _about(held)
    elif isinstance(held.get("model"), Mapping):
        state = held["model"]
        about = {"steps": str(held["iteration"])} if isinstance(held.get("iteration"), int) else {}
    if not isinstance(state, Mapping) or not state:
        refuse(where, "holds no model of RVC")
    listener = about.get("embedder_model", "").lower()
    if listener not in LISTENERS:
        refuse(where, f"it hears with {listener[:40]!r}; only voices that hear with ContentVec can be sung with here")
    given = _named(state, where)
    kind = told(given, about.get("vocoder"), where)
    named = _split(inward(given, where), kind, where)
    config = _config(named, decoder_of(named, claimed, kind, where), where)
    if kind != HIFI and not config.pitched:
        refuse(where, f"is told no melody, and no {kind} sings without one")
    return Published(config, named, about)


def converted(path: Path | str, out: Path | str, *, training: bool = True) -> Path:
    """Write a file as safetensors with its description; the original is left alone.

    Args:
        path: Any of the files.
        out: Where to.
        training: Keep what only training needs, where it is there.

    Returns:
        `out`; the same file gives the same bytes.

    Raises:
        BadCheckpoint: As `read`.
    """
    given = read(path)
    state = outward(given.state if training else given.singer, given.config.decoder)
    return to_safetensors(state, out, metadata_of(given.config, given.about))


def metadata_of(config: NetConfig, about: Mapping[str, str]) -> dict[str, str]:
    """What our safetensors say of a model."""
    own = {"format": _FORMAT, "config": json.dumps(description(config)), "vocoder": kind_of(config.decoder)}
    return {**about, **own}


def description(config: NetConfig) -> list[Any]:
    """The list by which a shared file describes its model."""
    decoder = config.decoder
    return [
        *(config.bins, 32, config.latent, config.hidden, config.filters, config.heads, config.layers, 3, 0, "1"),
        *(list(decoder.kernels), [list(row) for row in decoder.dilations], list(decoder.rates), decoder.channels),
        *(list(decoder.up_kernels), config.voices, config.condition, decoder.rate),
    ]


def _metadata(path: Path) -> dict[str, str]:
    try:
        return read_header(path).metadata
    except BadCheckpoint:
        return {}  # a torch file


def _parsed(text: str, where: object) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        refuse(where, "its description is damaged")


def _about(held: Mapping[Any, Any]) -> dict[str, str]:
    """What is short and plain of what a file says of itself."""
    ours = ("weight", "config", "format")
    return {
        name[:40]: str(value)[:400]
        for name, value in held.items()
        if isinstance(name, str) and name not in ours and isinstance(value, str | int | float)
    }


def _named(state: Mapping[Any, Any], where: object) -> dict[str, Tensor]:
    """The tensors in the names of the files: weight norm in the old ones, and nothing before them."""
    named: dict[str, Tensor] = {}
    for key, value in state.items():
        if not (isinstance(key, str) and isinstance(value, Tensor) and value.is_floating_point()):
            refuse(where, f"holds no model of RVC (it holds {str(key)[:80]!r})")
        name = old_names(key.removeprefix("module."))
        if not name.startswith(PARTS):
            hint = ": these are the critics of a training run, take the file that begins with G"
            critics = name.startswith("discriminators.")
            refuse(where, f"holds no model of RVC (it holds {name[:80]!r}){hint if critics else ''}")
        if not value.isfinite().all():
            refuse(where, f"{name[:80]} holds values that are not numbers (NaN or infinite)")
        named[name] = value
    return named


def _split(state: Mapping[str, Tensor], kind: str, where: object) -> dict[str, Tensor]:
    """With weight norm also where somebody has folded it."""
    plain = [name for name in state if _NORMED.fullmatch(name) or NORMED[kind].fullmatch(name)]
    for name in plain:
        if state[name].ndim != 3:
            refuse(where, f"{name[:80]} has the shape of nothing in RVC")
    return split(state, {f"{name}_{part}" for name in plain for part in "gv"})


def _config(state: Mapping[str, Tensor], decoder: DecoderConfig, where: object) -> NetConfig:
    try:
        hidden, words = state["enc_p.emb_phone.weight"].shape
        voices, condition = state["emb_g.weight"].shape
        config = NetConfig(
            words=words,
            pitched="enc_p.emb_pitch.weight" in state,
            bins=state["enc_q.pre.weight"].shape[1] if "enc_q.pre.weight" in state else _bins(decoder, words),
            latent=state["enc_p.proj.weight"].shape[0] // 2,
            hidden=hidden,
            filters=state["enc_p.encoder.ffn_layers.0.conv_1.weight"].shape[0],
            heads=hidden // state["enc_p.encoder.attn_layers.0.emb_rel_k"].shape[2],
            layers=count(state, "enc_p.encoder.attn_layers."),
            voices=voices,
            condition=condition,
            decoder=decoder,
        )
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        refuse(where, "holds no model of RVC (no prior, or none of its shape)")
    if words not in WORDS.values():
        refuse(where, f"it hears content of size {words}; RVC hears {' or '.join(map(str, WORDS.values()))}")
    bounds = {
        "latent": 1024, "hidden": 1024, "filters": 4096, "heads": 64, "layers": 24, "voices": 10_000, "condition": 1024,
    }  # fmt: skip
    wrong = [name for name, most in bounds.items() if not 1 <= getattr(config, name) <= most]
    if wrong or not 1 <= decoder.channels <= 2048 or config.hidden % config.heads or config.latent % 2:
        refuse(where, f"sizes out of bounds ({', '.join(wrong) or 'channels'})")
    return config


def _bins(decoder: DecoderConfig, words: int) -> int:
    """As published for the rate; nobody listens to spectra before training goes on."""
    version = next((name for name, size in WORDS.items() if size == words), "v2")
    return PUBLISHED.get((version, decoder.rate), (1025, decoder))[0]
