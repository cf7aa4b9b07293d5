"""What makes two voices, or two systems, the same: hashes of what is in them, never of what they are called."""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.catalog.weights import sha256

if TYPE_CHECKING:
    from torch import Tensor

    from mynah.core.system import System
    from mynah.core.types import Voice


def of_voice(voice: Voice) -> str:
    """The sha256 of all that a converter may look at, in hexadecimal."""
    digest = hashlib.sha256()
    about = [voice.range_hz, voice.encoder, voice.system, sha256(voice.weights) if voice.weights else ""]
    digest.update(json.dumps([*about, [clip.rate for clip in voice.clips]]).encode())
    for tensor in (voice.embedding, voice.bank, *(clip.samples for clip in voice.clips)):
        digest.update(_bytes(tensor))
    return digest.hexdigest()


@lru_cache(maxsize=8)
def of_system(name: str, system: type[System[Any]]) -> str:
    """The sha256 of a system's name, its parameters' checksums and its source, in hexadecimal."""
    weights = {name: weights.sha256 for name, weights in system.card.weights.items()}
    digest = hashlib.sha256(json.dumps([name, weights], sort_keys=True).encode())
    try:
        home = Path(inspect.getfile(system))
    except (OSError, TypeError):  # made in a running program
        return digest.hexdigest()
    for file in sorted(home.parent.rglob("*.py")) if home.name == "__init__.py" else [home]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _bytes(tensor: Tensor | None) -> bytes:
    if tensor is None:
        return b"none"
    return str(list(tensor.shape)).encode() + tensor.detach().cpu().contiguous().numpy().tobytes()
