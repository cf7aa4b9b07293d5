"""Voices of so-vits-svc 5.0 as they are passed on: a vector (`singer.spk.npy`), a model (`sovits5.0.pth`), indexes.

A model sings with any vector, so that a voice is a vector above all: alone, for a model that is named when it sings, or
together with the model that it was trained for. Indexes are of Whisper's frames and of HuBERT's; their sizes tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.catalog.arrays import read_array
from mynah.catalog.checkpoint import require_numbers, to_safetensors
from mynah.catalog.vectors import read_vectors
from mynah.convert.whisper_vits_svc import published, share
from mynah.convert.whisper_vits_svc.hear import PublishedEars, kind_of
from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.core.errors import BadCheckpoint
from mynah.core.types import Voice
from mynah.core.verbs import Files

BANK_ROWS = 200_000  # of more than that, the original itself keeps a few averages
LOUDEST = 100.0  # no vector of a voice is anywhere near as long
_SIGNS = (published.WAY_IN, "dec.adapter.W_scale.weight")


def recognises(files: Files) -> bool:
    """Whether one of them is a model, or none is any model and one is a vector."""
    return bool(_models(files)) or (
        bool(_vectors(files, PublishedEars.voice)) and not any(isinstance(held, Mapping) for held in files.values())
    )


def adopt(files: Files, into: Path) -> Voice:
    """As `mynah.core.verbs.Adopts.adopt`."""
    models = _models(files)
    net = NetConfig()
    state: dict[str, Tensor] = {}
    about = {"format": "mynah-1", "net": "whisper_vits_svc"}
    if models:
        path = _only(models, "models of so-vits-svc 5.0")
        state = share.singer_in(path)
        net = published.config_of(state, path)
        published.refuse_other_filters(state, path)
        kind_of(net, path)
        require_numbers(state, path)
        about["model"] = _fingerprint(state)
    vectors = _vectors(files, net.voice)
    if not vectors:
        raise BadCheckpoint(
            f"{models[0]}: sings with any voice, and none lies beside it: put the singer's vector (singer.spk.npy, "
            f"{net.voice} numbers) there, or sing with a voice of your own by --weights {models[0].name}"
        )
    chosen = _only(vectors, "vectors of voices")
    vector = read_array(chosen).flatten()
    if not 0 < float(vector.norm()) < LOUDEST:
        raise BadCheckpoint(f"{chosen}: is no vector of a voice (its length is {float(vector.norm()):.3g})")
    bank = _bank([index for index, held in files.items() if held is None], net)
    weights = to_safetensors(state | {published.VECTOR: vector}, into / "weights.safetensors", about)
    return Voice(chosen.name.partition(".")[0], (0.0, 0.0), bank=bank, weights=weights)


def _models(files: Files) -> list[Path]:
    return [path for path, held in files.items() if _is_model(held)]


def _is_model(held: Any) -> bool:
    state = held.get("model_g", held) if isinstance(held, Mapping) else None
    return isinstance(state, Mapping) and all(sign in state for sign in _SIGNS)


def _vectors(files: Files, size: int) -> list[Path]:
    return [
        path for path, held in files.items() if isinstance(held, Tensor) and tuple(held.shape) in ((size,), (1, size))
    ]


def _only(paths: list[Path], what: str) -> Path:
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths[:6])
        raise BadCheckpoint(f"{paths[0]}: is one of {len(paths)} {what} ({names}): give the one that is meant")
    return paths[0]


def _bank(indexes: list[Path], net: NetConfig) -> Tensor | None:
    """Whisper's frames and HuBERT's side by side, or those of one of them alone: `[row, size]`.

    Where there are fewer of one, so many of the other are kept, evenly.
    """
    found: dict[int, tuple[Path, Tensor]] = {}
    for path in indexes:
        vectors = read_vectors(path)
        size = vectors.shape[1]
        if not len(vectors):
            continue
        if size not in (net.words, net.sounds):
            raise BadCheckpoint(
                f"{path}: holds vectors of {size} numbers, and the model hears {net.words} and {net.sounds}: it is of "
                "another model"
            )
        if size in found:
            raise BadCheckpoint(
                f"{path}: is a second index beside {found[size][0].name}: give those of one singer alone"
            )
        found[size] = (path, vectors)
    if not found:
        return None
    rows = min(BANK_ROWS, *(len(vectors) for _, vectors in found.values()))
    kept = [_thinned(found[size][1], rows) for size in (net.words, net.sounds) if size in found]
    return torch.cat(kept, 1)


def _thinned(rows: Tensor, count: int) -> Tensor:
    if len(rows) == count:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()]


def _fingerprint(state: Mapping[str, Tensor]) -> str:
    """Of a model, by which voices that bring the same one are found."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]
