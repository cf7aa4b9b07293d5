"""Files of as-ideas/ForwardTacotron, and our own.

A bare state (`forward_46K.pt`, 2020), a checkpoint with its settings (`forward_step90k.pt`, 2021 on), or safetensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, require_fit, to_safetensors
from mynah.catalog.header import read_header
from mynah.catalog.shapes import Shapes
from mynah.core.errors import BadCheckpoint
from mynah.features.mel import MelFormat
from mynah.speak.forward_tacotron.net import Config, Net, SeriesConfig
from mynah.speak.forward_tacotron.symbols import EARLIER, LATER, Front

FORMAT = MelFormat(centred=True, epsilon=0.0)
"""22 050 Hz, 80 bands from 0 to 8000 Hz, natural logarithms; frames are centred at multiples of 256 samples."""

_FORMAT = "mynah speak/forward_tacotron"
_SIGNS = ("dur_pred.lin.weight", "prenet.conv_project1.conv.weight", "lstm.weight_ih_l0_reverse")
_STRENGTHS = ("pitch_strength", "energy_strength")
_WORDS: dict[str, Literal["english", "none"]] = {"english_cleaners": "english", "no_cleaners": "none"}


def is_model(held: Any) -> bool:
    """Whether what was read from a file is a model, told by keys."""
    return isinstance(held, Mapping) and all(sign in _state(held) for sign in _SIGNS)


def read(path: Path | str) -> tuple[Config, dict[str, Tensor]]:
    """Any of the files: sizes with how texts are read, and the state in our names, which are those of the files.

    Raises:
        BadCheckpoint: Damaged, hostile, or of another system; the message says why.
    """
    held = load_foreign(path)
    state = _state(held)
    config = _config(Shapes(state, path, "ForwardTacotron"), _told(held, path))
    with torch.device("meta"):
        net = Net(config)
    require_fit(net, state, str(path))
    return config, state


def write(config: Config, state: Mapping[str, Tensor], path: Path | str) -> Path:
    """As safetensors; the same state gives the same bytes."""
    strengths = {name: repr(getattr(config, name)) for name in _STRENGTHS}
    return to_safetensors(state, path, {"format": _FORMAT, "front": str(config.front), **strengths})


def converted(path: Path, out: Path) -> Path:
    """Any of the files as safetensors; raises as `read`."""
    return write(*read(path), out)


def _state(held: Mapping[str, Any]) -> dict[str, Any]:
    inner = held.get("model")
    state = inner if isinstance(inner, Mapping) else held
    return {key: value for key, value in state.items() if isinstance(key, str)}


def _config(shapes: Shapes, told: Mapping[str, Any]) -> Config:
    state, size = shapes.state, shapes.size

    def series(name: str) -> SeriesConfig:
        if f"{name}.lin.weight" not in state:
            return SeriesConfig()
        return SeriesConfig(size(f"{name}.convs.0.conv.weight", 0), size(f"{name}.rnn.weight_hh_l0", 1))

    if any(name.startswith("speaker") for name in state) or "pitch_cond_pred.lin.weight" in state:
        shapes.refuse("is of several speakers (MultiForwardTacotron), which cannot be spoken with here")
    later = "energy_proj.weight" in state
    pitched = "pitch_proj.0.weight" in state
    strengths = {name: _strength(told.get(name, 1.0), shapes) for name in _STRENGTHS}
    front = _front(size("embedding.weight", 0), told, shapes)
    config = Config(
        front=front,
        layout="energy" if later else "pitch" if pitched else "plain",
        symbols=size("embedding.weight", 0),
        size=size("embedding.weight", 1),
        series_size=size("dur_pred.embedding.weight", 1) if later else size("embedding.weight", 1),
        duration=series("dur_pred"),
        pitch=series("pitch_pred"),
        energy=series("energy_pred"),
        pitch_size=size("pitch_proj.0.weight", 0) if pitched else 64,
        prenet=size("prenet.conv_project1.conv.weight", 0),
        prenet_kernels=shapes.count("prenet.conv1d_bank."),
        prenet_highways=shapes.count("prenet.highways."),
        prenet_bridge="prenet.pre_highway.weight" in state,
        units=size("lstm.weight_hh_l0", 1),
        postnet=size("postnet.conv_project1.conv.weight", 0),
        postnet_kernels=shapes.count("postnet.conv1d_bank."),
        postnet_highways=shapes.count("postnet.highways."),
        postnet_bridge="postnet.pre_highway.weight" in state,
        bands=size("lin.weight", 0),
        **strengths,
    )
    if config.bands != FORMAT.bands:
        shapes.refuse(f"speaks mel spectrograms of {config.bands} bands, and {FORMAT.bands} are what can be sounded")
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


def _front(symbols: int, told: Mapping[str, Any], shapes: Shapes) -> Front:
    if "front" in told:
        try:
            front = Front.parsed(told["front"])
        except (TypeError, ValueError) as error:
            raise BadCheckpoint(f"{shapes.where}: its description is damaged") from error
    else:
        cleaner = str(told.get("cleaner_name", "english_cleaners"))
        if cleaner not in _WORDS:
            shapes.refuse(f"its texts were prepared by {cleaner[:40]!r}, which is not known here")
        language, sounds = str(told.get("language", "en-us"))[:20], bool(told.get("use_phonemes", True))
        front = Front("earlier" if symbols == len(EARLIER) else "later", language, _WORDS[cleaner], sounds)
    if len(front.alphabet) != symbols:
        shapes.refuse(f"reads {symbols} symbols, and published models read {len(EARLIER)} or {len(LATER)}")
    return front


def _strength(value: Any, shapes: Shapes) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) <= 100:
        shapes.refuse(f"its description does not hold together ({str(value)[:20]!r} is no strength)")
    return number


def _part(held: Any, name: str) -> dict[str, Any]:
    part = held.get(name) if isinstance(held, Mapping) else None
    return {key: value for key, value in part.items() if isinstance(key, str)} if isinstance(part, Mapping) else {}
