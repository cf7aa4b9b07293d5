import io
import struct

import numpy as np
import pytest
import soundfile

from mynah.audio.containers import find_chunk, forget_chance, promised_frames


def wav(*chunks: tuple[bytes, bytes]) -> io.BytesIO:
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return io.BytesIO(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)


def test_chunks_are_found_behind_others_of_odd_length() -> None:
    file = wav((b"LIST", b"odd"), (b"fmt ", bytes(16)), (b"data", b"sound!"))
    found = find_chunk(file, b"data", b"SSND")
    assert found is not None and file.getvalue()[found[0] : found[0] + found[1]] == b"sound!"
    assert find_chunk(file, b"cue ", b"MARK") is None
    assert find_chunk(io.BytesIO(b"RIFF"), b"data", b"SSND") is None
    assert find_chunk(io.BytesIO(b"fLaC" + bytes(100)), b"data", b"SSND") is None


@pytest.mark.parametrize(("kept", "promised"), [(400, 100), (200, 100), (100, 100)])
def test_what_a_cut_file_promised(kept: int, promised: int) -> None:
    file = wav((b"fmt ", bytes(16)), (b"data", bytes(400)))
    file.truncate(len(file.getvalue()) - 400 + kept)
    assert promised_frames(file, kept // 4) == promised


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_pages_keep_valid_checksums(subtype: str) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (200_000, 1))
    file = io.BytesIO()
    soundfile.write(file, samples, 48_000, format="OGG", subtype=subtype)
    before, _ = soundfile.read(io.BytesIO(file.getvalue()))
    forget_chance(file)
    pages = file.getvalue().split(b"OggS")[1:]
    assert len(pages) > 2 and {page[10:14] for page in pages} == {b"myna"}
    # libogg throws away every page whose checksum is wrong.
    after, _ = soundfile.read(io.BytesIO(file.getvalue()))
    assert np.array_equal(before, after)
