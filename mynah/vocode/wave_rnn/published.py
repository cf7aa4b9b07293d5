"""The files that SV2TTS, ForwardTacotron and fatchord/WaveRNN write, and our own safetensors.

They differ in what lies around the state; in the state the names are the same. Sizes are told by the shapes, and whose
mel spectrograms a model was made for by what they are stretched by.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, outline, require_fit
from mynah.core.errors import BadCheckpoint
from mynah.vocode.wave_rnn.net import FATCHORD, FORWARD_TACOTRON, VOICE_CLONING, Config, WaveRnnNet

FORMATS = {(5, 5, 8): VOICE_CLONING, (4, 8, 8): FORWARD_TACOTRON, (5, 5, 11): FATCHORD}
FILE = "vocoder.pt"  # what it is called beside the other parts of SV2TTS
_AROUND = ("model_state", "model")  # what SV2TTS and ForwardTacotron put the state under
_KNOWN_BY = {"upsample.resnet.conv_in.weight", "I.weight", "rnn2.weight_hh_l0", "fc3.weight"}
_MOST = 4096  # channels of a layer


def read(place: Path) -> tuple[Config, dict[str, Tensor]]:
    """A model.

    Args:
        place: A file, or the folder that it lies in with the other parts of SV2TTS.

    Returns:
        Sizes, and the state in our names.

    Raises:
        BadCheckpoint: Damaged, hostile, or something else.
    """
    path = file_in(place)
    state = state_of(load_foreign(path))
    if not is_one(state):
        _refuse(path, "holds no WaveRNN")
    config = config_of(state, path)
    with torch.device("meta"):
        net = WaveRnnNet(config)
    require_fit(net, state, str(path))
    return config, state


def recognises(place: Path) -> bool:
    """Whether there is a WaveRNN; nothing but names is read."""
    try:
        return is_one(state_of(outline(file_in(place))))
    except BadCheckpoint:
        return False


def file_in(place: Path) -> Path:
    """The file itself, or in a folder the one of the usual name."""
    return place / FILE if place.is_dir() else place


def state_of(held: Any) -> dict[str, Tensor]:
    """The tensors of what a file holds; how often it was trained is no part of the net."""
    for name in _AROUND:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
    if not isinstance(held, Mapping):
        return {}
    return {str(name): value for name, value in held.items() if isinstance(value, Tensor) and name != "step"}


def is_one(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of a WaveRNN."""
    return state.keys() >= _KNOWN_BY


def config_of(state: Mapping[str, Tensor], where: object) -> Config:
    """Sizes, by shapes.

    Raises:
        BadCheckpoint: They are those of no WaveRNN that is known.
    """
    if any(not value.ndim for name, value in state.items() if ".weight" in name):
        _refuse(where, "has the sizes of no WaveRNN that is known")
    layers = sorted(
        (int(name.split(".")[2]), value.shape[-1])
        for name, value in state.items()
        if name.startswith("upsample.up_layers.") and name.split(".")[2].isdecimal()
    )
    scales = tuple((width - 1) // 2 for _, width in layers)
    if scales not in FORMATS:
        known = ", ".join(" x ".join(map(str, each)) for each in FORMATS)
        found = " x ".join(map(str, scales)) or "nothing"
        _refuse(where, f"stretches frames by {found}; whose mel spectrograms these are is known of {known} only")
    conv = state["upsample.resnet.conv_in.weight"]
    sizes = {
        "classes": state["fc3.weight"].shape[0],
        "units": state["rnn2.weight_hh_l0"].shape[-1],
        "hidden": state["fc3.weight"].shape[-1],
        "channels": conv.shape[0],
        "aside": state.get("upsample.resnet.conv_out.weight", conv).shape[0],
        "blocks": len({name.split(".")[3] for name in state if name.startswith("upsample.resnet.layers.")}),
    }
    classes = sizes["classes"]
    if conv.shape[1:] != (FORMATS[scales].bands, 5) or (classes & (classes - 1) and classes % 3) or classes < 3:
        _refuse(where, "has the sizes of no WaveRNN that is known")
    if wrong := [name for name, size in sizes.items() if not 1 <= size <= _MOST]:
        _refuse(where, f"sizes out of bounds ({', '.join(wrong)})")
    return Config(FORMATS[scales], scales, **sizes)


def _refuse(where: object, why: str) -> NoReturn:
    raise BadCheckpoint(f"{where}: {why}")
