"""The library: every voice that can be asked for by name."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mynah.core.atomic import replacing
from mynah.core.errors import BadOption, BadVoice, UnknownVoice
from mynah.core.types import Audio, Terms, Voice
from mynah.voices import store
from mynah.voices.sheet import fit_name, same_name

if TYPE_CHECKING:
    from mynah.voices.ears import Ears
    from mynah.voices.enrolment import Take

Progress = Callable[[float], None]
Kind = Literal["shipped", "enrolled", "mixture", "trained", "imported", "damaged"]


@dataclass(frozen=True)
class Summary:
    """One line of the list of voices.

    Attributes:
        name: To ask for it by.
        kind: How it came about; `"trained"` has parameters of its own; `"damaged"` cannot be used.
        range_hz: Lowest and highest comfortable pitch; twice 0 where nobody knows.
        seconds: Of recordings that it was made from.
        system: The one system that it belongs to; empty for any.
        origin: Where an imported voice came from.
        license: SPDX identifier; empty for a private voice.
        attribution: Who is to be named.
        advice: What would make it better; for a damaged one, what is wrong.
    """

    name: str
    kind: Kind
    range_hz: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0
    system: str = ""
    origin: str = ""
    license: str = ""
    attribution: str = ""
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Enrolled(Voice):
    """A voice that was just made from recordings.

    Attributes:
        seconds: Of the recordings, without silences.
        advice: One sentence for each thing that could be better; empty when all is well.
    """

    seconds: float = 0.0
    advice: tuple[str, ...] = ()


def enrol(
    clips: Sequence[Path | str | Audio],
    name: str,
    *,
    terms: Terms | None = None,
    replace: bool = False,
    progress: Progress | None = None,
    ears: Ears | None = None,
) -> Enrolled:
    """Make a voice from recordings of one person alone, and keep it in the library.

    Args:
        clips: Files, folders of files, or sound; three seconds of voice at least, better thirty or more.
        name: Letters, digits, spaces, `-` and `_`.
        terms: Licence and attribution; a private voice needs none.
        replace: Take the place of an older voice of that name.
        progress: Told the fraction that is done, 0 to 1.
        ears: What to listen with; by default the house's own.

    Raises:
        BadAudio: A file that is no recording.
        BadVoice: Silent, clipped or too short; or the name is taken.
        BadOption: The name cannot be one.
        NoSpace: The disk is full.
    """
    name = fit_name(name)
    store.refuse_taken(name, replace=replace)
    voice = _heard([*clips], name, terms or Terms(), ears, progress)
    with store.shelved(name, replace=replace) as folder:
        store.write_voice(voice, store.sheet_for(voice, "enrolled", voice.seconds, voice.advice), folder)
    return voice


def find(spec: str | Path, *, clips: bool = True, ears: Ears | None = None) -> Voice:
    """The voice that is meant: a name, a recording or a folder of them, or a mixture such as `"anna:0.7,ben:0.3"`.

    The user's own voices come before those that are shipped. A recording is heard on the fly and not kept.

    Args:
        spec: What was typed.
        clips: Also read the recordings of a stored voice.
        ears: What to listen with, where that is needed; by default the house's own.

    Raises:
        UnknownVoice: Neither a name nor a file; the message has similar names.
        BadVoice: Damaged, or a mixture of what cannot be mixed.
        BadOption: A mixture with bad weights.
        BadAudio: A file that is no recording.
    """
    text = str(spec)
    if isinstance(spec, str) and (place := _place(spec)):
        return _current(store.read_voice(place, with_clips=clips), place, ears, clips)
    path = Path(spec).expanduser()
    if text and path.exists():
        if path.suffix.lower() == ".mynah":
            raise BadVoice(f"{path} is a voice in one file: import it first, then ask for it by name")
        return _heard([path], path.stem or "voice", Terms(), ears, None)
    if isinstance(spec, str) and ("," in spec or ":" in spec):
        from mynah.voices.mixture import mix, parts_of

        return mix([(find(part, clips=False, ears=ears), weight) for part, weight in parts_of(spec)])
    raise _unknown(text)


def names() -> list[Summary]:
    """Every voice, the user's own first; those that are damaged too. Quick: nothing is loaded but text."""
    mine = store.own()
    theirs = {name: place for name, place in store.shipped().items() if not any(same_name(name, one) for one in mine)}
    return [_summary(name, place) for name, place in [*mine.items(), *theirs.items()]]


