"""What a person may hand over by mistake, and disks that fail: a typed error of one line, or a sensible result."""

import errno
import math
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mynah.audio.files import CutShort, Writer, probe, read, stream, write
from mynah.core.errors import BadAudio, BadOption, MynahError, NoSpace
from mynah.core.types import Audio


def noise(seconds: float = 1.0, rate: int = 44_100, channels: int = 1) -> Audio:
    generator = torch.Generator().manual_seed(0)
    return Audio(0.3 * torch.randn(channels, round(seconds * rate), generator=generator).clamp(-3, 3), rate)


def refused(path: Path | str, match: str) -> None:
    for attempt in (read, probe, lambda path: list(stream(path))):
        with pytest.raises(BadAudio, match=match) as caught:
            attempt(path)
        assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


def a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("voice.json", "{}" * 500)


def broken_zip(path: Path) -> None:
    a_zip(path)
    path.write_bytes(path.read_bytes()[:200])


NOT_AUDIO = {
    "text": lambda path: path.write_text("la la la\n" * 500),
    "zeros": lambda path: path.write_bytes(bytes(20_000)),
    "ones": lambda path: path.write_bytes(b"\xff" * 20_000),
    "chance": lambda path: path.write_bytes(np.random.default_rng(0).bytes(20_000)),
    "zip": a_zip,
    "broken zip": broken_zip,
    "picture": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000)),
    "mp3 tag alone": lambda path: path.write_bytes(b"ID3\x03\0\0\0\0\0\x21" + bytes(40)),
    "first bytes of a wav": lambda path: path.write_bytes(b"RIFF\x24\0\0\0WAVE"),
    "first bytes of a flac": lambda path: path.write_bytes(b"fLaC"),
    "first bytes of an ogg": lambda path: path.write_bytes(b"OggS" + bytes(30)),
    "first bytes of an mp4": lambda path: path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0"),
    "aac sync words": lambda path: path.write_bytes(b"\xff\xf1" * 5000),
}


@pytest.mark.parametrize("suffix", ["wav", "mp3", "raw", "vox", "m4a"])
@pytest.mark.parametrize("kind", NOT_AUDIO)
def test_what_is_not_audio(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    NOT_AUDIO[kind](path)
    refused(path, "not a recording|no sound|too damaged")


def test_a_list_of_addresses_opens_none_of_them(tmp_path: Path) -> None:
    secret = write(noise(), tmp_path / "secret.wav")
    lists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ]
    for text in lists:
        (tmp_path / "song.m4a").write_text(text)
        refused(tmp_path / "song.m4a", "not a recording")


def test_missing_empty_and_folders(tmp_path: Path) -> None:
    refused(tmp_path / "nothing.wav", "there is no such file")
    refused(tmp_path, "a folder, not a recording")
    (tmp_path / "empty.wav").touch()
    refused(tmp_path / "empty.wav", "empty")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(noise(), tmp_path / "mine.wav")
    path.chmod(0)
    refused(path, "Permission denied")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac"])
def test_a_header_without_a_single_sample(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"none.{suffix}", np.zeros((0, 2)), 44_100)
    refused(tmp_path / f"none.{suffix}", "no sound in it|not a recording|empty")


