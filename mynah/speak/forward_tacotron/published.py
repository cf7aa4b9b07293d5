"""Files of as-ideas/ForwardTacotron, and our own.

A bare state (`forward_46K.pt`, 2020), a checkpoint with its settings (`forward_step90k.pt`, 2021 on), or safetensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, require_fit, to_safetensors
from mynah.catalog.header import read_header
from mynah.core.errors import BadCheckpoint
from mynah.features.mel import MelFormat
from mynah.speak.forward_tacotron.net import Config, Net, SeriesConfig
from mynah.speak.forward_tacotron.symbols import EARLIER, LATER, Front

FORMAT = MelFormat(centred=True, epsilon=0.0)
"""22 050 Hz, 80 bands from 0 to 8000 Hz, natural logarithms; frames are centred at multiples of 256 samples."""

_FORMAT = "mynah speak/forward_tacotron"
_SIGNS = ("dur_pred.lin.weight", "prenet.conv_project1.conv.weight", "lstm.weight_ih_l0_reverse")
_MOST = 8192  # of any size
_STRENGTHS = ("pitch_strength", "energy_strength")
_WORDS: dict[str, Literal["english", "none"]] = {"english_cleaners": "english", "no_cleaners": "none"}


@dataclass(frozen=True)
class Published:
    """What a file holds.

    Attributes:
        config: Sizes.
        state: In our names, which are those of the files.
        front: How texts are read.
    """

    config: Config
    state: dict[str, Tensor]
    front: Front


def is_model(held: Any) -> bool:
    """Whether what was read from a file is a model, told by keys."""
    return isinstance(held, Mapping) and all(sign in _state(held) for sign in _SIGNS)


def read(path: Path | str) -> Published:
    """Any of the files.

    Raises:
        BadCheckpoint: Damaged, hostile, or of another system; the message says why.
    """
    held = load_foreign(path)
    state = _state(held)
    for name, value in state.items():
        if not isinstance(value, Tensor):
            _refuse(path, f"holds no model of ForwardTacotron ({name[:80]!r} is no tensor)")
        if value.is_floating_point() and not value.isfinite().all():
            _refuse(path, f"{name[:80]} holds values that are not numbers (NaN or infinite)")
    told = _told(held, path)
    config = _config(state, told, path)
    with torch.device("meta"):
        net = Net(config)
    require_fit(net, state, str(path))
    front = _front(config, told, path)
    if len(front.alphabet) != config.symbols:
        _refuse(path, f"reads {config.symbols} symbols, and published models read {len(EARLIER)} or {len(LATER)}")
    return Published(config, state, front)


def write(state: Mapping[str, Tensor], front: Front, config: Config, path: Path | str) -> Path:
    """As safetensors; the same state gives the same bytes."""
    strengths = {name: repr(getattr(config, name)) for name in _STRENGTHS}
    return to_safetensors(state, path, {"format": _FORMAT, "front": str(front), **strengths})


def _state(held: Mapping[str, Any]) -> dict[str, Any]:
    inner = held.get("model")
    state = inner if isinstance(inner, Mapping) else held
    return {key: value for key, value in state.items() if isinstance(key, str)}


def _config(state: Mapping[str, Tensor], told: Mapping[str, Any], where: object) -> Config:
    def size(name: str, dimension: int) -> int:
        value = state.get(name)
        if value is None or value.ndim <= dimension:
            _refuse(where, f"holds no model of ForwardTacotron (no {name}, or none of its shape)")
        if not 1 <= value.shape[dimension] <= _MOST:
            _refuse(where, f"{name} is of a size that no model has")
        return value.shape[dimension]

    def series(name: str) -> SeriesConfig:
        if f"{name}.lin.weight" not in state:
            return SeriesConfig()
        return SeriesConfig(size(f"{name}.convs.0.conv.weight", 0), size(f"{name}.rnn.weight_hh_l0", 1))

    if any(name.startswith("speaker") for name in state) or "pitch_cond_pred.lin.weight" in state:
        _refuse(where, "is of several speakers (MultiForwardTacotron), which cannot be spoken with here")
    later = "energy_proj.weight" in state
    pitched = "pitch_proj.0.weight" in state
    strengths = {name: _number(told.get(name, 1.0), where) for name in _STRENGTHS}
    config = Config(
        layout="energy" if later else "pitch" if pitched else "plain",
        symbols=size("embedding.weight", 0),
        size=size("embedding.weight", 1),
        series_size=size("dur_pred.embedding.weight", 1) if later else size("embedding.weight", 1),
        duration=series("dur_pred"),
        pitch=series("pitch_pred"),
        energy=series("energy_pred"),
        pitch_size=size("pitch_proj.0.weight", 0) if pitched else 64,
        prenet=size("prenet.conv_project1.conv.weight", 0),
        prenet_kernels=_count(state, "prenet.conv1d_bank."),
        prenet_highways=_count(state, "prenet.highways."),
        prenet_bridge="prenet.pre_highway.weight" in state,
        units=size("lstm.weight_hh_l0", 1),
        postnet=size("postnet.conv_project1.conv.weight", 0),
        postnet_kernels=_count(state, "postnet.conv1d_bank."),
        postnet_highways=_count(state, "postnet.highways."),
        postnet_bridge="postnet.pre_highway.weight" in state,
        bands=size("lin.weight", 0),
        **strengths,
    )
    if config.bands != FORMAT.bands:
        _refuse(where, f"speaks mel spectrograms of {config.bands} bands, and {FORMAT.bands} are what can be sounded")
    return config


def _told(held: Mapping[str, Any], path: Path | str) -> Mapping[str, Any]:
    """What a file says of itself: our metadata, or the parts of the settings that count."""
    try:
        metadata = read_header(Path(path)).metadata
    except BadCheckpoint:
        metadata = {}  # a torch file
    if metadata.get("format") == _FORMAT:
        return metadata
    settings = held.get("config")
    model = _part(_part(settings, "forward_tacotron"), "model")
    return {**model, **_part(settings, "preprocessing")}


def _front(config: Config, told: Mapping[str, Any], where: object) -> Front:
    if "front" in told:
        try:
            return Front.parsed(told["front"])
        except (TypeError, ValueError) as error:
            raise BadCheckpoint(f"{where}: its description is damaged") from error
    cleaner = str(told.get("cleaner_name", "english_cleaners"))
    if cleaner not in _WORDS:
        _refuse(where, f"its texts were prepared by {cleaner[:40]!r}, which is not known here")
    language, sounds = str(told.get("language", "en-us"))[:20], bool(told.get("use_phonemes", True))
    return Front("earlier" if config.symbols == len(EARLIER) else "later", language, _WORDS[cleaner], sounds)


def _number(value: Any, where: object) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) <= 100:
        _refuse(where, f"its description does not hold together ({str(value)[:20]!r} is no strength)")
    return number


def _part(held: Any, name: str) -> dict[str, Any]:
    part = held.get(name) if isinstance(held, Mapping) else None
    return {key: value for key, value in part.items() if isinstance(key, str)} if isinstance(part, Mapping) else {}


def _count(state: Mapping[str, Tensor], before: str) -> int:
    return len({name.removeprefix(before).partition(".")[0] for name in state if name.startswith(before)})


def _refuse(where: object, why: str) -> NoReturn:
    raise BadCheckpoint(f"{where}: {why}")
