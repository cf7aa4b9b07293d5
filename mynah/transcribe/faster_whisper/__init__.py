"""Faster Whisper: Whisper's weights in CTranslate2, a faster engine in C++; smaller numbers are faster still.

The library of that name listens; this is the door to it, with the house's words for its options. It takes folders that
were converted for CTranslate2 (`ct2-transformers-converter`), or fetches those that SYSTRAN has converted from the hub.
Source: SYSTRAN/faster-whisper 1.2, OpenNMT/CTranslate2 4.8, MIT. Paper: see Whisper, arXiv 2212.04356.

Where it differs from the library: windows are not told the text before them unless asked, because refrains then never
end; words are heard by five beams, as there.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from mynah.audio.resample import resample
from mynah.catalog.hub import hub_folder, is_hub_id
from mynah.core.errors import BadAudio, BadCheckpoint, BadOption, MissingExtra
from mynah.core.system import Card, System
from mynah.core.types import Audio, Line, Transcript, Word
from mynah.text.listening import ListeningOptions, in_one

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000
DEFAULT = "small"
FILES = ("model.bin", "config.json", "tokenizer.json", "preprocessor_config.json", "vocabulary.*")
_CUT_SECONDS = 10.0  # a piece that is cut off is cut within these, at its end


Precision = Literal[
    "default", "auto", "float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16"
]


class FasterWhisperOptions(ListeningOptions):
    """What a reader may change; `batch` hears each window once, and `beam` is the library's."""

    languages: Annotated[bool, Field(description="find the language out again in every window")] = False
    hotwords: Annotated[str, Field(max_length=1000, description="words to expect in every window")] = ""
    beam: Annotated[int, Field(ge=1, le=32, description="texts that are followed at once; the likeliest is kept")] = 5
    length: Annotated[
        float,
        Field(ge=-5, le=5, description="favour long texts (up) or short ones", json_schema_extra={"unit": "power"}),
    ] = 1.0
    speech: Annotated[
        bool, Field(description="listen only where Silero hears somebody speak; it takes much singing for none")
    ] = False
    repetition: Annotated[
        float,
        Field(ge=1, le=2, description="make what was written before less likely", json_schema_extra={"unit": "times"}),
    ] = 1.0
    precision: Annotated[
        Precision, Field(description="numbers that are counted with: default as the weights are, auto as is fastest")
    ] = "default"
    threads: Annotated[int, Field(ge=0, le=256, description="of a CPU; 0 for as many as the library thinks fit")] = 0


@dataclass(frozen=True)
class Config:
    """Where the weights lie, and where they run.

    Attributes:
        folder: In CTranslate2's layout.
        device: As torch calls it.
    """

    folder: Path
    device: str = "cpu"


