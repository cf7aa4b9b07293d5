"""Converters that sing while the sound still comes in, and from file to file: the same, however it was cut."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.audio.files import probe, read, write
from mynah.convert import stream_file
from mynah.core.errors import BadAudio, BadOption
from mynah.core.registry import find
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Stream, Streams, options_of
from mynah.features import speaker
from mynah.nets.streams import LIVE, Pace, Span

RATE = 16_000
NEAR = 2e-5  # by how much the result may differ with the cut: convolutions of other lengths round otherwise
SHORT = Pace(Span(0.48, overlap=0.16), Span(0.6, overlap=0.1), 0.3, 0.5)  # of which a test's song has several
every_system = pytest.mark.parametrize("name", ["rvc", "so_vits_svc", "whisper_vits_svc"])


def tiny(name: str) -> Any:
    return find(f"convert/{name}").tiny()


def options(name: str, **chosen: Any) -> Any:
    return options_of(find(f"convert/{name}"), "convert").of(**chosen)


def somebody() -> Voice:
    """Of unknown range, so that no melody is moved into it."""
    dice = torch.Generator().manual_seed(0)
    vector, bank = torch.randn(192, generator=dice), torch.randn(40, 16, generator=dice)
    return Voice("somebody", (0.0, 0.0), embedding=vector / vector.norm(), encoder=speaker.ENCODER, bank=bank)


def song(seconds: float = 1.7, rate: int = RATE) -> Audio:
    """Notes with pauses between them."""
    time = torch.arange(round(seconds * rate)) / rate
    hz = 200 + 30 * (3 * time).floor()
    wave = sum((torch.sin(2 * torch.pi * k * hz * time) / k for k in range(2, 8)), torch.sin(2 * torch.pi * hz * time))
    return Audio((0.2 * wave * ((3 * time) % 1 < 0.8))[None], rate)


def pushed(stream: Stream, source: Audio, seconds: float) -> torch.Tensor:
    blocks = source.samples.split(max(1, round(seconds * source.rate)), -1)
    pieces = [stream.push(Audio(block, source.rate)).samples for block in blocks]
    return torch.cat([*pieces, stream.flush().samples], -1)


@every_system
def test_it_does_not_matter_in_what_blocks_the_sound_comes(name: str) -> None:
    system, source = tiny(name), song(1.2)
    assert isinstance(system, Streams)
    whole = pushed(system.stream(somebody(), rate=RATE), source, 60.0)
    assert whole.shape == source.samples.shape
    assert whole.abs().max() > 0
    for seconds in (0.001, 0.02, 1.0):
        cut = pushed(system.stream(somebody(), rate=RATE), source, seconds)
        torch.testing.assert_close(cut, whole, atol=NEAR, rtol=0)


@every_system
def test_what_is_pushed_at_the_pace_of_a_song_is_the_conversion(name: str) -> None:
    """With the melody known, and all that a stream does not wait for waited for: then nothing is left to differ."""
    system, source = tiny(name), song(1.2)
    melody = Contour(torch.full((120,), 220.0), 0.01, "Hz")
    whole = system.convert(source, somebody(), melody=melody).samples
    for seconds in (0.001, 0.02, 1.0):
        stream = system._sung(somebody(), None, RATE, replace(LIVE, heard=Span(13.0), expected=Span(23.0)), melody)
        torch.testing.assert_close(pushed(stream, source, seconds), whole, atol=1e-3 if name == "rvc" else NEAR, rtol=0)


def test_a_stream_is_near_the_conversion() -> None:
    """Though it hears the melody on its way, and words by two seconds of them."""
    system, source = tiny("rvc"), song()
    whole = system.convert(source, somebody()).samples
    streamed = pushed(system.stream(somebody(), rate=RATE), source, 0.02)
    assert (streamed - whole).square().mean() < 1e-3 * whole.square().mean()  # -30 dB


@every_system
@pytest.mark.parametrize("envelope", [0.0, 0.75])
def test_it_looks_no_further_ahead_than_it_says_and_hardly_less(name: str, envelope: float) -> None:
    if name == "whisper_vits_svc" and envelope:
        pytest.skip("has no such option")
    chosen = {} if name == "whisper_vits_svc" else {"envelope": envelope}
    stream = tiny(name).stream(somebody(), options(name, **chosen), rate=RATE)
    went, longest = 0, 0
    for number, block in enumerate(song(3.0).samples.split(160, -1), 1):
        went += stream.push(Audio(block, RATE)).samples.shape[-1]
        longest = max(longest, 160 * number - went)
    assert 0.6 * stream.latency < longest / RATE <= stream.latency
    assert stream.latency < (2.2 if envelope else 1.4)


@every_system
@pytest.mark.parametrize("samples", [1, 333, 5000])
def test_a_stream_ends_with_the_last_sample(name: str, samples: int) -> None:
    stream = tiny(name).stream(somebody(), rate=44_100)
    pieces = [stream.push(Audio(song(1.0, 44_100).samples[:, :samples], 44_100)), stream.flush()]
    assert sum(piece.samples.shape[-1] for piece in pieces) == samples


@every_system
def test_what_only_a_whole_song_can_tell_is_refused(name: str) -> None:
    system, ranged = tiny(name), replace(somebody(), range_hz=(100.0, 400.0))
    with pytest.raises(BadOption, match="transpose: auto listens to the whole song"):
        system.stream(ranged, rate=RATE)
    stream = system.stream(ranged, options(name, transpose=0.0), rate=RATE)
    with pytest.raises(BadAudio, match="44100 Hz came to a stream of 16000"):
        stream.push(song(0.1, 44_100))
    with pytest.raises(BadAudio, match="not numbers"):
        stream.push(Audio(torch.full((1, 9), torch.nan), RATE))
    for other, knob, value in (("so_vits_svc", "guess", True), ("whisper_vits_svc", "voicing", "everywhere")):
        if name == other:
            with pytest.raises(BadOption, match=knob):
                system.stream(somebody(), options(name, **{knob: value}), rate=RATE)


@every_system
def test_a_file_becomes_what_its_sound_becomes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, source = tiny(name), tmp_path / "song.wav"
    # Pieces of a second, so that three seconds are cut.
    monkeypatch.setattr("mynah.features.singing.SONG", SHORT)
    write(Audio(song(3.0).samples.expand(2, -1), RATE), source, bits=32)
    by_file, by_sound = tmp_path / "file.wav", tmp_path / "sound.wav"
    melody = system.convert_file(source, somebody(), options(name), by_file, rate=RATE, bits=32)
    write(system.convert(read(source), somebody()), by_sound, bits=32)
    torch.testing.assert_close(read(by_file).samples, read(by_sound).samples, atol=NEAR, rtol=0)
    assert len(melody.values) == 300
    system.convert_file(source, somebody(), options(name), by_file)
    own_rate = 32_000 if name == "whisper_vits_svc" else RATE
    assert (probe(by_file).rate, probe(by_file).seconds) == (own_rate, 3.0)


@every_system
def test_a_file_is_streamed_to_the_same_sound_in_blocks_of_any_length(name: str, tmp_path: Path) -> None:
    source = write(song(), tmp_path / "song.wav")
    results = []
    for milliseconds in (5.0, 20.0, 1000.0):
        out = tmp_path / f"{milliseconds}.wav"
        seconds, ahead = stream_file(
            source, somebody(), out, tiny(name), options(name), block_seconds=milliseconds / 1000, bits=16
        )
        assert seconds == pytest.approx(1.7)
        assert ahead > 0.5
        results.append(read(out).samples)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], atol=2**-15, rtol=0)
