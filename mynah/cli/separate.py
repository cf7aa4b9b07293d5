"""`mynah separate`: songs, or folders of them, taken apart into stems."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mynah.cli.recordings import WRITTEN, Job, folders
from mynah.cli.screen import Screen
from mynah.core.errors import BadOption

EXAMPLES = """\
examples:
  mynah separate song.mp3                      writes song-stems/vocals.wav and song-stems/accompaniment.wav
  mynah separate song.mp3 --stems vocals --out parts
  mynah separate album/ --format flac          writes album-stems/one-stems/vocals.flac and so on
  mynah separate song.mp3 --system NAME --two  vocals and accompaniment of a system that has more stems

Stems that would clip are made softer all alike. With --bits 32 none is touched, so that they add up to the song."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Our own flags, then those of the system that `argv` asks for."""
    from mynah.cli.choice import add

    parser.epilog = EXAMPLES
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="songs, or folders of them")
    parser.add_argument("--out", metavar="FOLDER", help="for the stems; for several songs, a folder in it for each")
    parser.add_argument("--format", choices=WRITTEN, default="wav", help="of the stems (default %(default)s)")
    parser.add_argument("--bits", type=int, choices=(16, 24, 32), help="per sample (default 24; 32 is float)")
    parser.add_argument("--stems", metavar="NAMES", help="write these only, such as vocals,drums")
    parser.add_argument("--two", action="store_true", help="vocals and accompaniment, whatever the system tells apart")
    parser.add_argument("--force", action="store_true", help="replace stems that exist")
    add(parser, argv, "separate")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Separate one song after another; what is wrong with one does not stop the others."""
    from mynah.audio.files import probe
    from mynah.cli.batch import each
    from mynah.cli.choice import full
    from mynah.cli.devices import device
    from mynah.cli.flags import chosen
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.separate import Two, separate_file

    name = full(args.system, "separate")
    system = find(name)
    options = chosen(options_of(system, "separate"), args)
    jobs = folders(args.inputs, "stems", args.out)
    engine: Any = system.load(args.weights, device=device(args.device))
    if args.two:
        engine = Two(engine)
    wanted = _wanted(args.stems, engine.stems)

    def work(job: Job) -> dict[str, Any]:
        stems = {stem: Path(job.out) / f"{stem}.{args.format}" for stem in wanted}
        _refuse_what_is_there(Path(job.source), stems.values(), force=args.force)
        start = time.perf_counter()
        with screen.progress(str(job.source)) as progress:
            separate_file(Path(job.source), stems, engine, options, bits=args.bits, progress=progress)
        wall = time.perf_counter() - start
        seconds = probe(stems[wanted[0]]).seconds
        screen.note(f"{job.source} -> {job.out}  ({seconds:.1f} s of sound in {wall:.1f} s)")
        return {
            "source": job.source,
            "out": job.out,
            "stems": stems,
            "seconds": seconds,
            "real_time_factor": wall / seconds,
        }

    done, failed = each(jobs, work, screen, done="separated")
    screen.give({"system": name, "separated": done, "failed": failed})
    return 2 if failed else 0


def _wanted(names: str | None, stems: Sequence[str]) -> list[str]:
    """The stems to write, each once.

    Raises:
        BadOption: There is none of that name.

    Example:

        >>> _wanted("bass, vocals", ("vocals", "drums", "bass"))
        ['bass', 'vocals']
    """
    if names is None:
        return list(stems)
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in stems:
            raise BadOption(f"there is no stem {name!r}: --stems takes {','.join(stems)}")
    return wanted


def _refuse_what_is_there(song: Path, stems: Iterable[Path], *, force: bool) -> None:
    for path in stems:
        if path.exists():
            if song.exists() and path.samefile(song):
                raise BadOption(f"{path} is the song itself: give another --out")
            if not force:
                raise BadOption(f"{path} exists: add --force to replace it")
