"""Singers whose models are shared: how a model comes in and goes out, how a song is sung by it, and their knobs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Literal, Protocol, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mynah.audio.files import probe, stream
from mynah.audio.mixing import as_one
from mynah.core.errors import BadVoice
from mynah.core.system import System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Files, Options
from mynah.features import contentvec
from mynah.features.contentvec import Ears
from mynah.features.hubert import Hubert, HubertConfig
from mynah.features.pitch import contour_of
from mynah.nets.normed import folded
from mynah.nets.streams import LIVE, SONG, Pace, Sung, through, whole

C = TypeVar("C")
O = TypeVar("O", bound=Options)  # noqa: E741
Progress = Callable[[float], None]

NEIGHBOURS = 8  # frames of the target that retrieval averages, in all programs that people share voices of

Transpose = Annotated[
    Literal["auto"] | Annotated[float, Field(ge=-36, le=36)],
    Field(
        description="move the melody by this much; auto moves it by octaves into the target's own range",
        json_schema_extra={"unit": "semitones"},
    ),
]
Protect = Annotated[
    float, Field(ge=0, le=1, description="keep retrieval away from breaths and voiceless consonants: 1 wholly")
]
Envelope = Annotated[
    float, Field(ge=0, le=1, description="follow the loudness of the source: 1 wholly, 0 as the model sings")
]
Silence = Annotated[
    float,
    Field(
        ge=-120,
        le=-20,
        description="mute where the source is quieter than this, because models fill silence with noise",
        json_schema_extra={"unit": "dB"},
    ),
]
Spread = Annotated[float, Field(ge=0, le=1, description="how far the sound may stray from what is most to be expected")]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(
        description="what nets count in: bfloat16 takes seven tenths of the time, with noise at -53 to -59 dB; auto: "
        "bfloat16 on a processor that has instructions for it, else float32"
    ),
]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1, description="of all that is random")]


def counted(precision: str, device: str | torch.device) -> torch.dtype:
    """What nets count in, where an option says it."""
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    # Early versions of torch do not tell; and there is no processor behind another device.
    tell = getattr(torch.cpu, "get_capabilities", dict) if torch.device(device).type == "cpu" else dict
    able: Mapping[str, object] = tell()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


class Taking(Protocol):
    """A system's module `adopting`, behind `mynah.core.verbs.Adopts`."""

    def recognises(self, files: Files) -> bool: ...

    def adopt(self, files: Files, into: Path) -> Voice: ...


class Giving(Protocol):
    """A system's module `share`, behind `mynah.core.recipe.Shares`."""

    @property
    def LAYOUTS(self) -> Mapping[str, str]: ...

    def owns(self, source: Path) -> bool: ...

    def export(self, source: Path, out: Path) -> Path: ...

    def merge(self, first: Path, second: Path, out: Path, share: float) -> Path: ...


