"""`mynah transcribe`: the words of recordings, or of folders of them, as text or subtitles."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mynah.cli.recordings import PIPE, Job, found
from mynah.cli.screen import Screen
from mynah.core.errors import BadOption

EPILOG = """\
examples:
  mynah transcribe song.mp3 --separate --to srt       vocals first, then song.srt
  mynah transcribe talk.m4a                           prints the text
  mynah transcribe album/ --to vtt --words            album/one.vtt and so on, with a time for every word
  mynah transcribe rede.mp3 --language de --translate what is said in it, in English
  mynah transcribe song.mp3 --weights large-v3        other weights: a name, a file, or a folder"""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Our own flags, then those of the system that `argv` asks for."""
    from mynah.cli.choice import add, default
    from mynah.text.subtitles import FORMATS

    parser.epilog = EPILOG
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="recordings, or folders of them; - is a pipe")
    parser.add_argument("--to", choices=tuple(FORMATS), help="what to write; without it one recording is printed")
    parser.add_argument("--out", metavar="PLACE", help="file, or folder for several (default beside each recording)")
    parser.add_argument("--translate", action="store_true", help="into English")
    parser.add_argument("--separate", action="store_true", help="take the vocals out of the song first")
    parser.add_argument(
        "--separator", default=default("separate"), metavar="NAME", help="who does that (default %(default)s)"
    )
    parser.add_argument("--force", action="store_true", help="replace texts that exist")
    add(parser, argv, "transcribe")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Write down one recording after another; what is wrong with one does not stop the others."""
    from mynah.audio.files import read
    from mynah.cli.batch import each
    from mynah.cli.choice import full
    from mynah.cli.devices import device
    from mynah.cli.flags import chosen
    from mynah.core.atomic import replacing
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.separate import separate, vocals_apart
    from mynah.text.subtitles import FORMATS
    from mynah.transcribe import written

    name, place = full(args.system, "transcribe"), device(args.device)
    system, verb = find(name), "translate" if args.translate else "transcribe"
    if verb not in system.card.verbs:
        raise BadOption(f"{name} cannot translate: choose another --system")
    options = chosen(options_of(system, verb), args)
    jobs = planned(args.inputs, args.to, args.out)
    engine: Any = system.load(args.weights, device=place)

    def work(job: Job) -> dict[str, Any]:
        out = None if job.out == PIPE else Path(job.out)
        if out is not None and out.exists() and not args.force:
            raise BadOption(f"{out} exists: add --force to replace it")
        start = time.perf_counter()
        with screen.steps(str(job.source)) as told:
            sound = read(job.source)
            if args.separate:
                told("separate", 0.0)
                sound, _ = vocals_apart(separate(sound, system=args.separator, device=place))
                told("separate", 1.0)
            heard = written(engine, sound, options, verb=verb, progress=lambda fraction: told(verb, fraction))
        wall = time.perf_counter() - start
        text = FORMATS[_kind(out, args.to)](heard)
        if out is None:
            screen.show(text.rstrip("\n"))
        else:
            with replacing(out) as half:
                half.write_text(text, "utf-8", newline="\n")
            spoken = f", {heard.language}" if heard.language else ""
            screen.note(f"{job.source} -> {out}  ({heard.seconds:.1f} s{spoken}, in {wall:.1f} s)")
        return {
            "source": job.source, "out": job.out, "text": heard.text, "language": heard.language,
            "lines": len(heard.lines), "seconds": heard.seconds, "real_time_factor": wall / max(heard.seconds, 0.01),
        }  # fmt: skip

    done, failed = each(jobs, work, screen, done="transcribed")
    screen.give({"system": name, "transcribed": done, "failed": failed})
    return 2 if failed else 0


def planned(inputs: Sequence[str], kind: str | None, out: str | None) -> list[Job]:
    """A job for each recording: printed if there is but one and nothing else is said, else `song.mp3` gives `song.srt`.

    Raises:
        BadOption: The place does not fit the inputs, or two recordings would have the same text.

    Example:

        >>> [Path(job.out).as_posix() for job in planned(["songs/one.m4a"], "srt", None)]
        ['songs/one.srt']
    """
    from mynah.text.subtitles import FORMATS

    recordings = found(inputs)
    alone = len(recordings) == 1 and recordings[0][1] is None
    piped = any(source == PIPE for source, _ in recordings)
    if out == PIPE or (out is None and (piped or (alone and kind is None))):
        if not alone:
            raise BadOption("only one text fits through a pipe: give --out FOLDER")
        return [Job(recordings[0][0], PIPE)]
    suffix = Path(out).suffix[1:].lower() if out is not None and not Path(out).is_dir() else ""
    if out is not None and suffix in FORMATS:
        if not alone:
            raise BadOption(f"{out} is one file and there are {len(recordings)} recordings: give --out FOLDER")
        if kind not in (None, suffix):
            raise BadOption(f"--to {kind} and --out {out} contradict each other")
        return [Job(recordings[0][0], Path(out))]
    jobs, taken = [], dict[Path, Path | str]()
    for source, folder in recordings:
        path = Path("transcript") if isinstance(source, str) else source
        home = path.parent if out is None else Path(out) / (path.parent.relative_to(folder) if folder else "")
        place = home / f"{path.stem}.{kind or 'txt'}"
        if place in taken:
            raise BadOption(f"{taken[place]} and {source} would both become {place}: take them one by one")
        taken[place] = source
        jobs.append(Job(source, place))
    return jobs


def _kind(out: Path | None, kind: str | None) -> str:
    return kind or (out.suffix[1:].lower() if out else "txt")
