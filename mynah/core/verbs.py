"""What a system can do: one protocol for each verb, spoken in the third person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, get_args, get_type_hints, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from mynah.core.errors import BadOption
from mynah.core.types import Audio, Stems, Transcript, Voice

if TYPE_CHECKING:
    from torch import Tensor

    from mynah.features.mel import MelFormat

VERBS = ("separate", "convert", "speak", "sing", "transcribe", "translate", "compose", "converse", "classify", "vocode")


class Options(BaseModel):
    """Knobs of one system, declared once: flags, sliders and the HTTP schema are generated from here.

    Every field has a description and a default, every number has bounds, and `json_schema_extra={"unit": "semitones"}`
    says what it is in. `json_schema_extra={"place": True}` belongs to a text that can mean a file of this machine: a
    server lets strangers say nothing but names of systems there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of(cls, **values: Any) -> Self:
        """The options that a person chose; what is not named keeps its default.

        Raises:
            BadOption: One line for each value that is out of bounds and each name that does not exist.

        Example:

            >>> class Knobs(Options):
            ...     gain: float = 1.0
            >>> Knobs.of(gain=2)
            Knobs(gain=2.0)
            >>> Knobs.of(bass=3)
            Traceback (most recent call last):
            mynah.core.errors.BadOption: there is no option 'bass': choose among gain
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise BadOption("\n".join(dict.fromkeys(map(cls._complaint, error.errors())))) from None

    @classmethod
    def _complaint(cls, problem: Any) -> str:
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if problem["type"] == "extra_forbidden":
            return f"there is no option {name!r}: choose among {', '.join(cls.model_fields)}"
        message = problem["msg"][:1].lower() + problem["msg"][1:]
        return f"{name}: {message}, not {problem['input']!r}" if name else message


AnyOptions = TypeVar("AnyOptions", bound=Options, contravariant=True)


Blocks = Callable[[], Iterator[Audio]]
"""A recording that can be opened as often as needed: its sound from the beginning, in blocks of one rate."""


@runtime_checkable
class Separates(Protocol[AnyOptions]):
    """Takes a mix apart. `stems` names the parts, in the system's own order."""

    @property
    def stems(self) -> tuple[str, ...]: ...

    def separate(self, mix: Audio, options: AnyOptions | None = None) -> Stems: ...

    def stream(self, mix: Blocks, options: AnyOptions | None = None) -> Iterator[Stems]:
        """As `separate`, piece by piece with flat memory: the pieces joined are the stems."""
        ...


@runtime_checkable
class Converts(Protocol[AnyOptions]):
    """Gives a recording another voice and keeps its words, melody and length."""

    def convert(self, source: Audio, voice: Voice, options: AnyOptions | None = None) -> Audio: ...


Files = Mapping[Path, Any]
"""Somebody's files and what each holds: a checkpoint's tree, with tensors that have a shape but no data (torch's device
`meta`); such a tensor for an array of NumPy's; what a JSON says; None for an index of vectors. All were read without
running anything."""


@runtime_checkable
class Adopts(Protocol):
    """A system whose voices communities share as files; `mynah import` asks every such one and knows none by name."""

    @classmethod
    def recognises(cls, files: Files) -> bool:
        """Whether a voice of this system is among the files, told by keys and shapes, not by what a file is called."""
        ...

    @classmethod
    def adopt(cls, files: Files, into: Path) -> Voice:
        """Check the files' data and write what `convert` needs as `into / "weights.safetensors"`, description included.

        Args:
            files: As `recognises` accepted them; they stay as they are.
            into: An empty folder, which becomes the voice's home.

        Returns:
            A voice with `weights`, and with a `bank` where an index came along. Name, system and terms are filled in by
            whoever asks; `range_hz` is `(0, 0)` where the files do not tell it.

        Raises:
            BadCheckpoint: Damaged, of an unknown layout, or not numbers; the message names the file and says why.
        """
        ...


@runtime_checkable
class Casts(Protocol):
    """One that `Adopts` models of which some have several voices; each becomes a voice of its own in the library."""

    @classmethod
    def cast(cls, weights: Path) -> Sequence[str]:
        """The names of a model's voices, as `adopt` wrote it; that with which it sings by itself comes first."""
        ...

    @classmethod
    def alone(cls, weights: Path, speaker: str, into: Path) -> Voice:
        """As `adopt`, of one of those voices: writes the model with no voice but that one.

        Args:
            weights: Of all of them.
            speaker: One that `cast` names.
            into: An empty folder, which becomes the voice's home.
        """
        ...