@pytest.mark.parametrize(("suffix", "least"), [("wav", 0.49), ("aiff", 0.49), ("flac", 0.3), ("mp3", 0.3)])
@pytest.mark.parametrize("rate", [None, 16_000])
def test_half_a_download_gives_what_is_there_and_a_warning(
    tmp_path: Path, suffix: str, least: float, rate: int | None
) -> None:
    path = write(noise(2.0), tmp_path / f"song.{suffix}")
    whole = read(path, rate=rate).samples
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(CutShort, match=r"song\.\w+: cut short or damaged; only \d\.\d\d s of 2\.00 s could be read"):
        half = read(path, rate=rate)
    assert least * 2 < half.seconds < 1.2
    length = half.samples.shape[-1] - 1000  # the last frames of a lossy or filtered sound lack what followed
    torch.testing.assert_close(half.samples[:, :length], whole[:, :length], atol=1e-4, rtol=0)
    with pytest.warns(CutShort):
        assert sum(block.samples.shape[-1] for block in stream(path, rate=rate)) == half.samples.shape[-1]


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_half_an_ogg_just_ends_earlier(tmp_path: Path, suffix: str) -> None:
    path = write(noise(4.0, 48_000), tmp_path / f"song.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0.5 < read(path).seconds < 2.5


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aiff"])
@pytest.mark.parametrize("length", [1, 4, 12, 30])
def test_the_first_few_bytes_of_a_recording_are_none(tmp_path: Path, suffix: str, length: int) -> None:
    path = write(noise(), tmp_path / f"song.{suffix}")
    path.write_bytes(path.read_bytes()[:length])
    refused(path, "not a recording|no sound|damaged")


@pytest.mark.parametrize("claim", [0, 0x7FFF_F000, 0xFFFF_FFFF])
def test_a_recorder_that_never_wrote_the_length_is_read_to_the_end(tmp_path: Path, claim: int) -> None:
    path = write(noise(0.5), tmp_path / "song.wav", bits=16)
    whole = read(path).samples
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = struct.pack("<I", claim)
    path.write_bytes(data)
    assert torch.equal(read(path).samples, whole)
    assert probe(path).seconds == pytest.approx(0.5, abs=0.01)


def test_damage_in_the_middle_gives_what_comes_before(tmp_path: Path) -> None:
    path = write(noise(4.0), tmp_path / "song.flac")
    whole = read(path).samples
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(data)
    with pytest.warns(CutShort, match=r"of 4\.00 s"):
        part = read(path).samples
    assert 1.5 * 44_100 < part.shape[-1] < whole.shape[-1]
    assert torch.equal(part[:, :60_000], whole[:, :60_000])


@pytest.mark.parametrize(
    ("value", "match"),
    [(math.nan, "0.25 s is not a number"), (math.inf, "is inf"), (-math.inf, "is -inf"), (1e9, r"1e\+09")],
)
def test_samples_that_are_no_sound(tmp_path: Path, value: float, match: str) -> None:
    samples = noise(1.0, 8000, 2).samples.numpy().T.copy()
    samples[2000, 1] = value
    soundfile.write(tmp_path / "song.wav", samples, 8000, subtype="DOUBLE")
    with pytest.raises(BadAudio, match=match):
        read(tmp_path / "song.wav")
    with pytest.raises(BadAudio, match=match):
        list(stream(tmp_path / "song.wav", block_seconds=0.1))


@pytest.mark.parametrize("rate", [1, 100, 3999, 2_000_000])
def test_rates_that_are_no_sound(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "song.wav", np.zeros(1000), rate)
    refused(tmp_path / "song.wav", f"a rate of {rate} Hz")


@pytest.mark.parametrize("seconds", [1.0, 0.0001])
def test_silence_and_the_shortest_sounds_are_usable(tmp_path: Path, seconds: float) -> None:
    for suffix in ("wav", "flac", "mp3", "ogg", "opus", "aiff"):
        length = max(1, round(48_000 * seconds))
        path = write(Audio(torch.zeros(2, length), 48_000), tmp_path / f"silence.{suffix}")
        back = read(path)
        assert back.samples.shape == (2, length) and back.samples.abs().max() < 1e-4


def test_clipped_recordings_are_read_as_they_are(tmp_path: Path) -> None:
    square = np.sign(np.sin(np.arange(8000) / 10)).astype(np.float32)
    soundfile.write(tmp_path / "song.wav", square, 8000, subtype="PCM_16")
    assert read(tmp_path / "song.wav").samples.abs().max() > 0.999


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_result_that_is_not_finite_is_not_written(tmp_path: Path, value: float) -> None:
    sound = noise(0.1)
    sound.samples[0, 7] = value
    with pytest.raises(BadAudio, match="not finite"):
        write(sound, tmp_path / "song.wav")
    with pytest.raises(BadAudio, match="not finite"), Writer(tmp_path / "song.wav", 44_100, 1) as writer:
        writer.push(sound)
    assert not list(tmp_path.glob("*song*"))


def test_sounds_of_no_length_or_shape_are_not_written(tmp_path: Path) -> None:
    for samples in (torch.zeros(1, 0), torch.zeros(0, 5), torch.zeros(5), torch.zeros(1, 1, 5)):
        with pytest.raises(BadAudio):
            write(Audio(samples, 44_100), tmp_path / "song.wav")
    assert not list(tmp_path.glob("*song*"))


@pytest.mark.parametrize("name", ["song", "song.aac", "song.webm", "song.txt", "song.wav.part"])
def test_formats_that_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadOption, match=r"must end in one of \.wav, \.flac, \.mp3, \.ogg, \.opus, \.m4a, \.aiff"):
        write(noise(0.1), tmp_path / name)


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    for place in (tmp_path / "folder.wav", tmp_path / "file" / "song.wav", tmp_path / ("x" * 300 + ".wav")):
        with pytest.raises(BadOption, match="cannot write to"):
            write(noise(0.1), place)
        with pytest.raises(BadOption, match="cannot write to"), Writer(place, 44_100, 1) as writer:
            writer.push(noise(0.1))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["file", "folder.wav"]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """While this lasts no file can grow past `size` bytes: the system's own failure, at the system's own places."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aiff"])
def test_a_full_disk_is_said_so_and_leaves_what_was_there_before(tmp_path: Path, suffix: str) -> None:
    path = write(noise(0.1), tmp_path / f"song.{suffix}")
    before = path.read_bytes()
    with largest_file(10_000), pytest.raises(NoSpace, match="nothing was written"):
        write(noise(5.0), path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == [path.name]


def test_a_writer_notices_a_full_disk_while_blocks_come_in(tmp_path: Path) -> None:
    with largest_file(100_000), pytest.raises(NoSpace), Writer(tmp_path / "song.wav", 44_100, 1) as writer:
        for _ in range(10):
            writer.push(noise(1.0))
    assert not list(tmp_path.glob("*song*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_the_message_of_a_full_device() -> None:
    with pytest.raises(NoSpace, match=os.strerror(errno.ENOSPC)):
        write(noise(0.1), "/dev/full")
    assert Path("/dev/full").is_char_device()


def test_all_of_these_are_errors_that_a_face_prints_as_one_line() -> None:
    assert issubclass(BadAudio, MynahError) and issubclass(NoSpace, MynahError) and issubclass(BadOption, MynahError)
