"""UCD-SVC: a sine at the melody's pitch becomes any singer of a table, learnt from speech or singing.

Loudness, the words that an acoustic model hears, and one sine at the pitch are all that is taken from a song; a
WaveNet that hears all of it at once shapes the sine, and a row of a table says who sings. Frozen nets that hear words
and melody judge what nobody recorded: songs sung by somebody else, or by a virtual singer between two.
Paper: Polyak, Wolf, Adi, Taigman, "Unsupervised Cross-Domain Singing Voice Conversion", arXiv 2008.02830. No code or
weights were ever published; ours is after the paper, and what it leaves open is told in `docs/ucd-svc.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from mynah.audio.files import probe, stream
from mynah.audio.mixing import as_one
from mynah.catalog.checkpoint import load_strict
from mynah.catalog.weights import locate
from mynah.convert.ucd_svc.ears import ear_by, ear_named
from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.hear import listening, metering, pitch_of
from mynah.convert.ucd_svc.listeners import Ear, student_ear
from mynah.convert.ucd_svc.published import Model, read, read_row
from mynah.convert.ucd_svc.rendering import Singing, rows_of
from mynah.convert.ucd_svc.sizes import RATE, UNIT, Config, config
from mynah.convert.ucd_svc.table import VoiceTable
from mynah.core.errors import BadCheckpoint, BadOption, BadVoice, UnknownVoice
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System, Weights
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Options
from mynah.features import speaker
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.melody import semitones_to_fit
from mynah.features.pitch import contour_of
from mynah.nets.normed import folded
from mynah.nets.streams import Beside, Chain, Known, Resampled, Sung, lag, through, whole
from mynah.voices.library import find

LOW_HZ, HIGH_HZ = 30.0, 2000.0
_SAME_VOICE = 0.5  # cosine above which a voice of a singer's name is that singer


class UcdSvcOptions(Options):
    """What a listener may change."""

    transpose: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=-36, le=36)],
        Field(
            description="move the melody by this much; auto moves it by octaves into the target's own range",
            json_schema_extra={"unit": "semitones"},
        ),
    ] = "auto"
    tracker: Annotated[
        Literal["swift-f0", "crepe", "crepe-tiny"], Field(description="who hears the melody; the paper has crepe")
    ] = "swift-f0"
    fit_steps: Annotated[
        int,
        Field(ge=1, le=2000, description="of fitting a row to a voice that the table lacks; `mynah train` keeps it"),
    ] = 40
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of all that is random")] = 0


class UcdSvc(System[Config]):
    """Converts a recording to a singer of the table, to anybody a row can be fitted to, or to somebody between."""

    card = Card(
        verbs=("convert",),
        paper="https://arxiv.org/abs/2008.02830",
        origin="ours, after the paper",
        weights={
            "default": Weights(
                "shipped:ucd_svc.safetensors",
                sha256="2f0d31c371279320eed915ead849a3bf7c2c38b3a78dd912d1c4e9ecce526144",
                bytes=539820,
                license="CC-BY-SA-4.0",
            )
        },
    )

    def __init__(self, model: Model, ear: Ear) -> None:
        super().__init__(model.config)
        self.generator, self.table, self.model, self.ear = model.generator, model.table, model, ear
        self.nets = nn.ModuleDict({"generator": self.generator, "table": self.table, "ear": ear.net})
        self.nets.eval().requires_grad_(False)
        folded(self.generator)
        # Of the voice that sang last.
        self._last: tuple[Voice, int, Tensor, Generator] | None = None

    @classmethod
    def tiny(cls) -> Self:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            sizes = config(window=512, voice=8, layers=4, stacks=1, residual=8, gates=16, skip=8)
            model = Model(sizes, Generator(sizes.generator), VoiceTable(("anna", "bert"), 8), "student")
            return cls(model, student_ear(ContentStudent(ContentConfig(channels=8, dilations=(1,), ahead=(1,)))))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in a model that `mynah train convert/ucd_svc` exported.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, or of another system, or what it hears with is not here.
        """
        model = read(locate(weights, cls.card.weights))
        system = cls(model, ear_named(model.config.ear, model.ear))
        system.generator.to(device)
        system.table.to(device)
        return system

    def convert(
        self, source: Audio, voice: Voice, options: UcdSvcOptions | None = None, *, melody: Contour | None = None
    ) -> Audio:
        """Sing `source` with `voice`.

        Args:
            source: Any rate; several channels are averaged.
            voice: A singer of the table, by name; a voice with a row of its own; a mixture of such; or one with clips,
                to which a row is fitted first.
            options: Knobs.
            melody: Pitch of the source, where a hand has corrected it; tracked when not given.

        Returns:
            One channel, at the rate and with the number of samples of the source.

        Raises:
            BadAudio: The recording is empty or holds something that is not a number.
            BadVoice: The voice is not in the table and has no clips.
        """
        options = options or UcdSvcOptions()
        melody = melody or contour_of([as_one(source)], tracker=options.tracker)
        return whole(self._sung(voice, options, source.rate, melody), source)

    def convert_file(
        self,
        source: Path,
        voice: Voice,
        options: UcdSvcOptions | None,
        out: Path,
        *,
        rate: int | None = None,
        bits: int | None = None,
        melody: Contour | None = None,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Contour:
        """As `convert`, from file to file with flat memory: hours are no harder than seconds.

        Args:
            rate: Of the result in Hz; by default that of the source, but at least the model's.
            bits: Of the result, where its format leaves a choice.
            progress: Told the fraction that is done.

        Returns:
            The melody that was sung from, before it was transposed.
        """
        options, info = options or UcdSvcOptions(), probe(source)
        melody = melody or contour_of(stream(source, rate=RATE, mono=True), tracker=options.tracker)
        rate = rate or max(info.rate, RATE)
        sung = self._sung(voice, options, info.rate, melody, rate)
        through(sung, stream(source, mono=True), out, rate, seconds=info.seconds, bits=bits, progress=progress)
        return melody

    def _sung(
        self, voice: Voice, options: UcdSvcOptions, rate: int, melody: Contour, out_rate: int | None = None
    ) -> Sung:
        """All the way from the source to the result, with what is known of the melody."""
        row, generator = self._singer(voice, options.fit_steps)
        frames = math.ceil(len(melody.values) * melody.hop_seconds * RATE / UNIT)
        pitch = _moved(pitch_of(melody, frames), voice, options)
        rows = Beside(listening(self.ear), metering(self.config.loudness_window), Known(rows_of(pitch), UNIT))
        singing = Singing(generator, self.config, row, options.seed)
        return Sung(Chain(Resampled(rate, RATE), rows, singing), rate, RATE, lag(rate, RATE), out_rate)

    def row(self, voice: Voice, fit_steps: int = 40) -> Tensor:
        """The voice as this model knows it, `[size]`.

        Raises:
            BadVoice: Neither in the table nor with clips.
            BadCheckpoint: Its row was fitted to another model.
        """
        return self._singer(voice, fit_steps)[0]

    @classmethod
    def course(
        cls,
        data: Path,
        folder: Path,
        *,
        teacher: str = "",
        hold_out: Sequence[str] = (),
        start: str = "",
        ears: Sequence[str] = (),
    ) -> dict[str, Callable[[], Recipe]]:
        """The one stage of training, see `mynah.convert.ucd_svc.recipe`.

        Raises:
            BadOption: A teacher, of whom there is none here; or ears that are not to be understood.
        """
        from mynah.convert.ucd_svc.recipe import course

        if teacher:
            raise BadOption("convert/ucd_svc learns from no teacher: a vocoder to begin with is --start")
        return course(data, folder, hold_out=hold_out, start=start, ear=ear_by(ears))

    def adapt(self, voice: Voice) -> Recipe:
        """A row of its own for a voice; for one that has it already, the net as well."""
        from mynah.convert.ucd_svc.recipe.adapt import AdaptRecipe

        if voice.weights is None:
            return AdaptRecipe(voice, self.model, self.ear)
        return AdaptRecipe(voice, self.model, self.ear, row=self.row(voice), net=True)

    def _singer(self, voice: Voice, fit_steps: int) -> tuple[Tensor, Generator]:
        if self._last is None or self._last[0] is not voice or self._last[1] != fit_steps:
            row, generator = self._found(voice, fit_steps)
            self._last = (voice, fit_steps, row.to(self.table.rows.device), generator)
        return self._last[2:]

    def _found(self, voice: Voice, fit_steps: int) -> tuple[Tensor, Generator]:
        if voice.weights is not None:
            row, own = read_row(voice.weights, self.model)
            return row, self._tuned(own, str(voice.weights)) if own else self.generator
        if voice.parts:
            rows = [share * self._found(self._part(name), fit_steps)[0] for name, share in voice.parts]
            return torch.stack(rows).sum(0), self.generator
        if voice.name in self.table.names:
            heard = voice.embedding if voice.encoder == speaker.ENCODER else None
            if self.table.like(voice.name, heard) >= _SAME_VOICE:
                return self.table.row(voice.name).detach(), self.generator
        if voice.clips:
            from mynah.convert.ucd_svc.recipe.adapt import AdaptRecipe

            with torch.inference_mode(False), torch.enable_grad():
                return AdaptRecipe(voice, self.model, self.ear, steps=fit_steps).fit(), self.generator
        raise BadVoice(
            f"the voice {voice.name!r} has neither a row in this model ({', '.join(self.table.names)}) nor clips to "
            "fit one to: enrol it from recordings"
        )

    def _part(self, name: str) -> Voice:
        """Somebody in a mixture; the table may know singers that the library does not."""
        try:
            return find(name)
        except UnknownVoice:
            if name in self.table.names:
                return Voice(name, (0.0, 0.0))
            raise

    def _tuned(self, state: dict[str, Tensor], what: str) -> Generator:
        generator = folded(Generator(self.config.generator))
        try:
            load_strict(generator, state, what)
        except BadCheckpoint as error:
            raise BadVoice(str(error)) from error
        return generator.to(self.table.rows.device).eval().requires_grad_(False)


def _moved(pitch: Tensor, voice: Voice, options: UcdSvcOptions) -> Tensor:
    """The melody as it is to be sung, Hz, 0 where unvoiced."""
    hz = pitch.masked_fill(pitch == 0, torch.nan)
    semitones = semitones_to_fit(hz, voice.range_hz) if options.transpose == "auto" else options.transpose
    return (hz * 2 ** (semitones / 12)).clamp(LOW_HZ, HIGH_HZ).nan_to_num(0.0)
