"""Files of NVIDIA/tacotron2, and our own: `tacotron2_statedict.pt`, a training run's checkpoint, or safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, require_fit, to_safetensors
from mynah.catalog.shapes import Shapes
from mynah.features.mel import MelFormat
from mynah.speak.tacotron2.net import Config, Net

FORMAT = MelFormat(centred=True, epsilon=0.0)
"""22 050 Hz, 80 bands from 0 to 8000 Hz, natural logarithms; frames are centred at multiples of 256 samples."""

_FORMAT = "mynah speak/tacotron2"
_SIGNS = ("embedding.weight", "decoder.attention_layer.location_layer.location_conv.conv.weight")


def is_model(held: Any) -> bool:
    """Whether what was read from a file is a model, told by keys and shapes."""
    return isinstance(held, Mapping) and all(sign in _state(held) for sign in _SIGNS)


def read(path: Path | str) -> tuple[Config, dict[str, Tensor]]:
    """Any of the files: sizes, and the state in our names.

    Raises:
        BadCheckpoint: Damaged, hostile, or of another system; the message says why.
    """
    state = _state(load_foreign(path))
    config = _config(Shapes(state, path, "Tacotron 2"))
    with torch.device("meta"):
        net = Net(config)
    require_fit(net, state, str(path))
    return config, state


def write(state: Mapping[str, Tensor], path: Path | str) -> Path:
    """As safetensors; the same state gives the same bytes."""
    return to_safetensors(state, path, {"format": _FORMAT})


def converted(path: Path, out: Path) -> Path:
    """Any of the files as safetensors; raises as `read`."""
    return write(read(path)[1], out)


def _state(held: Mapping[str, Any]) -> dict[str, Any]:
    inner = held.get("state_dict")
    state = inner if isinstance(inner, Mapping) else held
    # Trained on several devices, every name begins with `module.`.
    return {key.removeprefix("module."): value for key, value in state.items() if isinstance(key, str)}


def _config(shapes: Shapes) -> Config:
    size = shapes.size
    conv = "decoder.attention_layer.location_layer.location_conv.conv.weight"
    config = Config(
        symbols=size("embedding.weight", 0),
        size=size("embedding.weight", 1),
        reading_layers=shapes.count("encoder.convolutions."),
        reading_kernel=size("encoder.convolutions.0.0.conv.weight", 2),
        prenet=size("decoder.prenet.layers.0.linear_layer.weight", 0),
        attention_units=size("decoder.attention_rnn.weight_hh", 1),
        attention=size("decoder.attention_layer.query_layer.linear_layer.weight", 0),
        location_filters=size(conv, 0),
        location_kernel=size(conv, 2),
        units=size("decoder.decoder_rnn.weight_hh", 1),
        bands=size("decoder.prenet.layers.0.linear_layer.weight", 1),
        finish=size("postnet.convolutions.0.0.conv.weight", 0),
        finish_layers=shapes.count("postnet.convolutions."),
        finish_kernel=size("postnet.convolutions.0.0.conv.weight", 2),
    )
    said = size("decoder.linear_projection.linear_layer.weight", 0)
    if said != config.bands:
        shapes.refuse(f"says {said} values at a time and hears {config.bands}: only one frame for each step can be")
    if config.bands != FORMAT.bands:
        shapes.refuse(f"speaks mel spectrograms of {config.bands} bands, and {FORMAT.bands} are what can be sounded")
    return config
