"""The files of r9y9/wavenet_vocoder, of both generations, and our own safetensors; nothing in them is run.

A checkpoint has its preset beside it (`hparams.json`, or any `.json` that says it is one); without it, the sizes are
those of the published net that the weights fit. The later generation also needs the statistics of the spectrograms that
it was trained on, which the original keeps in a pickle; here they are `meanvar.npy`, means above deviations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.catalog.arrays import read_array
from mynah.catalog.checkpoint import filled, load_foreign, outline, to_safetensors
from mynah.catalog.described import metadata, parsed, text
from mynah.core.errors import BadCheckpoint
from mynah.features.mel import MelFormat, Scale
from mynah.nets.normed import old_names, split
from mynah.vocode.wavenet.net import WaveNetNet
from mynah.vocode.wavenet.sizes import EARLIER, LATER, Config, config_of, earlier

KIND = "mynah vocode/wavenet"
NAME = "wavenet_vocoder"  # as a preset calls itself
STATISTICS = "meanvar.npy"
_KNOWN = (*LATER.values(), EARLIER, replace(EARLIER, format=earlier(16_000), speakers=7, speaker=16))
_MOST = 1 << 20


def read(place: Path) -> tuple[Config, WaveNetNet]:
    """A net from a file or a folder, with weight norm.

    Raises:
        BadCheckpoint: Damaged, hostile, of other sizes than its preset says, without its statistics, or something else.
    """
    path = file_in(place)
    state = named(load_foreign(path), path)
    config = _with_statistics(_config(path, state), path)
    with torch.device("meta"):
        wanted = WaveNetNet(config).state_dict()
    return config, filled(lambda: WaveNetNet(config), split(state, wanted), str(path))


def recognises(place: Path) -> bool:
    """Whether there is a WaveNet in a file or a folder."""
    try:
        path = file_in(place)
        _config(path, named(outline(path), path))
    except (BadCheckpoint, OSError):
        return False
    return True


def write(config: Config, net: WaveNetNet, out: Path) -> Path:
    """A net as safetensors, with its description and its statistics; with weight norm, so that it can learn on."""
    return to_safetensors(net.state_dict(), out, {"format": KIND, "config": json.dumps(asdict(config))})


def file_in(place: Path) -> Path:
    """The checkpoint of a folder: of those of the most steps, the averaged one; a file is itself.

    Raises:
        BadCheckpoint: There is none.
    """
    if not place.is_dir():
        return place
    files = [path for suffix in ("pth", "pt", "safetensors") for path in sorted(place.glob(f"*.{suffix}"))]
    if not files:
        raise BadCheckpoint(f"{place}: there is no checkpoint of a WaveNet in it")
    steps = {path: int("0" + "".join(filter(str.isdigit, path.stem.rpartition("step")[2]))) for path in files}
    return max(files, key=lambda path: (steps[path], path.stem.endswith("_ema")))


def named(held: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    """The net's tensors of what was read from a file, in the names of old weight norm.

    Raises:
        BadCheckpoint: There are none.
    """
    inner = held.get("state_dict", held)
    state = {
        old_names(str(name).removeprefix("module.")): value
        for name, value in (inner.items() if isinstance(inner, Mapping) else ())
        if isinstance(value, Tensor)
    }
    if "first_conv.bias" not in state or not any(name.startswith("conv_layers.0.conv1x1_skip.") for name in state):
        raise BadCheckpoint(f"{path}: holds no WaveNet of r9y9/wavenet_vocoder")
    return state


def _config(path: Path, state: Mapping[str, Tensor]) -> Config:
    about = metadata(path)
    if about.get("format") == KIND:
        return _ours(parsed(about.get("config", ""), path), path)
    early = any(name.startswith("upsample_conv.") for name in state)
    for preset in _presets(path):
        return config_of(parsed(text(preset), preset), preset, early=early)
    for config in _KNOWN:
        with torch.device("meta"):
            net = WaveNetNet(config)
        shapes = {name: value.shape for name, value in net.state_dict().items()}
        if all(shapes.get(name) == value.shape for name, value in split(state, shapes).items()):
            return config
    raise BadCheckpoint(f"{path}: is none of the published sizes: put its preset (hparams.json) beside it")


def _presets(path: Path) -> Iterator[Path]:
    for beside in [path.with_name("hparams.json"), path.with_suffix(".json"), *sorted(path.parent.glob("*.json"))]:
        if beside.is_file() and f'"{NAME}"' in text(beside):
            yield beside


def _with_statistics(config: Config, path: Path) -> Config:
    beside, bands = path.with_name(STATISTICS), config.format.bands
    if config.early or config.format.means:
        return config
    if not beside.is_file():
        raise BadCheckpoint(
            f"{path}: the means and deviations of its mel spectrograms are missing; where its meanvar.joblib was made, "
            f"numpy.save('{STATISTICS}', [scaler.mean_, scaler.scale_]) writes the {STATISTICS} to put beside it"
        )
    values = read_array(beside).float()
    if tuple(values.shape) != (2, bands) or not values.isfinite().all() or not (values[1] > 0).all():
        raise BadCheckpoint(f"{beside}: two rows of {bands} numbers are wanted, means above deviations")
    means, deviations = (tuple(row) for row in values.tolist())
    return replace(config, format=replace(config.format, means=means, deviations=deviations))


def _ours(told: Mapping[str, Any], where: Path) -> Config:
    try:
        format = dict(told["format"])
        scale = Scale(**format.pop("scale"))
        means, deviations = (tuple(map(float, format.pop(name))) for name in ("means", "deviations"))
        config = Config(
            **dict(told) | {
                "format": MelFormat(**format, scale=scale, means=means, deviations=deviations),
                "scales": tuple(told["scales"]),
            }
        )  # fmt: skip
        sizes = (config.layers, config.stacks, config.residual, config.gate, config.skip, *config.scales)
        if not all(type(size) is int and 0 < size < _MOST for size in sizes) or config.layers > 256:
            raise ValueError("sizes out of bounds")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadCheckpoint(f"{where}: its description is damaged: {error}") from None
    return config
