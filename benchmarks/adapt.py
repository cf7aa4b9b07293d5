"""What tuning to one voice costs and gives: minutes, and the likeness before and after.

    python benchmarks/adapt.py FOLDER [--who 9643]

FOLDER as in `benchmarks/quality.py`. A reader whom training never met is enrolled from 30 s, the held-out songs are
converted, the decoder is tuned on the same 30 s by `mynah.train`, and the songs are converted again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from quality import clips, songs_of
from rich.console import Console
from rich.table import Table

from mynah.convert.mynah import Mynah, MynahOptions
from mynah.core.types import Voice
from mynah.features import ge2e, speaker
from mynah.metrics.speaker import likeness
from mynah.train.run import train
from mynah.voices.ears import own_ears
from mynah.voices.enrolment import take


def main() -> None:
    """Parse, tune, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--who", nargs="*", default=["9643", "9616"], help="readers of speechocean762")
    parser.add_argument("--songs", type=int, default=4)
    arguments = parser.parse_args()

    ear, system = ge2e.load(), Mynah.load()
    options = MynahOptions(auto_step="semitone")
    songs = list(songs_of(arguments.folder, arguments.songs).values())
    table = Table(title="tuning to 30 s of one voice")
    for column in ("reader", "minutes", "floor", "enrolled", "tuned", "ceiling", "share enrolled", "share tuned"):
        table.add_column(column, justify="right")
    for who in arguments.who:
        paths = sorted((arguments.folder / "speech" / "speechocean" / who).glob("*.opus"))
        known = clips(paths, 30)
        heard = take(known, own_ears())
        voice = Voice(who, heard.range_hz, heard.clips, heard.embedding, speaker.ENCODER, heard.bank)
        target = clips(paths[len(known) :], 60)
        before = likeness([system.convert(song, voice, options) for song in songs], songs, target, ear)
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            recipe = system.adapt(voice)
            train(recipe, folder, device="cpu")
            [weights] = recipe.export(folder)
            minutes = (time.perf_counter() - begin) / 60
            tuned = replace(voice, weights=Path(weights))
            after = likeness([system.convert(song, tuned, options) for song in songs], songs, target, ear)
        figures = (before.floor, before.value, after.value, before.ceiling)
        shares = (before.share or 0.0, after.share or 0.0)
        table.add_row(
            who,
            f"{minutes:.1f}",
            *(f"{figure:.3f}" for figure in figures),
            *(f"{100 * share:.0f} %" for share in shares),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