def describe(name: str) -> Summary:
    """One line about one voice.

    Raises:
        UnknownVoice: No voice of that name.
    """
    return _summary(*_known(name))


def system_of(spec: str) -> str:
    """The one system that the voice of that name belongs to; empty for any, and for what is no name. Quick.

    Raises:
        BadVoice: Damaged.
    """
    place = _place(spec)
    return store.read_sheet(place).system if place else ""


def path(name: str) -> Path:
    """Where a voice lies: a folder for the user's own, a file for a shipped one.

    Raises:
        UnknownVoice: No voice of that name.
    """
    return _known(name)[1]


def save(voice: Voice, name: str, *, replace: bool = False) -> Voice:
    """Keep a voice, such as a mixture, in the library under a name of its own.

    Raises:
        BadVoice: The name is taken, or the voice has neither a vector nor clips nor parameters.
        BadOption: The name cannot be one.
    """
    name = fit_name(name)
    if voice.embedding is None and not voice.clips and voice.weights is None:
        raise BadVoice(f"the voice {voice.name!r} is empty: it has no vector, no clips and no parameters")
    seconds = sum(clip.seconds for clip in voice.clips)
    named = changed(voice, name=name)
    with store.shelved(name, replace=replace) as folder:
        store.write_voice(named, store.sheet_for(named, "enrolled" if voice.clips else "mixture", seconds), folder)
    weights = store.shelf() / name / store.WEIGHTS
    return changed(named, weights=weights if voice.weights else None)


def attach(name: str, weights: Path) -> Voice:
    """Give one of the user's own voices parameters that were trained for it alone.

    Raises:
        BadCheckpoint: Not a safetensors file.
        UnknownVoice: No such voice of the user's own.
    """
    from mynah.catalog.header import read_header

    folder = _own(name)
    read_header(weights)
    with replacing(folder / store.WEIGHTS) as half:
        shutil.copyfile(weights, half)
    return store.read_voice(folder)


def remove(name: str) -> None:
    """Take one of the user's own voices out of the library, for good.

    Raises:
        UnknownVoice: No voice of that name.
        BadOption: It is a shipped one.
    """
    store.discard(_own(name))


def export(name: str, file: Path | str) -> Path:
    """Write a voice as one file, with its recordings, to give to somebody else.

    Args:
        name: In the library.
        file: A folder, or where to; `.mynah` is appended if it lacks it.

    Raises:
        UnknownVoice: No voice of that name.
        BadVoice: Damaged.
    """
    import tempfile

    from mynah.voices.parcel import SUFFIX, pack

    name, place = _known(name)
    file = Path(file).expanduser()
    if file.is_dir():
        file = file / f"{name}{SUFFIX}"
    elif file.suffix.lower() != SUFFIX:
        file = file.with_name(file.name + SUFFIX)
    store.read_sheet(place)
    if place.is_dir():
        return pack(place, file)
    with tempfile.TemporaryDirectory() as folder:
        store.write_voice(store.read_voice(place), store.read_sheet(place), Path(folder))
        return pack(Path(folder), file)