class SharedSinger(System[C], Generic[C, O]):
    """A converter whose models people hand around.

    Attributes:
        taking: What reads the files that a voice comes as.
        giving: What writes those that it goes out as.
    """

    taking: ClassVar[Taking]
    giving: ClassVar[Giving]

    @classmethod
    def recognises(cls, files: Files) -> bool:
        """See `mynah.core.verbs.Adopts`."""
        return cls.taking.recognises(files)

    @classmethod
    def adopt(cls, files: Files, into: Path) -> Voice:
        """The voice that lies in the files.

        Raises:
            BadCheckpoint: Damaged, hostile, of an unknown layout, or several.
        """
        return cls.taking.adopt(files, into)

    @classmethod
    def layouts(cls) -> Mapping[str, str]:
        """As what a model can be handed on."""
        return cls.giving.LAYOUTS

    @classmethod
    def owns(cls, model: Path) -> bool:
        """Whether a file is a model of this system, in any layout that it can be loaded from."""
        return cls.giving.owns(model)

    @classmethod
    def export(cls, model: Path, out: Path) -> Path:
        """See the module `share` of the system."""
        return cls.giving.export(model, out)

    @classmethod
    def merge(cls, first: Path, second: Path, out: Path, share: float) -> Path:
        """See the module `share` of the system."""
        return cls.giving.merge(first, second, out, share)

    @torch.inference_mode()
    def convert(self, source: Audio, voice: Voice, options: O | None = None, *, melody: Contour | None = None) -> Audio:
        """Sing `source` with `voice`.

        Args:
            source: Any rate; several channels are averaged.
            voice: One that the system says it knows by, or that was imported and brings a model.
            options: Knobs.
            melody: Pitch of the source, where a hand has corrected it; tracked when not given.

        Returns:
            One channel, at the rate and with the number of samples of the source.

        Raises:
            BadAudio: The recording is empty or holds something that is not a number.
            BadVoice: The voice brings no model, nothing that it could be known by, or a bank of another model.
            BadOption: The model cannot do what an option asks for.
            BadCheckpoint: The voice's model is damaged, hostile, or of another system.
            Offline: What the model hears with is not on this machine.
        """
        melody = melody or self._melody(voice, [as_one(source)], source.rate)
        return whole(self._sung(voice, options, source.rate, SONG, melody), source)

    @torch.inference_mode()
    def convert_file(
        self,
        source: Path,
        voice: Voice,
        options: O | None,
        out: Path,
        *,
        rate: int | None = None,
        bits: int | None = None,
        melody: Contour | None = None,
        progress: Progress = lambda fraction: None,
    ) -> Contour | None:
        """As `convert`, from file to file with flat memory: hours are no harder than seconds.

        Args:
            rate: Of the result in Hz; by default that of the source, but at least the model's.
            bits: Of the result, where its format leaves a choice.
            progress: Told the fraction that is done.

        Returns:
            The melody that was sung from, before it was transposed; None for a model that is told none.
        """
        info = probe(source)
        rate = rate or max(info.rate, self._rate(voice))
        melody = melody or self._melody(voice, stream(source, mono=True), info.rate)
        sung = self._sung(voice, options, info.rate, SONG, melody, rate)
        through(sung, stream(source, mono=True), out, rate, seconds=info.seconds, bits=bits, progress=progress)
        return melody

    def stream(self, voice: Voice, options: O | None = None, *, rate: int) -> Sung:
        """Sing while the sound still comes in; see `mynah.core.verbs.Streams`.

        Octaves of the melody are judged by 0.8 s of it, and loudness is followed half a second behind. What would clip
        is left as it is.

        Raises:
            BadOption: `transpose` is to be found out, for which the whole song would have to be heard first; else as
                for `convert`, as are the other errors.
        """
        return self._sung(voice, options, rate, LIVE, None)

    @abstractmethod
    def _sung(
        self,
        voice: Voice,
        options: O | None,
        rate: int,
        pace: Pace,
        melody: Contour | None,
        out_rate: int | None = None,
    ) -> Sung:
        """All the way from the source to the result; without a melody it is heard on the way."""

    @abstractmethod
    def _rate(self, voice: Voice) -> int:
        """Of the model that sings, in Hz."""

    def _melody(self, voice: Voice, blocks: Iterable[Audio], rate: int) -> Contour | None:
        """Of the whole recording, for a model that is told one."""
        return contour_of(blocks)


class ContentSinger(SharedSinger[C, O]):
    """One that hears with ContentVec, or with a HuBERT of its own.

    Args:
        config: As for any system.
        content: Sizes of its own HuBERT, if it has one.
        singer: The net of the model that it was loaded with, if it was.
        ears: ContentVec, if it is at hand; by default it is looked for when the first recording is to be heard.
        device: Where all run.
    """

    def __init__(
        self, config: C, content: HubertConfig | None, singer: nn.Module | None, ears: Ears | None, device: str
    ) -> None:
        super().__init__(config)
        self.device, self.ears = device, ears
        self.nets = nn.ModuleDict()
        if content is not None:
            self.nets["content"] = own = Hubert(content)
            self.ears = Ears(own)
        if singer is not None:
            self.nets["singer"] = singer
        self.nets.eval().requires_grad_(False)
        folded(self.nets)
        self.nets.to(device)

    def hearing(self) -> Ears:
        """What it hears with.

        Raises:
            Offline: ContentVec is not on this machine.
        """
        if self.ears is None:
            self.ears = contentvec.load(device=self.device)
        return self.ears


def bank_of(voice: Voice, size: int) -> Tensor | None:
    """Frames `[frame, size]` of how a voice once said what it said, where they came along.

    Raises:
        BadVoice: They are of another model.
    """
    if voice.bank is None or not len(voice.bank):
        return None
    if voice.bank.shape[1:] != (size,):
        raise BadVoice(
            f"the bank of the voice {voice.name!r} holds frames of {list(voice.bank.shape[1:])}, and its model hears "
            f"{size}: the index belongs to another model, or to another version of it"
        )
    return voice.bank.float()
