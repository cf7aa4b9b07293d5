"""The files that jik876/hifi-gan and those who build on it write, and our own safetensors: told by what they hold.

A folder has a `config.json` and the newest `g_00000000`; a file alone may have a `config.json` beside it. Without one,
the sizes are those of the published nets that the weights fit. Nothing is run, and widths are checked before memory is
spent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.catalog.checkpoint import filled, load_foreign, outline, to_safetensors
from mynah.catalog.described import metadata, parsed, text
from mynah.core.errors import BadCheckpoint
from mynah.nets.normed import old_names, split
from mynah.nets.nsf import Decoder
from mynah.vocode.hifi_gan.sizes import SIZES, Config, config_of, described

KIND = "mynah vocode/hifi_gan"
_STEP = re.compile(r"g_(\d+)(\.\w+)?")
_LIKELY = ("g_*", "generator*", "*.safetensors", "*.pth", "*.pt", "*.ckpt")


def net_of(config: Config) -> Decoder:
    """A generator of these sizes; with weight norm, as it is trained and published."""
    return Decoder(config.format.bands, 0, config.decoder, pitched=False)


def read(place: Path) -> tuple[Config, Decoder]:
    """A generator from a file or a folder, with weight norm.

    Raises:
        BadCheckpoint: Damaged, hostile, of other sizes than its description says, or something else.
    """
    path = file_in(place)
    state = named(load_foreign(path), path)
    config = _config(path, state)
    with torch.device("meta"):
        wanted = net_of(config).state_dict()
    return config, filled(lambda: net_of(config), split(state, wanted), str(path))


def recognises(place: Path) -> bool:
    """Whether there is a generator of HiFi-GAN in a file or a folder."""
    try:
        path = file_in(place)
        state = named(outline(path), path)
        _config(path, state)
    except (BadCheckpoint, OSError):
        return False
    return True


def write(config: Config, net: Decoder, out: Path) -> Path:
    """A generator as safetensors, with its description; with weight norm, so that it can learn on."""
    return to_safetensors(net.state_dict(), out, {"format": KIND, "config": json.dumps(described(config))})


def file_in(place: Path) -> Path:
    """The generator of a folder: the one of the most steps, or the only file that may be one; a file is itself.

    Raises:
        BadCheckpoint: There is none, or several.
    """
    if not place.is_dir():
        return place
    files = sorted(path for path in place.iterdir() if path.is_file())
    steps = {int(told[1]): path for path in files if (told := _STEP.fullmatch(path.name))}
    if steps:
        return steps[max(steps)]
    for pattern in _LIKELY:
        likely = [path for path in files if path.match(pattern) and not path.stem.endswith(".critics")]
        if len(likely) > 1:
            raise BadCheckpoint(f"{place}: {likely[0].name} or {likely[1].name}? Give the file, not the folder")
        if likely:
            return likely[0]
    raise BadCheckpoint(f"{place}: there is no generator of HiFi-GAN in it, such as g_02500000")


def named(held: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    """The generator's tensors of what was read from a file, in the names of old weight norm.

    Raises:
        BadCheckpoint: There are none.
    """
    inner = held.get("generator", held)
    state = {
        old_names(str(name).removeprefix("module.")): value
        for name, value in (inner.items() if isinstance(inner, Mapping) else ())
        if isinstance(value, Tensor)
    }
    if "mpd" in held or any(name.startswith("discriminators.") for name in state):
        raise BadCheckpoint(f"{path}: holds the critics of a training run; the generator's file begins with g_")
    if not any(name.startswith("ups.0.") for name in state) or "conv_post.bias" not in state:
        raise BadCheckpoint(f"{path}: holds no generator of HiFi-GAN")
    if any(name.startswith(("cond.", "noise_convs.", "m_source.")) for name in state):
        raise BadCheckpoint(f"{path}: its generator is told more than a mel spectrogram; HiFi-GAN's is not")
    return state


def _config(path: Path, state: Mapping[str, Tensor]) -> Config:
    """As the file says, or the `config.json` beside it; else of the published nets the one that the weights fit."""
    beside = path.with_name("config.json")
    about = metadata(path)
    if about.get("format") == KIND:
        return config_of(parsed(about.get("config", ""), path), path)
    if beside.is_file():
        return config_of(parsed(text(beside), beside), beside)
    for decoder in SIZES.values():
        config = replace(Config(), decoder=decoder)
        with torch.device("meta"):
            net = net_of(config)
        shapes = {name: value.shape for name, value in net.state_dict().items()}
        if all(shapes.get(name.replace(".weight", ".weight_v") if name.endswith(".weight") else name) == value.shape
               for name, value in state.items()):  # fmt: skip
            return config
    raise BadCheckpoint(f"{path}: is none of the published sizes: put its config.json beside it")
