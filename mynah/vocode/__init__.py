"""Vocode: make sound of mel spectrograms, as speakers and many converters write them.

The folder holds one system per file; the module itself can be called, so that `mynah.vocode("talk.wav")` sounds a
recording through a mel spectrogram. `vocoder` is for whoever has spectrograms. Importing it is cheap: torch and the
system come in with the first call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from mynah.core.types import Audio
    from mynah.core.verbs import Vocodes
    from mynah.features.mel import MelFormat

DEFAULT = "griffin_lim"


def vocode(
    recording: Audio | Path | str,
    *,
    system: str | None = None,
    weights: Path | str = "default",
    device: str = "cpu",
    progress: Callable[[float], None] = lambda fraction: None,
    **options: Any,
) -> Audio:
    """What becomes of a recording on the way to a mel spectrogram and back: how good a vocoder is.

    Args:
        recording: Sound, or the file that it is in.
        system: One of the files of this folder; loaded at the first call and kept. By default the one whose the weights
            are, or Griffin-Lim where none are named.
        weights: Their file or folder.
        device: Where the nets run, as torch calls it.
        progress: Told the fraction that is done, by systems that can tell.
        options: By name, as `mynah vocode --help` lists them; what is not given keeps its default.

    Returns:
        One channel, as long, at the rate of the vocoder.

    Raises:
        UnknownSystem: No such system.
        BadAudio: The recording is empty, or cannot be read.
        BadCheckpoint: The weights are damaged, or of something else.
        BadOption: One line for each option that does not exist or is out of bounds; or there are no such weights.
    """
    from mynah.audio.files import read
    from mynah.core.registry import find, full
    from mynah.core.verbs import options_of

    named = system_of(Path(weights)) if system is None and weights != "default" else system or DEFAULT
    name = full(named, "vocode")
    chosen = options_of(find(name), "vocode").of(**options)
    sound = read(recording) if isinstance(recording, Path | str) else recording
    return sounded(loaded(name, device, str(weights)), sound, chosen, progress=progress)


def sounded(
    engine: Any, sound: Audio, options: Any = None, *, progress: Callable[[float], None] = lambda fraction: None
) -> Audio:
    """What a loaded system makes of a recording, and how far it is where it can tell."""
    told = {"progress": progress} if "progress" in signature(engine.vocode).parameters else {}
    made: Audio = engine.vocode(sound, options, **told)
    progress(1.0)
    return made


def vocoder(place: Path | str = DEFAULT, format: MelFormat | None = None, *, device: str = "cpu") -> Vocodes[Any]:
    """Whoever makes sound of mel spectrograms.

    Args:
        place: A system that needs no weights, such as `"griffin_lim"`, or a file or folder with weights; the system
            that recognises them is taken. `SYSTEM=PLACE` says which.
        format: Of the mel spectrograms that will come; by default the vocoder's own.
        device: Where the nets run, as torch calls it.

    Raises:
        BadOption: Neither a system nor a place; or nobody recognises what is there; or the vocoder means something
            else by a mel spectrogram than `format`.
        BadCheckpoint: The weights are damaged.
    """
    from mynah.core.errors import BadOption

    engine = _vocoder(str(place), format, device)
    if format is None or engine.format == format:
        return engine
    if differs := format.misfit(engine.format):
        raise BadOption(f"{place} makes sound of other mel spectrograms than are to come: {differs}; take another one")
    return Fitted(engine, format)


class Fitted:
    """A vocoder for mel spectrograms that differ from its own in scale or framing only.

    Args:
        engine: The vocoder.
        format: Of what will come.
    """

    def __init__(self, engine: Vocodes[Any], format: MelFormat) -> None:
        self.engine, self.format = engine, format

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """Never: whoever is fitted has been found already."""
        return False

    def wave(self, mel: Tensor, *, seed: int = 0) -> Tensor:
        """As the engine does."""
        return self.engine.wave(self.format.to(self.engine.format, mel), seed=seed)

    def vocode(self, source: Audio, options: Any = None) -> Audio:
        """As the engine does."""
        return self.engine.vocode(source, options)


def _vocoder(place: str, format: MelFormat | None, device: str) -> Any:
    from mynah.core.registry import find, full, names

    system, told, weights = place.partition("=")
    if full(system, "vocode") in names():
        kind = find(full(system, "vocode"))
        fit = {"format": format} if format and "format" in signature(kind.load).parameters else {}
        return kind.load(weights if told else "default", device=device, **fit)
    return loaded(system_of(Path(place)), device, place)


def system_of(weights: Path) -> str:
    """The system, such as `vocode/...`, that recognises a file or a folder.

    Raises:
        BadOption: There is nothing, or nobody recognises it.
    """
    from mynah.core.errors import BadOption
    from mynah.core.registry import find, names

    path, known = weights.expanduser(), [name for name in names() if name.startswith("vocode/")]
    if not path.exists():
        raise BadOption(f"no vocoder {str(weights)!r}: neither a file, a folder, nor one of {', '.join(known)}")
    for name in known:
        vocodes: Any = find(name)
        if vocodes.recognises(path):
            return name
    raise BadOption(f"{weights} is nothing that a vocoder here knows: there are {', '.join(known)}")


@lru_cache(maxsize=2)
def loaded(name: str, device: str = "cpu", weights: str = "default") -> Any:
    """A system such as `vocode/...`, loaded at the first call and kept."""
    from mynah.core.registry import find

    return find(name).load(weights, device=device)


class _Vocode(ModuleType):
    """The folder of vocoders, which can itself be called."""

    @staticmethod
    def __call__(recording: Audio | Path | str, **named: Any) -> Audio:
        return vocode(recording, **named)


_Vocode.__call__.__doc__ = vocode.__doc__
sys.modules[__name__].__class__ = _Vocode
