"""Comments of ogg files, replaced page by page, so that nothing of the sound or its length is touched.

Moving the packets through FFmpeg instead costs the last of them: their length, which the page says, is lost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO

from mynah.audio.containers import checksum
from mynah.audio.disk import Disk
from mynah.core.errors import BadAudio

_CONTINUED = 1  # flag of a page that begins inside of a packet
_NOWHERE = b"\xff" * 8  # granule position of a page on which no packet ends
# How the second packet begins and ends, by how the first one begins; and how many packets come before the sound.
_KINDS = {b"\x01vorbis": (b"\x03vorbis", b"\x01", 3), b"OpusHead": (b"OpusTags", b"", 2)}


@dataclass
class _Page:
    """Source: RFC 3533, section 6."""

    head: bytearray  # of 27 bytes
    lacing: bytes
    body: bytes

    def numbered(self, number: int) -> bytes:
        """The page as it stands in a file, as number so and so."""
        self.head[18:22] = number.to_bytes(4, "little")
        self.head[22:26] = bytes(4)
        page = bytearray(self.head + self.lacing + self.body)
        page[22:26] = checksum(page).to_bytes(4, "little")
        return bytes(page)


def recommented(source: IO[bytes], target: Disk, comments: Sequence[tuple[str, str]]) -> None:
    """Write `source` to `target` with other comments.

    Args:
        source: Ogg with one stream of Vorbis or Opus.
        target: Where to.
        comments: Names, such as `"TITLE"`, and texts.

    Raises:
        BadAudio: Not such a file.
    """
    pages = _pages(source)
    first = next(pages, None)
    kind = next((kind for kind in _KINDS if first and first.body.startswith(kind)), None)
    if first is None or kind is None:
        raise BadAudio("not ogg with Vorbis or Opus in it")
    begin, end, count = _KINDS[kind]
    packets = [b""]
    for page in pages:
        if page.head[14:18] != first.head[14:18]:
            raise BadAudio("ogg with more than one stream in it")
        at = 0
        for length in page.lacing:
            packets[-1] += page.body[at : at + length]
            at += length
            if length < 255:
                packets.append(b"")
        if len(packets) >= count:
            break
    if len(packets) != count or packets[-1] or not packets[0].startswith(begin):
        raise BadAudio("ogg whose sound does not begin on a page of its own")
    packets[0] = begin + _block(_vendor(packets[0][len(begin) :]), comments) + end
    target.write(first.numbered(0))
    for number, page in enumerate(chain(_laid_out(packets[:-1], bytes(first.head)), pages), start=1):
        target.write(page.numbered(number))


def _pages(file: IO[bytes]) -> Iterator[_Page]:
    file.seek(0)
    while len(head := file.read(27)) == 27 and head[:4] == b"OggS":
        lacing = file.read(head[26])
        body = file.read(sum(lacing))
        if len(body) < sum(lacing):
            raise BadAudio("ogg that ends in the middle of a page")
        yield _Page(bytearray(head), lacing, body)


def _laid_out(packets: Sequence[bytes], like: bytes) -> Iterator[_Page]:
    """Packets on pages of their own, which are full but for the last."""
    lacing = bytearray()
    for packet in packets:
        lacing += b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    body = b"".join(packets)
    at, flags = 0, 0
    for start in range(0, len(lacing), 255):
        part = bytes(lacing[start : start + 255])
        granule = bytes(8) if min(part) < 255 else _NOWHERE
        head = bytearray(like[:5] + bytes([flags]) + granule + like[14:26] + bytes([len(part)]))
        yield _Page(head, part, body[at : at + sum(part)])
        at += sum(part)
        flags = 0 if part[-1] < 255 else _CONTINUED


def _vendor(block: bytes) -> bytes:
    """Who encoded the sound, with its length before it."""
    if len(block) < 4:
        return bytes(4)
    return block[: 4 + int.from_bytes(block[:4], "little")]


def _block(vendor: bytes, comments: Sequence[tuple[str, str]]) -> bytes:
    """Source: Vorbis I specification, section 5.2."""
    said = [f"{name}={text}".encode() for name, text in comments]
    return vendor + struct.pack("<I", len(said)) + b"".join(struct.pack("<I", len(each)) + each for each in said)
