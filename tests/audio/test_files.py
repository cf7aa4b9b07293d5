import io
import math
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynah.audio.files import Info, Writer, probe, read, stream, together, write
from mynah.audio.resample import resample
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio

LOSSLESS = ("wav", "flac", "aiff")
LOSSY = ("mp3", "ogg", "opus")


def sweep(seconds: float = 1.0, rate: int = 48_000, channels: int = 2, peak: float = 0.5) -> Audio:
    """Rising from 200 Hz to 2 kHz, so that every moment is unlike every other; fainter in each further channel."""
    t = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    wave = torch.sin(2 * math.pi * (200 * t + 900 * t.square() / seconds)).float()
    return Audio(torch.stack([peak * wave / (channel + 1) for channel in range(channels)]), rate)


def similarity(one: torch.Tensor, other: torch.Tensor) -> float:
    return torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0).item()


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("bits", [None, 16, 24])
def test_lossless_formats_keep_every_sample_to_half_a_step(tmp_path: Path, suffix: str, bits: int | None) -> None:
    sound = sweep(0.2, 44_100)
    back = read(write(sound, tmp_path / f"sound.{suffix}", bits=bits))
    assert back.rate == 44_100 and back.samples.dtype == torch.float32
    error = back.samples - sound.samples
    step = 2.0 ** (1 - (bits or 24))
    assert error.abs().max() <= 0.51 * step
    assert abs(error.mean().item()) < 0.05 * step  # rounded to the nearest, not always down


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_float_files_keep_samples_to_the_bit_even_beyond_full_scale(tmp_path: Path, suffix: str) -> None:
    sound = sweep(0.1, peak=3.0)
    back = read(write(sound, tmp_path / f"sound.{suffix}", bits=32, peak_db=None))
    assert torch.equal(back.samples, sound.samples)


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("bits", [16, 24])
def test_reading_and_writing_again_changes_nothing(tmp_path: Path, suffix: str, bits: int) -> None:
    first = read(write(sweep(0.1), tmp_path / f"1.{suffix}", bits=bits))
    second = read(write(first, tmp_path / f"2.{suffix}", bits=bits))
    assert torch.equal(first.samples, second.samples)


@pytest.mark.parametrize("suffix", LOSSY)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_keep_length_place_and_wave(tmp_path: Path, suffix: str, channels: int) -> None:
    sound = sweep(1.0, channels=channels)
    back = read(write(sound, tmp_path / f"sound.{suffix}"))
    assert back.samples.shape == sound.samples.shape and back.rate == sound.rate
    assert similarity(back.samples, sound.samples) > 0.99  # a shift by one sample in a hundred would break this


@pytest.mark.parametrize(
    ("suffix", "rate", "written"), [("mp3", 96_000, 48_000), ("opus", 44_100, 48_000), ("ogg", 192_001, 192_000)]
)
def test_rates_that_a_format_lacks_are_resampled(tmp_path: Path, suffix: str, rate: int, written: int) -> None:
    sound = sweep(0.5, rate, 1)
    path = write(sound, tmp_path / f"sound.{suffix}")
    assert probe(path) == Info(0.5, written, 1, suffix)
    assert similarity(read(path).samples, resample(sound, written).samples) > 0.99


@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY])
def test_the_content_decides_and_not_the_suffix(tmp_path: Path, suffix: str) -> None:
    sound = sweep(0.2, channels=1)
    path = write(sound, tmp_path / f"sound.{suffix}")
    for false_name in ("sound.raw", "sound.vox", "sound.gsm", "sound.wav", "sound.m4a", "sound"):
        renamed = path.rename(tmp_path / false_name)
        assert probe(renamed) == Info(0.2, 48_000, 1, suffix)
        assert read(renamed).samples.shape == sound.samples.shape
        path = renamed


@pytest.mark.parametrize(("name", "kind"), [("A.WAV", "wav"), ("a.aif", "aiff"), ("a.oga", "ogg")])
def test_suffixes_have_other_spellings(tmp_path: Path, name: str, kind: str) -> None:
    assert probe(write(sweep(0.1), tmp_path / name)).format == kind


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
@pytest.mark.parametrize("rate", [8000, 44_100, 192_000])
def test_every_encoding_of_wav_is_read(tmp_path: Path, subtype: str, rate: int) -> None:
    sound = sweep(0.05, rate, 1)
    soundfile.write(tmp_path / "sound.wav", sound.samples[0].numpy(), rate, subtype=subtype)
    back = read(tmp_path / "sound.wav")
    assert back.rate == rate and similarity(back.samples, sound.samples) > 0.999


