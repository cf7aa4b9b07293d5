"""Speech: a text in any voice; one that no speaker has is spoken in another, and converted.

A speaker that can be anybody says it alone. Of one whose voices came with its weights (`OwnVoices`), any other voice is
made by the converter that it was made for, sentence by sentence, so that the first can be heard early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from mynah.core.errors import BadVoice
from mynah.core.verbs import Options, SpeaksOn

if TYPE_CHECKING:
    from pathlib import Path

    from mynah.core.types import Audio, Voice

PAUSE_SECONDS = 0.25  # between sentences of a speaker that knows of no text but the sentence


def say(
    text: str,
    voice: Voice | str | None = None,
    *,
    system: str | None = None,
    weights: str = "default",
    converter: str | None = None,
    convert: Mapping[str, Any] | None = None,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda fraction: None,
    **options: Any,
) -> Audio:
    """Say a text as anybody.

    Args:
        text: What to say.
        voice: Who should be heard: a voice, or what `mynah.voice` understands; by default the speaker's own.
        system: Who speaks: one of the files of `mynah/speak`.
        weights: Of the speaker: by name, or their file or folder.
        converter: Who makes the voice of another: one of the files of `mynah/convert`; by default whom the voice was
            made for, else the house's own.
        convert: Options of the converter, by name. If it transposes and is not told by how much, the speech is moved
            into the range of the voice.
        device: Where the nets run, as torch calls it.
        progress: Told the fraction that is done, 0 to 1.
        options: Of the speaker, by name, as `mynah speak --help` lists them.

    Raises:
        UnknownSystem: No such speaker or converter.
        UnknownVoice: No voice of that name.
        BadVoice: Neither the speaker nor the converter can give the voice.
        BadText: There is nothing to say.
        BadOption: One line for each option that does not exist or is out of bounds.
    """
    speaker = prepared(
        voice, system=system, weights=weights, converter=converter, convert=convert, device=device, **options
    )
    return joined(speaker.utterances(text, progress=progress))


def prepared(
    voice: Voice | str | None = None,
    *,
    system: str | None = None,
    weights: str = "default",
    converter: str | None = None,
    convert: Mapping[str, Any] | None = None,
    device: str = "cpu",
    **options: Any,
) -> Speaker:
    """Whoever says a text, with everything loaded; arguments and errors are those of `say`."""
    from mynah.convert import DEFAULT as CONVERTER
    from mynah.convert import loaded as loaded_converter
    from mynah.core.registry import find, full
    from mynah.core.verbs import options_of
    from mynah.speak import gives, loaded, own, who

    if isinstance(voice, str):
        from mynah.voices.library import find as find_voice

        voice = find_voice(voice)
    name = who(system, voice)
    speaking = options_of(find(name), "speak").of(**options)
    engine = loaded(name, device, weights)
    if voice is None or gives(engine, voice):
        return Speaker(engine, own(engine, name) if voice is None else voice, speaking)
    made_for = voice.system if voice.system.startswith("convert/") else ""
    other = full(converter or made_for or CONVERTER, "convert")
    if voice.system not in ("", other):
        raise BadVoice(f"the voice {voice.name!r} was made for {voice.system}: {other} cannot give it")
    converting = options_of(find(other), "convert").of(**(convert or {}))
    changed = Changed(loaded_converter(other, device), voice, converting)
    return Speaker(engine, own(engine, name), speaking, changed)


@dataclass(frozen=True)
class Changed:
    """What comes after speaking, where the speaker cannot give the voice.

    Attributes:
        engine: A converter.
        voice: Who should be heard.
        options: Of the converter.
    """

    engine: Any
    voice: Voice
    options: Options

    def moved(self, speech: Audio) -> Changed:
        """The same, told once by how much to transpose, so that all sentences are moved alike."""
        if "transpose" not in type(self.options).model_fields or "transpose" in self.options.model_fields_set:
            return self
        from mynah.features.melody import semitones_to_fit
        from mynah.features.pitch import pitch

        # Speech has no key to keep: a semitone is as good a step as an octave, and lands nearer.
        semitones = semitones_to_fit(pitch(speech).values, self.voice.range_hz, step=1)
        chosen = self.options.model_dump(exclude_unset=True) | {"transpose": semitones}
        return replace(self, options=type(self.options).of(**chosen))

    def of(self, speech: Audio) -> Audio:
        """A sentence in the voice."""
        changed: Audio = self.engine.convert(speech, self.voice, self.options)
        return changed


@dataclass
class Speaker:
    """Says one text after another in one voice.

    Attributes:
        engine: A speaking system.
        voice: That it speaks in.
        options: Of it.
        changed: What makes another voice of that, if need be.
    """

    engine: Any
    voice: Voice
    options: Options
    changed: Changed | None = None

    def utterances(self, text: str, *, progress: Callable[[float], None] = lambda fraction: None) -> Iterator[Audio]:
        """The text, sentence by sentence, each with the pause after it, as soon as it is there.

        Raises:
            BadText: There is nothing to say; told at once, before the first sentence.
        """
        from mynah.text.sentences import sentences

        pieces = sentences(text)
        if isinstance(self.engine, SpeaksOn):
            said = self.engine.utterances(text, self.voice, self.options)
        else:
            said = (self._paused(piece, last=at == len(pieces)) for at, piece in enumerate(pieces, 1))
        return self._told(map(self._changed, said), len(pieces), progress)

    def sentence(self, text: str, *, tries: int = 0) -> Audio:
        """One sentence; each further try says it with another seed.

        Args:
            text: Of one sentence.
            tries: How often it has been said before; only speakers with an option `seed` can say it otherwise.
        """
        options = self.options
        if tries and self.restless:
            seed = (options.seed + tries) % 2**31  # type: ignore[attr-defined]
            options = options.model_copy(update={"seed": seed})
        return self._changed(self.engine.speak(text, self.voice, options))

    @property
    def restless(self) -> bool:
        """Whether the speaker can say the same otherwise."""
        return "seed" in type(self.options).model_fields

    def _changed(self, speech: Audio) -> Audio:
        if self.changed is None:
            return speech
        self.changed = self.changed.moved(speech)
        return self.changed.of(speech)

    def _paused(self, piece: str, *, last: bool) -> Audio:
        speech: Audio = self.engine.speak(piece, self.voice, self.options)
        return speech if last else with_pause(speech)

    @staticmethod
    def _told(said: Iterator[Audio], total: int, progress: Callable[[float], None]) -> Iterator[Audio]:
        for done, sentence in enumerate(said, 1):
            yield sentence
            progress(min(1.0, done / max(total, 1)))
        progress(1.0)


def with_pause(speech: Audio) -> Audio:
    """A sentence and the pause after it."""
    from torch.nn.functional import pad

    return replace(speech, samples=pad(speech.samples, (0, round(PAUSE_SECONDS * speech.rate))))


def joined(utterances: Iterator[Audio]) -> Audio:
    """All sentences, one after another."""
    import torch

    spoken = list(utterances)
    return replace(spoken[0], samples=torch.cat([each.samples for each in spoken], -1))


def written(utterances: Iterator[Audio], out: Path | str, *, bits: int | None = None) -> float:
    """Write sentences as they come as a file that appears whole or not at all; memory stays flat.

    Args:
        utterances: At least one.
        out: Its suffix chooses the format; `"-"` is standard output.
        bits: Per sample, where the format leaves a choice.

    Returns:
        Seconds of sound.
    """
    from mynah.audio.files import Writer

    first = next(utterances)
    seconds = 0.0
    with Writer(out, first.rate, first.samples.shape[0], bits=bits) as writer:
        for sentence in chain([first], utterances):
            writer.push(sentence)
            seconds += sentence.seconds
    return seconds