@runtime_checkable
class Speaks(Protocol[AnyOptions]):
    """Says a text as somebody. Whoever can be told how fast has an option `speed`, 1 for as usual."""

    def speak(self, text: str, voice: Voice, options: AnyOptions | None = None) -> Audio: ...


@runtime_checkable
class SpeaksOn(Protocol[AnyOptions]):
    """A speaker whose first sentence can be heard while the next is still being made."""

    def utterances(self, text: str, voice: Voice, options: AnyOptions | None = None) -> Iterator[Audio]:
        """As `speak`, sentence by sentence, each with the pause after it: joined they are what `speak` gives.

        What is wrong with the text, the voice or the options is told before the first sentence.
        """
        ...


@runtime_checkable
class OwnVoices(Protocol):
    """A speaker whose voices come with its weights: it can give no others.

    Whoever else should be heard is converted: the text is said as `own`, and a converter does the rest
    (`mynah.scenes.speech`). A speaker without this gives any voice that has recordings, or raises `BadVoice`.

    Attributes:
        own: The voice to take when none is named, and when another one has to be converted.
    """

    @property
    def own(self) -> Voice: ...

    def gives(self, voice: Voice) -> bool:
        """Whether this is a voice of its own, which it can give by itself."""
        ...


@runtime_checkable
class Vocodes(Protocol[AnyOptions]):
    """Makes sound of mel spectrograms; speakers that write these ask `mynah.vocode.vocoder` for one.

    A vocoder whose `load` takes a `format` makes sound of any; all others have their own.
    """

    @property
    def format(self) -> MelFormat:
        """What it means by a mel spectrogram."""
        ...

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """Whether a file or a folder holds weights of this vocoder, told by what is in it; nothing in it is run."""
        ...

    def wave(self, mel: Tensor, *, seed: int = 0) -> Tensor:
        """Sound `[batch, frame * hop]` in [-1, 1] of mel spectrograms `[batch, band, frame]` of its format."""
        ...

    def vocode(self, source: Audio, options: AnyOptions | None = None) -> Audio:
        """To a mel spectrogram and back: what becomes of a recording; one channel, as long, at its rate."""
        ...


@runtime_checkable
class Transcribes(Protocol[AnyOptions]):
    """Writes down what is said or sung, in its own language."""

    def transcribe(self, source: Audio, options: AnyOptions | None = None) -> Transcript: ...


@runtime_checkable
class Translates(Protocol[AnyOptions]):
    """Writes down in English what is said or sung in any language."""

    def translate(self, source: Audio, options: AnyOptions | None = None) -> Transcript: ...


@runtime_checkable
class Stream(Protocol):
    """A verb that works while the sound is still coming in; how it is cut into blocks makes no difference.

    Attributes:
        latency: Seconds that a sample waits at most before what became of it comes out: by how much the verb looks
            ahead, without the time that computing takes.
    """

    latency: float

    def push(self, block: Audio) -> Audio: ...

    def flush(self) -> Audio: ...


@runtime_checkable
class Streams(Protocol[AnyOptions]):
    """A converter that can begin to sing before the recording has ended, with what it keeps in bounded memory."""

    def stream(self, voice: Voice, options: AnyOptions | None = None, *, rate: int) -> Stream:
        """Begin.

        Args:
            voice: As for `convert`.
            options: As for `convert`.
            rate: Of the blocks that will come and of those that go out, in Hz.

        Raises:
            BadOption: An option asks for what only a whole recording can tell; else as for `convert`.
        """
        ...


def options_of(system: type, verb: str) -> type[Options]:
    """The options class of a system's verb, read off the annotation of the method's `options`.

    Raises:
        TypeError: The system has no such verb, or its annotation names no subclass of `Options`.

    Example:

        >>> from mynah.core.registry import find
        >>> sorted(options_of(find("convert/hum"), "convert").model_fields)
        ['transpose']
    """
    annotation = get_type_hints(getattr(system, verb, None) or (lambda: None)).get("options")
    # Where a base class has the method, its parameters say whose options they are.
    parameters = [part for base in getattr(system, "__orig_bases__", ()) for part in get_args(base)]
    for part in (*(get_args(annotation) or (annotation,)), *parameters):
        if isinstance(part, type) and issubclass(part, Options):
            return part
    raise TypeError(f"{system.__name__}.{verb} does not say which options it takes")
