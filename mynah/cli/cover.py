"""`mynah cover`: whole songs, or folders of them, with another voice."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.cli.recordings import PIPE, WRITTEN, Job, found, planned
from mynah.cli.screen import Screen
from mynah.core.errors import BadOption, BadVoice
from mynah.core.verbs import Options

if TYPE_CHECKING:
    from mynah.scenes.cover import Cover

EPILOG = """\
examples:
  mynah cover song.mp3 --voice me                      writes song-me.wav
  mynah cover album/ --voice me --format mp3           writes album-me/
  mynah cover song.mp3 --voice me --key follow --vocal-db 2 --reverb 0.3
  mynah cover song.mp3 --voice me --stems parts        keeps vocals.wav, melody.csv, converted.wav and so on in parts/
  mynah cover song.mp3 --voice me --replace lead=my-lead.wav melody=parts/melody.csv
  mynah cover --forget                                 drops every step that was kept

A step whose input and options are those of an earlier run is not done again, and a run that was stopped goes on where
it was. At most 10 GB of steps are kept in Mynah's folder; MYNAH_COVERS_GB=2 keeps two."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Our own flags, those of the cover, and those of the separator and the converter that `argv` asks for."""
    from mynah.cli.choice import default
    from mynah.cli.flags import add
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.scenes.cover.options import CoverOptions

    parser.epilog = EPILOG
    parser.add_argument("inputs", nargs="*", metavar="SONG", help="songs, or folders of them")
    parser.add_argument("--voice", metavar="VOICE", help='name, recording, or mixture such as "ann:0.7,bo:0.3"')
    systems = asked(argv)
    for who, verb in (("separator", "separate"), ("converter", "convert")):
        who_else = default(verb) if verb == "separate" else f"whom the voice was made for, else {default(verb)}"
        parser.add_argument(
            f"--{who}",
            default=systems[verb].removeprefix(f"{verb}/"),
            metavar="NAME",
            help=f"who {verb}s (default: {who_else})",
        )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default %(default)s)")
    parser.add_argument("--out", metavar="PLACE", help="file or folder")
    parser.add_argument("--format", choices=WRITTEN, help="of the results, where --out does not tell (default wav)")
    parser.add_argument("--bits", type=int, choices=(16, 24, 32), help="per sample (default 24; 32 is float)")
    parser.add_argument("--stems", type=Path, metavar="FOLDER", help="keep every file on the way")
    parser.add_argument(
        "--replace",
        nargs="+",
        action="extend",
        default=[],
        metavar="STEM=FILE",
        help="use this instead of what a step gives",
    )
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where finished steps are kept")
    parser.add_argument("--force", action="store_true", help="replace results that exist")
    parser.add_argument("--forget", action="store_true", help="drop finished steps, of these songs or of all, and stop")

    add(parser, CoverOptions, "the cover")
    for verb, name in systems.items():
        without = {"transpose"} if verb == "convert" else set()
        add(parser, options_of(find(name), verb), name, prefix=verb, without=without)


def asked(argv: Sequence[str]) -> dict[str, str]:
    """The systems that these arguments ask for, as the registry names them, by verb."""
    from mynah.cli.choice import default, full, made_for

    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--separator", default=default("separate"))
    early.add_argument("--converter")
    early.add_argument("--voice", default="")
    try:
        chosen = early.parse_known_args(list(argv))[0]
    except argparse.ArgumentError as error:
        raise BadOption(str(error)) from None
    converter = chosen.converter or made_for(chosen.voice or "", "convert") or default("convert")
    return {"separate": full(chosen.separator, "separate"), "convert": full(converter, "convert")}


