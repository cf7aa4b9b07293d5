"""Where the published ears are: which file each of the three nets is read from, and what to bring when it is missing.

A net is named by its size (`large-v2`) or by a place: a file, or a folder in the layout of Hugging Face. What lies in
the folder of ears is taken first, then what can be fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, outline
from mynah.catalog.home import home
from mynah.catalog.weights import fetch, sha256
from mynah.core.errors import BadCheckpoint, BadOption, Offline
from mynah.core.system import Weights
from mynah.features import contentvec, hubert, mozilla_speaker, whisper

FILES = ("model.safetensors", "pytorch_model.bin")  # of a folder in the layout of Hugging Face
SUFFIXES = (".pt", ".safetensors", ".bin")
SIZES = {"tiny": 384, "base": 512, "small": 768, "medium": 1024, "large-v1": 1280, "large-v2": 1280}
_SHA256 = {
    "tiny": "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    "base": "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    "small": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    "medium": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    "large-v1": "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a",
    "large-v2": "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
}
# Bounds, because nobody published the sizes.
_BYTES = {
    "tiny": 80 << 20,
    "base": 160 << 20,
    "small": 520 << 20,
    "medium": 1600 << 20,
    "large-v1": 3_100_000_000,
    "large-v2": 3_100_000_000,
}


@dataclass(frozen=True)
class Choice:
    """What to hear with.

    Attributes:
        whisper: A size that was published, or a place.
        hubert: A place of soft HuBERT; empty for the published one.
        speaker: A file with the encoder of Mozilla's TTS; empty for where it belongs.
    """

    whisper: str = "large-v2"
    hubert: str = ""
    speaker: str = ""


def choice_of(told: Sequence[str]) -> Choice | None:
    """What was asked for: nothing or `house` for the ears of this house, else `published`, or parts of it by name.

    Raises:
        BadOption: Not to be understood.

    Example:

        >>> choice_of(["whisper=medium"])
        Choice(whisper='medium', hubert='', speaker='')
        >>> choice_of(["house"]), choice_of(["published"]) == Choice()
        (None, True)
    """
    named = [field.name for field in fields(Choice)]
    given: dict[str, str] = {}
    for text in told:
        name, equals, place = text.partition("=")
        if not equals and text in ("house", "published"):
            continue
        if name not in named or not place or name in given:
            raise BadOption(
                f"--ears {text!r} cannot be understood: it is house, published, or once each "
                + ", ".join(f"{name}=PLACE" for name in named)
            )
        given[name] = place
    if "house" in told and (given or "published" in told):
        raise BadOption("--ears house goes with no other --ears: they are either of this house or published ones")
    return Choice(**given) if given or "published" in told else None


def folder() -> Path:
    """Where files that somebody brought are looked for: `whisper-medium.pt`, or a folder `whisper-medium`."""
    return home() / "ears"


def whisper_file(spec: str) -> Path:
    """The file behind the name of a size, or a place.

    Raises:
        BadOption: Neither.
        Offline: It is not here, and cannot be fetched; the message says what to bring.
    """
    if spec not in SIZES:
        return _lying(Path(spec).expanduser(), f"a size of Whisper ({', '.join(SIZES)})")
    if found := _brought(f"whisper-{spec}"):
        return found
    source = f"https://openaipublic.azureedge.net/main/whisper/models/{_SHA256[spec]}/{spec}.pt"
    return _fetched(Weights(source, _SHA256[spec], _BYTES[spec], "MIT"), f"whisper-{spec}")


def hubert_file(spec: str) -> Path:
    """The file of soft HuBERT.

    Raises:
        BadOption: There is nothing at that place.
        Offline: As for `whisper_file`.
    """
    if spec:
        return _lying(Path(spec).expanduser(), "a place of soft HuBERT")
    return _brought("hubert-soft") or _fetched(hubert.PUBLISHED[hubert.DEFAULT], "hubert-soft")


def speaker_file(spec: str) -> Path:
    """The file of the voice encoder.

    Raises:
        BadOption: There is nothing at that place.
        Offline: It is not here; the message says what to bring.
    """
    if not spec:
        return mozilla_speaker.place()
    return _lying(Path(spec).expanduser(), "a place of the voice encoder")


def whisper_width(path: Path) -> int:
    """Numbers of a frame of an encoder, read off the shapes in its file.

    Raises:
        BadCheckpoint: It holds no Whisper encoder.
    """
    try:
        return int(whisper.remap(_tensors(outline(path)))["conv1.weight"].shape[0])
    except (KeyError, IndexError) as error:
        raise BadCheckpoint(f"{path}: holds no Whisper encoder (no conv1)") from error


def trimmed(checkpoint: Mapping[str, Any], what: str) -> whisper.WhisperEncoder:
    """An encoder of any size without the last quarter of its blocks, where words are already more than sounds.

    Raises:
        BadCheckpoint: It is not a Whisper encoder; `what` is named in the message.
    """
    state = whisper.remap(_tensors(checkpoint))
    number = {name: int(found[1]) for name in state if (found := re.match(r"blocks\.(\d+)\.", name))}
    count = len(set(number.values()))
    kept = {f"encoder.{name}": value for name, value in state.items() if number.get(name, 0) < count - count // 4}
    return whisper.from_state(kept, what)


def soft_hubert(path: Path) -> hubert.Hubert:
    """Soft HuBERT in the layout of bshall/hubert, or of Hugging Face with its projection.

    Raises:
        BadCheckpoint: Damaged, hostile, or another net.
    """
    state = {name.removeprefix("module."): value for name, value in _tensors(load_foreign(path)).items()}
    theirs = {name.removeprefix("hubert.") for name in state}
    if "feature_projection.layer_norm.weight" in theirs:
        if not theirs & {"final_proj.weight", "proj.weight"}:
            raise BadCheckpoint(f"{path}: is a HuBERT without the projection that makes soft units; bring hubert-soft")
        state = contentvec.remap(state, path)
    return hubert.from_state(state, str(path))


def named(*paths: Path) -> str:
    """A name for what is heard with these files: what was heard with others is not taken for it."""
    return "-".join(sha256(path)[:8] for path in paths)


def _tensors(held: Any) -> dict[str, Tensor]:
    """Those of a checkpoint's one state, which some lie one level deeper."""
    nested = held.get("model_state_dict", held) if isinstance(held, Mapping) else {}
    return {name: value for name, value in nested.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _lying(place: Path, kind: str) -> Path:
    found = _inside(place)
    if found is None:
        inside = f" (a folder needs {' or '.join(FILES)})" if place.is_dir() else ""
        raise BadOption(f"{place} is neither a file nor {kind}{inside}")
    return found


def _inside(place: Path) -> Path | None:
    candidates = [place / name for name in FILES] if place.is_dir() else [place]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _brought(name: str) -> Path | None:
    places = [folder() / name, *(folder() / f"{name}{suffix}" for suffix in SUFFIXES)]
    return next((found for place in places if (found := _inside(place))), None)


def _fetched(weights: Weights, name: str) -> Path:
    try:
        return fetch(weights)
    except Offline as error:
        raise Offline(f"{error}; or as a folder in the layout of Hugging Face at {folder() / name}") from error
