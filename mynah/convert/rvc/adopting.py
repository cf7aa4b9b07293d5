"""Voices of RVC and Applio as they are passed on: one model, with an index or without, among other files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.catalog.vectors import read_vectors
from mynah.convert.rvc import published
from mynah.core.errors import BadCheckpoint
from mynah.core.types import Voice
from mynah.core.verbs import Files

# A voice is told by these: the content's way in, with what is wide about the prior, and the table of voices.
_SIGNS = ("enc_p.emb_phone.weight", "emb_g.weight")
BANK_ROWS = 200_000  # the original itself keeps no more


def recognises(files: Files) -> bool:
    """Whether one of them is a model of RVC."""
    return bool(_models(files))


def adopt(files: Files, into: Path) -> Voice:
    """As `mynah.core.verbs.Adopts.adopt`."""
    models = _models(files)
    # Beside the voice that was meant to be shared often lies the training run that it came from.
    chosen = [path for path in models if "weight" in files[path]] or models
    path = chosen[0]
    if len(chosen) > 1:
        names = ", ".join(each.name for each in chosen[:6])
        raise BadCheckpoint(f"{path}: is one of {len(chosen)} models of RVC ({names}): give the one that is meant")
    weights = published.converted(path, into / "weights.safetensors", training=False)
    heard = published.read(weights).config.words
    bank = _bank([index for index, held in files.items() if held is None], heard)
    return Voice(path.stem, (0.0, 0.0), bank=bank, weights=weights)


def _models(files: Files) -> list[Path]:
    return [path for path, held in files.items() if _is_model(held)]


def _is_model(held: Any) -> bool:
    if not isinstance(held, Mapping):
        return False
    for state in (held.get("weight"), held.get("model"), held):
        if isinstance(state, Mapping):
            names = {key.removeprefix("module.") for key in state if isinstance(key, str)}
            if all(sign in names for sign in _SIGNS):
                return True
    return False


def _bank(indexes: list[Path], size: int) -> Tensor | None:
    """The vectors of the one index that has any; of more than the original keeps, every so many."""
    filled = {path: vectors for path in indexes if len(vectors := read_vectors(path))}
    if not filled:
        return None
    path, vectors = next(iter(filled.items()))
    if len(filled) > 1:
        names = ", ".join(each.name for each in filled)
        raise BadCheckpoint(f"{path}: is one of {len(filled)} indexes ({names}): give the one that is meant alone")
    if vectors.shape[1] != size:
        raise BadCheckpoint(
            f"{path}: holds vectors of {vectors.shape[1]} numbers, and the model hears {size}: it is of another model"
        )
    if len(vectors) <= BANK_ROWS:
        return vectors
    return vectors[torch.linspace(0, len(vectors) - 1, BANK_ROWS, dtype=torch.float64).round().long()]
