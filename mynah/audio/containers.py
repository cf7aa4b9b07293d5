"""What wav, aiff and ogg files say outside of their samples, as far as libsndfile keeps it to itself."""

from __future__ import annotations

import zlib
from typing import IO

_STREAMED = 0x7FFF_F000  # programs that write to a pipe put this or more where a length should stand
_SERIAL = b"myna"
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def find_chunk(file: IO[bytes], wav: bytes, aiff: bytes) -> tuple[int, int] | None:
    """Where a chunk's body begins and how long it claims to be, in bytes; `None` if there is none.

    Args:
        file: Anything; its position is lost.
        wav: The chunk's name in RIFF files.
        aiff: Its name in FORM files.
    """
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"FORM"):
        return None
    wanted, little = (aiff, False) if head[:4] == b"FORM" else (wav, True)
    at = 12
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[4:], "little" if little else "big")
        if head[:4] == wanted:
            return at + 8, length
        at += 8 + length + length % 2
        file.seek(at)
    return None


def promised_frames(file: IO[bytes], frames: int) -> int:
    """How many frames the header of a wav or aiff file promises, of which `frames` are there.

    libsndfile counts only what is there, and so cannot tell a whole file from a broken download.
    """
    found = find_chunk(file, b"data", b"SSND")
    if found is None:
        return frames
    start, length = found
    there = file.seek(0, 2) - start
    return frames * length // there if 0 < there < length < _STREAMED else frames


def forget_clock(file: IO[bytes]) -> None:
    """Clear the time of writing that libsndfile leaves in float wav and aiff files: equal sound gives equal bytes."""
    if found := find_chunk(file, b"PEAK", b"PEAK"):
        file.seek(found[0] + 4)
        file.write(bytes(4))


def forget_chance(file: IO[bytes]) -> None:
    """Give an ogg stream a fixed serial number in place of a random one: equal sound gives equal bytes.

    Source: RFC 3533, section 6 (the page header; its checksum is taken with the checksum field cleared).
    """
    at = 0
    file.seek(at)
    while (head := file.read(27))[:4] == b"OggS":
        segments = file.read(head[26])
        page = bytearray(head + segments + file.read(sum(segments)))
        page[14:18] = _SERIAL
        page[22:26] = bytes(4)
        page[22:26] = checksum(page).to_bytes(4, "little")
        file.seek(at)
        file.write(page)
        at += len(page)


def checksum(page: bytes | bytearray) -> int:
    """Ogg's CRC: zlib's polynomial with the bits of every byte the other way round, and nothing inverted."""
    crc = zlib.crc32(page.translate(_MIRROR), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_MIRROR), "big")
