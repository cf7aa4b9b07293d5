"""The three parts of SV2TTS on disk: encoder, synthesizer and vocoder, as Real-Time Voice Cloning lays them out.

A folder with `encoder.pt`, `synthesizer.pt` and `vocoder.pt`; the older tree, in which each part's `pretrained.pt` has
a folder of its own; a synthesizer alone; or our own safetensors by the same names. Folders of the synthesizer of
TensorFlow, before 2021, are told apart and refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from mynah.catalog.checkpoint import filled, load_foreign, load_strict
from mynah.core.errors import BadCheckpoint
from mynah.features.ge2e import GE2E, SIZE
from mynah.speak.sv2tts.net import Config, Synthesizer
from mynah.speak.sv2tts.text import SYMBOLS

EPSILON = 1e-5  # added to the length of a vector before it is divided by that
STEP = 80  # mel frames from one window of the encoder to the next
_NAMES = {
    part: (f"{part}.safetensors", f"{part}.pt", f"{part}/saved_models/pretrained.pt", *older)
    for part, older in {
        "encoder": ("encoder/saved_models/pretrained/pretrained.pt",),
        "synthesizer": ("synthesizer/saved_models/pretrained/pretrained.pt",),
        "vocoder": ("vocoder/saved_models/pretrained/pretrained.pt", "wave_rnn.safetensors"),
    }.items()
}
_TENSORFLOW = ("logs-pretrained", "taco_pretrained", "tacotron_model.ckpt*", "*.ckpt-*.index", "*.ckpt.index")
_MOST = 8192  # channels of a layer


@dataclass(frozen=True)
class Parts:
    """Where the parts lie; None for one that is not there."""

    synthesizer: Path
    encoder: Path | None
    vocoder: Path | None


def parts_of(place: Path) -> Parts:
    """The parts in a folder, or a synthesizer alone.

    Raises:
        BadCheckpoint: No synthesizer, or one of TensorFlow.
    """
    if not place.is_dir():
        return Parts(place, None, None)
    found = {
        part: next((place / name for name in names if (place / name).is_file()), None) for part, names in _NAMES.items()
    }
    if (synthesizer := found["synthesizer"]) is None:
        if _is_tensorflow(place):
            _refuse(
                place,
                "is a synthesizer of TensorFlow, as it was until 2021, which later versions cannot read either: take "
                "synthesizer.pt of huggingface.co/CorentinJ/SV2TTS",
            )
        _refuse(place, "holds no synthesizer.pt (or synthesizer.safetensors)")
    return Parts(synthesizer, found["encoder"], found["vocoder"])


def synthesizer_of(path: Path) -> Synthesizer:
    """Ready to speak.

    Raises:
        BadCheckpoint: Damaged, hostile, of a fork with other sizes, or something else.
    """
    state = _state(path)
    if "encoder.embedding.weight" not in state or "decoder.attn_net.v.weight" not in state:
        what = "an encoder" if "lstm.weight_ih_l0" in state else "a vocoder" if "rnn2.weight_hh_l0" in state else ""
        _refuse(path, f"is {what} of SV2TTS and no synthesizer" if what else "holds no synthesizer of SV2TTS")
    config = config_of(state, path)
    net = filled(lambda: Synthesizer(config), state, str(path))
    if not 1 <= int(net.decoder.r) <= 20:
        _refuse(path, f"says {int(net.decoder.r)} frames in a step; a decoder of SV2TTS can say 1 to 20")
    return net.eval().requires_grad_(False)


def encoder_of(path: Path) -> GE2E:
    """Ready to hear voices.

    Raises:
        BadCheckpoint: Damaged, hostile or something else.
    """
    state = {name: value for name, value in _state(path).items() if not name.startswith("similarity_")}
    if state.keys() != GE2E().state_dict().keys():
        _refuse(path, "holds no encoder of SV2TTS (three recurrent layers and one behind them)")
    net = GE2E(epsilon=EPSILON)
    load_strict(net, state, str(path))
    return net.eval().requires_grad_(False)


def config_of(state: Mapping[str, Tensor], where: object) -> Config:
    """Sizes of a synthesizer, by shapes.

    Raises:
        BadCheckpoint: It reads other symbols, hears other voices, or is of a fork with style tokens.
    """
    if any(name.startswith(("gst.", "encoder.gst.")) for name in state):
        _refuse(where, "has style tokens (GST), as MockingBird added them; a synthesizer of SV2TTS has none")
    try:
        symbols, letter = state["encoder.embedding.weight"].shape
        attention, text = state["encoder_proj.weight"].shape
        reading = state["encoder.pre_net.fc2.weight"].shape[0]
        finish = state["post_proj.weight"].shape[1]
        bands, units = state["post_proj.weight"].shape[0], state["decoder.mel_proj.weight"].shape[1]
    except (KeyError, ValueError, IndexError):
        _refuse(where, "holds no synthesizer of SV2TTS")
    voice = text - reading
    if voice == 3 * SIZE:
        _refuse(
            where,
            f"has room for {voice} numbers beside every letter, as forks with style tokens (MockingBird) have; "
            f"SV2TTS has {SIZE}",
        )
    if symbols != len(SYMBOLS):
        _refuse(where, f"reads {symbols} symbols where SV2TTS has {len(SYMBOLS)}: it was trained for other texts")
    kernels, highways = (
        len({name.removeprefix(start).partition(".")[0] for name in state if name.startswith(start)})
        for start in ("encoder.cbhg.conv1d_bank.", "encoder.cbhg.highways.")
    )
    config = Config(letter, reading, attention, units, finish, kernels, highways, voice, bands)
    if not all(1 <= size <= _MOST for size in vars(config).values()) or reading % 2 or finish % 2:
        _refuse(where, "has sizes out of bounds")
    return config


def _state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file."""
    if path.suffix in (".index", ".meta") or ".ckpt" in path.name:
        _refuse(path, "is a part of a synthesizer of TensorFlow, as it was until 2021: take a synthesizer.pt")
    held: Any = load_foreign(path)
    if isinstance(held.get("model_state"), Mapping):
        held = held["model_state"]
    return {str(name): value for name, value in held.items() if isinstance(value, Tensor)}


def _is_tensorflow(place: Path) -> bool:
    # Not all the way down: somebody may have named a home folder.
    names = (f"{above}{name}" for name in _TENSORFLOW for above in ("", "*/", "*/*/"))
    return any(next(place.glob(name), None) is not None for name in names)


def _refuse(where: object, why: str) -> NoReturn:
    raise BadCheckpoint(f"{where}: {why}")
