"""Title, artist, cover picture and so on: what a file says about its sound, handed on from one file to another."""

from __future__ import annotations

import base64
import io
import struct
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mynah.audio.decoding import CONTAINERS
from mynah.audio.disk import Disk, typed_errors
from mynah.audio.ogg import recommented
from mynah.core.atomic import replacing
from mynah.core.errors import BadAudio

_READ = {"format_whitelist": f"{CONTAINERS},aiff"}
KINDS = ("title", "artist", "album", "date", "genre", "track")
# FFmpeg's writer for each format, and how to make it write nothing but what it is given.
_MUXERS: dict[str, tuple[str, dict[str, str]]] = {
    "wav": ("wav", {"rf64": "auto"}),
    "aiff": ("aiff", {"write_id3v2": "1"}),
    "flac": ("flac", {}),
    "mp3": ("mp3", {"id3v2_version": "3"}),  # which more players read than version 4
    "mp4": ("mp4", {"brand": "M4A "}),
}
_PICTURES = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG"}


@dataclass(frozen=True)
class Tags:
    """What a file says about its sound.

    Attributes:
        texts: By kind, one of `KINDS` or `"comment"`; what the file does not say is left out.
        picture: The cover, as the bytes of a jpeg or png file; `None` for none.
    """

    texts: dict[str, str] = field(default_factory=dict)
    picture: bytes | None = None


def tags_of(path: Path | str) -> Tags:
    """What a recording says about itself; nothing where FFmpeg does not know its format."""
    import av

    try:
        with av.open(str(path), "r", options=_READ, metadata_errors="ignore") as container:
            # Ogg has its tags with the stream, the others with the file.
            told = [container.metadata, *(stream.metadata for stream in container.streams.audio[:1])]
            texts = {name.lower(): text for each in told for name, text in each.items()}
            return Tags({name: texts[name] for name in (*KINDS, "comment") if texts.get(name)}, _picture(container))
    except av.FFmpegError:
        return Tags()


def copied(source: Path | str, target: Path | str, comment: str) -> None:
    """Give `target` the tags that `source` has: title, artist, album, date, genre, track and the cover picture.

    The target's samples stay as they are: what is encoded is moved as it is into a new file, which takes the place of
    the old one whole or not at all. Wav and aiff hold no picture, and keep the texts alone.

    Args:
        source: Any recording; one without tags is fine.
        target: A wav, aiff, flac, mp3, ogg, opus or m4a file, by its content.
        comment: To write in the target, instead of what comment the source has.

    Raises:
        BadAudio: The target is no recording, or one of a format whose tags cannot be written.
        NoSpace: The disk is full.
    """
    tags = tags_of(source)
    texts = {**tags.texts, "comment": comment}
    with typed_errors(target), replacing(target) as half, half.open("w+b", buffering=0) as file:
        disk = Disk(file)
        try:
            with Path(target).open("rb") as old:
                if old.read(4) == b"OggS":
                    recommented(old, disk, _comments(texts, tags.picture))
                else:
                    _remux(target, disk, texts, tags.picture)
        except Exception:
            if disk.error is None:
                raise
        if disk.error:
            raise disk.error


def _remux(target: Path | str, disk: Disk, texts: dict[str, str], picture: bytes | None) -> None:
    import av

    with ExitStack() as stack:
        try:
            old = stack.enter_context(av.open(str(target), "r", options=_READ))
            [sound, *_] = old.streams.audio
        except (av.FFmpegError, ValueError) as error:
            raise BadAudio(f"{target}: not a recording, so that it cannot be given tags") from error
        kind = next((name for name in old.format.name.split(",") if name in _MUXERS), None)
        if kind is None:
            raise BadAudio(f"{target}: tags can be written in {', '.join(_MUXERS)}, not in {old.format.name}")
        # Without `bitexact` a file would hold a random number or the version of FFmpeg: equal sound gives equal bytes.
        options = {"fflags": "+bitexact", **_MUXERS[kind][1]}
        if kind == "mp4":
            options["movie_timescale"] = str(sound.rate)  # to say to the sample where the sound ends
        new: Any = stack.enter_context(av.open(disk, "w", format=_MUXERS[kind][0], options=options))
        copy = new.add_stream_from_template(sound)
        new.metadata.update(texts)
        if picture and kind in ("flac", "mp3", "mp4"):
            image = stack.enter_context(av.open(io.BytesIO(picture)))
            cover = new.add_stream_from_template(image.streams.video[0])
            cover.disposition = av.stream.Disposition.attached_pic
            packet: Any = av.Packet(picture)
            packet.stream, packet.pts, packet.dts = cover, 0, 0
            new.mux(packet)
        for coded in old.demux(sound):
            if coded.size and not disk.error:
                coded.stream = copy
                new.mux(coded)


def _comments(texts: dict[str, str], picture: bytes | None) -> list[tuple[str, str]]:
    """What an ogg file says, under the names that Vorbis has for it."""
    names = {"track": "TRACKNUMBER", "comment": "DESCRIPTION"}
    comments = [(names.get(name, name), text) for name, text in texts.items()]
    if picture:
        comments.append(("METADATA_BLOCK_PICTURE", base64.b64encode(_block(picture)).decode("ascii")))
    return comments


def _picture(container: Any) -> bytes | None:
    """The cover, if it is a jpeg or a png that can be opened."""
    import av

    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            packet = next((packet for packet in container.demux(stream) if packet.size), None)
            data = bytes(packet) if packet else b""
            if _mime(data) and _size(data):
                return data
    return None


def _mime(picture: bytes) -> str:
    return next((mime for mime, begins in _PICTURES.items() if picture.startswith(begins)), "")


def _size(picture: bytes) -> tuple[int, int] | None:
    """Width and height in pixels; `None` for what is damaged."""
    import av

    try:
        with av.open(io.BytesIO(picture)) as image:
            stream = image.streams.video[0]
            return (stream.width, stream.height) if stream.width and stream.height else None
    except (av.FFmpegError, IndexError):
        return None


def _block(picture: bytes) -> bytes:
    """A picture as Ogg's comments hold it.

    Source: RFC 9639, section 8.8 (the picture block of FLAC); 3 is the front cover, and colours are of 24 bits.
    """
    mime, size = _mime(picture).encode("ascii"), _size(picture)
    assert size is not None, "only what could be opened was taken"
    about = struct.pack(f">II{len(mime)}sI4I", 3, len(mime), mime, 0, *size, 24, 0)
    return about + struct.pack(">I", len(picture)) + picture
