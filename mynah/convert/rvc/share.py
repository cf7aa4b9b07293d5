"""Models handed on: as the original shares them, so that other programs open them, or in our layout; or two mixed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mynah.catalog.checkpoint import to_safetensors
from mynah.convert.rvc import published
from mynah.convert.rvc.decoders import kind_of, outward
from mynah.convert.rvc.sizes import NetConfig
from mynah.core.atomic import replacing
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.nets.merging import between

LAYOUTS = {"safetensors": ".safetensors", "original": ".pth"}


def export(source: Path | str, out: Path | str) -> Path:
    """What sings of any model, without posterior encoder and optimisers.

    Args:
        source: A shared voice, a training run, a state alone, or ours.
        out: `.safetensors` in our layout, in the types it is stored in; `.pth` as RVC and Applio share voices, in half
            precision, of nothing but tensors, dictionaries, lists, texts and numbers, which say what decoder it is.

    Raises:
        BadCheckpoint: Not a model of this system, or one with a key missing, left over or of another shape.
        BadOption: `out` has another suffix.
        NoSpace: The disk is full.
    """
    given = published.read(source)
    return _write(given.config, given.singer, given.about, Path(out))


def merge(first: Path | str, second: Path | str, out: Path | str, share: float = 0.5) -> Path:
    """A singer between two, parameter by parameter; both have to come from the same pretrained model to be any good.

    Args:
        first: Any model.
        second: Another of the same version, rate and sizes.
        out: As for `export`.
        share: Of the second: 0 is the first, 1 the second.

    Raises:
        BadCheckpoint: As for `export`, or they do not go together.
        BadOption: A share beyond 0 and 1, or another suffix.
        NoSpace: The disk is full.
    """
    one, other = published.read(first), published.read(second)
    # Two decoders may differ in what no tensor's shape tells.
    kinds = [
        f"{given.config.version} with {kind_of(given.config.decoder)} at {given.config.decoder.rate} Hz"
        for given in (one, other)
    ]
    if one.config.decoder != other.config.decoder or one.config.version != other.config.version:
        raise BadCheckpoint(
            f"{first} is of {kinds[0]} and {second} of {kinds[1]}, or their decoders are made otherwise: "
            "only models of the same kind can be merged"
        )
    state = between(one.singer, other.singer, share, (first, second))
    info = f"{1 - share:g} of {Path(first).stem}, {share:g} of {Path(second).stem}"
    return _write(one.config, state, {"info": info}, Path(out))


def owns(source: Path | str) -> bool:
    """Whether a file is a model of this system."""
    try:
        published.read(source)
    except BadCheckpoint:
        return False
    return True


def _write(config: NetConfig, state: Mapping[str, Tensor], about: Mapping[str, str], out: Path) -> Path:
    state = outward(state, config.decoder)
    if out.suffix == ".safetensors":
        return to_safetensors(state, out, published.metadata_of(config, about))
    if out.suffix != ".pth":
        raise BadOption(f"{out}: a model ends in .safetensors, or in .pth for the layout of RVC")
    held = {
        # Cloned, because torch saves the whole of what a tensor is a part of.
        "weight": {name: value.detach().cpu().half().clone() for name, value in state.items()},
        "config": published.description(config),
        "info": about.get("info", ""),
        "sr": f"{config.decoder.rate // 1000}k",
        "f0": int(config.pitched),
        "version": config.version,
        "vocoder": kind_of(config.decoder),
    }
    with replacing(out) as half, half.open("wb") as file:
        torch.save(held, file)
    return out
