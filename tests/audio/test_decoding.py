"""What phones and browsers record, made here by FFmpeg's own encoders."""

import math
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
import torch

from mynah.audio.files import CutShort, Info, probe, read, stream
from mynah.core.errors import BadAudio

RATE = 48_000


def sweep(seconds: float, channels: int) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    wave = 0.5 * np.sin(2 * math.pi * (200 * t + 900 * t * t / seconds))
    return np.stack([wave / (1 + channel) for channel in range(channels)]).astype(np.float32)


def encoded(codec: str, container: str, samples: np.ndarray, *, picture: bool = False, **options: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "encoded")
        encode(path, codec, container, samples, picture, options)
        return path.read_bytes()


def encode(path: Path, codec: str, container: str, samples: np.ndarray, picture: bool, options: dict[str, str]) -> None:
    with av.open(path, "w", format=container, options=options) as output:
        # All streams are announced before the first packet is written.
        film = output.add_stream("mpeg4", rate=25) if picture else None
        layout = {0: "", 1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
        sound = output.add_stream(codec, rate=RATE, layout=layout) if layout else None
        if film:
            film.width, film.height, film.pix_fmt = 16, 16, "yuv420p"
            for index in range(5):
                image = av.VideoFrame(16, 16, "yuv420p")
                image.pts, image.time_base = index, Fraction(1, 25)
                output.mux(film.encode(image))
            output.mux(film.encode(None))
        if sound:
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = RATE, 0
            output.mux(sound.encode(frame))
            output.mux(sound.encode(None))


def similarity(one: torch.Tensor, other: np.ndarray) -> float:
    return torch.nn.functional.cosine_similarity(one.flatten(), torch.from_numpy(other).flatten(), dim=0).item()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("codec", "container", "options", "format"),
    [
        ("aac", "ipod", {}, "mp4"),
        ("aac", "mp4", {"movflags": "faststart"}, "mp4"),
        ("libopus", "webm", {}, "webm"),
        ("libopus", "webm", {"live": "1"}, "webm"),  # as browsers write it: no length, nothing to seek by
    ],
)
def test_length_place_and_wave_survive(
    tmp_path: Path, codec: str, container: str, options: dict[str, str], format: str, channels: int
) -> None:
    path = tmp_path / "recording.wav"  # the suffix says nothing
    samples = sweep(2.0, channels)
    path.write_bytes(encoded(codec, container, samples, **options))
    got = read(path)
    assert got.samples.shape == samples.shape and got.rate == RATE
    assert similarity(got.samples, samples) > 0.99
    info = probe(path)
    assert (info.rate, info.channels, info.format) == (RATE, channels, format)
    assert info.seconds == pytest.approx(2.0, abs=0.03)


def test_bare_aac_is_read_with_the_silence_that_its_encoder_puts_before(tmp_path: Path) -> None:
    samples = sweep(1.0, 1)
    (tmp_path / "a.aac").write_bytes(encoded("aac", "adts", samples))
    got = read(tmp_path / "a.aac").samples[:, 1024 : 1024 + RATE]  # such files do not say how much of it there is
    assert similarity(got, samples) > 0.99


def test_the_sound_of_a_film_is_read(tmp_path: Path) -> None:
    samples = sweep(1.0, 2)
    (tmp_path / "film.mp4").write_bytes(encoded("aac", "mp4", samples, picture=True))
    assert similarity(read(tmp_path / "film.mp4").samples, samples) > 0.99


def test_a_silent_film_has_no_sound_in_it(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(encoded("", "mp4", np.zeros((0, 0)), picture=True))
    with pytest.raises(BadAudio, match="no sound in it"):
        read(tmp_path / "film.mp4")


def test_a_stream_equals_the_whole(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(encoded("aac", "ipod", sweep(4.0, 2)))
    whole = read(tmp_path / "a.m4a", rate=16_000, mono=True)
    blocks = [block.samples for block in stream(tmp_path / "a.m4a", rate=16_000, mono=True, block_seconds=0.7)]
    assert torch.equal(torch.cat(blocks, -1), whole.samples) and whole.samples.shape == (1, 64_000)


def test_half_a_download(tmp_path: Path) -> None:
    data = encoded("aac", "mp4", sweep(2.0, 1), movflags="faststart")
    (tmp_path / "a.m4a").write_bytes(data[: len(data) // 2])
    with pytest.warns(CutShort, match=r"of 2\.00 s could be read"):
        assert 0.5 < read(tmp_path / "a.m4a").seconds < 1.5
    # Without "faststart" the table of contents comes last, and nothing can be read without it.
    data = encoded("aac", "ipod", sweep(2.0, 1))
    (tmp_path / "a.m4a").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadAudio, match="too damaged"):
        read(tmp_path / "a.m4a")


def test_half_a_browser_recording_just_ends_earlier(tmp_path: Path) -> None:
    data = encoded("libopus", "webm", sweep(2.0, 1), live="1")
    (tmp_path / "a.webm").write_bytes(data[: len(data) // 2])
    assert 0.5 < read(tmp_path / "a.webm").seconds < 1.5


def test_surround(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(encoded("aac", "ipod", sweep(0.5, 6)))
    assert probe(tmp_path / "a.m4a") == Info(0.5, RATE, 6, "mp4")
    assert read(tmp_path / "a.m4a", mono=True).samples.shape == (1, RATE // 2)
