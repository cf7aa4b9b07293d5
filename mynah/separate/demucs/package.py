"""Published Demucs files read into plain descriptions: which net it is, how it is built, and its weights.

Every version has a layout of its own: the first a gzipped tuple that begins with a class, the second a bare state or
compressed quantised one, the third and fourth a dictionary with the class, its arguments and half-precision weights,
and the package's later files the same as safetensors. No class is looked up and nothing that a file says is run.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from mynah.catalog.checkpoint import load_safetensors, load_tree
from mynah.catalog.header import read_header
from mynah.catalog.limits import Limits
from mynah.catalog.packed import unpacked
from mynah.catalog.pickles import Foreign
from mynah.core.errors import BadCheckpoint

STEMS = ("drums", "bass", "other", "vocals")
CLASSES = {
    "demucs.model.Demucs": "waveform",
    "demucs.demucs.Demucs": "time",
    "demucs.hdemucs.HDemucs": "hybrid",
    "demucs.wdemucs.WDemucs": "hybrid",
    "demucs.htdemucs.HTDemucs": "transformer",
}
FIRST = (
    *("sources", "audio_channels", "channels", "depth", "rewrite", "glu", "upsample", "rescale", "kernel_size"),
    *("stride", "growth", "lstm_layers", "context", "samplerate"),
)
SECOND = (
    *("sources", "audio_channels", "channels", "depth", "rewrite", "glu", "rescale", "resample", "kernel_size"),
    *("stride", "growth", "lstm_layers", "context", "normalize", "samplerate", "segment_length"),
)
# Larger nets than anybody ever published are refused before they are built.
MOST = {
    "depth": 12, "growth": 8, "channels": 4096, "channels_time": 4096, "bottom_channels": 8192, "nfft": 1 << 16,
    "kernel_size": 256, "stride": 256, "time_stride": 256, "context": 64, "context_enc": 64, "lstm_layers": 8,
    "dconv_depth": 16, "t_layers": 64, "t_heads": 64, "t_hidden_scale": 64, "t_max_positions": 1 << 20,
    "multi_freqs_depth": 12, "audio_channels": 2, "samplerate": 400_000, "segment": 3600,
}  # fmt: skip
LEAST = {"samplerate": 4000, "segment": 0.05, "audio_channels": 1, "kernel_size": 1, "stride": 1, "channels": 1}
_TEXT = 200  # characters of a setting


@dataclass(frozen=True)
class Package:
    """What a file describes.

    Attributes:
        kind: `"waveform"` (first and second version), `"time"`, `"hybrid"` or `"transformer"`.
        settings: What the net is built from, by name; plain values and fractions.
        state: Its weights by name; or, with the key `"quantized"`, what a quantiser made of them.
        arguments: Settings without a name, the first of which are the stems; only where the class names the rest.
    """

    kind: str
    settings: dict[str, Any]
    state: dict[str, Any]
    arguments: tuple[Any, ...] = ()


def read(path: Path) -> Package:
    """The net that a published file holds.

    Raises:
        BadCheckpoint: Damaged, hostile, or no Demucs.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from error
    try:
        if head[8:] == b"{":
            return _of_safetensors(path)
        loaded = load_tree(path)
        if isinstance(loaded, tuple | list):
            return _of_tuple(loaded)
        if isinstance(loaded, dict) and "klass" in loaded:
            return _of_class(loaded)
        return _of_state(loaded)
    except BadCheckpoint as error:
        if str(error).startswith(str(path)):
            raise
        raise BadCheckpoint(f"{path}: {error}") from error


def _of_tuple(loaded: Sequence[Any]) -> Package:
    """The first version: class, arguments, named arguments, state."""
    if len(loaded) != 4 or kind_of(loaded[0]) != "waveform" or not isinstance(loaded[1], tuple | list):
        _refuse("it is no Demucs")
    settings = dict(zip(FIRST, loaded[1], strict=False)) | _named(loaded[2])
    return Package("waveform", checked({"segment": 10} | settings), _plain_state(loaded[3]))