def run(args: argparse.Namespace, screen: Screen) -> int:
    """One song after another; what is wrong with one does not stop the others."""
    from mynah.cli.batch import each
    from mynah.cli.choice import full
    from mynah.cli.devices import device
    from mynah.cli.flags import chosen
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.scenes.cover.options import CoverOptions
    from mynah.voices.library import find as find_voice

    if args.forget:
        return _forget(args, screen)
    if not args.inputs or not args.voice:
        raise BadOption("say which song, and whose voice: mynah cover SONG --voice VOICE")
    separator, converter = full(args.separator, "separate"), full(args.converter, "convert")
    options = {
        "separator": separator,
        "converter": converter,
        "separate": _given(chosen(options_of(find(separator), "separate"), args, prefix="separate")),
        "convert": _given(chosen(options_of(find(converter), "convert"), args, prefix="convert")),
        **_given(chosen(CoverOptions, args)),
    }
    replace = _pairs(args.replace)
    planned(args.inputs, "voice", args.out, args.format)  # what makes no sense is told before the work begins
    voice = find_voice(args.voice)
    if voice.system not in ("", converter):
        raise BadVoice(f"the voice {voice.name!r} was made for {voice.system}: add --converter {voice.system}")
    jobs = planned(args.inputs, voice.name, args.out, args.format)
    if any(PIPE in (job.source, job.out) for job in jobs):
        raise BadOption("a cover is made from a file to a file, not through a pipe")
    if replace and len(jobs) > 1:
        raise BadOption(f"--replace is about one song, and there are {len(jobs)}")
    place = device(args.device)

    def work(job: Job) -> dict[str, Any]:
        start = time.perf_counter()
        stems = args.stems and (args.stems if len(jobs) == 1 else args.stems / Path(job.out).stem)
        result = _cover(job, screen, args, voice=voice, replace=replace, stems=stems, device=place, **options)
        wall = time.perf_counter() - start
        for remark in result.remarks:
            screen.note(f"{job.source}: {remark}")
        kept = [step.name for step in result.steps if step.kept]
        again = f"; kept from before: {', '.join(kept)}" if kept else ""
        screen.note(f"{job.source} -> {job.out}  ({wall:.1f} s{again})")
        return _document(job, result, wall)

    done, failed = each(jobs, work, screen, done="covered")
    screen.give({"voice": voice.name, "separator": separator, "converter": converter, "covers": done, "failed": failed})
    return 2 if failed else 0


def _given(options: Options) -> dict[str, Any]:
    """What was asked for, without what keeps its default."""
    return options.model_dump(exclude_unset=True)


def _cover(job: Job, screen: Screen, args: argparse.Namespace, **settings: Any) -> Cover:
    from mynah.scenes.cover import cover

    if Path(job.out).exists() and not args.force:
        raise BadOption(f"{job.out} exists: add --force to replace it")
    with screen.steps(str(job.source)) as progress:
        return cover(job.source, out=job.out, work=args.work, bits=args.bits, progress=progress, **settings)


def _document(job: Job, result: Cover, wall: float) -> dict[str, Any]:
    return {
        "source": job.source,
        "out": job.out,
        "seconds": wall,
        "semitones": result.semitones,
        "steps": [{"name": step.name, "seconds": step.seconds, "kept": step.kept} for step in result.steps],
        "stems": result.stems,
        "remarks": result.remarks,
    }


def _pairs(replace: Sequence[str]) -> dict[str, Path]:
    """Files by the stems that they replace.

    Example:

        >>> _pairs(["lead=mine.wav"])["lead"].name
        'mine.wav'
    """
    pairs = {}
    for pair in replace:
        stem, equals, file = pair.partition("=")
        if not (stem and equals and file):
            raise BadOption(f"--replace wants STEM=FILE, such as lead=mine.wav, not {pair!r}")
        pairs[stem] = Path(file)
    return pairs


def _forget(args: argparse.Namespace, screen: Screen) -> int:
    from mynah.catalog.weights import sha256
    from mynah.scenes.cover import shelf

    place = shelf.shelf(args.work)
    songs = [sha256(Path(path)) for path, _ in found(args.inputs)] if args.inputs else [None]
    freed = sum(shelf.forget(place, song) for song in songs)
    screen.give({"freed_bytes": freed})
    screen.note(f"{freed / 1e6:.0f} MB freed in {place}")
    return 0
