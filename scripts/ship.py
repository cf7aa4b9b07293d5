"""Put trained nets into the package, and make the shipped voices with them.

    python scripts/ship.py nets runs/convert-mynah
    python scripts/ship.py nets runs/separate-mynah
    python scripts/ship.py nets runs/convert-ucd_svc
    python scripts/ship.py voices FOLDER

The first three copy the nets that `mynah train` exported to `mynah/catalog/shipped` and write their checksums and sizes
into the source. The last, a process of its own because it reads those, makes
`mynah/voices/shipped/*.safetensors` from the recordings that were trained on.
"""

from __future__ import annotations

import argparse
import re
import shutil
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from mynah.audio.files import probe
from mynah.catalog.weights import sha256
from mynah.core.types import Terms, Voice
from mynah.features import speaker
from mynah.voices import library, store
from mynah.voices.ears import own_ears
from mynah.voices.enrolment import take

ROOT = Path(__file__).parent.parent / "mynah"
NETS = {
    "content_student": ROOT / "features" / "content.py",
    "voice_encoder": ROOT / "features" / "speaker.py",
    "mynah_decoder": ROOT / "convert" / "mynah" / "__init__.py",
    "mynah_separator": ROOT / "separate" / "mynah" / "__init__.py",
    "ucd_svc": ROOT / "convert" / "ucd_svc" / "__init__.py",
}
# Name, recordings (not the held-out ones), licence, attribution.
VOICES = [
    (
        "kerstin",
        "speech/kerstin/*",
        "CC0-1.0",
        "Kerstin, German reader, of rhasspy/dataset-voice-kerstin (public domain)",
    ),
    (
        "philipp",
        "speech/philipp/*",
        "Apache-2.0",
        "Philipp Matthes, reader of English sentences, of PhilippMatthes/dc_tts",
    ),
    (
        "pjs",
        "singing/pjs/*_song*",
        "CC-BY-SA-4.0",
        "Singer of the PJS corpus of J. Koguchi, S. Takamichi and M. Morise, 2020",
    ),
]
MIXTURES = {"hazel": "kerstin:0.6,pjs:0.4", "rowan": "philipp:0.5,pjs:0.5", "robin": "kerstin:0.5,philipp:0.5"}
HELD_OUT = ["singing/pjs/pjs08[1-9]*", "singing/pjs/pjs090*"]
SECONDS = 600.0


def main() -> None:
    """Parse, copy, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("nets", "voices"))
    parser.add_argument("folder", type=Path, help="that `mynah train --out` wrote to, or of the recordings")
    arguments = parser.parse_args()
    {"nets": nets, "voices": voices}[arguments.what](arguments.folder)


def nets(run: Path) -> None:
    """Copy nets, and tell the source their checksums."""
    there = {name: source for name, source in NETS.items() if (run / f"{name}.safetensors").exists()}
    if not there:
        raise SystemExit(f"{run} holds none of {', '.join(NETS)}")
    for name, source in there.items():
        file = ROOT / "catalog" / "shipped" / f"{name}.safetensors"
        shutil.copyfile(run / file.name, file)
        text, count = re.subn(
            rf'("shipped:{name}\.safetensors",\s*)sha256="[^"]*",(\s*)bytes=\d+',
            rf'\g<1>sha256="{sha256(file)}",\g<2>bytes={file.stat().st_size}',
            source.read_text("utf-8"),
        )
        if count != 1:
            raise SystemExit(f"{source} does not name {file.name} exactly once")
        source.write_text(text, "utf-8")
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")


def voices(data: Path) -> None:
    """Hear the shipped voices, and mix some."""
    for name, pattern, license, attribution in VOICES:
        paths = [
            path
            for path in sorted(data.glob(pattern))
            if not any(fnmatch(path.relative_to(data).as_posix(), held) for held in HELD_OUT)
        ]
        if not pattern.startswith("singing"):
            paths = paths[: len(paths) * 9 // 10]
        # Every so many, so that the voice is heard on all its days.
        every = max(1, round(sum(probe(path).seconds for path in paths) / SECONDS))
        heard = take(paths[::every], own_ears())
        voice = Voice(
            name,
            heard.range_hz,
            embedding=heard.embedding,
            encoder=speaker.ENCODER,
            bank=heard.bank,
            terms=Terms(license, attribution),
        )
        _ship(voice, heard.seconds)
    for name, spec in MIXTURES.items():
        _ship(replace(library.find(spec), name=name), 0.0)


def _ship(voice: Voice, seconds: float) -> None:
    sheet = store.sheet_for(voice, "shipped", seconds)
    path = store.write_shipped(voice, sheet, ROOT / "voices" / "shipped" / f"{voice.name}.safetensors")
    low, high = voice.range_hz
    print(f"{voice.name}: {low:.0f} to {high:.0f} Hz, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
