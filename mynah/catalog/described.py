"""What files say of themselves: the metadata of safetensors, and JSON that lies beside weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mynah.catalog.header import read_header
from mynah.core.errors import BadCheckpoint


def metadata(path: Path) -> dict[str, str]:
    """Of a safetensors file; nothing where it is none."""
    try:
        return read_header(path).metadata
    except BadCheckpoint:
        return {}  # a torch file


def text(path: Path) -> str:
    """Of a file.

    Raises:
        BadCheckpoint: It cannot be read, or is no text.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadCheckpoint(f"{path}: cannot be read: {error}") from None


def parsed(said: str, where: object) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BadCheckpoint: It is none; names `where`.

    Example:

        >>> parsed('{"layers": 4}', "hparams.json")
        {'layers': 4}
        >>> parsed("[]", "hparams.json")
        Traceback (most recent call last):
        mynah.core.errors.BadCheckpoint: hparams.json: its description is no JSON object
    """
    try:
        told = json.loads(said)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadCheckpoint(f"{where}: its description is no JSON object")
    return told