def _of_class(loaded: Mapping[Any, Any]) -> Package:
    """The second version, trained by oneself, and all later ones."""
    kind, given, named = kind_of(loaded["klass"]), loaded.get("args", ()), _named(loaded.get("kwargs", {}))
    if not isinstance(given, tuple | list):
        _refuse("its arguments are no list")
    state = loaded.get("state")
    if not isinstance(state, dict):
        _refuse("it holds no weights")
    if kind == "waveform":
        settings = {"resample": True} | dict(zip(SECOND, given, strict=False)) | named
        if set(state) == {"compressed"}:
            return Package(kind, checked(settings), _decompressed(state["compressed"], loaded.get("training_args")))
        return Package(kind, checked(settings), _plain_state(state))
    state = state if state.get("__quantized") or "quantized" in state else _plain_state(state)
    return Package(kind, checked(named), state, tuple(_plain(value) for value in given))


def _of_state(loaded: Any) -> Package:
    """The second version as published: weights alone, so that their shapes have to say how the net is built."""
    if isinstance(loaded, dict) and set(loaded) == {"compressed"}:
        # Published once, as demucs_quantized, at the default size.
        return Package("waveform", checked({"sources": STEMS, "resample": True}), _decompressed(loaded["compressed"]))
    state = _plain_state(loaded)
    depth = len({name.split(".")[1] for name in state if re.fullmatch(r"encoder\.\d+\.0\.weight", name)})
    first, last = state.get("encoder.0.0.weight"), state.get(f"decoder.{depth - 1}.2.weight")
    context = state.get("decoder.0.0.weight")
    if first is None or last is None or context is None or not first.ndim == last.ndim == context.ndim == 3:
        _refuse("it holds weights alone, and not those of the second Demucs: bring the file that describes its net")
    layers = sum(1 for name in state if re.fullmatch(r"lstm\.lstm\.weight_ih_l\d+", name))
    stems, over = divmod(last.shape[1], max(1, first.shape[1]))
    settings = {
        "sources": STEMS if stems == 4 else stems,
        "audio_channels": 0 if over else first.shape[1],
        "channels": first.shape[0],
        "kernel_size": first.shape[2],
        "context": context.shape[2],
        "depth": depth,
        "lstm_layers": layers,
        "resample": True,
    }
    return Package("waveform", checked(settings), state)


def _of_safetensors(path: Path) -> Package:
    """What the package keeps on the hub since 4.1, and what our own recipe exports."""
    about, tensors = read_header(path).metadata, load_safetensors(path)
    try:
        given, named = (
            _of_json(json.loads(about.get(name, empty))) for name, empty in (("args", "[]"), ("kwargs", "{}"))
        )
        structure = json.loads(about["structure"]) if "structure" in about else None
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint("what it says about its net is no JSON") from error
    if "klass" not in about:
        return _of_state(tensors)
    state: Any = tensors if structure is None else _restored(structure, tensors)
    return _of_class({"klass": Foreign(about["klass"]), "args": given, "kwargs": named, "state": state})


def kind_of(named: Any) -> str:
    """Which net a class is.

    Raises:
        BadCheckpoint: None of ours.
    """
    name = named.name if isinstance(named, Foreign) else ""
    if name not in CLASSES:
        _refuse(f"it holds the net {name[:80] or 'of an unknown class'}, which is no Demucs")
    return CLASSES[name]