def import_(file: Path | str, *, name: str | None = None, replace: bool = False) -> Voice:
    """Bring in a voice that somebody exported.

    Args:
        file: Ending in `.mynah`.
        name: Under which to keep it; by default the one it had.
        replace: Take the place of an older voice of that name.

    Raises:
        BadVoice: Corrupt, hostile, no voice at all, or the name is taken.
        BadOption: The name cannot be one.
    """
    import tempfile

    from mynah.voices.parcel import unpack

    file = Path(file).expanduser()
    # Where the voice is looked at, nobody else looks; only then is it known what it is called.
    with tempfile.TemporaryDirectory(prefix=".making-", dir=_made(store.shelf())) as desk:
        unpack(file, Path(desk))
        sheet = store.read_sheet(Path(desk))
        try:
            name = fit_name(name if name is not None else sheet.name)
        except BadOption as error:
            if name is not None:
                raise
            raise BadVoice(f"{file}: cannot be imported as a voice: {error}; give it a name of your own") from error
        with store.shelved(name, replace=replace) as folder:
            for part in Path(desk).iterdir():
                part.rename(folder / part.name)
            kind = "enrolled" if sheet.kind == "shipped" else sheet.kind
            text = sheet.model_copy(update={"name": name, "kind": kind}).text()
            (folder / store.SHEET).write_text(text, "utf-8")
    return store.read_voice(store.shelf() / name)


def _heard(
    clips: Sequence[Path | str | Audio], name: str, terms: Terms, ears: Ears | None, progress: Progress | None
) -> Enrolled:
    from mynah.voices.ears import own_ears
    from mynah.voices.enrolment import take

    ears = ears or own_ears()
    heard: Take = take(clips, ears, progress)
    return Enrolled(
        name=name,
        range_hz=heard.range_hz,
        clips=heard.clips,
        embedding=heard.embedding,
        encoder=ears.encoder,
        bank=heard.bank.float(),
        terms=terms,
        seconds=heard.seconds,
        advice=heard.advice,
    )


def _current(voice: Voice, place: Path, ears: Ears | None, clips: bool) -> Voice:
    """The voice as today's encoder hears it."""
    from mynah.voices.ears import own_ears

    if voice.embedding is None:
        return voice
    ears = ears or own_ears()
    if voice.encoder == ears.encoder:
        return voice
    if not place.is_dir() or not any((place / store.CLIPS).glob("*.flac")):
        raise BadVoice(
            f"the voice {voice.name!r} was heard by the encoder {voice.encoder!r}, not by {ears.encoder!r}, and has no"
            " recordings to hear again: enrol or mix it again"
        )
    now = ears

    def hear(old: Voice) -> Voice:
        from mynah.voices.enrolment import hear_again

        embedding, bank = hear_again(old.clips, now)
        return changed(old, embedding=embedding, bank=bank, encoder=now.encoder)

    again = store.renewed(place, hear)
    return again if clips else changed(again, clips=())


def _summary(name: str, place: Path) -> Summary:
    try:
        sheet = store.read_sheet(place)
    except BadVoice as error:
        return Summary(name, "damaged", advice=(str(error),))
    trained = place.is_dir() and (place / store.WEIGHTS).exists()
    return Summary(
        name,
        "trained" if trained and sheet.kind != "imported" else sheet.kind,
        sheet.range_hz,
        sheet.seconds,
        sheet.system,
        sheet.origin,
        sheet.license,
        sheet.attribution,
        sheet.advice,
    )


def _place(name: str) -> Path | None:
    for voices in (store.own(), store.shipped()):
        for other, place in voices.items():
            if same_name(other, name.strip()):
                return place
    return None


def _known(name: str) -> tuple[str, Path]:
    place = _place(name)
    if place is None:
        raise _unknown(name)
    return (place.name if place.is_dir() else place.stem), place


def _own(name: str) -> Path:
    found, place = _known(name)
    if not place.is_dir():
        raise BadOption(f"the voice {found!r} comes with the package and stays as it is")
    return place


def _unknown(spec: str) -> UnknownVoice:
    known = [*store.own(), *store.shipped()]
    folded = {name.casefold(): name for name in known}
    near = [folded[name] for name in difflib.get_close_matches(spec.casefold(), folded, n=3, cutoff=0.6)]
    if near:
        hint = f"did you mean {' or '.join(repr(name) for name in near)}?"
    elif known:
        hint = f"there are {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}"
    else:
        hint = "there are none yet: enrol one"
    return UnknownVoice(f"no voice and no file {spec[:200]!r}; {hint}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
