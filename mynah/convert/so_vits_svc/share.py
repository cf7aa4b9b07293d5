"""Models handed on in our layout, with their description in them, or two mixed."""

from __future__ import annotations

from pathlib import Path

from mynah.convert.so_vits_svc import published
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.nets.merging import between

LAYOUTS = {"safetensors": ".safetensors"}


def export(source: Path | str, out: Path | str) -> Path:
    """What sings of any model, without posterior encoder and optimisers.

    Args:
        source: A training run or a released file with `config.json` beside it, or ours.
        out: `.safetensors`.

    Raises:
        BadCheckpoint: Not a model of this system, or one with a key missing, left over or of another shape.
        BadOption: `out` has another suffix.
        NoSpace: The disk is full.
    """
    return published.converted(source, _fit(out), training=False)


def merge(first: Path | str, second: Path | str, out: Path | str, share: float = 0.5) -> Path:
    """A singer between two, parameter by parameter; both have to come from the same pretrained model to be any good.

    Voices are mixed place by place in the table; they are called as in the first model.

    Args:
        first: Any model.
        second: Another of the same sizes.
        out: As for `export`.
        share: Of the second: 0 is the first, 1 the second.

    Raises:
        BadCheckpoint: As for `export`, or they do not go together.
        BadOption: A share beyond 0 and 1, or another suffix.
        NoSpace: The disk is full.
    """
    out, one, other = _fit(out), published.read(first), published.read(second)
    # Two decoders may differ in what no tensor's shape tells.
    if one.config.decoder != other.config.decoder or one.config.even != other.config.even:
        raise BadCheckpoint(f"{first} and {second} have other descriptions: only models of the same kind can be merged")
    return published.written(between(one.singer, other.singer, share, (first, second)), one.about, out)


def owns(source: Path | str) -> bool:
    """Whether a file is a model of this system."""
    try:
        published.read(source)
    except BadCheckpoint:
        return False
    return True


def _fit(out: Path | str) -> Path:
    if Path(out).suffix != ".safetensors":
        raise BadOption(f"{out}: a model of so-vits-svc is handed on as .safetensors, with its description in it")
    return Path(out)