def _named(settings: Any) -> dict[str, Any]:
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        _refuse("its named arguments are no dictionary")
    return settings


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain values within bounds, under the names that our nets and the package's know.

    Raises:
        BadCheckpoint: No published net has such.
    """
    known = {name: _plain(value) for name, value in settings.items()}
    for name, value in known.items():
        if name not in MOST or value is None:
            continue
        if not isinstance(value, int | float | Fraction) or not LEAST.get(name, 0) <= value <= MOST[name]:
            _refuse(f"it describes a net with {name} {str(value)[:40]!r}, which no published one has")
    if "segment_length" in known:
        samples = known.pop("segment_length")
        rate = known.get("samplerate", 44_100)
        return checked(known | {"segment": samples / rate if isinstance(samples, int) and rate else samples})
    if isinstance(known.get("sources"), int):
        count = known["sources"]
        known["sources"] = STEMS if count == 4 else [f"stem{number}" for number in range(1, min(count, 65) + 1)]
    if "sources" in known:
        known["sources"] = stems_of(known["sources"])
    return known


def stems_of(value: Any) -> list[str]:
    """Names of stems.

    Raises:
        BadCheckpoint: They are none, or cannot name files.
    """
    named = isinstance(value, tuple | list) and all(
        isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w -]{0,40}", name) for name in value
    )
    if not named or not 1 <= len(value) <= 64 or len(set(value)) != len(value):
        _refuse("its stems have no proper names")
    return list(value)


def _plain(value: Any, depth: int = 0) -> Any:
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int) and abs(value) < 1 << 31:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and len(value) <= _TEXT:
        return value
    if isinstance(value, Fraction):
        return value
    if isinstance(value, Foreign) and value.name == "fractions.Fraction":
        return _fraction(value.args)
    if isinstance(value, tuple | list) and len(value) <= 64 and depth < 3:
        return [_plain(part, depth + 1) for part in value]
    _refuse("its net is described by something that is no plain value")


def _fraction(args: Sequence[Any]) -> Fraction:
    if len(args) == 1 and isinstance(args[0], str) and re.fullmatch(r"\d{1,9}(/[1-9]\d{0,8})?", args[0]):
        return Fraction(args[0])
    if len(args) == 2 and all(type(part) is int and 0 <= part < 10**9 for part in args) and args[1]:
        return Fraction(args[0], args[1])
    _refuse("its net is described by something that is no fraction")


def _plain_state(state: Any) -> dict[str, Tensor]:
    if not isinstance(state, dict) or not state:
        _refuse("it holds no weights")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or not value.is_floating_point():
            _refuse(f"its weights hold {str(name)[:80]!r}, which is no weight")
    return state


def _decompressed(packed: Any, training: Any = None) -> dict[str, Any]:
    """The second version's quantised state: a torch file within the file."""
    if not isinstance(packed, bytes):
        _refuse("its compressed weights are no bytes")
    with unpacked(io.BytesIO(packed), len(packed), Limits()) as path:
        try:
            state = load_tree(path)
        except BadCheckpoint as error:
            _refuse(f"its compressed weights cannot be read{str(error).removeprefix(str(path))}")
    if not isinstance(state, dict) or "quantized" not in state:
        _refuse("its compressed weights are no quantised ones")
    asked = training.state if isinstance(training, Foreign) and isinstance(training.state, dict) else {}
    settings = {"min_size": asked.get("q_min_size", 1), "group_size": 8, "bits": asked.get("qat") or 8}
    return {"meta": {"init_kwargs": settings, "packed": False}} | state


def _of_json(value: Any) -> Any:
    if isinstance(value, dict) and value.get("_type") == "fraction":
        return _fraction((value.get("numerator"), value.get("denominator")))
    if isinstance(value, dict):
        return {name: _of_json(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_of_json(part) for part in value]
    return value


def _restored(node: Any, tensors: Mapping[str, Tensor], depth: int = 0) -> Any:
    """A nested state from the flat one of safetensors and the description beside it."""
    if not isinstance(node, dict):
        return node
    what, inner = next(iter(node.items())) if len(node) == 1 and depth <= 20 else ("", None)
    if what == "_tensor" and isinstance(inner, str) and inner in tensors:
        return tensors[inner]
    if what == "_dict" and isinstance(inner, list) and all(isinstance(p, list) and len(p) == 2 for p in inner):
        return {str(name): _restored(part, tensors, depth + 1) for name, part in inner}
    if what in ("_list", "_tuple") and isinstance(inner, list):
        parts = [_restored(part, tensors, depth + 1) for part in inner]
        return parts if what == "_list" else tuple(parts)
    if what == "_class":
        return Foreign(str(inner))
    _refuse("the structure of its weights is malformed")


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)
