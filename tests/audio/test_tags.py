import struct
import zlib
from pathlib import Path

import av
import pytest
import torch

from mynah.audio.files import probe, read, write
from mynah.audio.tags import Tags, copied, tags_of
from mynah.core.errors import BadAudio
from mynah.core.types import Audio

TEXTS = {"title": "Blåbær", "artist": "The Mynahs", "album": "Wires", "date": "2021", "genre": "Pop", "track": "3/9"}
FORMATS = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aiff")
NO_PICTURE = ("wav", "aiff")


def sound(rate: int = 44_100) -> Audio:
    t = torch.arange(rate + 77) / rate
    wave = 0.4 * torch.sin(2 * torch.pi * (200 * t + 900 * t * t))
    return Audio(torch.stack([wave, 0.5 * wave]), rate)


def png() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    pixels = b"".join(b"\0" + bytes([200, 30, 30]) * 8 for _ in range(8))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def tagged(path: Path, picture: bytes = b"") -> Path:
    """A flac whose blocks of comments and of a picture are written here by hand, as RFC 9639 has it."""
    data = write(sound(), path).read_bytes()
    lines = [f"{name}={text}".encode() for name, text in {**TEXTS, "comment": "a demo"}.items()]
    lines = [line.replace(b"track=", b"tracknumber=") for line in lines]
    comments = struct.pack("<II", 0, len(lines)) + b"".join(struct.pack("<I", len(line)) + line for line in lines)
    image = struct.pack(">II9sI4I", 3, 9, b"image/png", 0, 8, 8, 24, 0) + struct.pack(">I", len(picture)) + picture
    blocks = [(4, comments), *([(6, image)] if picture else [])]
    added = b"".join(bytes([kind]) + len(block).to_bytes(3, "big") + block for kind, block in blocks)
    assert data[:4] == b"fLaC" and data[4] == 0  # the stream's own block comes first, and is not the last
    path.write_bytes(data[:42] + added + data[42:])
    assert torch.equal(read(path).samples, read(write(sound(), path.with_name("plain.flac"))).samples)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_tags_and_cover_come_along_and_samples_stay(tmp_path: Path, suffix: str) -> None:
    source = tagged(tmp_path / "song.flac", png())
    assert tags_of(source) == Tags({**TEXTS, "comment": "a demo"}, png())
    target = write(sound(), tmp_path / f"cover.{suffix}")
    info, samples = probe(target), read(target).samples
    copied(source, target, "the voice is synthetic")
    assert probe(target) == info and torch.equal(read(target).samples, samples)
    assert tags_of(target) == Tags(
        {**TEXTS, "comment": "the voice is synthetic"}, None if suffix in NO_PICTURE else png()
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_ffmpeg_reads_them_too(tmp_path: Path, suffix: str) -> None:
    target = write(sound(), tmp_path / f"cover.{suffix}")
    copied(tagged(tmp_path / "song.flac", png()), target, "synthetic")
    with av.open(str(target)) as container:
        told = {**container.metadata, **container.streams.audio[0].metadata}
        assert {name: told[name] for name in TEXTS} == TEXTS and told["comment"] == "synthetic"
        pictures = [bytes(next(container.demux(stream))) for stream in container.streams.video]
    assert pictures == ([] if suffix in NO_PICTURE else [png()])


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "opus", "m4a", "wav"])
def test_every_format_gives_its_tags(tmp_path: Path, suffix: str) -> None:
    source, target = write(sound(), tmp_path / f"song.{suffix}"), write(sound(), tmp_path / "cover.flac")
    copied(tagged(tmp_path / "first.flac", png()), source, "original")
    copied(source, target, "copy")
    expected = None if suffix in NO_PICTURE else png()
    assert tags_of(target) == Tags({**TEXTS, "comment": "copy"}, expected)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_source_without_tags_gives_the_comment_alone(tmp_path: Path, suffix: str) -> None:
    source, target = write(sound(), tmp_path / "song.wav"), write(sound(), tmp_path / f"cover.{suffix}")
    (tmp_path / "text.wav").write_text("no sound at all")
    for each in (source, tmp_path / "text.wav"):
        copied(each, target, "synthetic")
        assert tags_of(target) == Tags({"comment": "synthetic"})


@pytest.mark.parametrize("suffix", FORMATS)
def test_equal_sound_and_tags_give_equal_bytes(tmp_path: Path, suffix: str) -> None:
    source = tagged(tmp_path / "song.flac", png())
    one, other = (write(sound(), tmp_path / f"{name}.{suffix}") for name in ("one", "other"))
    for target in (one, other):
        copied(source, target, "synthetic")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_every_depth_stays(tmp_path: Path, bits: int) -> None:
    loud = Audio(2 * sound().samples, 44_100)
    target = write(loud, tmp_path / "cover.wav", bits=bits, peak_db=None)
    samples = read(target).samples
    copied(tagged(tmp_path / "song.flac"), target, "synthetic")
    assert torch.equal(read(target).samples, samples)
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.name == f"pcm_{'f' if bits == 32 else 's'}{bits}le"


def test_a_broken_picture_stays_behind(tmp_path: Path) -> None:
    target = write(sound(), tmp_path / "cover.mp3")
    copied(tagged(tmp_path / "song.flac", b"\x89PNG but no more"), target, "synthetic")
    assert tags_of(target) == Tags({**TEXTS, "comment": "synthetic"})


def test_what_is_no_recording_is_refused_and_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "cover.mp3"
    target.write_text("no sound at all")
    with pytest.raises(BadAudio, match="not a recording"):
        copied(tagged(tmp_path / "song.flac"), target, "synthetic")
    assert target.read_text() == "no sound at all"
    assert {path.name for path in tmp_path.iterdir()} == {"cover.mp3", "song.flac", "plain.flac"}
