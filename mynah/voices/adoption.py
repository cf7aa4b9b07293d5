"""Voices of a community taken into the library: a file, an archive, a folder, an address, or a place on the hub.

Which system they are of, the systems themselves tell (`mynah.core.verbs.Adopts`).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace as changed
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.types import Terms, Voice
from mynah.core.verbs import Adopts, Casts
from mynah.voices import library, store
from mynah.voices.parcel import SUFFIX
from mynah.voices.sheet import fit_name, same_name

Progress = Callable[[float], None]

MOST_SPEAKERS = 16  # that become voices of their own, because each takes the place of the whole model


def adopt(
    source: str | Path,
    name: str | None = None,
    *,
    range_hz: tuple[float, float] | None = None,
    terms: Terms | None = None,
    replace: bool = False,
    origin: str = "",
    progress: Progress = lambda fraction: None,
) -> Voice:
    """Take in a voice that somebody else trained, and keep it in the library. Nothing in its files is ever run.

    Where a model has several voices, the others are kept, too: those of `band` with `ann` and `bo` in it as `band`,
    which is the first, and `band-bo`. With more than 16 there is only the first, and the option `speaker`.

    Args:
        source: A model's file, a zip archive or a folder with it and its index, an `https://` address, `owner/name` or
            `owner/name/file` on the hub, or a voice that was exported (`.mynah`). What lies there stays as it is.
        name: What to call the voice; by default what the file is called.
        range_hz: Lowest and highest comfortable pitch, where they are known; else melodies are not transposed for it.
        terms: Licence and attribution, where they are known.
        replace: Take the place of an older voice of that name.
        origin: Where it comes from, to be noted with the voice; by default the source.
        progress: Told the fraction that has arrived, 0 to 1.

    Raises:
        BadCheckpoint: Damaged, hostile, or of no system that is known here; the message says why.
        BadVoice: The name is taken.
        BadOption: The name cannot be one, or the source is nothing that can be understood.
        Offline: It cannot be fetched.
        NoSpace: The disk is full.
    """
    source = str(source)
    if source.lower().endswith(SUFFIX) and Path(source).expanduser().is_file():
        return library.import_(source, name=name, replace=replace)
    name = fit_name(name if name is not None else _name_of(source))
    _check_range(range_hz)
    store.refuse_taken(name, replace=replace)
    from mynah.catalog.sources import gathered, outlined
    from mynah.core.registry import those

    store.shelf().mkdir(parents=True, exist_ok=True)
    # Where the files are looked at nobody else looks, and what a killed run leaves there is swept away.
    with tempfile.TemporaryDirectory(prefix=".making-", dir=store.shelf()) as desk:
        try:
            files = outlined(gathered(source, Path(desk), progress))
            takers = {system: each for system, each in those(Adopts, "adopting").items() if each.recognises(files)}  # type: ignore[attr-defined]
            if len(takers) != 1:
                held = ", ".join(path.name for path in list(files)[:6])
                what = f"voices of {' and '.join(takers)}: give one file" if takers else "no voice of a kind known here"
                raise BadCheckpoint(f"{source}: holds {what} ({held})")
            [(system, taker)] = takers.items()

            def keep(called: str, make: Callable[[Path], Voice]) -> Voice:
                """Made in a folder of its own, which appears when all have been made."""
                folder = making.enter_context(store.shelved(called, replace=replace))
                taken = make(folder)
                voice = changed(
                    taken, name=called, system=system, range_hz=range_hz or taken.range_hz, terms=terms or Terms()
                )
                sheet = store.sheet_for(voice, "imported", 0.0, origin=origin or _origin(source))
                store.write_voice(voice, sheet, folder)
                return voice

            with ExitStack() as making:
                first = keep(name, lambda folder: taker.adopt(files, folder))  # type: ignore[attr-defined]
                for called, speaker in _others(name, taker, first).items():
                    keep(called, partial(_alone, taker, first, speaker))
        except BadCheckpoint as error:
            raise BadCheckpoint(_without(str(error), Path(desk), source)) from error
    return store.read_voice(store.shelf() / name)


def _others(name: str, taker: Any, first: Voice) -> dict[str, str]:
    """What to call the voices of a model besides the one it sings with by itself, and their names in it."""
    if not issubclass(taker, Casts) or first.weights is None:
        return {}
    speakers = taker.cast(first.weights)
    if len(speakers) > MOST_SPEAKERS:
        return {}
    called: dict[str, str] = {}
    for place, speaker in enumerate(speakers[1:], 1):
        try:
            fit = fit_name(f"{name}-{speaker}")
        except BadOption:  # it was called for other eyes
            fit = fit_name(f"{name}-{place}")
        called[f"{name}-{place}" if any(same_name(fit, other) for other in called) else fit] = speaker
    return called


def _alone(taker: Any, first: Voice, speaker: str, folder: Path) -> Voice:
    voice: Voice = taker.alone(first.weights, speaker, folder)
    return voice


def _name_of(source: str) -> str:
    """What to call a voice when nobody says.

    Example:

        >>> _name_of("https://example.org/voices/singer%20one.zip?download=true")
        'singer one'
        >>> _name_of("owner/name/my.singer_v2.pth@main")
        'my singer_v2'
    """
    from urllib.parse import unquote, urlsplit

    if "://" in source:
        source = unquote(urlsplit(source).path)
    elif not Path(source).expanduser().exists():
        source = source.partition("@")[0]
    place = PurePosixPath(Path(source).expanduser().resolve() if source in (".", "..") else source)
    stem = place.stem if re.fullmatch(r"\.[A-Za-z]\w{1,11}", place.suffix) else place.name
    name = re.sub(r"[^\w-]+", " ", stem).strip(" -_")[:64].strip()
    if not name:
        raise BadOption("say what to call the voice: --name NAME")
    return name


def _origin(source: str) -> str:
    """Where it came from, without what is nobody's business: folders of this machine, and keys in an address.

    Example:

        >>> _origin("/home/me/singer.zip"), _origin("https://example.org/singer.zip?key=secret")
        ('singer.zip', 'https://example.org/singer.zip')
    """
    if "://" in source:
        return source.partition("?")[0].partition("#")[0]
    path = Path(source).expanduser()
    return path.resolve().name if path.is_absolute() or path.exists() else source


def _check_range(range_hz: tuple[float, float] | None) -> None:
    if range_hz is not None and not 20 <= range_hz[0] < range_hz[1] <= 5000:
        raise BadOption("a range is two pitches from 20 to 5000 Hz, the lower one first")


def _without(message: str, desk: Path, source: str) -> str:
    """The message in terms of what the user gave: where it was unpacked is gone."""
    inside = re.sub(rf"{re.escape(str(desk))}(/unpacked)?(/\d+)?/?", "", message)
    return message if inside == message else f"{source}: {inside}"
