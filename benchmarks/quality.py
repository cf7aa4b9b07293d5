"""How good `convert/mynah` is on recordings that it never saw, one row for each target voice, and the targets' means.

    python benchmarks/quality.py FOLDER --whisper tiny.en.pt

FOLDER is laid out as for the training (`docs/training.md`). Sources are the held-out songs of the Japanese singer; for
the singer himself as a target, another singer's held-out song. Trained voices are the shipped ones, judged against
held-out recordings of the same people. Enrolled voices are readers whom training never met: 30 s of each are enrolled,
the rest is what the result is compared with. The melody is moved by `--auto-step semitone` and that move is taken off
again before pitch is compared. "share" is how far the result got from the floor (the source itself) to the ceiling
(other recordings of the target).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mynah import api
from mynah.audio.files import read
from mynah.audio.mixing import match_channels
from mynah.convert.mynah import Mynah, MynahOptions
from mynah.core.types import Audio, Voice
from mynah.features import content, speaker
from mynah.features.pitch import pitch
from mynah.metrics.evaluate import Listeners, evaluate, listeners
from mynah.metrics.report import Figure, Report
from mynah.metrics.speaker import likeness
from mynah.voices.ears import own_ears
from mynah.voices.enrolment import take

STRANGERS = ("9643", "9609", "9615", "9616", "9622", "9634", "9614", "9623")  # of speechocean762, held out whole
_OWN: dict[int, Audio] = {}  # sources in their own voice; they live as long as the run
FIGURES = (
    "pitch correlation",
    "median pitch error",
    "pitch RMSE",
    "voiced/unvoiced F1",
    "speaker similarity",
    "content similarity",
    "naturalness (DNSMOS)",
    "naturalness of the source",
    "real-time factor",
)


def main() -> None:
    """Parse, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--whisper", help="weights of the content judge; fetched when not given")
    parser.add_argument("--songs", type=int, default=10, help="how many of the held-out songs")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the converter")
    arguments = parser.parse_args()

    system, judges = Mynah.load(), listeners(words_weights=arguments.whisper)
    chosen = dict(option.split("=", 1) for option in arguments.option)
    options = MynahOptions.of(**({"auto_step": "semitone"} | chosen))
    data: Path = arguments.folder
    songs = songs_of(data, arguments.songs)
    reports: dict[str, list[Report]] = {"trained": [], "enrolled": []}
    with Console(stderr=True).status("") as status:
        for name in ("kerstin", "philipp"):
            status.update(f"as {name}")
            paths = sorted((data / "speech" / name).glob("*.opus"))
            target = clips(paths[len(paths) * 9 // 10 :], 60)
            reports["trained"].append(judged(system, songs, api.voice(name), target, options, judges))
        status.update("as pjs")
        lead = read(data / "stems" / "7_francium" / "lead.opus", rate=32_000, mono=True)
        parts = {f"francium at {start} s": part(lead, start, 15) for start in range(0, int(lead.seconds) - 15, 15)}
        # Where she sings, which is not everywhere.
        sung = sorted(parts, key=lambda name: -pitch(parts[name]).values.isfinite().float().mean().item())[:4]
        other = {name: parts[name] for name in sung}
        reports["trained"].append(
            judged(system, other, api.voice("pjs"), list(songs.values()), options, judges)
        )  # fmt: skip
        for name in STRANGERS:
            status.update(f"as {name}")
            paths = sorted((data / "speech" / "speechocean" / name).glob("*.opus"))
            known = clips(paths, 30)
            heard = take(known, own_ears())
            voice = Voice(
                name, heard.range_hz, heard.clips, heard.embedding, speaker.ENCODER, heard.bank
            )  # fmt: skip
            target = clips(paths[len(known) :], 60)
            reports["enrolled"].append(judged(system, songs, voice, target, options, judges))
    for kind, rows in reports.items():
        show(kind, rows)
    if judges.speaker is not None:
        read_aloud = [
            read(path, mono=True) for path in sorted((data / "singing" / "pjs").glob("pjs08[1-9]_speech.opus"))
        ]
        own = likeness(list(songs.values()), [other[name] for name in sung], read_aloud, judges.speaker)
        print(
            f"for comparison: the singer's own songs are {own.value:.3f} like his own reading (floor {own.floor:.3f},"
        )
        print(
            f"ceiling {own.ceiling:.3f}): singing instead of speaking leaves {100 * (own.share or 0):.0f} % by itself"
        )
    if arguments.json:
        arguments.json.write_text(
            json.dumps({kind: [row.to_dict() for row in rows] for kind, rows in reports.items()}, indent=1) + "\n"
        )


def songs_of(data: Path, count: int) -> dict[str, Audio]:
    """The first `count` of the held-out songs, by name."""
    paths = [data / "singing" / "pjs" / f"pjs{number:03}_song.opus" for number in range(81, 91)]
    return {path.stem: read(path, mono=True) for path in [path for path in paths if path.exists()][:count]}


def judged(
    system: Mynah,
    sources: dict[str, Audio],
    voice: Voice,
    target: Sequence[Audio],
    options: MynahOptions,
    judges: Listeners,
) -> Report:
    """One target. The ceiling of the content is a source resung with its own voice, enrolled from itself."""

    def same(source: Audio) -> Audio:
        if id(source) in _OWN:
            return _OWN[id(source)]
        mono = match_channels(source, 1)
        own = Voice("own", (80.0, 800.0), (mono,), speaker.load().embed([mono]), speaker.ENCODER)
        return _OWN.setdefault(id(source), system.convert(source, own, MynahOptions(transpose=0.0, retrieval=0.0)))

    return evaluate(
        sources,
        lambda source: system.convert(source, voice, options),
        target,
        title=voice.name,
        own_voice=same,
        judges=judges,
    )


def clips(paths: Sequence[Path], seconds: float) -> list[Audio]:
    """Recordings from the first on, until there are so many seconds of them."""
    found: list[Audio] = []
    for path in paths:
        if sum(clip.seconds for clip in found) >= seconds:
            break
        found.append(read(path, rate=32_000, mono=True))
    return found


def part(audio: Audio, start: float, seconds: float) -> Audio:
    """A stretch of a recording."""
    return Audio(audio.samples[:, round(start * audio.rate) : round((start + seconds) * audio.rate)], audio.rate)


def show(kind: str, reports: Sequence[Report]) -> None:
    """A table, and a line of means."""
    table = Table(title=f"{kind} voices")
    for column in ("voice", *FIGURES):
        table.add_column(column, justify="left" if column == "voice" else "right")
    for report in reports:
        table.add_row(report.title, *(cell(report.figure(name)) for name in FIGURES))
    Console(width=190).print(table)
    for name in ("speaker similarity", "content similarity"):
        shares = [figure.share for report in reports if (figure := report.figure(name)).share is not None]
        if shares:
            print(f"{kind}: mean share of {name}: {100 * sum(shares) / len(shares):.0f} %")


def cell(figure: Figure) -> str:
    """A figure between its floor and its ceiling."""
    bounds = [f"{bound:.2f}" if bound is not None else "" for bound in (figure.floor, figure.ceiling)]
    share = f" {100 * figure.share:.0f} %" if figure.share is not None else ""
    return f"{bounds[0]} < {figure.text} < {bounds[1]}{share}".strip(" <") if any(bounds) else figure.text


if __name__ == "__main__":
    content.load()  # an error of the installation is told before the work
    main()