def test_twelve_channels_are_read_and_mixed_to_one(tmp_path: Path) -> None:
    sound = sweep(0.1, channels=12)
    path = write(sound, tmp_path / "sound.wav", bits=32)
    assert torch.equal(read(path).samples, sound.samples)
    torch.testing.assert_close(read(path, mono=True).samples, sound.samples.mean(0, keepdim=True))


@pytest.mark.parametrize(("suffix", "most"), [("mp3", 2), ("flac", 8)])
def test_too_many_channels_for_a_format_are_refused_before_anything_is_written(
    tmp_path: Path, suffix: str, most: int
) -> None:
    with pytest.raises(BadOption, match=f"at most {most} channels"):
        write(sweep(0.1, channels=12), tmp_path / f"sound.{suffix}")
    assert not list(tmp_path.glob("sound*"))


@pytest.mark.parametrize("channels", [6, 12])
@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_surround_fits_ogg(tmp_path: Path, suffix: str, channels: int) -> None:
    assert probe(write(sweep(0.5, channels=channels), tmp_path / f"sound.{suffix}")).channels == channels


def test_reading_resamples_and_averages_like_the_parts_would(tmp_path: Path) -> None:
    sound = sweep(0.3, 44_100)
    path = write(sound, tmp_path / "sound.wav", bits=32)
    expected = resample(Audio(sound.samples.mean(0, keepdim=True), 44_100), 16_000)
    got = read(path, rate=16_000, mono=True)
    assert got.rate == 16_000 and torch.equal(got.samples, expected.samples)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus"])
@pytest.mark.parametrize("rate", [None, 22_050])
def test_a_stream_gives_what_reading_gives_in_equal_blocks(tmp_path: Path, suffix: str, rate: int | None) -> None:
    path = write(sweep(3.21), tmp_path / f"sound.{suffix}")
    whole = read(path, rate=rate)
    blocks = list(stream(path, rate=rate, block_seconds=0.5))
    assert {block.samples.shape[-1] for block in blocks[:-1]} == {round(0.5 * whole.rate)}
    assert torch.equal(torch.cat([block.samples for block in blocks], -1), whole.samples)


def test_an_mp3_of_variable_bitrate_is_read_in_one_go(tmp_path: Path) -> None:
    path = write(sweep(1.0, channels=1), tmp_path / "sound.mp3")
    samples, _ = soundfile.read(path, dtype="float32")  # one call of the decoder
    torch.testing.assert_close(read(path).samples[0], torch.from_numpy(samples), atol=1e-6, rtol=0)


def test_a_stream_may_be_left_early(tmp_path: Path) -> None:
    path = write(sweep(1.0), tmp_path / "sound.wav")
    blocks = stream(path, block_seconds=0.1)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    path.unlink()  # an open file could not be removed everywhere


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("peak", [1.5, 40.0, 1e5])
def test_too_loud_is_scaled_down_whole_and_never_clipped(tmp_path: Path, suffix: str, peak: float) -> None:
    sound = sweep(0.2, peak=peak)
    back = read(write(sound, tmp_path / f"sound.{suffix}"))
    assert 20 * math.log10(back.samples.abs().max()) == pytest.approx(-1.0, abs=0.01)
    torch.testing.assert_close(back.samples * peak / back.samples.abs().max(), sound.samples, atol=1e-6 * peak, rtol=0)


def test_the_ceiling_can_be_chosen(tmp_path: Path) -> None:
    loud = sweep(0.2, peak=2.0)
    assert read(write(loud, tmp_path / "a.wav", peak_db=-6.0206)).samples.abs().max() == pytest.approx(0.5, abs=1e-4)
    assert read(write(loud, tmp_path / "a.wav", peak_db=None)).samples.abs().max() == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(BadOption, match="would clip"):
        write(loud, tmp_path / "a.wav", peak_db=3.0)


