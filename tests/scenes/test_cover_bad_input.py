"""Songs that are not as songs should be: each gives a right cover or a clear error, and nothing wrong is kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mynah.audio.files import CutShort, probe, read, write
from mynah.core.errors import BadAudio
from mynah.core.types import Audio
from mynah.scenes.cover import Cover

Covered = Callable[..., Cover]
SongOf = Callable[..., Audio]


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.parent.name.partition("-")[0] for path in (tmp_path / "home").rglob("step.json"))


def test_a_mono_song_stays_mono(covered: Covered, song_of: SongOf) -> None:
    song = song_of()
    result = covered(Audio(song.samples.mean(0, keepdim=True), song.rate)).audio
    assert result.samples.shape == (1, song.samples.shape[-1])
    assert result.samples.abs().max() > 0.1


@pytest.mark.parametrize("rate", [8000, 96_000])
def test_rate_and_length_stay(covered: Covered, song_of: SongOf, rate: int) -> None:
    result = covered(song_of(0.7, rate)).audio
    assert (result.rate, result.samples.shape) == (rate, (2, round(0.7 * rate)))
    assert result.samples.abs().max() > 0.1


def test_surround_becomes_stereo(covered: Covered, song_of: SongOf) -> None:
    left, right = song_of().samples
    none = torch.zeros_like(left)
    result = covered(Audio(torch.stack([left, right, none, none, none, none]), 16_000)).audio
    assert result.samples.shape == (2, 16_000)
    assert result.samples.abs().max() > 0.1


def test_silence_stays_silence(covered: Covered) -> None:
    result = covered(Audio(torch.zeros(2, 16_000), 16_000))
    assert result.audio.samples.shape == (2, 16_000)
    assert result.audio.samples.abs().max() == 0
    assert "hardly a voice" in result.remarks[0]


def test_a_song_without_a_voice_keeps_its_band(covered: Covered, song_of: SongOf) -> None:
    song = song_of(voice=0)
    result = covered(song)
    torch.testing.assert_close(read(result.stems["mix"]).samples, song.samples, atol=1e-4, rtol=0)
    assert "hardly a voice" in result.remarks[0]


def test_a_song_that_is_only_a_voice_becomes_the_other_voice(covered: Covered, song_of: SongOf) -> None:
    result = covered(song_of(band=0))
    assert result.remarks == ()
    assert result.audio.samples[0].equal(result.audio.samples[1])
    assert result.audio.samples.abs().max() > 0.1


@pytest.mark.parametrize("seconds", [0.2, 0.01, 1 / 16_000])
def test_the_shortest_of_songs(covered: Covered, song_of: SongOf, seconds: float) -> None:
    assert covered(song_of(seconds)).audio.seconds == pytest.approx(seconds)


def test_the_effects_bear_all_of_these(covered: Covered, song_of: SongOf) -> None:
    effects = {
        "high_pass_hz": 80,
        "de_ess_db": 6,
        "compress_ratio": 3,
        "presence_db": 2,
        "air_db": 2,
        "reverb": "match",
    }
    for song in (Audio(torch.zeros(1, 8000), 8000), song_of(0.2, 8000), song_of(1.0, 96_000, voice=0)):
        result = covered(song, **effects).audio
        assert result.samples.isfinite().all()
        assert result.seconds == song.seconds


def test_an_empty_song_is_refused(covered: Covered, tmp_path: Path) -> None:
    for name, content in (("empty.wav", b""), ("text.mp3", b"la la la" * 1000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadAudio, match=name):
            covered(tmp_path / name)
    with pytest.raises(BadAudio, match="there is no such file"):
        covered(tmp_path / "nowhere.wav")
    assert kept(tmp_path) == []


def test_damaged_frames_in_an_mp3_cost_no_more_than_themselves(
    covered: Covered, song_of: SongOf, tmp_path: Path
) -> None:
    whole = write(song_of(4.0), tmp_path / "whole.mp3")
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 1500] = bytes(range(250)) * 6
    (tmp_path / "damaged.mp3").write_bytes(data)
    (tmp_path / "short.mp3").write_bytes(data[: len(data) // 2 - 100])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CutShort)
        for name, least in (("damaged", 1.5), ("short", 1.0)):
            readable = read(tmp_path / f"{name}.mp3").seconds
            assert readable >= least
            first, second = covered(tmp_path / f"{name}.mp3"), covered(tmp_path / f"{name}.mp3")
            assert first.audio.seconds == pytest.approx(readable, abs=1e-3)
            assert first.audio.samples.equal(second.audio.samples)


def test_a_recording_that_was_cut_short_is_covered_as_far_as_it_goes(covered: Covered, song: Path) -> None:
    data = song.read_bytes()
    song.write_bytes(data[: len(data) // 2])
    with pytest.warns(CutShort):
        assert covered(song).audio.seconds == pytest.approx(0.5, abs=0.01)


def test_what_is_not_a_number_is_told_and_nothing_of_it_is_kept(
    covered: Covered, song_of: SongOf, tmp_path: Path
) -> None:
    import soundfile

    song = song_of()
    samples = song.samples.T.clone().numpy()
    samples[12_000] = float("nan")
    soundfile.write(tmp_path / "song.wav", samples, song.rate, subtype="FLOAT")
    with pytest.raises(BadAudio, match=r"at 0\.75 s is not a number"):
        covered(tmp_path / "song.wav")
    assert kept(tmp_path) == []


def test_a_stem_by_hand_may_be_of_another_kind(covered: Covered, song: Path, song_of: SongOf, tmp_path: Path) -> None:
    mine = write(Audio(song_of(1.5, 48_000, band=0).samples[:1], 48_000), tmp_path / "mine.ogg")
    result = covered(song, replace={"lead": mine})
    assert probe(result.path).rate == 48_000
    assert result.audio.seconds == pytest.approx(1.5, abs=1e-3)


def test_a_table_by_hand_that_is_none_is_told(covered: Covered, song: Path, tmp_path: Path) -> None:
    from mynah.core.errors import BadOption

    for stem in ("melody", "transposition", "levels"):
        (tmp_path / f"{stem}.txt").write_text("la la la")
        with pytest.raises(BadOption, match=f"{stem}.txt"):
            covered(song, replace={stem: tmp_path / f"{stem}.txt"})
