"""`mynah prepare`: recordings made ready for training, and a report on them before it begins."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.cli.screen import Screen
from mynah.cli.train import EARS, told
from mynah.core.errors import BadOption, MissingExtra

if TYPE_CHECKING:
    from mynah.train.report import Report, Singer

EPILOG = """\
examples:
  mynah prepare recordings/ --for NAME   one folder in it for each singer
  mynah train NAME --data recordings/    finds what was prepared

What was prepared once is known by its content and not done again; a run that was stopped goes on where it was.
report.json and report.png lie beside it."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """What to prepare, for whom, where."""
    parser.epilog = EPILOG
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="recordings, one folder for each singer")
    parser.add_argument(
        "--for", dest="system", required=True, metavar="SYSTEM", help="a name that `mynah systems` lists"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="as for `mynah train` (default runs/SYSTEM)")
    parser.add_argument("--ears", action="append", metavar="EARS", help=EARS)
    parser.add_argument("--workers", type=int, default=2, help="processes to do it in (default %(default)s)")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Prepare, report, and let the system hear everything once."""
    from mynah.cli.choice import full
    from mynah.core.recipe import Learns, Prepares
    from mynah.core.registry import find
    from mynah.train.data import prepare, scan
    from mynah.train.forecast import forecast
    from mynah.train.report import draw, report

    if not 1 <= args.workers <= 256:
        raise BadOption("--workers must be between 1 and 256")
    name = full(args.system)
    system: Any = find(name)
    if not issubclass(system, Learns):
        raise BadOption(f"{name} has no recipe to train it by, so there is nothing to prepare")
    out = args.out or Path("runs") / name.replace("/", "-")
    ears = told(args, getattr(system, "prepare", run), "ears")
    if ears:
        system.course(args.folder, out, **ears)  # ears that are missing are told before the work begins
    clips = scan(args.folder)
    each = system.keeps(**ears) if hasattr(system, "keeps") else 0
    expected = forecast(clips, out / "prepared", each=each, workers=args.workers)
    screen.note(str(expected))
    expected.check()
    with screen.progress("prepare") as progress:
        prepared = prepare(clips, out / "prepared", workers=args.workers, progress=progress)
    with screen.progress("look") as progress:
        found = report(clips, prepared, workers=args.workers, progress=progress)
    saved = found.save(out / "report.json")
    try:
        draw(found, out / "report.png")
    except MissingExtra as error:
        screen.note(f"no picture of it: {error}")
    show(found, screen)
    screen.give({"report": str(saved)})
    found.check()
    if issubclass(system, Prepares):
        with screen.progress("listen") as progress:
            system.prepare(args.folder, out, progress=progress, **ears)
    words = ["mynah", "train", name, "--data", str(args.folder), *(("--out", str(out)) if args.out else ())]
    words += [word for each in args.ears or () for word in ("--ears", each)]
    screen.note(f"ready: {shlex.join(words)}")
    return 0


def show(found: Report, screen: Screen) -> None:
    """The report as a table, and what to mend below it."""
    head = ("singer", "recordings", "minutes", "sung", "range", "noise", "reverb", "clipping", "rates")
    screen.table([_row(singer) for singer in found.singers], head=head)
    for line in found.mend:
        screen.show(f"to mend: {line}")
    screen.give(
        {
            "singers": {
                singer.name: {"minutes": singer.minutes, "sung": singer.sung, "recordings": singer.recordings}
                for singer in found.singers
            },
            "mend": list(found.mend),
            "stops": list(found.stops),
        }
    )


def _row(singer: Singer) -> tuple[str, ...]:
    low, high = singer.range_hz
    return (
        singer.name,
        str(singer.recordings),
        f"{singer.minutes:.1f}",
        f"{singer.sung:.1f}",
        f"{low:.0f}-{high:.0f} Hz" if high else "-",
        f"{singer.noise_db:.0f} dB" if math.isfinite(singer.noise_db) else "-",
        f"{singer.decay_seconds:.1f} s" if singer.echoing else "-",
        str(singer.clipping or "-"),
        " ".join(f"{rate / 1000:g}k" for rate in singer.rates),
    )
