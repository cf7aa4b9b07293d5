"""Files of NVIDIA/tacotron2, and our own: `tacotron2_statedict.pt`, a training run's checkpoint, or safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, require_fit, to_safetensors
from mynah.core.errors import BadCheckpoint
from mynah.features.mel import MelFormat
from mynah.speak.tacotron2.net import Config, Net

FORMAT = MelFormat(centred=True, epsilon=0.0)
"""22 050 Hz, 80 bands from 0 to 8000 Hz, natural logarithms; frames are centred at multiples of 256 samples."""

_FORMAT = "mynah speak/tacotron2"
_SIGNS = ("embedding.weight", "decoder.attention_layer.location_layer.location_conv.conv.weight")
_MOST = 8192  # of any size


def is_model(held: Any) -> bool:
    """Whether what was read from a file is a model, told by keys and shapes."""
    return isinstance(held, Mapping) and all(sign in _state(held) for sign in _SIGNS)


def read(path: Path | str) -> tuple[Config, dict[str, Tensor]]:
    """Any of the files: sizes, and the state in our names.

    Raises:
        BadCheckpoint: Damaged, hostile, or of another system; the message says why.
    """
    state = _state(load_foreign(path))
    for name, value in state.items():
        if not isinstance(value, Tensor):
            _refuse(path, f"holds no model of Tacotron 2 ({name[:80]!r} is no tensor)")
        if value.is_floating_point() and not value.isfinite().all():
            _refuse(path, f"{name[:80]} holds values that are not numbers (NaN or infinite)")
    config = _config(state, path)
    with torch.device("meta"):
        net = Net(config)
    require_fit(net, state, str(path))
    return config, state


def write(state: Mapping[str, Tensor], path: Path | str) -> Path:
    """As safetensors; the same state gives the same bytes."""
    return to_safetensors(state, path, {"format": _FORMAT})


def _state(held: Mapping[str, Any]) -> dict[str, Any]:
    inner = held.get("state_dict")
    state = inner if isinstance(inner, Mapping) else held
    # Trained on several devices, every name begins with `module.`.
    return {key.removeprefix("module."): value for key, value in state.items() if isinstance(key, str)}


def _config(state: Mapping[str, Tensor], where: object) -> Config:
    def size(name: str, dimension: int) -> int:
        value = state.get(name)
        if value is None or value.ndim <= dimension:
            _refuse(where, f"holds no model of Tacotron 2 as NVIDIA's (no {name}, or none of its shape)")
        if not 1 <= value.shape[dimension] <= _MOST:
            _refuse(where, f"{name} is of a size that no model has")
        return value.shape[dimension]

    conv = "decoder.attention_layer.location_layer.location_conv.conv.weight"
    config = Config(
        symbols=size("embedding.weight", 0),
        size=size("embedding.weight", 1),
        reading_layers=_count(state, "encoder.convolutions."),
        reading_kernel=size("encoder.convolutions.0.0.conv.weight", 2),
        prenet=size("decoder.prenet.layers.0.linear_layer.weight", 0),
        attention_units=size("decoder.attention_rnn.weight_hh", 1),
        attention=size("decoder.attention_layer.query_layer.linear_layer.weight", 0),
        location_filters=size(conv, 0),
        location_kernel=size(conv, 2),
        units=size("decoder.decoder_rnn.weight_hh", 1),
        bands=size("decoder.prenet.layers.0.linear_layer.weight", 1),
        finish=size("postnet.convolutions.0.0.conv.weight", 0),
        finish_layers=_count(state, "postnet.convolutions."),
        finish_kernel=size("postnet.convolutions.0.0.conv.weight", 2),
    )
    said = size("decoder.linear_projection.linear_layer.weight", 0)
    if said != config.bands:
        _refuse(where, f"says {said} values at a time and hears {config.bands}: only one frame for each step can be")
    if config.bands != FORMAT.bands:
        _refuse(where, f"speaks mel spectrograms of {config.bands} bands, and {FORMAT.bands} are what can be sounded")
    return config


def _count(state: Mapping[str, Tensor], before: str) -> int:
    return len({name.removeprefix(before).partition(".")[0] for name in state if name.startswith(before)})


def _refuse(where: object, why: str) -> NoReturn:
    raise BadCheckpoint(f"{where}: {why}")
