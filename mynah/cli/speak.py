"""`mynah speak`: a text in any voice."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.cli.recordings import PIPE, WRITTEN
from mynah.cli.screen import Screen
from mynah.core.errors import BadOption, BadText

if TYPE_CHECKING:
    from mynah.core.types import Audio
    from mynah.scenes.say_back import Heard

EPILOG = """\
examples:
  mynah speak "Guten Morgen" --voice kerstin           writes speech-kerstin.wav
  mynah speak --file letter.txt --voice me -o letter.mp3
  mynah speak "Good morning" --verify                  listens to itself, and says again what lost words
  date | mynah speak --file - -o - | aplay

Any voice will do. What the speaker cannot say by itself is said in a voice of its own, then converted."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Our own flags, then those of the speaker and of the converter that `argv` asks for."""
    from mynah.cli.choice import add, asked, default
    from mynah.cli.flags import add as add_options
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.scenes.say_back import TRIES

    parser.epilog = EPILOG
    parser.add_argument("text", nargs="*", metavar="TEXT", help="what to say")
    parser.add_argument("--file", metavar="FILE", help="read the text from a file; - is a pipe")
    parser.add_argument("--voice", metavar="VOICE", help="name, recording, or mixture (default: the speaker's own)")
    parser.add_argument("-o", "--out", metavar="FILE", help="file, or - for standard output")
    parser.add_argument("--format", choices=WRITTEN, help="of the result, where --out does not tell (default wav)")
    parser.add_argument("--bits", type=int, choices=(16, 24, 32), help="per sample (default 24; 32 is float)")
    parser.add_argument("--force", action="store_true", help="replace a result that exists")
    checks = parser.add_argument_group("to be sure that no word is lost")
    checks.add_argument(
        "--verify", action="store_true", help="write down what is spoken, and say again what lost words"
    )
    checks.add_argument("--tries", type=int, default=TRIES, help="for each sentence, at most (default %(default)s)")
    checks.add_argument(
        "--listener", default=default("transcribe"), metavar="NAME", help="who writes it down (default %(default)s)"
    )
    checks.add_argument("--listener-weights", default="default", metavar="NAME|FILE", help="of whoever does")
    add(parser, argv, "speak")
    other = asked(argv, "convert", "converter")
    parser.add_argument(
        "--converter",
        default=other.removeprefix("convert/"),
        metavar="NAME",
        help=f"who makes a voice that the speaker lacks (default: whom it was made for, else {default('convert')})",
    )
    add_options(parser, options_of(find(other), "convert"), other, prefix="convert")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Say it, and write it."""
    from mynah.cli.devices import device
    from mynah.cli.flags import chosen
    from mynah.core.registry import find, full
    from mynah.core.verbs import options_of
    from mynah.scenes.speech import prepared, written

    if not 1 <= args.tries <= 20:
        raise BadOption(f"--tries {args.tries}: from 1 to 20")
    text = _text(args)
    out = _out(args, screen)
    name, other = full(args.system, "speak"), full(args.converter, "convert")
    options = chosen(options_of(find(name), "speak"), args)
    converting = chosen(options_of(find(other), "convert"), args, prefix="convert")
    place = device(args.device)
    speaker = prepared(
        args.voice, system=name, weights=args.weights, converter=other, device=place,
        convert=converting.model_dump(exclude_unset=True), **options.model_dump(exclude_unset=True),
    )  # fmt: skip
    start = time.perf_counter()
    doubtful: list[Heard] = []
    with screen.progress("speak") as progress:
        if args.verify:
            from mynah.scenes.say_back import Listener, said_back

            ear = Listener(args.listener, args.listener_weights, place)
            said = said_back(speaker, text, ear, tries=args.tries, progress=progress)
            sound = _sound(said, doubtful)
        else:
            sound = speaker.utterances(text, progress=progress)
        seconds = written(sound, out, bits=args.bits)
    wall = time.perf_counter() - start
    _report(doubtful, screen)
    own = "" if speaker.changed is None else f", spoken as {speaker.voice.name} and converted"
    screen.note(f"-> {out}  ({seconds:.1f} s of sound in {wall:.1f} s{own})")
    told: dict[str, Any] = {
        "system": name, "voice": (speaker.changed or speaker).voice.name, "out": out, "seconds": seconds,
        "real_time_factor": wall / seconds,
    }  # fmt: skip
    if args.verify:
        told["lost"] = [
            {"text": each.text, "heard": each.heard, "words": each.lost, "tries": each.tries} for each in doubtful
        ]
    screen.give(told)
    return 0


def _sound(said: Iterator[Heard], doubtful: list[Heard]) -> Iterator[Audio]:
    """The sound of what is said; what lost words is noted."""
    for each in said:
        if each.lost:
            doubtful.append(each)
        yield each.sound


def _report(doubtful: Sequence[Heard], screen: Screen) -> None:
    for each in doubtful:
        screen.complaint(f"after {each.tries} tries {', '.join(each.lost)} cannot be heard in: {each.text}")


def _text(args: argparse.Namespace) -> str:
    """What to say.

    Raises:
        BadOption: Given twice, or not at all.
        BadText: The file holds no text.
    """
    if bool(args.text) == (args.file is not None):
        raise BadOption('say what to say: mynah speak "Good morning", or --file letter.txt')
    if args.text:
        return " ".join(args.text)
    try:
        if args.file == PIPE:
            return sys.stdin.buffer.read().decode("utf-8-sig")
        return Path(args.file).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise BadText(f"{args.file}: is no text in UTF-8; save it as such") from None


def _out(args: argparse.Namespace, screen: Screen) -> str | Path:
    """Where to.

    Raises:
        BadOption: There is something already, or the place makes no sense.
    """
    if args.out == PIPE:
        if screen.json:
            raise BadOption("--json and sound cannot share standard output: give --out FILE")
        return PIPE
    suffix = Path(args.out).suffix[1:].lower() if args.out else ""
    if args.out and args.format and suffix != args.format:
        raise BadOption(f"--format {args.format} and --out {args.out} contradict each other")
    if args.out:
        out = Path(args.out)
    else:
        stem = Path(args.file).stem if args.file and args.file != PIPE else "speech"
        who = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in Path(args.voice or "").stem)
        out = Path(f"{stem}-{who}".rstrip("-") + f".{args.format or 'wav'}")
    if out.exists() and not args.force:
        raise BadOption(f"{out} exists: add --force to replace it")
    return out
