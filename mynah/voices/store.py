"""Voices on disk: one folder for each of the user's own, one file for each shipped one."""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mynah.catalog.header import read_header
from mynah.catalog.home import home
from mynah.core.errors import BadCheckpoint, BadVoice, NoSpace
from mynah.core.types import Audio, Terms, Voice
from mynah.voices.sheet import Sheet, same_name, sheet_of

if TYPE_CHECKING:
    from torch import Tensor

SHEET, VECTORS, WEIGHTS, CLIPS = "voice.json", "voice.safetensors", "weights.safetensors", "clips"
_SHIPPED = Path(__file__).parent / "shipped"
_STALE_SECONDS = 24 * 3600.0
_SHEET_BYTES = 1 << 20


def shelf() -> Path:
    """The folder of the user's own voices; it need not exist."""
    return home() / "voices"


def own() -> dict[str, Path]:
    """The user's own voices: folders by name, sorted."""
    if not shelf().is_dir():
        return {}
    return {folder.name: folder for folder in sorted(shelf().iterdir()) if folder.name[0] != "." and folder.is_dir()}


def shipped() -> dict[str, Path]:
    """The voices that come with the package: files by name, sorted."""
    return {file.stem: file for file in sorted(_SHIPPED.glob("*.safetensors"))}


def read_sheet(place: Path) -> Sheet:
    """The text of a voice, read without torch.

    Args:
        place: A voice's folder, or a shipped voice's file.

    Raises:
        BadVoice: Damaged.
    """
    if not place.is_dir():
        try:
            return sheet_of(read_header(place).metadata.get("voice", ""), place)
        except BadCheckpoint as error:
            raise BadVoice(str(error)) from error
    try:
        with (place / SHEET).open("rb") as file:
            return sheet_of(file.read(_SHEET_BYTES), place)
    except OSError as error:
        raise BadVoice(f"{place}: the voice is damaged ({SHEET}: {error.strerror})") from error


def read_voice(place: Path, *, with_clips: bool = True) -> Voice:
    """A voice from its folder, or from a shipped voice's file.

    Raises:
        BadVoice: Damaged.
    """
    sheet = read_sheet(place)
    folder = place if place.is_dir() else None
    embedding, bank = _vectors(place if folder is None else place / VECTORS)
    weights = folder / WEIGHTS if folder and (folder / WEIGHTS).exists() else None
    return Voice(
        name=sheet.name if folder is None else place.name,
        range_hz=sheet.range_hz,
        clips=_clips(folder / CLIPS) if folder and with_clips else (),
        embedding=embedding,
        encoder=sheet.encoder if embedding is not None else "",
        bank=bank,
        system=sheet.system,
        weights=weights,
        parts=sheet.parts,
        terms=Terms(sheet.license, sheet.attribution),
    )


def write_voice(voice: Voice, sheet: Sheet, folder: Path) -> None:
    """Put a voice into an empty folder."""
    from mynah.audio.files import write
    from mynah.catalog.checkpoint import to_safetensors

    (folder / SHEET).write_text(sheet.text(), "utf-8")
    to_safetensors(_state(voice), folder / VECTORS)
    for number, clip in enumerate(voice.clips):
        write(clip, folder / CLIPS / f"{number:04}.flac", bits=16)
    if voice.weights is not None and voice.weights != folder / WEIGHTS:
        shutil.copyfile(voice.weights, folder / WEIGHTS)


def write_shipped(voice: Voice, sheet: Sheet, file: Path) -> Path:
    """One file with the vectors and the text of a voice, as the package carries it."""
    from mynah.catalog.checkpoint import to_safetensors

    return to_safetensors(_state(voice), file, {"voice": sheet.text()})


@contextmanager
def shelved(name: str, *, replace: bool) -> Iterator[Path]:
    """An empty folder to put a voice into; when the block ends well, all of it appears in the library as `name`.

    Raises:
        BadVoice: There is a voice of that name, in whatever case, and `replace` is not set.
        NoSpace: The disk ran full inside the block.
    """
    refuse_taken(name, replace=replace)
    shelf().mkdir(parents=True, exist_ok=True)
    _sweep()
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=shelf()))
    try:
        yield making
        making.chmod(0o755)
        with locked():
            refuse_taken(name, replace=replace)
            for old in [folder for other, folder in own().items() if same_name(other, name)]:
                old.rename(making.with_name(making.name.replace(".making-", ".old-")))
            making.rename(shelf() / name)
    except OSError as error:
        if error.errno == errno.ENOSPC and not isinstance(error, NoSpace):
            raise NoSpace(f"the disk that holds {shelf()} is full; the voice {name!r} was not stored") from error
        raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(making.with_name(making.name.replace(".making-", ".old-")), ignore_errors=True)


