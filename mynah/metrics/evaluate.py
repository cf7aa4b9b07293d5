"""Evaluation of a converter: recordings go through it, and the results are listened to and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mynah.core.errors import BadAudio, BadOption, MissingExtra, Offline
from mynah.core.types import Audio, Contour
from mynah.features.pitch import pitch
from mynah.metrics import naturalness, speaker, words
from mynah.metrics.pitch import agreement
from mynah.metrics.report import Example, Figure, Measured, Report, mean
from mynah.metrics.speed import Cost, measured

Convert = Callable[[Audio], Audio]


@dataclass(frozen=True)
class Listeners:
    """Who judges. Whoever is missing is missed in the report, with the reason.

    Attributes:
        melody: Tracks pitch.
        speaker: Tells voices apart.
        words: Hears content.
        opinion: Guesses how natural it sounds.
        absent: Why somebody is missing, by the name of the attribute.
    """

    melody: Callable[[Audio], Contour] = pitch
    speaker: speaker.SpeakerEar | None = None
    words: words.WordsEar | None = None
    opinion: Callable[[Audio], naturalness.Opinion] | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


def listeners(
    *,
    speaker_weights: str | None = None,
    words_weights: str | None = None,
    device: str = "cpu",
    tracker: str = "swift-f0",
) -> Listeners:
    """All listeners that this machine has: GE2E for the voice, Whisper for the words, DNSMOS for naturalness.

    Args:
        speaker_weights: A file for GE2E; None takes the installed or published one.
        words_weights: A file for Whisper; None takes the published `openai/whisper-tiny.en`.
        device: Where the nets run.
        tracker: Of pitch, as in `mynah.features.pitch`.

    Raises:
        BadOption: A file that is not there.
        BadCheckpoint: A file that is something else.
    """
    from mynah.features import ge2e, whisper

    absent: dict[str, str] = {}
    voice_ear = words_ear = opinion = None
    try:
        voice_ear = ge2e.load(speaker_weights or ge2e.DEFAULT, device=device)
    except Offline as error:
        absent["speaker"] = str(error)
    try:
        words_ear = whisper.load(words_weights or whisper.DEFAULT, device=device)
    except Offline as error:
        absent["words"] = str(error)
    try:
        naturalness.model_file()
        opinion = naturalness.opinion
    except MissingExtra as error:
        absent["opinion"] = str(error)

    def melody(audio: Audio) -> Contour:
        return pitch(audio, tracker=tracker)

    return Listeners(melody, voice_ear, words_ear, opinion, absent)


def evaluate(
    sources: Mapping[str, Audio],
    convert: Convert,
    target: Sequence[Audio] = (),
    *,
    title: str = "conversion",
    own_voice: Convert | None = None,
    transpose: float | None = None,
    judges: Listeners | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Report:
    """Convert recordings and measure the results; nothing is printed.

    Pitch, content and naturalness are means over the sources; the real-time factor is total time over total length.

    Args:
        sources: By name; best recordings that training never saw.
        convert: Gives a recording the target's voice.
        target: Recordings of the target's own voice, for the speaker similarity.
        title: What is evaluated, such as `"convert/mynah as kerstin"`.
        own_voice: Gives a recording its own voice back by the same means; the content similarity of that is the
            ceiling, since it holds the losses that have nothing to do with the change of voice.
        transpose: Semitones that `convert` moves the melody by; None takes off whatever the median says.
        judges: Who listens; None takes all that this machine has.
        progress: Told the fraction done, 0 to 1.

    Raises:
        BadOption: No sources.
        MynahError: Whatever `convert` raises.
    """
    if not sources:
        raise BadOption("no recordings to evaluate with")
    judges = judges or listeners()
    steps = len(sources) + 1
    heard: list[Measured] = []
    results: list[Audio] = []
    costs: list[Cost] = []
    example: Example | None = None
    for number, (name, source) in enumerate(sources.items()):
        result, cost = measured(lambda source=source: convert(source))  # type: ignore[misc]
        melodies = judges.melody(source), judges.melody(result)
        example = example or Example(source, result, melodies)
        figures = [
            *_melody(*melodies, transpose),
            _words(source, result, judges, own_voice),
            *_opinions(source, result, judges),
            Figure("real-time factor", cost.real_time_factor(source.seconds)),
        ]
        heard.append(Measured(name, source.seconds, tuple(figures)))
        results.append(result)
        costs.append(cost)
        progress((number + 1) / steps)
    assert example is not None
    by_name = list(zip(*(one.figures for one in heard), strict=True))
    summary = [mean(column[0].name, column, column[0].unit) for column in by_name]
    place = {figure.name: number for number, figure in enumerate(summary)}
    content = place["content similarity"]
    summary[content] = _with_ceiling(summary[content], by_name[content])
    length = sum(source.seconds for source in sources.values())
    summary[place["real-time factor"]] = Figure("real-time factor", sum(cost.seconds for cost in costs) / length)
    summary.insert(content, _voice(results, list(sources.values()), target, judges))
    summary.append(_memory(costs))
    progress(1.0)
    return Report(title, tuple(summary), tuple(heard), example)


def _melody(source: Contour, result: Contour, transpose: float | None) -> list[Figure]:
    found = agreement(source, result, transpose=transpose)
    silent = "no frame has a pitch in both source and result" if not found.frames else "the melody is one held pitch"
    return [
        Figure("pitch correlation", found.correlation, why="" if found.correlation is not None else silent),
        Figure("median pitch error", found.median_cents, "cents", why="" if found.frames else silent),
        Figure("pitch RMSE", found.rmse_cents, "cents", why="" if found.frames else silent),
        Figure(
            "voiced/unvoiced F1",
            found.voicing_f1,
            why="" if found.voicing_f1 is not None else "neither source nor result has a pitch anywhere",
        ),
        Figure("transposed", found.transposed_semitones, "semitones"),
    ]


def _words(source: Audio, result: Audio, judges: Listeners, own_voice: Convert | None) -> Figure:
    name = "content similarity"
    if judges.words is None:
        return Figure(name, None, why=judges.absent.get("words", "nobody listens to the words"))
    frames = judges.words.encode(source)
    value = words.frame_similarity(frames, judges.words.encode(result))
    if own_voice is None:
        return Figure(name, value)
    ceiling = words.frame_similarity(frames, judges.words.encode(own_voice(source)))
    return Figure(name, value, ceiling=ceiling, share=value / ceiling if ceiling > 0 else None)


def _with_ceiling(figure: Figure, parts: Sequence[Figure]) -> Figure:
    ceilings = [part.ceiling for part in parts if part.ceiling is not None]
    if figure.value is None or not ceilings:
        return figure
    ceiling = sum(ceilings) / len(ceilings)
    share = figure.value / ceiling if ceiling > 0 else None
    return Figure(figure.name, figure.value, ceiling=ceiling, share=share)


def _opinions(source: Audio, result: Audio, judges: Listeners) -> list[Figure]:
    """The source stands beside the result, because the scale was made for speech."""
    names = "naturalness (DNSMOS)", "naturalness of the source"
    if judges.opinion is None:
        why = judges.absent.get("opinion", "nobody has an opinion")
        return [Figure(name, None, why=why) for name in names]
    return [Figure(name, judges.opinion(audio).overall) for name, audio in zip(names, (result, source), strict=True)]


def _voice(results: list[Audio], sources: list[Audio], target: Sequence[Audio], judges: Listeners) -> Figure:
    name = "speaker similarity"
    if judges.speaker is None:
        return Figure(name, None, why=judges.absent.get("speaker", "nobody tells voices apart"))
    if not target:
        return Figure(name, None, why="no recordings of the target's own voice were given")
    try:
        found = speaker.likeness(results, sources, target, judges.speaker)
    except BadAudio as error:
        return Figure(name, None, why=str(error))
    return Figure(name, found.value, floor=found.floor, ceiling=found.ceiling, share=found.share)


def _memory(costs: list[Cost]) -> Figure:
    peaks = [cost.peak_bytes for cost in costs if cost.peak_bytes is not None]
    if not peaks:
        return Figure("peak memory", None, "bytes", why="this system does not tell")
    return Figure("peak memory", float(max(peaks)), "bytes")
