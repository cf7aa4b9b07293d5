"""`mynah convert`: recordings, folders of them, or a pipe, in another voice."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.cli.recordings import PIPE, WRITTEN, Job, planned
from mynah.cli.screen import Screen
from mynah.core.errors import BadOption, BadVoice

if TYPE_CHECKING:
    from mynah.core.types import Contour

EXAMPLES = """\
examples:
  mynah convert song.wav --voice me                    writes song-me.wav
  mynah convert album/ --voice "ann:0.7,bo:0.3"        writes album-ann-0.7-bo-0.3/
  mynah convert take.m4a --voice friend.wav --out take.flac
  ffmpeg -i clip.mp4 -f wav - | mynah convert - --voice me > me.wav

To correct the melody by hand: --save-pitch song.csv, edit the second column (Hz), then --pitch song.csv."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Our own flags, then those of the system that `argv` asks for."""
    from mynah.cli.choice import add

    parser.epilog = EXAMPLES
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="recordings, folders, or - for standard input")
    parser.add_argument(
        "--voice", required=True, metavar="VOICE", help='name, recording, or mixture such as "ann:0.7,bo:0.3"'
    )
    parser.add_argument("--out", metavar="PLACE", help="file or folder, or - for standard output")
    parser.add_argument("--format", choices=WRITTEN, help="of the results, where --out does not tell (default wav)")
    parser.add_argument("--rate", type=int, metavar="HZ", help="sample rate of the results")
    parser.add_argument("--bits", type=int, choices=(16, 24, 32), help="per sample (default 24; 32 is float)")
    parser.add_argument("--pitch", type=Path, metavar="CSV", help="melody to use instead of the one that is heard")
    parser.add_argument("--save-pitch", type=Path, metavar="CSV", help="write the melody (a folder for several inputs)")
    parser.add_argument(
        "--stream",
        nargs="?",
        type=float,
        const=20.0,
        metavar="MS",
        help="sing as from a microphone, in blocks so long (default %(const)g ms), and say how far it looks ahead",
    )
    parser.add_argument("--force", action="store_true", help="replace results that exist")
    add(parser, argv, "convert")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Convert one recording after another; what is wrong with one does not stop the others."""
    from mynah.cli.batch import each
    from mynah.cli.choice import full
    from mynah.cli.devices import device
    from mynah.cli.flags import chosen
    from mynah.convert import convert_file, stream_file, takes_melody
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.features.pitch import read_csv
    from mynah.voices.library import find as find_voice

    name = full(args.system, "convert")
    system = find(name)
    options = chosen(options_of(system, "convert"), args)
    melody = read_csv(args.pitch) if args.pitch else None
    if melody is not None and not takes_melody(system):
        raise BadOption(f"{name} finds the melody by itself: leave --pitch away")
    if args.stream is not None:
        _refuse_beside_stream(args)
    planned(args.inputs, "voice", args.out, args.format)  # what makes no sense is told before the work begins
    voice = find_voice(args.voice)
    if voice.system not in ("", name):
        raise BadVoice(f"the voice {voice.name!r} was made for {voice.system}: add --system {voice.system}")
    jobs = planned(args.inputs, voice.name, args.out, args.format)
    if melody is not None and len(jobs) > 1:
        raise BadOption(f"--pitch is the melody of one recording, and there are {len(jobs)}")
    place = device(args.device)

    @cache
    def engine() -> Any:
        return system.load(args.weights, device=place)

    def work(job: Job) -> dict[str, Any]:
        if job.out != PIPE and Path(job.out).exists() and not args.force:
            raise BadOption(f"{job.out} exists: add --force to replace it")
        if job.out == PIPE and screen.json:
            raise BadOption("--json and sound cannot share standard output: give --out FILE")
        ready = engine()
        start = time.perf_counter()
        with screen.progress(str(job.source)) as progress:
            sung, ahead = None, None
            if args.stream is not None:
                seconds, ahead = stream_file(
                    job.source, voice, job.out, ready, options, block_seconds=args.stream / 1000, bits=args.bits,
                    progress=progress,
                )  # fmt: skip
            else:
                seconds, sung = convert_file(
                    job.source, voice, job.out, ready, options, melody=melody, rate=args.rate, bits=args.bits,
                    wants_melody=args.save_pitch is not None, progress=progress,
                )  # fmt: skip
        wall = time.perf_counter() - start
        if args.save_pitch and sung is not None:
            _save_pitch(sung, args.save_pitch, job, several=len(jobs) > 1)
        looks = "" if ahead is None else f", in blocks of {args.stream:g} ms, looking {1000 * ahead:.0f} ms ahead"
        screen.note(f"{job.source} -> {job.out}  ({seconds:.1f} s of sound in {wall:.1f} s{looks})")
        factor = wall / seconds if seconds else float("nan")
        told = {"source": job.source, "out": job.out, "seconds": seconds, "real_time_factor": factor}
        return told if ahead is None else {**told, "look_ahead_seconds": ahead}

    done, failed = each(jobs, work, screen, done="converted")
    screen.give({"voice": voice.name, "system": name, "converted": done, "failed": failed})
    return 2 if failed else 0


def _refuse_beside_stream(args: argparse.Namespace) -> None:
    if not 0.1 <= args.stream <= 60_000:
        raise BadOption(f"--stream: blocks of {args.stream:g} ms: from 0.1 to 60000 can be used")
    for flag in ("pitch", "save_pitch", "rate"):
        if getattr(args, flag) is not None:
            raise BadOption(
                f"--{flag.replace('_', '-')} and --stream do not go together: "
                "a stream hears the melody on its way, and keeps the rate"
            )


def _save_pitch(melody: Contour, place: Path, job: Job, *, several: bool) -> None:
    from mynah.features.pitch import write_csv

    write_csv(melody, place / f"{Path(job.source).stem}.csv" if several else place)
