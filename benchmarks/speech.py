"""What the house's own speaker says, heard by the house's own recogniser: held-out sentences, spoken and real.

    python benchmarks/speech.py FOLDER [--cache runs/speak-mynah/prepared] [--weights FILE] [--letters FILE]

FOLDER holds recordings and a manifest.csv with the columns path, speaker and text. Of every reader with more than ten
minutes the last tenth is held out, in training as here. The recogniser (`mynah.features.letters`) is a small one and
errs on real recordings too, so its error on them stands beside. Lengths are from the first sound to the last one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mynah.core.types import Audio
from mynah.features import content, ge2e, letters
from mynah.metrics.naturalness import opinion
from mynah.metrics.spelling import character_error
from mynah.speak.mynah import Mynah, MynahSpeechOptions
from mynah.speak.mynah.recipe.align import QUIET_DB
from mynah.speak.mynah.recipe.readings import Reading, Readings
from mynah.text.phonemes import phonemes
from mynah.voices import library

OPINIONS = 8  # sentences that are also judged by DNSMOS
LONG = "Das ist der erste Satz. Und dies hier ist der zweite Satz, der etwas länger dauert. Danach kommt noch einer."


def main() -> None:
    """Parse, speak, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/speak-mynah/prepared"))
    parser.add_argument("--weights", default="default")
    parser.add_argument("--letters", default="default")
    parser.add_argument("--sentences", type=int, default=1000)
    arguments = parser.parse_args()

    student = content.load()
    readings = Readings.open(arguments.folder, arguments.cache, student, content.WEIGHTS.sha256[:8])
    system, recogniser, ear = Mynah.load(arguments.weights), letters.load(arguments.letters), ge2e.load()
    table = Table(title="held-out sentences, spoken and real")
    for column in (
        "reader",
        "n",
        "error real",
        "error spoken",
        "ratio",
        "length off",
        "of all",
        "likeness",
        "RTF",
        "DNSMOS real",
        "spoken",
    ):
        table.add_column(column, justify="right")
    for reader in readings.readers:
        own = [one for one in readings.part(True) if one.take.clip.speaker == reader][: arguments.sentences]
        table.add_row(reader, *row(own, library.find(reader), system, recogniser, student, ear))
    Console().print(table)

    phonemes("warm", "de")
    voice = library.find("kerstin")
    begin = time.perf_counter()
    next(system.utterances(LONG, voice))
    Console().print(f"first sentence of a streamed text after {time.perf_counter() - begin:.2f} s")


def row(own: list[Reading], voice, system, recogniser, student, ear) -> list[str]:  # type: ignore[no-untyped-def]
    real, spoken, off, wanted, given, took = [], [], [], 0.0, 0.0, 0.0
    ours, theirs, liked = [], [], []
    for number, reading in enumerate(own):
        recording = Audio(reading.take.wave(16_000)[None], 16_000)
        begin = time.process_time()
        speech = system.speak(
            reading.take.clip.text, voice, MynahSpeechOptions(language=reading.language, pause_seconds=0.35)
        )
        took += time.process_time() - begin
        given += speech.seconds
        real.append((reading.spelt, recogniser.spelt(recording, student)))
        spoken.append((reading.spelt, recogniser.spelt(speech, student)))
        lengths = [sounding_seconds(student, each) for each in (recording, speech)]
        off.append((lengths[1] - lengths[0]) / lengths[0])
        wanted += lengths[0]
        if number < OPINIONS:
            liked.append([opinion(each).overall for each in (recording, speech)])
        ours.append(ear.embed([speech]))
        theirs.append(ear.embed([recording]))
    errors = character_error(real), character_error(spoken)
    bias = torch.tensor(off)
    likeness = torch.cosine_similarity(torch.stack(ours).mean(0), torch.stack(theirs).mean(0), dim=-1)
    return [
        str(len(own)),
        f"{errors[0]:.3f}",
        f"{errors[1]:.3f}",
        f"{errors[1] / errors[0]:.2f}",
        f"{bias.abs().mean():.3f}",
        f"{bias.mean():+.3f}",
        f"{likeness:.3f}",
        f"{took / given:.3f}",
        *(f"{value:.2f}" for value in torch.tensor(liked).mean(0).tolist()),
    ]


def sounding_seconds(student: content.ContentStudent, recording: Audio) -> float:
    """From the first sound to the last one."""
    from mynah.audio.resample import resample
    from mynah.features.loudness import Loudness

    with torch.inference_mode():
        level = Loudness()(student.power(resample(recording, 16_000).samples))[0]
    loud = (level > level.quantile(0.9) - QUIET_DB).nonzero()[:, 0]
    return float(loud[-1] - loud[0] + 1) / 100


if __name__ == "__main__":
    main()
