"""Bags of one's own: a folder of weights and a few lines that say how their answers are averaged.

The lines are those of the published bags:

    models: ['0d19c1c6', 'my_net.safetensors']
    weights: [[1., 1., 0., 0.], [0., 0., 1., 1.]]
    segment: 44

`models` names files beside the description, whole or by what stands before a checksum in their names; `weights` has a
row for each net and a column for each stem; `segment`, in seconds, and `weights` may be left out.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from mynah.catalog.weights import sha256
from mynah.core.errors import BadCheckpoint, BadOption, MissingExtra
from mynah.separate.demucs.published import Bag

SUFFIXES = (".th", ".th.gz", ".safetensors")
_LONGEST = 1 << 16  # characters of a description


def described(path: Path) -> tuple[Bag, list[Path]]:
    """The bag of a `.yaml` file, or of the only one in a folder, and the files of its nets.

    Raises:
        BadOption: No such description, or a folder with several.
        BadCheckpoint: It describes no bag, a file is missing, or a file is not what its name says.
        MissingExtra: The package that reads descriptions is not installed.
    """
    if path.is_dir():
        found = sorted(file for suffix in ("*.yaml", "*.yml") for file in path.glob(suffix))
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise BadOption(f"{path} should hold one description of a bag (.yaml), and holds {names}: name the file")
        [path] = found
    bag = _read(path)
    return bag, [_file(path.parent, name) for name in bag.files]


def checked(path: Path) -> Path:
    """The same path, if the checksum in the file's name is that of the file. A name without one says nothing.

    Raises:
        BadCheckpoint: It is not.
    """
    digits = re.fullmatch(r".+-([0-9a-f]{8})\.th", path.name)
    if digits and not sha256(path).startswith(digits[1]):
        raise BadCheckpoint(f"{path} is damaged: its sha256 does not begin with {digits[1]}; download it again")
    return path


def _read(path: Path) -> Bag:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("PyYAML", "demucs") from error
    try:
        text = path.read_text("utf-8")
        loaded: Any = yaml.safe_load(text) if len(text) <= _LONGEST else None
    except OSError as error:
        raise BadOption(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BadCheckpoint(f"{path} describes no bag: it is no YAML") from error
    if not isinstance(loaded, dict) or set(loaded) - {"models", "weights", "segment"}:
        raise BadCheckpoint(f"{path} describes no bag: it should say models, and may say weights and segment")
    models, weights, segment = loaded.get("models"), loaded.get("weights") or [], loaded.get("segment")
    if not isinstance(models, list) or not models or len(models) > 64 or not all(isinstance(m, str) for m in models):
        raise BadCheckpoint(f"{path} describes no bag: models should be a list of names")
    if segment is not None and not (_number(segment) and 0.1 <= segment <= 600):
        raise BadCheckpoint(f"{path}: segment should be seconds, 0.1 to 600")
    rows = isinstance(weights, list) and all(isinstance(row, list) for row in weights)
    if not rows or not all(_number(weight) and weight >= 0 for row in weights for weight in row):
        raise BadCheckpoint(f"{path}: weights should be a row of numbers for each net")
    return Bag(tuple(models), tuple(tuple(float(weight) for weight in row) for row in weights), segment)


def _file(folder: Path, name: str) -> Path:
    if not re.fullmatch(r"\w[\w .-]{0,100}", name):
        raise BadCheckpoint(f"{name[:80]!r} is no name of a file beside the description of a bag")
    whole = folder / name
    if whole.is_file():
        return checked(whole)
    found = sorted(
        file
        for file in folder.glob("*")
        for suffix in SUFFIXES
        if file.name.endswith(suffix) and re.fullmatch(re.escape(name) + r"(-[0-9a-f]{8})?", file.name[: -len(suffix)])
    )
    if len(found) != 1:
        there = ", ".join(file.name for file in found) or "there is none"
        raise BadCheckpoint(f"{folder} should hold one file {name}.th or {name}-<checksum>.th: {there}")
    return checked(found[0])


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