def refuse_taken(name: str, *, replace: bool) -> None:
    """Raises `BadVoice` if the library has a voice of that name, unless it is to be replaced."""
    taken = [other for other in own() if same_name(other, name)]
    if taken and not replace:
        raise BadVoice(f"there is already a voice {taken[0]!r}: choose another name, remove it, or ask to replace it")


def discard(folder: Path) -> None:
    """Take a voice out of the library: it is gone at once, and its files a moment later."""
    with locked():
        away = Path(tempfile.mkdtemp(prefix=".old-", dir=shelf()))
        folder.rename(away / folder.name)
    shutil.rmtree(away, ignore_errors=True)


@contextmanager
def locked() -> Iterator[None]:
    """Nobody else adds or removes a voice meanwhile."""
    from filelock import FileLock

    shelf().mkdir(parents=True, exist_ok=True)
    with FileLock(shelf() / ".lock"):
        yield


def sheet_for(
    voice: Voice,
    kind: Literal["enrolled", "mixture", "shipped", "imported"],
    seconds: float,
    advice: Sequence[str] = (),
    origin: str = "",
) -> Sheet:
    """The text of a voice."""
    return Sheet(
        name=voice.name,
        kind=kind,
        range_hz=voice.range_hz,
        seconds=round(seconds, 3),
        encoder=voice.encoder,
        system=voice.system,
        parts=voice.parts,
        origin=origin,
        license=voice.terms.license,
        attribution=voice.terms.attribution,
        advice=tuple(advice),
    )


def renewed(place: Path, hear: Callable[[Voice], Voice]) -> Voice:
    """Hear a stored voice again, with `hear`, and store what was heard; its clips stay as they are."""
    from mynah.catalog.checkpoint import to_safetensors
    from mynah.core.atomic import replacing

    heard = hear(read_voice(place))
    sheet = read_sheet(place).model_copy(update={"encoder": heard.encoder, "range_hz": heard.range_hz})
    # The vectors come first: should the second step fail, the old text makes the next reader hear again.
    to_safetensors(_state(heard), place / VECTORS)
    with replacing(place / SHEET) as half:
        half.write_text(sheet.text(), "utf-8")
    return heard


def _state(voice: Voice) -> dict[str, Tensor]:
    state = {}
    if voice.embedding is not None:
        state["embedding"] = voice.embedding.float()
    if voice.bank is not None:
        state["bank"] = voice.bank.half()
    return state


def _vectors(file: Path) -> tuple[Tensor | None, Tensor | None]:
    from mynah.catalog.checkpoint import load_safetensors

    try:
        state = load_safetensors(file)
    except BadCheckpoint as error:
        raise BadVoice(str(error)) from error
    embedding, bank = state.pop("embedding", None), state.pop("bank", None)
    if state:
        raise BadVoice(f"{file}: the voice is damaged (it holds {next(iter(state))[:80]!r})")
    for tensor, dimensions in ((embedding, 1), (bank, 2)):
        if tensor is not None and not (
            tensor.ndim == dimensions and tensor.is_floating_point() and tensor.isfinite().all() and tensor.numel()
        ):
            raise BadVoice(f"{file}: the voice is damaged (its vectors are not finite or have no proper shape)")
    if embedding is not None and abs(float(embedding.float().norm()) - 1) > 1e-2:
        raise BadVoice(f"{file}: the voice is damaged (its vector has not the length 1)")
    return embedding.float() if embedding is not None else None, bank.float() if bank is not None else None


def _clips(folder: Path) -> tuple[Audio, ...]:
    from mynah.audio.files import read

    return tuple(read(file) for file in sorted(folder.glob("*.flac"))) if folder.is_dir() else ()


def _sweep() -> None:
    """Remove what a killed run left half made."""
    for folder in shelf().iterdir():
        if folder.name.startswith((".making-", ".old-")):
            try:
                if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                continue  # another run swept it
