"""What a listener hears of a cover: the voice is another, the band is the same, and the balance between them stays."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import mynah
from mynah.audio.files import probe, read, write
from mynah.audio.loudness import loudness, true_peak_db
from mynah.core.errors import BadAudio, BadOption, BadVoice, UnknownSystem
from mynah.core.types import Audio, Contour, Terms, Voice
from mynah.features.pitch import write_csv
from mynah.scenes.cover import Cover

Covered = Callable[..., Cover]


def tone(samples: Tensor, rate: int, hz: float) -> float:
    """Amplitude of one frequency in a sound `[time]`, away from its ends."""
    samples = samples[len(samples) // 5 : -len(samples) // 5].double() * torch.hann_window(
        len(samples[len(samples) // 5 : -len(samples) // 5]), dtype=torch.float64
    )
    t = torch.arange(len(samples), dtype=torch.float64) / rate
    return float((samples * torch.exp(-2j * torch.pi * hz * t)).mean().abs() * 4)


def middle(audio: Audio) -> Tensor:
    return audio.samples.mean(0)


def side(audio: Audio) -> Tensor:
    return (audio.samples[0] - audio.samples[1]) / 2


def db(ratio: float) -> float:
    return 20 * math.log10(ratio)


def names(result: Cover, *, kept: bool) -> list[str]:
    return [step.name for step in result.steps if step.kept == kept]


def test_the_voice_is_another_and_the_band_is_the_same(song: Path, covered: Covered) -> None:
    before, after = read(song), covered(song).audio
    assert after.seconds == before.seconds
    # Hum turns the note into a sine: the overtones of the singer are gone.
    assert tone(middle(before), before.rate, 660) > 0.3 * tone(middle(before), before.rate, 220)
    assert tone(middle(after), after.rate, 660) < 0.05 * tone(middle(after), after.rate, 220)
    assert tone(side(after), after.rate, 1000) > 30 * tone(side(after), after.rate, 220)


def test_the_converted_vocal_is_as_loud_as_the_original(song: Path, covered: Covered) -> None:
    result = covered(song)
    mix, original = read(result.stems["mix"]), read(song)
    vocals = read(result.stems["vocals"])
    assert loudness(Audio(middle(mix).expand(2, -1), mix.rate)) == pytest.approx(loudness(vocals), abs=0.3)
    assert db(tone(side(mix), mix.rate, 1000) / tone(side(original), original.rate, 1000)) == pytest.approx(0, abs=0.01)


def test_gains_move_their_stem_alone(song: Path, covered: Covered) -> None:
    plain, changed = (read(covered(song, **gains).stems["mix"]) for gains in ({}, {"vocal_db": 6.0}))
    assert db(tone(middle(changed), 16_000, 220) / tone(middle(plain), 16_000, 220)) == pytest.approx(6, abs=0.01)
    assert db(tone(side(changed), 16_000, 1000) / tone(side(plain), 16_000, 1000)) == pytest.approx(0, abs=0.01)
    softer = read(covered(song, accompaniment_db=-12.0).stems["mix"])
    assert db(tone(side(softer), 16_000, 1000) / tone(side(plain), 16_000, 1000)) == pytest.approx(-12, abs=0.01)


def test_the_result_is_as_loud_as_asked_for_and_does_not_clip(covered: Covered, song_of: Callable[..., Audio]) -> None:
    for lufs in (-14.0, -20.0):
        result = covered(song_of(3.0), out=None, lufs=lufs).audio
        assert loudness(result) == pytest.approx(lufs, abs=0.5)
        assert true_peak_db(result) <= -0.9


def test_the_vocals_and_the_accompaniment_are_the_song(song: Path, covered: Covered) -> None:
    stems = covered(song).stems
    total = read(stems["vocals"]).samples + read(stems["accompaniment"]).samples
    assert torch.allclose(total, read(song).samples, atol=1e-7, rtol=0)


def test_the_melody_moves_by_octaves_into_the_range_of_the_voice(song: Path, covered: Covered) -> None:
    result = covered(song, Voice("high", range_hz=(300.0, 700.0)))
    assert result.semitones == 12
    mix = read(result.stems["mix"])
    assert tone(middle(mix), mix.rate, 440) > 30 * tone(middle(mix), mix.rate, 220)
    assert tone(side(mix), mix.rate, 1000) > 0.05
    assert result.remarks == ()


def test_the_accompaniment_may_follow_and_never_moves_by_more_than_half_an_octave(song: Path, covered: Covered) -> None:
    fifth = 7  # up for the voice; for the band a fourth down is nearer
    result = covered(song, transpose=fifth, key="follow")
    assert result.semitones == fifth
    mix = read(result.stems["mix"])
    moved = 1000 * 2 ** ((fifth - 12) / 12)
    assert tone(side(mix), mix.rate, moved) > 0.03
    assert tone(side(mix), mix.rate, 1000) < 0.3 * tone(side(mix), mix.rate, moved)
    assert tone(middle(mix), mix.rate, 220 * 2 ** (fifth / 12)) > 30 * tone(middle(mix), mix.rate, 220)


def test_the_lead_alone_is_converted_where_backing_vocals_are_told_from_it(song: Path, covered: Covered) -> None:
    result = covered(song, split=True, dereverb=0.5)
    assert [step.name for step in result.steps][:4] == ["separate", "split", "dereverb", "pitch"]
    lead, backing, vocals = (read(result.stems[name]).samples for name in ("lead", "backing", "vocals"))
    assert torch.allclose(lead + backing, vocals, atol=1e-5)
    assert result.stems["dry"].name == "dry.wav"
    assert names(covered(song, split=True, dereverb=0.5, backing_db=-3.0), kept=False) == ["mix", "master", "write"]


def test_all_that_sings_follows_into_another_key(song: Path, covered: Covered) -> None:
    result = covered(song, split=True, key="follow", transpose=2)
    assert [step.name for step in result.steps].count("key") == 2
    assert {"accompaniment_in_key", "backing_in_key"} <= result.stems.keys()


def test_an_octave_leaves_the_accompaniment_in_its_key(song: Path, covered: Covered) -> None:
    result = covered(song, transpose=-12, key="follow")
    assert read(result.stems["accompaniment_in_key"]).samples.equal(read(result.stems["accompaniment"]).samples)


def test_a_shift_that_leaves_the_key_is_remarked(song: Path, covered: Covered) -> None:
    [remark] = covered(song, transpose=3).remarks
    assert "+3 semitones" in remark
    assert "follow" in remark


def test_sound_gives_sound(covered: Covered, song_of: Callable[..., Audio], song: Path) -> None:
    result = covered(song_of(), out=None)
    assert result.audio.samples.equal(covered(song, out=None).audio.samples)


def test_every_format_is_written(song: Path, covered: Covered) -> None:
    for suffix in ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aiff"):
        result = covered(song, out=f"out.{suffix}")
        assert result.path.name == f"out.{suffix}"
        assert probe(result.path).seconds == pytest.approx(1.0, abs=0.1)


def test_it_may_be_called_as_the_house_calls_it(song: Path) -> None:
    ann = Voice("ann", range_hz=(150.0, 330.0))
    assert mynah.cover(str(song), ann, separator="separate/centre", converter="convert/hum").audio.seconds == 1.0


def test_a_melody_corrected_by_hand_is_sung(song: Path, covered: Covered, tmp_path: Path) -> None:
    melody = write_csv(Contour(torch.full((100,), 247.0), 0.01, "Hz"), tmp_path / "mine.csv")
    mix = read(covered(song, replace={"melody": melody}).stems["mix"])
    assert tone(middle(mix), mix.rate, 247) > 30 * tone(middle(mix), mix.rate, 220)


def test_stems_are_laid_out_under_their_names(song: Path, covered: Covered, tmp_path: Path) -> None:
    result = covered(song, stems=tmp_path / "parts")
    there = {path.name for path in (tmp_path / "parts").iterdir()}
    assert there >= {"vocals.wav", "accompaniment.wav", "melody.csv", "converted.wav", "polished.wav", "mix.wav"}
    assert {path.parent for path in result.stems.values()} == {tmp_path / "parts"}


def test_a_lead_made_by_hand_takes_the_place_of_the_separated_one(
    song: Path, covered: Covered, tmp_path: Path, song_of: Callable[..., Audio]
) -> None:
    mine = write(Audio(0.5 * song_of(band=0).samples[:1], 16_000), tmp_path / "mine.flac")
    result = covered(song, replace={"lead": mine})
    plain = covered(song)
    ours, theirs = read(result.stems["mix"]), read(plain.stems["mix"])
    softer = db(tone(middle(ours), 16_000, 220) / tone(middle(theirs), 16_000, 220))
    assert softer == pytest.approx(-6.02, abs=0.1)


def test_steps_before_what_was_replaced_are_not_needed(song: Path, covered: Covered) -> None:
    stems = covered(song).stems
    given = {name: stems[name] for name in ("lead", "accompaniment") if name in stems} | {"lead": stems["vocals"]}
    result = covered(song, replace=given, work=song.parent / "elsewhere")
    assert "separate" not in [step.name for step in result.steps]
    assert "convert" in names(result, kept=False)


def test_backing_vocals_by_hand_are_mixed_in(song: Path, covered: Covered, tmp_path: Path) -> None:
    t = torch.arange(16_000) / 16_000
    ooh = write(Audio(0.1 * torch.sin(2 * torch.pi * 330 * t)[None], 16_000), tmp_path / "ooh.wav")
    mix = read(covered(song, replace={"backing": ooh}, backing_db=-6.0).stems["mix"])
    assert tone(middle(mix), 16_000, 330) == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"loudness": 3}, BadOption, "no option 'loudness'"),
        ({"vocal_db": 100}, BadOption, "vocal_db"),
        ({"convert": {"transpose": 3}}, BadOption, "transpose"),
        ({"convert": {"volume": 3}}, BadOption, "volume"),
        ({"separate": {"shifts": 3}}, BadOption, "shifts"),
        ({"separator": "hum"}, UnknownSystem, "separate/hum"),
        ({"converter": "hmu"}, UnknownSystem, "convert/hmu"),
        ({"replace": {"drums": "drums.wav"}}, BadOption, "'drums'"),
        ({"replace": {"lead": "nowhere.wav"}}, BadAudio, "nowhere.wav"),
        ({"replace": {"melody": "nowhere.csv"}}, BadOption, "nowhere.csv"),
        ({"out": "song.xyz"}, BadOption, ".wav"),
        ({"out": "song.mp3", "bits": 24}, BadOption, "mp3"),
        ({"out": "."}, BadOption, "name of a file"),
        ({"out": "song.wav"}, BadOption, "the song itself"),
        ({"voice": Voice("theirs", (100.0, 200.0), system="convert/rvc")}, BadVoice, "convert/rvc"),
    ],
)
def test_what_makes_no_sense_is_told_before_the_work(
    song: Path, covered: Covered, wrong: dict[str, object], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        covered(song, **wrong)
    assert len(str(caught.value).splitlines()) == 1
    assert not (song.parent / "home" / "covers").exists()


def test_the_listener_is_told_that_the_vocal_is_synthetic(song: Path, covered: Covered) -> None:
    import av

    voice = Voice("ann", (150.0, 330.0), terms=Terms("CC0-1.0", "Ann Other"))
    path = covered(song, voice, out="out.flac").path
    with av.open(str(path)) as file:
        said = " ".join(str(value) for value in {**file.metadata, **file.streams[0].metadata}.values())
    assert "synthetic" in said
    assert "Ann Other" in said
