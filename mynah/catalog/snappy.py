"""Snappy blocks unpacked, as TensorFlow may pack the index of a checkpoint; never to more than was allowed."""

from __future__ import annotations

from mynah.core.errors import BadCheckpoint

_VARINT_BYTES = 5


def unpack(packed: bytes, most: int) -> bytes:
    """The content of one raw snappy block.

    Args:
        packed: Without framing.
        most: Bytes that the content may have.

    Raises:
        BadCheckpoint: Damaged, or larger than allowed.

    Example:

        >>> unpack(bytes([7, 2 << 2]) + b"mit" + bytes([(4 - 4) << 2 | 1, 3]), most=100)
        b'mitmitm'
    """
    size = shift = at = 0
    for at in range(1, min(len(packed), _VARINT_BYTES) + 1):
        byte = packed[at - 1]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    else:
        raise BadCheckpoint("a packed block does not say how large it is")
    if size > most:
        raise BadCheckpoint("a packed block claims to be larger than any checkpoint's")
    out = bytearray()
    while at < len(packed):
        tag = packed[at]
        kind, count = tag & 3, tag >> 2
        at += 1
        if kind == 0:
            if count >= 60:
                extra = count - 59
                count = int.from_bytes(packed[at : at + extra], "little")
                at += extra
            count += 1
            if count > len(packed) - at:
                raise BadCheckpoint("a packed block is cut off")
            piece = packed[at : at + count]
            at += count
        else:
            extra = (0, 1, 2, 4)[kind]
            back = int.from_bytes(packed[at : at + extra], "little")
            if at + extra > len(packed):
                raise BadCheckpoint("a packed block is cut off")
            at += extra
            if kind == 1:
                count, back = (count & 7) + 4, back | (tag >> 5) << 8
            else:
                count += 1
            if not 0 < back <= len(out):
                raise BadCheckpoint("a packed block refers to what lies before it")
            source = bytes(out[-back:][:count])
            piece = (source * (count // len(source) + 1))[:count]
        out += piece
        if len(out) > size:
            raise BadCheckpoint("a packed block is larger than it claims")
    if len(out) != size:
        raise BadCheckpoint("a packed block is smaller than it claims")
    return bytes(out)