@pytest.mark.parametrize("name", ["1.wav", "1.flac", "1.aiff", "1.mp3", "1.ogg", "1.opus"])
def test_equal_sound_gives_equal_bytes(tmp_path: Path, name: str) -> None:
    # Ogg's serial number would differ at once, in one process.
    first = write(sweep(3.0), tmp_path / name).read_bytes()
    assert write(sweep(3.0), tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_float_files_carry_no_clock(tmp_path: Path, suffix: str) -> None:
    data = write(sweep(0.1), tmp_path / f"sound.{suffix}", bits=32).read_bytes()
    at = data.index(b"PEAK")
    assert data[at + 12 : at + 16] == bytes(4) and data[at + 16 : at + 20] != bytes(4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(cuts=st.lists(st.integers(0, 5000), max_size=6), peak=st.sampled_from([0.3, 2.5]))
def test_a_writer_writes_what_writing_the_whole_writes(tmp_path: Path, cuts: list[int], peak: float) -> None:
    sound = sweep(0.2, 44_100, peak=peak)
    whole = write(sound, tmp_path / "whole.flac")
    with Writer(tmp_path / "pieces.flac", 44_100, 2) as writer:
        edges = sorted(min(cut, 8820) for cut in cuts)
        for start, end in zip([0, *edges], [*edges, 8820], strict=True):
            writer.push(Audio(sound.samples[:, start:end], 44_100))
    assert (tmp_path / "pieces.flac").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("suffix", ["opus", "mp3"])
def test_a_writer_resamples_across_blocks(tmp_path: Path, suffix: str) -> None:
    sound = sweep(1.0, 96_000)
    whole = write(sound, tmp_path / f"whole.{suffix}")
    with Writer(tmp_path / f"pieces.{suffix}", 96_000, 2) as writer:
        for part in sound.samples.split(10_000, -1):
            writer.push(Audio(part, 96_000))
    assert (tmp_path / f"pieces.{suffix}").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_writer_leaves_what_was_there_before(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "out" / "sound.wav"
    write(sweep(0.1), path)
    before = path.read_bytes()
    with pytest.raises(failure), Writer(path, 48_000, 2) as writer:
        writer.push(sweep(0.5))
        raise failure
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_writer_refuses_blocks_of_another_kind(tmp_path: Path) -> None:
    for wrong in (sweep(0.1, 44_100), sweep(0.1, channels=1)):
        with (
            pytest.raises(BadAudio, match="came to a file of 48000 Hz and 2 channels"),
            Writer(tmp_path / "sound.wav", 48_000, 2) as writer,
        ):
            writer.push(wrong)
    assert not (tmp_path / "sound.wav").exists()


def test_a_writer_finds_out_about_wrong_options_before_any_work(tmp_path: Path) -> None:
    for name, arguments in (
        ("a.wma", {}),
        ("a.mp3", {"bits": 24}),
        ("a.flac", {"bits": 32}),
        ("a.wav", {"peak_db": 1}),
    ):
        with pytest.raises(BadOption):
            Writer(tmp_path / name, 48_000, 2, **arguments)


def test_nothing_pushed_is_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(BadAudio, match="no sound to write"), Writer(tmp_path / "sound.wav", 48_000, 1):
        pass
    assert not list(tmp_path.glob("*sound*"))


def test_a_very_long_wav_becomes_an_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mynah.audio.encoding.LIMIT_BYTES", 1000)
    path = write(sweep(0.1), tmp_path / "sound.wav", bits=32)
    assert path.read_bytes()[:4] == b"RF64"
    assert probe(path).format == "wav" and torch.equal(read(path).samples, sweep(0.1).samples)
    with pytest.raises(BadOption, match="4 GB"):
        write(sweep(0.1), tmp_path / "sound.aiff")


class Pipe:
    """Standard input or output as a pipe: bytes behind `.buffer`, and no way back."""

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac"])
def test_standard_input_may_be_of_any_format(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(sweep(0.2), tmp_path / f"sound.{suffix}")
    monkeypatch.setattr(sys, "stdin", Pipe(path.read_bytes()))
    assert torch.equal(read("-").samples, read(path).samples)


def test_standard_output_is_wav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", pipe := Pipe())
    assert write(sweep(0.1), "-") == Path("-")
    with Writer("-", 48_000, 2) as writer:
        writer.push(sweep(0.1))
    half = len(pipe.buffer.getvalue()) // 2
    assert pipe.buffer.getvalue()[:half] == pipe.buffer.getvalue()[half:]
    samples, rate = soundfile.read(io.BytesIO(pipe.buffer.getvalue()[:half]), dtype="float32")
    assert rate == 48_000 and similarity(torch.from_numpy(samples.T.copy()), sweep(0.1).samples) > 0.9999


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipes_and_devices_are_used_and_not_replaced(tmp_path: Path) -> None:
    path = write(sweep(0.2), tmp_path / "sound.wav")
    os.mkfifo(tmp_path / "pipe")
    feeder = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()))
    feeder.start()
    assert torch.equal(read(tmp_path / "pipe").samples, read(path).samples)
    feeder.join()
    taken: list[bytes] = []
    taker = threading.Thread(target=lambda: taken.append((tmp_path / "pipe").read_bytes()))
    taker.start()
    write(sweep(0.2), tmp_path / "pipe")
    taker.join()
    assert taken == [path.read_bytes()] and (tmp_path / "pipe").is_fifo()


def test_a_flac_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    path = write(sweep(0.5), tmp_path / "sound.flac")
    whole = read(path).samples
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the count of samples: the last 36 bits of the 13 bytes from byte 21 of STREAMINFO on
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert probe(path).seconds == 0.5
    assert torch.equal(read(path).samples, whole)


def test_a_header_that_claims_days_costs_no_memory(tmp_path: Path) -> None:
    path = write(sweep(0.5), tmp_path / "sound.flac")
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F
    path.write_bytes(data)  # now 16 days
    with pytest.warns(UserWarning, match="only 0.50 s of 13"):
        assert np.isclose(read(path).seconds, 0.5)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_recordings_that_belong_together_keep_their_balance(tmp_path: Path, suffix: str) -> None:
    loud, soft = sweep(0.5, 44_100, peak=2.0), sweep(0.5, 44_100, peak=0.25)
    with together({name: tmp_path / f"{name}.{suffix}" for name in ("loud", "soft")}, 44_100, 2) as writers:
        for part in zip(loud.samples.split(4000, -1), soft.samples.split(4000, -1), strict=True):
            for writer, samples in zip(writers.values(), part, strict=True):
                writer.push(Audio(samples, 44_100))
    peaks = [read(tmp_path / f"{name}.{suffix}").samples.abs().max().item() for name in ("loud", "soft")]
    assert peaks[0] == pytest.approx(10 ** (-1 / 20), rel=0.02 if suffix == "mp3" else 1e-3)
    assert peaks[0] / peaks[1] == pytest.approx(8, rel=0.03 if suffix == "mp3" else 1e-3)


def test_together_changes_nothing_where_nothing_is_too_loud(tmp_path: Path) -> None:
    sounds = {"a": sweep(0.2, peak=0.8), "b": sweep(0.2, peak=0.1)}
    with together({name: tmp_path / f"{name}.wav" for name in sounds}, 48_000, 2, bits=16) as writers:
        for name, sound in sounds.items():
            writers[name].push(sound)
    for name, sound in sounds.items():
        assert (tmp_path / f"{name}.wav").read_bytes() == write(sound, tmp_path / "alone.wav", bits=16).read_bytes()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_together_is_all_or_none(tmp_path: Path, failure: type[BaseException]) -> None:
    old = write(sweep(0.1), tmp_path / "a.wav").read_bytes()
    paths = {"a": tmp_path / "a.wav", "b": tmp_path / "new" / "newer" / "b.wav"}
    with pytest.raises(failure), together(paths, 48_000, 2) as writers:
        writers["a"].push(sweep(0.1))
        raise failure
    assert list(tmp_path.iterdir()) == [tmp_path / "a.wav"] and (tmp_path / "a.wav").read_bytes() == old


def test_together_is_none_where_the_last_cannot_be_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mynah.audio.encoding.LIMIT_BYTES", 1000)
    paths = {"a": tmp_path / "new" / "a.wav", "b": tmp_path / "new" / "b.aiff"}
    with pytest.raises(BadOption, match=r"b\.aiff"), together(paths, 48_000, 2) as writers:
        for writer in writers.values():
            writer.push(sweep(0.1))
    assert not list(tmp_path.iterdir())


def test_together_finds_out_about_wrong_places_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for paths in ({"a": tmp_path / "a.wav", "b": tmp_path / "a.wav"}, {"a": tmp_path / "file" / "a.wav"}):
        with pytest.raises(BadOption), together(paths, 48_000, 2):
            raise AssertionError("the work has begun")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_together_wants_sound_for_each(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.wav" for name in "ab"}
    with pytest.raises(BadAudio, match=r"b\.wav"), together(paths, 48_000, 2) as writers:
        writers["a"].push(sweep(0.1))
    assert not list(tmp_path.iterdir())
