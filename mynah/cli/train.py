"""`mynah train`: a system from recordings, stage by stage, or a system tuned to one voice."""

from __future__ import annotations

import argparse
import hashlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.cli.screen import Screen
from mynah.core.errors import BadOption

if TYPE_CHECKING:
    from mynah.core.types import Voice

EPILOG = """\
examples:
  mynah train NAME --data recordings/            every stage, one after another
  mynah train NAME --data recordings/ --stage A  one stage
  mynah train NAME --voice me                    a few minutes, for one voice of yours

A run that was stopped or killed goes on where it was when the same command is given again.
`tensorboard --logdir runs` shows how it goes."""

EARS = "what recordings are heard with, where there is a choice: house, published, or PART=PLACE (may be given again)"


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """What to train, on what, for how long."""
    parser.epilog = EPILOG
    parser.add_argument("system", metavar="SYSTEM", help="a name that `mynah systems` lists")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="FOLDER", help="recordings to learn from")
    source.add_argument("--voice", metavar="NAME", help="tune to this voice of yours")
    parser.add_argument("--stage", action="append", metavar="NAME", help="this stage only (may be given again)")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="checkpoints, logs and results (default runs/SYSTEM)"
    )
    parser.add_argument("--weights", default="default", metavar="NAME|FILE", help="what --voice starts from")
    parser.add_argument("--start", default="", metavar="FILE", help="a model to go on from with --data, if any")
    parser.add_argument("--ears", action="append", metavar="EARS", help=EARS)
    parser.add_argument("--teacher", default="", metavar="FILE|HUB-ID", help="weights of the net to learn from, if any")
    parser.add_argument(
        "--hold-out", action="append", metavar="PATTERN", help='recordings to test on, such as "ann/9*"'
    )
    parser.add_argument("--skip", action="append", metavar="PATTERN", help="recordings to leave out altogether")
    parser.add_argument("--lora", type=int, metavar="RANK", help="tune --voice by low-rank changes to many layers")
    parser.add_argument("--minutes", type=float, help="stop each stage after so long; it can go on later")
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="go on from the last checkpoint"
    )
    pace = parser.add_argument_group("how it is computed, and when it is enough")
    pace.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default %(default)s)")
    pace.add_argument("--devices", type=int, default=1, metavar="N", help="so many of them at once, one process each")
    pace.add_argument("--nodes", type=int, default=1, metavar="N", help="on so many machines; give the command on each")
    pace.add_argument("--precision", choices=("32", "bf16"), help="of numbers; by default the stage's own")
    pace.add_argument("--clips", type=_clips, metavar="N|auto", help="examples at a time; auto: what there is room for")
    pace.add_argument("--accumulate", type=int, default=1, metavar="N", help="batches for one step, on each device")
    pace.add_argument("--every", type=int, default=200, metavar="N", help="steps between checkpoints, and measuring")
    pace.add_argument("--patience", type=int, metavar="N", help="end after so many checkpoints without a better one")


def _clips(text: str) -> int | str:
    return text if text == "auto" else int(text)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Train, then export what inference needs."""
    from mynah.cli.choice import full
    from mynah.core.recipe import Adapts, Learns
    from mynah.core.registry import find
    from mynah.train.together import follows

    if follows(args.devices * args.nodes):
        screen = Screen(quiet=True)
    if args.minutes is not None and args.minutes <= 0:
        raise BadOption("--minutes must be more than 0")
    name = full(args.system)
    system: Any = find(name)
    if not issubclass(system, Learns):
        raise BadOption(f"{name} has no recipe to train it by; `mynah systems {name}` tells where its weights are from")
    out = args.out or Path("runs") / name.replace("/", "-")
    if args.voice is not None:
        if not issubclass(system, Adapts):
            raise BadOption(f"{name} knows no voices to be tuned to: train it on recordings, with --data")
        return _tune(system, args, out, screen)
    if args.lora:
        raise BadOption("--lora goes with --voice; on recordings whole layers are trained")
    if not args.data.is_dir():
        raise BadOption(f"{args.data} is not a folder of recordings")
    chosen = told(args, system.course, "hold_out", "skip", "start", "ears")
    course = system.course(args.data, out, teacher=args.teacher, **chosen)
    stages = args.stage or list(course)
    if unknown := [stage for stage in stages if stage not in course]:
        raise BadOption(f"{name} has no stage {unknown[0]!r}: choose among {', '.join(course)}")
    files: list[str] = []
    for stage in course:
        if stage in stages:
            screen.note(f"stage {stage}")
            files += _stage(course[stage](), args, out, out, screen)
    if files:
        _report(name, files, screen)
    return 0


def told(args: argparse.Namespace, asked: Callable[..., Any], *names: str) -> dict[str, Any]:
    """What was asked for by these flags, for a system that lets itself be told."""
    given = {name: value for name in names if (value := getattr(args, name))}
    if refused := given.keys() - inspect.signature(asked).parameters.keys():
        raise BadOption(f"{args.system} does not know --{min(refused).replace('_', '-')}")
    return given


def _tune(system: Any, args: argparse.Namespace, out: Path, screen: Screen) -> int:
    from mynah.voices import library

    if args.stage:
        raise BadOption("--stage goes with --data; a voice is tuned in one go")
    chosen = told(args, system.adapt, "lora")
    voice = library.find(args.voice)
    if not library.path(args.voice).is_dir():
        raise BadOption(f"{args.voice} came with mynah and stays as it is: enrol a voice of your own and tune that")
    # A voice that was enrolled anew under its old name must not go on from what was trained for the old one.
    work = out / f"{voice.name}-{_fingerprint(voice)}"
    files = _stage(system.load(args.weights).adapt(voice, **chosen), args, work, work, screen)
    if not files:
        return 0
    library.attach(voice.name, Path(files[0]))
    _report(voice.name, files, screen)
    screen.note(f"`mynah convert --voice {voice.name}` uses it from now on")
    return 0


def _fingerprint(voice: Voice) -> str:
    digest = hashlib.sha256()
    for clip in voice.clips:
        digest.update(clip.samples.numpy().tobytes())
    return digest.hexdigest()[:12]


def _stage(recipe: Any, args: argparse.Namespace, work: Path, place: Path, screen: Screen) -> list[str]:
    """One run of one recipe; the files that it exported to `place`, none where another process does that."""
    from mynah.train.run import train
    from mynah.train.together import wait

    try:
        with screen.training(recipe.name) as progress:
            ending = train(
                recipe, work, resume=args.resume, max_minutes=args.minutes, device=args.device, devices=args.devices,
                nodes=args.nodes, precision=args.precision, clips=args.clips, accumulate=args.accumulate,
                save_every=args.every, patience=args.patience, progress=progress, note=screen.note,
            )  # fmt: skip
    except KeyboardInterrupt:
        screen.note("saved; the same command goes on from here")
        raise
    files: list[str] = []
    if ending.chief:
        place.mkdir(parents=True, exist_ok=True)
        files = recipe.export(str(place))
        screen.note(f"{recipe.name}: {ending}")
        screen.give({"endings": {recipe.name: {"steps": ending.steps, "exported": ending.taken, "why": ending.why}}})
    wait()  # because the next stage may begin with what this one exported
    return files


def _report(name: str, files: Sequence[str], screen: Screen) -> None:
    screen.give({"trained": name, "files": list(files)})
    for file in files:
        screen.show(file)
