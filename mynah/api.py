"""What `import mynah` offers beyond reading, writing and converting: voices of people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mynah.core.errors import BadVoice
from mynah.core.types import Audio, Terms, Voice
from mynah.voices import library


def enrol(
    recordings: Path | str | Audio | Sequence[Path | str | Audio],
    name: str | None = None,
    *,
    license: str = "",
    attribution: str = "",
    replace: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Voice:
    """Make a voice from recordings of somebody, and keep it in the library.

    Args:
        recordings: One or several, as files or as sound: half a minute of one person alone is good, minutes are better.
        name: What to call the voice; by default the name of the file, if there is but one.
        license: Under which the voice may be used, as an SPDX identifier; empty for a private voice.
        attribution: Who is to be named.
        replace: Take the place of an older voice of that name.
        progress: Told the fraction that is done, 0 to 1.

    Raises:
        BadAudio: A recording cannot be read.
        BadVoice: Too little sound in them; no name, or one that is taken.
    """
    several = [recordings] if isinstance(recordings, str | Path | Audio) else list(recordings)
    clips = [Path(clip) if isinstance(clip, str) else clip for clip in several]
    if name is None:
        if len(clips) != 1 or not isinstance(clips[0], Path):
            raise BadVoice('say what to call the voice: mynah.enrol(recordings, "name")')
        name = clips[0].stem
    return library.enrol(clips, name, terms=Terms(license, attribution), replace=replace, progress=progress)


def adopt(
    source: Path | str,
    name: str | None = None,
    *,
    range_hz: tuple[float, float] | None = None,
    license: str = "",
    attribution: str = "",
    replace: bool = False,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Voice:
    """Take in a voice that somebody else trained, and keep it in the library; nothing in its files is ever run.

    Args:
        source: A model's file, a folder or a zip archive with it, an `https://` address, or `owner/name` on the hub.
        name: What to call the voice; by default what the file is called.
        range_hz: Lowest and highest comfortable pitch, where they are known; else melodies are not transposed for it.
        license: Under which the voice may be used, as an SPDX identifier.
        attribution: Who is to be named.
        replace: Take the place of an older voice of that name.
        progress: Told the fraction that has arrived, 0 to 1.

    Raises:
        BadCheckpoint: Damaged, hostile, or of no system that is known here; the message says why.
        BadVoice: The name is taken.
        Offline: It cannot be fetched.
    """
    from mynah.voices.adoption import adopt as take_in

    terms = Terms(license, attribution)
    return take_in(source, name, range_hz=range_hz, terms=terms, replace=replace, progress=progress)


def voice(spec: str) -> Voice:
    """A voice by its name in the library, from a recording (`"friend.wav"`), or a mixture (`"ann:0.7,bo:0.3"`).

    Raises:
        UnknownVoice: No such name; the message lists those there are.
        BadVoice: A recording with too little sound in it, or a mixture that makes no sense.
    """
    return library.find(spec)
