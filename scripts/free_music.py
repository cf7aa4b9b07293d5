"""Music without voices from Debian's games, to learn separation from: real records, under Creative Commons licences.

    python scripts/free_music.py MATERIAL

Wants a Debian system (apt-get, dpkg-deb). Packages are fetched and unpacked, not installed; what is taken of them are
the pieces whose licence, by the package's own copyright file, is CC0, CC BY or CC BY-SA, and that nobody sings in.
What is already there is left alone.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

# Which files of a package, by their path in it. Authors are listed in docs/separation-material.md.
PIECES = {
    "ardentryst": ["*/Music/*.ogg"],
    "hyperrogue-music": ["*/music/*.ogg"],
    "naev-data": [
        f"*/snd/music/{name}.ogg"
        for name in (
            "ambient?", "ambient2_5", "collective?", "landing_sinister", "tension", "intro", "empire?", "nebu_battle?",
            "upbeat", "flf_battle1", "sirius?", "battlesomething?", "zalek?", "intrigue", "automat", "void_sensor",
            "ambiphonic", "combat?", "dvaered?", "eureka", "terminal", "motherload", "pirate1_theme1",
            "pirates_orchestra", "heartofmachine", "dark_city", "blackmoor_tides", "imminent_threat",
        )
    ],
    "redeclipse-data": ["*/sounds/music/track_*.ogg"],
    "singularity-music": ["*/music/*.ogg"],
    "supertuxkart-data": [
        f"*/data/music/{name}.ogg"
        for name in (
            "bay", "Boom_boom_boom", "celtic", "egypt", "farm", "garden", "hacienda", "jumping_to_the_stars_remake*",
            "kart_grand_prix", "landing_in_gran_paradiso", "Lava", "menutheme", "overworld", "race_summary",
            "SkyVibe-HighFrequency", "demonhill", "Snowy", "subsea", "valley", "West", "win_theme", "xeon6",
            "ravenbridge_mansion*", "alien_signal",
        )
    ],
    "ufoai-music": [
        f"*/music/{name}.ogg"
        for name in (
            "David0?", "azrael1", "karlmacklin_geoscape", "van_*", "Crystan-*", "Marine*", "TheThings-Slippycurb",
            "returnjourney",
        )
    ],
    "unknown-horizons": ["*/content/audio/music/*.ogg", "*/content/audio/music/menu/*.ogg"],
}  # fmt: skip


def main() -> None:
    """Fetch, unpack, pick."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("material", type=Path, help="of songs in stems and solos")
    folder = parser.parse_args().material
    for package, patterns in PIECES.items():
        place = folder / package / "accompaniment"
        if place.exists():
            continue
        with tempfile.TemporaryDirectory() as work:
            unpacked = fetched(package, Path(work))
            pieces = [
                path
                for path in sorted(unpacked.rglob("*.ogg"))
                if any(fnmatch(path.as_posix(), pattern) for pattern in patterns)
            ]
            if not pieces:
                sys.exit(f"{package} holds none of the pieces that this script knows: it is another version")
            half = Path(work, "half")
            half.mkdir()
            for path in pieces:
                shutil.copyfile(path, half / path.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(half, place)
        print(f"{package}: {len(pieces)} pieces", flush=True)


def fetched(package: str, work: Path) -> Path:
    """What is in a Debian package, archives of games in it unpacked."""
    subprocess.run(["apt-get", "download", "-qq", package], cwd=work, check=True)
    (archive,) = work.glob("*.deb")
    unpacked = work / "unpacked"
    subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
    archive.unlink()
    for path in sorted(unpacked.rglob("*.pk3")):
        with zipfile.ZipFile(path) as bundle:
            bundle.extractall(path.with_suffix(""), [name for name in bundle.namelist() if name.endswith(".ogg")])
    return unpacked


if __name__ == "__main__":
    main()
