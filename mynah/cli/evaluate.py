"""`mynah evaluate`: conversions, measured."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.cli.screen import Screen
from mynah.core.errors import BadOption, BadVoice

if TYPE_CHECKING:
    from mynah.core.types import Audio
    from mynah.metrics.report import Figure, Report

EPILOG = """\
Best with recordings that training never saw, and with --target recordings that the voice was not enrolled from.

  pitch correlation, median pitch error, pitch RMSE   source to result, transposition taken off
  speaker similarity     by GE2E; floor: source to target, ceiling: target to target
  content similarity     by Whisper's encoder; ceiling: the source converted to its own voice
  naturalness            by DNSMOS, which was made for speech: look at the difference to the source
  real-time factor       seconds of work for each second of sound

Listeners whose weights are not here are fetched once; without a network they are left out, and the report says so."""
COSTS = ("real-time factor", "peak memory")


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """What to convert and how, as for `mynah convert`; then who listens."""
    from mynah.cli.convert import asked, default
    from mynah.cli.flags import add
    from mynah.core.registry import find
    from mynah.core.verbs import options_of

    parser.epilog = EPILOG
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="recordings to convert, or folders of them")
    parser.add_argument("--voice", required=True, metavar="VOICE", help="whom they are converted to")
    parser.add_argument("--target", nargs="+", default=[], metavar="FILE", help="other recordings of that person")
    parser.add_argument("--result", metavar="FILE", help="measure this instead: what came of the one INPUT")
    parser.add_argument("--system", default=default(), metavar="NAME", help="who converts (default %(default)s)")
    parser.add_argument("--weights", default="default", metavar="NAME|FILE", help="another set of weights")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default %(default)s)")
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the report, with every recording by itself")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw the first recording and its result")
    parser.add_argument("--ge2e", metavar="FILE", help="weights of the speaker encoder")
    parser.add_argument("--whisper", metavar="FILE", help="weights of the Whisper encoder")
    parser.add_argument(
        "--ceiling",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="convert each source to its own voice as well, for the ceiling of content similarity",
    )
    name = asked(argv)
    add(parser, options_of(find(name), "convert"), name)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Convert, listen, print."""
    from mynah.audio.files import read
    from mynah.cli.convert import full
    from mynah.cli.devices import device
    from mynah.cli.flags import chosen
    from mynah.cli.recordings import found
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.metrics.evaluate import evaluate, listeners
    from mynah.voices.library import find as find_voice

    name = full(args.system)
    system = find(name)
    options = chosen(options_of(system, "convert"), args)
    paths = {str(path): path for path, _ in found(args.inputs)}
    if args.result and len(paths) > 1:
        raise BadOption(f"--result comes of one recording, and there are {len(paths)}")
    voice = find_voice(args.voice)
    if voice.system not in ("", name):
        raise BadVoice(f"the voice {voice.name!r} was made for {voice.system}: add --system {voice.system}")
    sources = {label: read(path) for label, path in paths.items()}
    target = [read(path) for path, _ in found(args.target)] or list(voice.clips)
    place = device(args.device)
    judges = listeners(speaker_weights=args.ge2e, words_weights=args.whisper, device=place)
    convert: Callable[[Audio], Audio]
    own_voice: Callable[[Audio], Audio] | None = None
    if args.result:
        result = read(args.result)

        def convert(source: Audio) -> Audio:
            return result
    else:
        engine = system.load(args.weights, device=place)

        def convert(source: Audio) -> Audio:
            changed: Audio = engine.convert(source, voice, options)  # type: ignore[attr-defined]
            return changed

        if args.ceiling and judges.words is not None:
            own_voice = _own_voices(engine, options, paths, sources, screen)
    with screen.progress(f"evaluating {name}") as progress:
        report = evaluate(
            sources,
            convert,
            target,
            title=f"{name} as {voice.name}",
            own_voice=own_voice,
            judges=judges,
            progress=progress,
        )
    figures = [figure for figure in report.figures if not (args.result and figure.name in COSTS)]
    kept = {figure.name for figure in figures}
    plain = report.to_dict()
    plain["figures"] = [figure for figure in plain["figures"] if figure["name"] in kept]
    screen.give(plain)
    screen.show(f"{report.title}: {len(sources)} recordings, {sum(s.seconds for s in sources.values()):.0f} s\n")
    print_figures([report], screen, only=kept)
    if args.out:
        screen.note(f"report: {report.write_json(args.out)}")
    if args.picture:
        screen.note(f"picture: {report.picture(args.picture)}")
    return 0


def _own_voices(
    engine: Any, options: Any, paths: dict[str, Any], sources: dict[str, Audio], screen: Screen
) -> Callable[[Audio], Audio] | None:
    """A converter of each source to the voice that sings it; none where one of them is too short to be enrolled."""
    from mynah.voices.library import find as find_voice

    try:
        voices = {id(sources[label]): find_voice(path) for label, path in paths.items()}
    except BadVoice as error:
        screen.complaint(f"no ceiling for content similarity: {error}")
        return None

    def own(source: Audio) -> Audio:
        changed: Audio = engine.convert(source, voices[id(source)], options)
        return changed

    return own


def print_figures(reports: Sequence[Report], screen: Screen, *, only: set[str] | None = None) -> None:
    """One column for each report; floors, ceilings and shares beside the value, reasons below."""
    names = [figure.name for figure in reports[0].figures if only is None or figure.name in only]
    head = ["figure", *(report.title for report in reports)] if len(reports) > 1 else []
    screen.table([[name, *(_said(report.figure(name)) for report in reports)] for name in names], head=head)
    reasons: dict[str, list[str]] = {}
    for report in reports:
        for name in names:
            figure = report.figure(name)
            if figure.value is None and name not in reasons.setdefault(figure.why, []):
                reasons[figure.why].append(name)
    for why, missing in reasons.items():
        screen.note(f"no {', '.join(missing)}: {why}")


def _said(figure: Figure) -> str:
    """A value with what it has to be compared with.

    Example:

        >>> from mynah.metrics.report import Figure
        >>> _said(Figure("speaker similarity", 0.8, floor=0.6, ceiling=0.9, share=2 / 3))
        '0.8 = 67 % of the way from 0.600 to 0.900'
    """
    if figure.share is None:
        return figure.text
    return f"{figure.text} = {100 * figure.share:.0f} % of the way from {figure.floor or 0:.3f} to {figure.ceiling:.3f}"