class FasterWhisper(System[Config]):
    """Writes down what is said or sung, by CTranslate2."""

    card = Card(
        verbs=("transcribe", "translate"),
        paper="https://arxiv.org/abs/2212.04356",
        origin="wrapped engine",
        extra="faster-whisper",
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._made_for = ("default", 0)
        self._engine = _engine(config, *self._made_for)

    @classmethod
    def tiny(cls) -> Self:
        from mynah.transcribe.faster_whisper.folder import write_random

        folder = Path(tempfile.mkdtemp(prefix="mynah-"))
        system = cls(Config(write_random(folder)))
        weakref.finalize(system, shutil.rmtree, folder, ignore_errors=True)
        return system

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Weights by one of the library's names, as a folder for CTranslate2, or by their id on the hub.

        Raises:
            BadOption: Neither a name, a folder nor an id; or a device that CTranslate2 does not know.
            BadCheckpoint: Damaged, or no Whisper for CTranslate2.
            MissingExtra: The library is not installed.
            Offline: They are not here and cannot be fetched.
        """
        return cls(Config(_folder(DEFAULT if weights == "default" else weights), device))

    def transcribe(
        self,
        source: Audio,
        options: FasterWhisperOptions | None = None,
        *,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Transcript:
        """What is said or sung, in its own language.

        Raises:
            BadAudio: Empty, or not finite.
            BadOption: The weights do not know the language, or the machine cannot count with such numbers.
        """
        return self._written(source, options or FasterWhisperOptions(), "transcribe", progress)

    def translate(
        self,
        source: Audio,
        options: FasterWhisperOptions | None = None,
        *,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Transcript:
        """What is said or sung, in English.

        Raises:
            BadAudio: Empty, or not finite.
            BadOption: The weights do not know the language, or no other than English.
        """
        if not self._engine.model.is_multilingual:
            raise BadOption("these weights know English alone: translate with others, such as small")
        return self._written(source, options or FasterWhisperOptions(), "translate", progress)

    def _written(
        self, source: Audio, options: FasterWhisperOptions, task: str, progress: Callable[[float], None]
    ) -> Transcript:
        engine = self._ready(options)
        language = options.language.lower()
        if language and language not in engine.supported_languages:
            known = ", ".join(sorted(engine.supported_languages))
            raise BadOption(f"language: these weights know no {language!r}: choose among {known}")
        sound = resample(Audio(source.samples.mean(0, keepdim=True), source.rate), RATE).samples[0]
        if not sound.numel():
            raise BadAudio("the recording is empty: there are no words in it to hear")
        if not sound.isfinite().all():
            raise BadAudio("the recording contains NaN or infinity; export it again")
        segments, told = _heard(engine, sound.numpy(), options, language, task)
        lines = tuple(_lines(segments, source.seconds, progress))
        spoken = "en" if task == "translate" else told.language
        return Transcript(in_one(lines, told.language), spoken, source.seconds, lines)

    def _ready(self, options: FasterWhisperOptions) -> Any:
        """The engine with the numbers and threads that are asked for; it is made anew when these change.

        It is made anew, too, when it has cast dice: CTranslate2 seeds them once for each of its threads, and only with
        new ones a seed gives the same text again.
        """
        asked = (options.precision, options.threads)
        if asked != self._made_for or self._engine.model.cast:
            self._engine = _engine(self.config, *asked)
            self._made_for = asked
        return self._engine


def _heard(
    engine: Any, sound: np.ndarray[Any, np.dtype[np.float32]], options: FasterWhisperOptions, language: str, task: str
) -> tuple[Iterable[Any], Any]:
    """What the library says: lines, which it hears when they are asked for, and what it found out."""
    import ctranslate2
    from faster_whisper import BatchedInferencePipeline

    ctranslate2.set_random_seed(options.seed)
    settings = asked_of_library(options) | {"language": language or None, "task": task}
    if options.batch == 1:
        return engine.transcribe(sound, **settings)
    if not options.speech:
        settings["clip_timestamps"] = [{"start": begin, "end": end} for begin, end in pieces(sound)]
    return BatchedInferencePipeline(engine).transcribe(
        sound, batch_size=options.batch, without_timestamps=False, **settings
    )


def asked_of_library(options: FasterWhisperOptions) -> dict[str, Any]:
    """The options in the library's words."""
    return {
        "beam_size": options.beam, "best_of": options.tries, "patience": options.patience,
        "length_penalty": options.length, "repetition_penalty": options.repetition,
        "no_repeat_ngram_size": options.no_repeat, "temperature": list(options.ladder()),
        "compression_ratio_threshold": options.compression, "log_prob_threshold": options.log_probability,
        "no_speech_threshold": options.silence, "condition_on_previous_text": options.follow,
        "initial_prompt": options.prompt.strip() or None, "hotwords": options.hotwords.strip() or None,
        "word_timestamps": options.words, "multilingual": options.languages, "vad_filter": options.speech,
    }  # fmt: skip


def pieces(sound: np.ndarray[Any, np.dtype[np.float32]], window_seconds: float = 30.0) -> list[tuple[float, float]]:
    """A recording in pieces of at most a window, from when to when in seconds, cut where it is quietest.

    Example:

        >>> import numpy as np
        >>> sound = np.ones(40 * RATE, np.float32)
        >>> sound[25 * RATE : 26 * RATE] = 0
        >>> pieces(sound)
        [(0.0, 25.0), (25.0, 40.0)]
    """
    import numpy as np

    step = RATE // 50
    levels = np.square(np.pad(sound, (0, -len(sound) % step))).reshape(-1, step).mean(1)
    window, late = round(50 * window_seconds), round(50 * _CUT_SECONDS)
    cuts = [0]
    while len(levels) - cuts[-1] > window:
        begin = cuts[-1] + window - late
        cuts.append(begin + int(levels[begin : begin + late].argmin()))
    ends = [*cuts[1:], len(sound) / step]
    return [(begin / 50, end / 50) for begin, end in zip(cuts, ends, strict=True)]


def _lines(segments: Iterable[Any], seconds: float, progress: Callable[[float], None]) -> Iterable[Line]:
    for segment in segments:
        begin, end, text = float(segment.start), min(float(segment.end), seconds), segment.text.strip()
        if text and begin < end:
            words = [
                Word(word.word.strip(), float(word.start), min(float(word.end), seconds), float(word.probability))
                for word in segment.words or ()
            ]
            sure = math.exp(segment.avg_logprob)
            spoken = tuple(word for word in words if word.text)
            yield Line(text, begin, end, spoken, sure, float(segment.no_speech_prob))
        progress(min(1.0, end / seconds))


def _engine(config: Config, precision: str, threads: int) -> Any:
    kind, _, index = config.device.partition(":")
    if kind not in ("cpu", "cuda"):
        raise BadOption(f"CTranslate2 runs on cpu and cuda, not on {config.device}: add --device cpu")
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise MissingExtra("faster-whisper", "faster-whisper") from error
    for name in ("model.bin", "config.json", "tokenizer.json"):
        if not (config.folder / name).is_file():
            hint = "convert with `ct2-transformers-converter ... --copy_files tokenizer.json preprocessor_config.json`"
            raise BadCheckpoint(f"{config.folder} is no Whisper for CTranslate2: it has no {name}; {hint}")
    try:
        engine: Any = WhisperModel(
            str(config.folder), device=kind, device_index=int(index or 0), compute_type=precision, cpu_threads=threads
        )
    except ValueError as error:
        if "compute type" in str(error):
            raise BadOption(f"precision: {error}") from error
        raise BadCheckpoint(f"{config.folder} is no Whisper for CTranslate2: {error}") from error
    except Exception as error:  # what CTranslate2 and tokenizers throw has no type of its own
        raise BadCheckpoint(f"{config.folder} cannot be read as a Whisper for CTranslate2: {error}") from error
    engine.model = _Watched(engine.model)
    return engine


class _Watched:
    """The nets of an engine; `cast` says whether they have cast dice."""

    def __init__(self, nets: Any) -> None:
        self._nets, self.cast = nets, False

    def generate(self, *told: Any, **named: Any) -> Any:
        self.cast |= named.get("sampling_topk", 1) != 1
        return self._nets.generate(*told, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._nets, name)


def _folder(spec: str) -> Path:
    place = Path(spec).expanduser()
    if place.is_dir():
        return place
    try:
        from faster_whisper.utils import _MODELS as KNOWN
    except ImportError as error:
        raise MissingExtra("faster-whisper", "faster-whisper") from error
    repository = KNOWN.get(spec, spec)
    if not is_hub_id(repository):
        raise BadOption(f"no weights {spec!r}: a folder for CTranslate2, owner/name on the hub, or {', '.join(KNOWN)}")
    return hub_folder(repository, FILES)
