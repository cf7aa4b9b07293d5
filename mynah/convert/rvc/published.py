"""The files that RVC and Applio write: a shared voice, a training run, and a state alone; and our own safetensors.

All are told by what they hold, and read without running anything. Widths are taken from the tensors themselves, so that
a file cannot claim more memory than it brings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, require_fit, to_safetensors
from mynah.catalog.header import read_header
from mynah.convert.rvc.net import Singer, Trainee
from mynah.convert.rvc.sizes import FRAMES_PER_SECOND, PUBLISHED, WORDS, DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint

PARTS = ("enc_p.", "flow.", "dec.", "emb_g.", "enc_q.")
_ONLY_TRAINING = "enc_q."
_NORMED = re.compile(r"((?:dec\.(?:ups|resblocks)\.|(?:flow\.flows\.\d+|enc_q)\.enc\.).*)\.weight")
_NAMES = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}
LISTENERS = ("", "contentvec", "hubert", "hubert_base")  # what ContentVec is called there; of old, nothing was said
_FORMAT = "mynah convert/rvc"
# Of the list that describes a model in a shared file.
_ITEMS, _DILATIONS, _RATES, _UP_KERNELS, _KERNELS, _BLOCK, _RATE = 18, 11, 12, 14, 10, 9, 17


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
        _refuse(where, "holds no model of RVC")
    vocoder = about.get("vocoder", "HiFi-GAN")
    if vocoder.lower().replace("-", "") not in ("hifigan", "default", ""):
        _refuse(where, f"its decoder is of the kind {vocoder[:40]!r}; only HiFi-GAN can be sung with here")
    listener = about.get("embedder_model", "").lower()
    if listener not in LISTENERS:
        _refuse(where, f"it hears with {listener[:40]!r}; only voices that hear with ContentVec can be sung with here")
    named = _named(state, where)
    decoder = _decoder(named, claimed, where)
    return Published(_config(named, decoder, where), named, about)


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
    return to_safetensors(given.state if training else given.singer, out, metadata_of(given.config, given.about))


def metadata_of(config: NetConfig, about: Mapping[str, str]) -> dict[str, str]:
    """What our safetensors say of a model."""
    return {"format": _FORMAT, "config": json.dumps(description(config)), **about}


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
        _refuse(where, "its description is damaged")


def _about(held: Mapping[Any, Any]) -> dict[str, str]:
    """What is short and plain of what a file says of itself."""
    ours = ("weight", "config", "format")
    return {
        name[:40]: str(value)[:400]
        for name, value in held.items()
        if isinstance(name, str) and name not in ours and isinstance(value, str | int | float)
    }


def _named(state: Mapping[Any, Any], where: object) -> dict[str, Tensor]:
    """The tensors in our names: weight norm in the old ones, and nothing before them."""
    named: dict[str, Tensor] = {}
    for key, value in state.items():
        if not (isinstance(key, str) and isinstance(value, Tensor) and value.is_floating_point()):
            _refuse(where, f"holds no model of RVC (it holds {str(key)[:80]!r})")
        name = key.removeprefix("module.")
        for new, old in _NAMES.items():
            name = name.replace(new, old)
        if not name.startswith(PARTS):
            hint = ": these are the critics of a training run, take the file that begins with G"
            critics = name.startswith("discriminators.")
            _refuse(where, f"holds no model of RVC (it holds {name[:80]!r}){hint if critics else ''}")
        if not value.isfinite().all():
            _refuse(where, f"{name[:80]} holds values that are not numbers (NaN or infinite)")
        if plain := _NORMED.fullmatch(name):
            weight = value.float()
            if weight.ndim != 3:
                _refuse(where, f"{name[:80]} has the shape of nothing in RVC")
            named[f"{plain[1]}.weight_g"], named[f"{plain[1]}.weight_v"] = torch.norm_except_dim(weight, 2, 0), weight
        else:
            named[name] = value
    return named


def _decoder(state: Mapping[str, Tensor], claimed: Any, where: object) -> DecoderConfig:
    """Rates as the file describes them; a training run does not, and is found among those that are known."""
    try:
        channels = state["dec.conv_pre.weight"].shape[0]
        up_kernels = tuple(state[f"dec.ups.{stage}.weight_v"].shape[2] for stage in range(_count(state, "dec.ups.")))
    except (KeyError, IndexError):
        _refuse(where, "holds no model of RVC (no decoder)")
    if claimed is None:
        return _known(state, channels, up_kernels, where)
    if not isinstance(claimed, Sequence) or isinstance(claimed, str) or len(claimed) != _ITEMS:
        _refuse(where, f"its description is not the list of {_ITEMS} that RVC writes")
    if str(claimed[_BLOCK]) != "1":
        _refuse(where, "its decoder is made of blocks that no published RVC has")
    rate = claimed[_RATE]
    if isinstance(rate, str) and re.fullmatch(r"\d{1,3}k", rate):
        rate = 1000 * int(rate[:-1])
    rates, kernels = _numbers(claimed[_RATES], where), _numbers(claimed[_KERNELS], where)
    rows = claimed[_DILATIONS]
    if not isinstance(rows, list | tuple) or len(rows) != len(kernels):
        _refuse(where, "its description does not hold together")
    decoder = DecoderConfig(rate, channels, rates, up_kernels, kernels, tuple(_numbers(row, where) for row in rows))
    odd = any(kernel < rate or (kernel - rate) % 2 for kernel, rate in zip(up_kernels, rates, strict=False))
    if _numbers(claimed[_UP_KERNELS], where) != up_kernels or len(rates) != len(up_kernels) or odd:
        _refuse(where, "its decoder is another one than its description says")
    if any(kernel % 2 == 0 for kernel in kernels) or channels % 2 ** len(rates):
        _refuse(where, "its description does not hold together")
    if rate != FRAMES_PER_SECOND * decoder.hop or not 8_000 <= rate <= 192_000:
        _refuse(where, f"a rate of {str(rate)[:20]} Hz does not go with {decoder.hop} samples for each 10 ms")
    return decoder


def _known(state: Mapping[str, Tensor], channels: int, up_kernels: tuple[int, ...], where: object) -> DecoderConfig:
    bins, step = state.get("enc_q.pre.weight"), state.get("dec.noise_convs.0.weight")
    fitting = {
        decoder
        for known_bins, decoder in PUBLISHED.values()
        if decoder.up_kernels == up_kernels
        and decoder.channels == channels
        and (bins is None or bins.shape[1:2] == (known_bins,))
        and (step is None or step.shape[2:] == (2 * decoder.hop // decoder.rates[0],))
    }
    if len(fitting) != 1:
        _refuse(where, "does not say of which rate it is: export it from RVC as a voice and bring that")
    return fitting.pop()


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
            layers=_count(state, "enc_p.encoder.attn_layers."),
            voices=voices,
            condition=condition,
            decoder=decoder,
        )
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        _refuse(where, "holds no model of RVC (no prior, or none of its shape)")
    if words not in WORDS.values():
        _refuse(where, f"it hears content of size {words}; RVC hears {' or '.join(map(str, WORDS.values()))}")
    bounds = {
        "latent": 1024, "hidden": 1024, "filters": 4096, "heads": 64, "layers": 24, "voices": 10_000, "condition": 1024,
    }  # fmt: skip
    wrong = [name for name, most in bounds.items() if not 1 <= getattr(config, name) <= most]
    if wrong or not 1 <= decoder.channels <= 2048 or config.hidden % config.heads or config.latent % 2:
        _refuse(where, f"sizes out of bounds ({', '.join(wrong) or 'channels'})")
    return config


def _bins(decoder: DecoderConfig, words: int) -> int:
    """As published for the rate; nobody listens to spectra before training goes on."""
    version = next((name for name, size in WORDS.items() if size == words), "v2")
    return PUBLISHED.get((version, decoder.rate), (1025, decoder))[0]


def _numbers(values: Any, where: object) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not 1 <= len(values) <= 8:
        _refuse(where, "its description does not hold together")
    if not all(type(value) is int and 1 <= value <= 64 for value in values):
        _refuse(where, "its description holds numbers that no decoder has")
    return tuple(values)


def _count(state: Mapping[str, Tensor], before: str) -> int:
    return len({name.removeprefix(before).partition(".")[0] for name in state if name.startswith(before)})


def _refuse(where: object, why: str) -> NoReturn:
    raise BadCheckpoint(f"{where}: {why}")
