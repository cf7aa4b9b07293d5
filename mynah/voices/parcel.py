"""A voice in one file, `name.mynah`, to give away: a zip of its text, its vectors and its clips."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

from mynah.audio.files import probe, stream
from mynah.catalog.archive import Archive
from mynah.catalog.checkpoint import load_safetensors
from mynah.catalog.limits import Limits
from mynah.core.atomic import replacing
from mynah.core.errors import BadAudio, BadCheckpoint, BadVoice
from mynah.voices.enrolment import MOST_SECONDS
from mynah.voices.store import CLIPS, SHEET, VECTORS, WEIGHTS, read_sheet, read_voice

SUFFIX = ".mynah"

_CLIP = re.compile(rf"{CLIPS}/[0-9]{{4}}\.flac")
_DATE = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same voice gives the same bytes
_LIMITS = Limits(file_bytes=2 << 30, members=5000, expansion=50)


def pack(folder: Path, file: Path) -> Path:
    """Write a voice's folder as one file; it appears whole or not at all."""
    members = [folder / SHEET, folder / VECTORS, folder / WEIGHTS, *sorted((folder / CLIPS).glob("*.flac"))]
    with replacing(file) as half, zipfile.ZipFile(half, "w") as archive:
        for member in members:
            if not member.exists():
                continue
            entry = zipfile.ZipInfo(member.relative_to(folder).as_posix(), _DATE)
            entry.external_attr = 0o644 << 16
            with member.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    return file


def unpack(file: Path, folder: Path) -> None:
    """Put a voice from somebody else into an empty folder, and look at every part of it.

    Raises:
        BadVoice: Corrupt, hostile, or no voice at all.
    """
    try:
        with Archive(file, _LIMITS) as archive:
            for name in (SHEET, VECTORS):
                if name not in archive.sizes:
                    raise BadCheckpoint(f"it has no {name}")
            for name in archive.sizes:
                if name not in (SHEET, VECTORS, WEIGHTS) and not _CLIP.fullmatch(name):
                    raise BadCheckpoint(f"it holds {name[:80]!r}, which is no part of a voice")
            (folder / CLIPS).mkdir(exist_ok=True)
            for name in archive.sizes:
                (folder / name).write_bytes(archive.read(name))
        read_sheet(folder)
        if (folder / WEIGHTS).exists():
            load_safetensors(folder / WEIGHTS)
        _check_clips(folder / CLIPS)
        read_voice(folder, with_clips=False)
    except (BadCheckpoint, BadVoice, BadAudio) as error:
        reason = str(error).replace(f"{folder}/", "").replace(str(folder), "its text")
        raise BadVoice(f"{file}: cannot be imported as a voice: {reason}") from error


def _check_clips(folder: Path) -> None:
    seconds = 0.0
    for clip in sorted(folder.iterdir()):
        info = probe(clip)
        if info.format != "flac" or info.channels != 1:
            raise BadVoice(f"{clip.name} is no recording of one channel in FLAC")
        # Counted while decoding, whatever the header says.
        for block in stream(clip):
            seconds += block.seconds
            if seconds > 2 * MOST_SECONDS:
                raise BadVoice("its clips are longer than any voice's")
