"""The steps of a cover, each a pure function from files to files.

    song ─ separate ─ vocals ─ (split) ─ lead ─ (dereverb) ─ dry ─ pitch ─ melody ─ transpose ─ transposition
             │                    └ backing ────────────┐      └─────── convert ──────┘           │
             └ accompaniment ─────────────────── (key) ─┤                  └ converted ─ level ─ polish ─ polished
                                                        └─────────── mix ─────────────────────────────────┘
                                                                      └ master

A step in parentheses is there where the options ask for it; otherwise what it would give is what it would take.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mynah.audio.effects import gain
from mynah.audio.files import Writer, probe, stream
from mynah.core.atomic import replacing
from mynah.core.errors import BadOption
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Options
from mynah.scenes.cover import identity
from mynah.scenes.cover.mixdown import Track, gain_between, lufs_of, mixed, widest
from mynah.scenes.cover.options import CoverOptions
from mynah.scenes.cover.vocal import VocalEffects
from mynah.scenes.cover.work import Fraction, Step

Paths = Mapping[str, Path]
SOUNDS = (
    *("vocals", "accompaniment", "lead", "backing", "dry", "converted", "polished"),
    *("accompaniment_in_key", "backing_in_key", "mix", "master"),
)
TABLES = ("melody", "transposition", "levels")


@dataclass(frozen=True)
class Engines:
    """Who separates and who converts, with their options.

    Attributes:
        separator: As the registry names it.
        converter: The same.
        separating: Options of the separator.
        converting: Options of the converter.
        voice: Who should be heard.
        device: Where the nets run.
    """

    separator: str
    converter: str
    separating: Options
    converting: Options
    voice: Voice
    device: str


def plan(options: CoverOptions, engines: Engines, *, backing: bool) -> tuple[list[Step], dict[str, str]]:
    """Every step of a cover, and the names that stand for other names because a step is not asked for.

    Args:
        options: Of the cover.
        engines: Who works.
        backing: Whether there is a file with backing vocals already.

    Raises:
        BadOption: The converter cannot do what is asked for.
    """
    steps, same = [_separate(engines)], {}
    if options.split:
        steps.append(Step("split", ("vocals",), ("lead.wav", "backing.wav"), {}, _split))
        backing = True
    else:
        same["lead"] = "vocals"
    if options.dereverb:
        steps.append(_dereverb(options.dereverb))
    else:
        same["dry"] = "lead"
    steps += [Step("pitch", ("dry",), ("melody.csv",), {}, _pitch), _transpose(options, engines.voice)]
    steps.append(_convert(engines))
    rest = ["accompaniment", "backing"] if backing else ["accompaniment"]
    for stem in rest:
        if options.key == "follow":
            steps.append(Step("key", (stem, "transposition"), (f"{stem}_in_key.wav",), {"stem": stem}, _key))
        else:
            same[f"{stem}_in_key"] = stem
    steps.append(Step("level", ("lead", "converted"), ("levels.json",), {}, _level))
    steps += [_polish(options), _mix(options, [f"{stem}_in_key" for stem in rest]), _master(options)]
    return steps, same


def _separate(engines: Engines) -> Step:
    from mynah.core.registry import find

    def work(given: Paths, made: Paths, progress: Fraction) -> None:
        from mynah.separate import loaded, vocals_apart

        engine = loaded(engines.separator, engines.device)
        total, done = max(probe(given["song"]).seconds, 0.01), 0.0
        with ExitStack() as files:
            writers: dict[str, Writer] = {}
            for stems in engine.stream(lambda: stream(given["song"]), engines.separating):
                for name, audio in zip(("vocals", "accompaniment"), vocals_apart(stems), strict=True):
                    if name not in writers:
                        channels = audio.samples.shape[0]
                        writers[name] = files.enter_context(_writer(made[name], audio.rate, channels))
                    writers[name].push(audio)
                done += next(iter(stems.values())).seconds
                progress(min(1.0, done / total))

    settings = {
        "system": identity.of_system(engines.separator, find(engines.separator)),
        "options": engines.separating.model_dump(mode="json"),
    }
    return Step("separate", ("song",), ("vocals.wav", "accompaniment.wav"), settings, work)


def _split(given: Paths, made: Paths, progress: Fraction) -> None:
    from mynah.scenes.cover.split import lead_and_backing

    lead_and_backing(given["vocals"], made["lead"], made["backing"], progress)


def _dereverb(strength: float) -> Step:
    def work(given: Paths, made: Paths, progress: Fraction) -> None:
        from mynah.scenes.cover.dereverb import dried

        dried(given["lead"], made["dry"], strength, progress)

    return Step("dereverb", ("lead",), ("dry.wav",), {"strength": strength}, work)


def _pitch(given: Paths, made: Paths, progress: Fraction) -> None:
    from mynah.features.pitch import contour_of, write_csv

    total = max(probe(given["dry"]).seconds, 0.01)
    blocks = stream(given["dry"], rate=16_000, mono=True)
    write_csv(contour_of(blocks, told=lambda seconds: progress(min(1.0, seconds / total))), made["melody"])


def _transpose(options: CoverOptions, voice: Voice) -> Step:
    """How far the vocal moves; and the accompaniment, by the same note in the octave that is nearest to where it is."""

    def work(given: Paths, made: Paths, progress: Fraction) -> None:
        from mynah.features.melody import semitones_to_fit
        from mynah.features.pitch import read_csv

        if options.transpose == "auto":
            step = 12 if options.key == "keep" else 1
            vocal: float = semitones_to_fit(read_csv(given["melody"]).values, voice.range_hz, step)
        else:
            vocal = options.transpose
        rest = (vocal + 6) % 12 - 6 if options.key == "follow" else 0.0
        table = {"vocal_semitones": vocal, "accompaniment_semitones": rest}
        made["transposition"].write_text(json.dumps(table), "utf-8")

    takes = ("melody",) if options.transpose == "auto" else ()
    settings = {"transpose": options.transpose, "key": options.key, "range_hz": voice.range_hz}
    return Step("transpose", takes, ("transposition.json",), settings, work)


def _convert(engines: Engines) -> Step:
    from mynah.convert import takes_melody
    from mynah.core.registry import find

    system = find(engines.converter)
    sings_from_melody = takes_melody(system)
    transposes = "transpose" in type(engines.converting).model_fields

    def work(given: Paths, made: Paths, progress: Fraction) -> None:
        from mynah.convert import convert_file, loaded
        from mynah.features.pitch import read_csv

        options = engines.converting
        [semitones] = read_table(given["transposition"], "vocal_semitones")
        melody = read_csv(given["melody"]) if sings_from_melody else None
        if transposes:
            options = type(options).of(**{**options.model_dump(), "transpose": semitones})
        elif melody is not None:
            melody = Contour(melody.values * 2 ** (semitones / 12), melody.hop_seconds, melody.unit, melody.confidence)
        elif semitones:
            raise BadOption(
                f"{engines.converter} cannot move a melody, and this one has to move by {semitones:+g} semitones: "
                "set transpose to 0"
            )
        engine = loaded(engines.converter, engines.device)
        convert_file(
            given["dry"], engines.voice, made["converted"], engine, options, melody=melody, bits=32, progress=progress
        )

    settings = {
        "system": identity.of_system(engines.converter, system),
        "options": engines.converting.model_dump(mode="json"),
        "voice": identity.of_voice(engines.voice),
    }
    takes = ("dry", "transposition", *(("melody",) if sings_from_melody else ()))
    return Step("convert", takes, ("converted.wav",), settings, work)


def _key(given: Paths, made: Paths, progress: Fraction) -> None:
    [stem] = [name for name in given if name != "transposition"]
    [out] = made.values()
    [semitones] = read_table(given["transposition"], "accompaniment_semitones")
    if semitones:
        from mynah.scenes.cover.key import shifted

        shifted(given[stem], out, semitones, progress)
    else:
        shutil.copyfile(given[stem], out)


def _level(given: Paths, made: Paths, progress: Fraction) -> None:
    levels = {}
    for name in ("lead", "converted"):
        lufs = lufs_of(given[name])
        levels[f"{name}_lufs"] = lufs if math.isfinite(lufs) else None
    made["levels"].write_text(json.dumps(levels), "utf-8")


def _polish(options: CoverOptions) -> Step:
    effects = VocalEffects(**{name: getattr(options, name) for name in VocalEffects.model_fields})

    def work(given: Paths, made: Paths, progress: Fraction) -> None:
        from mynah.scenes.cover.vocal import polish, reverb_of

        info, done = probe(given["converted"]), 0.0
        louder_db = gain_between(*read_table(given["levels"], "converted_lufs", "lead_lufs"))
        blocks = (gain(block, louder_db) for block in stream(given["converted"]))
        match = reverb_of(given["lead"]) if effects.reverb == "match" else None
        with ExitStack() as files:
            writer: Writer | None = None
            for block in polish(blocks, effects, match):
                if writer is None:
                    writer = files.enter_context(_writer(made["polished"], block.rate, block.samples.shape[0]))
                writer.push(block)
                done += block.seconds
                progress(min(1.0, done / max(info.seconds, 0.01)))

    return Step(
        "polish", ("converted", "levels", "lead"), ("polished.wav",), {"effects": effects.model_dump(mode="json")}, work
    )


def _mix(options: CoverOptions, rest: list[str]) -> Step:
    louder_db = {"accompaniment_in_key": options.accompaniment_db, "backing_in_key": options.backing_db}

    def work(given: Paths, made: Paths, progress: Fraction) -> None:
        [wanted] = read_table(given["levels"], "lead_lufs")
        names = ["polished", *rest]
        rate, channels = widest([given[name] for name in names])
        gains = louder_db | {"polished": gain_between(lufs_of(given["polished"]), wanted) + options.vocal_db}
        tracks = [Track(given[name], gains[name]) for name in names]
        total = max(probe(track.path).seconds for track in tracks)
        done = 0.0
        with _writer(made["mix"], rate, channels) as writer:
            for block in mixed(tracks):
                writer.push(block)
                done += block.seconds
                progress(min(1.0, done / max(total, 0.01)))

    settings = {"vocal_db": options.vocal_db} | {name: louder_db[name] for name in rest}
    return Step("mix", ("polished", "levels", *rest), ("mix.wav",), settings, work)


def _master(options: CoverOptions) -> Step:
    def work(given: Paths, made: Paths, progress: Fraction) -> None:
        from mynah.audio.loudness import mastered

        info, done = probe(given["mix"]), 0.0

        def blocks() -> Iterator[Audio]:
            return stream(given["mix"])

        with _writer(made["master"], info.rate, info.channels) as writer:
            for block in mastered(blocks, lufs=options.lufs, peak_db=options.peak_db):
                writer.push(block)
                done += block.seconds
                progress(min(1.0, done / max(info.seconds, 0.01)))

    return Step("master", ("mix",), ("master.wav",), {"lufs": options.lufs, "peak_db": options.peak_db}, work)


def write(master: Path, out: Path, song: Path, comment: str, bits: int | None, progress: Fraction) -> None:
    """The finished song in the format of its suffix, with the tags of the original; whole or not at all.

    Raises:
        BadOption: A suffix, bit depth or place that will not do.
        NoSpace: The disk is full.
    """
    from mynah.audio.tags import copied

    info, done = probe(master), 0.0
    with replacing(out) as half:
        with Writer(half, info.rate, info.channels, bits=bits) as writer:
            for block in stream(master):
                writer.push(block)
                done += block.seconds
                progress(min(0.9, 0.5 * done / max(info.seconds, 0.01)))
        copied(song, half, comment)
    progress(1.0)


def read_table(path: Path, *names: str) -> list[float]:
    """Numbers by their names; what is null is minus infinity.

    Raises:
        BadOption: Not such a table, as may happen to one that was replaced by hand.
    """
    try:
        table = json.loads(path.read_text("utf-8"))
        return [-math.inf if table[name] is None else float(table[name]) for name in names]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadOption(f"{path}: must be a table in JSON with numbers for {' and '.join(names)}") from error


def _writer(path: Path, rate: int, channels: int) -> Writer:
    """Float samples as they are, so that stems add up to the song; wave files are quicker than any that are packed."""
    return Writer(path, rate, channels, bits=32, peak_db=None)
