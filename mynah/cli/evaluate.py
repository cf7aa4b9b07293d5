"""`mynah evaluate`: conversions and separations, measured."""

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

Listeners whose weights are not here are fetched once; without a network they are left out, and the report says so.

Stems instead: mynah evaluate --stems ESTIMATES --reference REFERENCES (mynah evaluate --stems --help tells more)."""
STEMS_EPILOG = """\
example:
  mynah separate song.wav --out stems/
  mynah evaluate --stems stems/ --reference multitrack/ --mix song.wav

Both folders hold one recording for each stem, called like it: vocals.wav, drums.flac and so on. Where one side has
them in one, lead and backing are added up as vocals, all but the voice as accompaniment, the remaining ones as other.

  SI-SDR               whatever the loudness; separating nothing would give the SI-SDR of the mix
  SI-SDR gain          over the mix, in windows of 12 s in which the stem and the rest both sound (their level is at
                       most 30 dB below that of the whole mix): the median of them, and the worst
  SDR (MDX)            of the Music Demixing Challenge: of the whole song, and the median of its seconds
  BSSEval 4            medians of the seconds: SDR, all that is wrong; ISR, the stem itself bent; SIR, other stems in
                       it; SAR, what nobody played"""
COSTS = ("real-time factor", "peak memory")
MIXES = ("mixture", "mix")  # what data sets call the song that lies among its stems


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """What to convert and how, as for `mynah convert`, then who listens; or two folders of stems."""
    if any(word.partition("=")[0] == "--stems" for word in argv):
        _stem_flags(parser)
        return
    from mynah.cli.choice import add

    parser.epilog = EPILOG
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="recordings to convert, or folders of them")
    parser.add_argument("--voice", required=True, metavar="VOICE", help="whom they are converted to")
    parser.add_argument("--target", nargs="+", default=[], metavar="FILE", help="other recordings of that person")
    parser.add_argument("--result", metavar="FILE", help="measure this instead: what came of the one INPUT")
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
    parser.set_defaults(stems=None)
    add(parser, argv, "convert")


def _stem_flags(parser: argparse.ArgumentParser) -> None:
    parser.description = "Measure how good a separation is."
    parser.epilog = STEMS_EPILOG
    parser.add_argument("--stems", type=Path, required=True, metavar="FOLDER", help="what a separator gave")
    parser.add_argument("--reference", type=Path, required=True, metavar="FOLDER", help="what was played")
    parser.add_argument(
        "--mix", type=Path, metavar="FILE", help="what was separated (default: the sum of the references)"
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the report, with every window by itself")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Convert, listen, print; or compare stems."""
    if args.stems is not None:
        return _evaluate_stems(args, screen)
    from mynah.audio.files import read
    from mynah.cli.choice import full
    from mynah.cli.devices import device
    from mynah.cli.flags import chosen
    from mynah.cli.recordings import found
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.metrics.evaluate import evaluate, listeners
    from mynah.voices.library import find as find_voice

    name = full(args.system, "convert")
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


def _evaluate_stems(args: argparse.Namespace, screen: Screen) -> int:
    from mynah.audio.files import read
    from mynah.core.types import Stems
    from mynah.metrics.report import write_json
    from mynah.metrics.stems import evaluate, paired

    references, estimates = _recordings(args.reference), _recordings(args.stems)
    mixes = [side.pop(name) for side in (references, estimates) for name in MIXES if name in side]
    true, heard = paired(
        *(Stems({name: read(path) for name, path in side.items()}) for side in (references, estimates))
    )
    if unknown := [name for name in heard if name not in true]:
        screen.complaint(f"not measured, because there is no reference: {', '.join(unknown)}")
    place = args.mix or next(iter(mixes), None)
    with screen.progress(f"evaluating {args.stems}") as progress:
        reports = evaluate(true, heard, read(place) if place is not None else None, progress=progress)
    document = {"stems": {report.title: report.to_dict() for report in reports}}
    screen.give(document)
    print_figures(reports, screen)
    if args.out:
        screen.note(f"report: {write_json(document, args.out)}")
    return 0


def _recordings(folder: Path) -> dict[str, Path]:
    """The recordings that lie in a folder, by the names of the stems that they hold.

    Raises:
        BadOption: There is no such folder, or nothing in it, or one stem twice.
    """
    from mynah.cli.recordings import READ

    if not folder.is_dir():
        raise BadOption(f"{folder} is not a folder of stems")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.stem.lower()
        if path.suffix.lower() in READ and not name.startswith("."):
            if name in found:
                raise BadOption(f"{found[name]} and {path} are the same stem: leave one in the folder")
            found[name] = path
    if not set(found) - set(MIXES):
        raise BadOption(f"{folder}: there are no stems in this folder, such as vocals.wav")
    return found


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
