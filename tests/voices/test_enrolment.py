import math
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.audio.files import write
from mynah.core.errors import BadAudio, BadVoice
from mynah.core.types import Audio
from mynah.voices.ears import Ears
from mynah.voices.enrolment import BANK_FRAMES, MOST_SECONDS, RATE, phrases, spread, take
from mynah.voices.quality import clipped, levels, music_under, noise_distance_db, sounding


def test_silences_are_cut_and_the_voice_stays(ears: Ears, sounds: Any) -> None:
    source = sounds.joined(*(part for _ in range(4) for part in (sounds.silence(2), sounds.sung(seconds=3))))
    heard = take([source], ears)
    assert source.seconds == 20 and 12 <= heard.seconds < 14
    assert all(clip.rate == RATE and clip.samples.shape[0] == 1 for clip in heard.clips)
    energy = sum(float(clip.samples.square().sum()) for clip in heard.clips)
    assert energy == pytest.approx(float(source.samples.square().sum()), rel=0.01)


def test_cutting_leaves_no_clicks(sounds: Any) -> None:
    note = Audio(sounds.sung(110, 1, ratio=0.0).samples + 0.0, RATE)
    steepest = float(note.samples.diff().abs().max())
    for clip in phrases(sounds.joined(note, sounds.silence(1), note)):
        assert float(clip.samples.diff().abs().max()) < 3 * steepest


def test_clips_are_of_a_handy_length(sounds: Any) -> None:
    held = phrases(sounds.sung(seconds=100))
    assert all(9 <= clip.seconds <= 26 for clip in held)
    assert sum(clip.seconds for clip in held) == pytest.approx(100, abs=3)
    phrase = sounds.joined(sounds.sung(seconds=2), sounds.silence(1))
    joined = phrases(sounds.joined(*[phrase] * 12))
    assert all(8 < clip.seconds <= 12.5 for clip in joined[:-1]) and joined[-1].seconds > 4


def test_the_range_is_that_of_the_melody(ears: Ears, sounds: Any) -> None:
    notes = [sounds.sung(hz, 1.0) for hz in (150, 200, 250, 300, 350, 400, 450)]
    low, high = take([sounds.joined(*notes)], ears).range_hz
    assert abs(12 * math.log2(low / 150)) < 0.5 and abs(12 * math.log2(high / 450)) < 0.5


def test_any_rate_and_any_number_of_channels(ears: Ears, sounds: Any, tmp_path: Path) -> None:
    for rate, channels in ((8000, 1), (44_100, 2), (96_000, 4)):
        note = sounds.sung(seconds=5, rate=rate)
        path = write(Audio(note.samples.expand(channels, -1).clone(), rate), tmp_path / f"{rate}.wav")
        heard = take([path], ears)
        assert heard.seconds == pytest.approx(5, abs=0.1)
        assert heard.range_hz[0] == pytest.approx(220, rel=0.02)


def test_folders_are_searched_in_order(ears: Ears, sounds: Any, tmp_path: Path) -> None:
    for name, hz in (("b/two.flac", 300), ("a/one.wav", 200)):
        write(sounds.sung(hz), tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a recording")
    heard = take([tmp_path], ears)
    assert len(heard.clips) == 2 and ears.pitch(heard.clips[0]).values.nanmedian() < 210
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadVoice, match="holds no recordings"):
        take([tmp_path / "empty"], ears)


def test_the_bank_holds_voiced_frames_only(ears: Ears, sounds: Any) -> None:
    voiced = take([sounds.sung(seconds=6)], ears).bank
    both = take([sounds.joined(sounds.sung(seconds=6), sounds.noise(3))], ears).bank
    assert voiced.dtype == torch.float16 and voiced.shape == (len(voiced), 8)
    assert abs(len(voiced) - 300) < 10 and abs(len(both) - len(voiced)) < 10


def test_the_bank_is_bounded_and_spread_over_the_whole(ears: Ears, sounds: Any) -> None:
    bank = take([sounds.joined(sounds.sung(ratio=0.1, seconds=40), sounds.sung(ratio=0.8, seconds=40))], ears).bank
    assert len(bank) == BANK_FRAMES
    dull = (bank.float() - bank[0].float()).norm(dim=1) < (bank.float() - bank[-1].float()).norm(dim=1)
    assert 0.45 < dull.float().mean() < 0.55
    assert spread(5, 9).tolist() == [0, 1, 2, 3, 4] and spread(0, 9).tolist() == []


def test_too_little_voice_is_refused_and_said_how_much_there_is(ears: Ears, sounds: Any) -> None:
    with pytest.raises(BadVoice, match=r"2\.0 s of voiced sound in 7\.0 s.* 3 s at least"):
        take([sounds.joined(sounds.sung(seconds=2), sounds.silence(5))], ears)
    with pytest.raises(BadVoice, match=r"0\.0 s of voiced"):
        take([sounds.noise(10)], ears)
    assert take([sounds.sung(seconds=2), sounds.sung(seconds=2)], ears).seconds == pytest.approx(4, abs=0.2)


def test_silence_is_refused(ears: Ears, sounds: Any) -> None:
    for level in (0.0, 1e-4):
        with pytest.raises(BadVoice, match="silent"):
            take([Audio(sounds.sung(seconds=5).samples * level, RATE)], ears)
    with pytest.raises(BadVoice, match="at least one"):
        take([], ears)


def test_sound_that_is_not_sound_is_refused(ears: Ears, sounds: Any, tmp_path: Path) -> None:
    broken = sounds.sung().samples.clone()
    broken[0, 100] = torch.nan
    for bad in (Audio(broken, RATE), Audio(torch.zeros(1, 0), RATE)):
        with pytest.raises(BadAudio):
            take([bad], ears)
    (tmp_path / "song.wav").write_text("not a recording")
    for path in (tmp_path / "song.wav", tmp_path / "absent.wav"):
        with pytest.raises(BadAudio, match=path.name):
            take([path], ears)


@pytest.mark.parametrize("gain", [4.0, 1.05])
def test_clipping_is_found(gain: float, ears: Ears, sounds: Any) -> None:
    note = sounds.sung(seconds=40, level=1.0)
    hurt = Audio((note.samples * gain).clamp(-1, 1) * 0.8, RATE)
    if gain > 2:
        with pytest.raises(BadVoice, match="clipped"):
            take([hurt], ears)
    else:
        assert any("clipped" in line for line in take([hurt], ears).advice)


def test_loud_is_not_clipped(sounds: Any) -> None:
    for hz in (60, 220, 880):
        for ratio in (0.0, 0.5):
            assert int(clipped(sounds.sung(hz, level=1.0, ratio=ratio)).sum()) == 0
    assert int(clipped(sounds.silence(1)).sum()) == 0


def test_advice_says_what_could_be_better(ears: Ears, sounds: Any) -> None:
    phrase = sounds.joined(sounds.sung(seconds=3), sounds.silence(0.2))
    clean = sounds.joined(*[phrase] * 12)
    assert take([clean], ears).advice == ()
    [short] = take([phrase], ears).advice
    assert short.startswith("only 3 s remain")
    hiss = sounds.noise(clean.seconds, 0.04).samples
    [noisy] = take([Audio(clean.samples + hiss, RATE)], ears).advice
    assert "noisy" in noisy
    bass = sounds.sung(55, clean.seconds, level=0.12, ratio=0.0).samples
    [music] = take([Audio(clean.samples + bass[:, : clean.samples.shape[-1]], RATE)], ears).advice
    assert "music" in music


def test_a_chord_beside_the_voice_is_heard(ears: Ears, sounds: Any) -> None:
    voice = sounds.sung(220, 5)
    chord = sum(sounds.sung(hz, 5, level=0.1, ratio=0.2).samples for hz in (277.2, 370.0, 523.3))
    _, alone, _ = music_under(voice, ears.pitch(voice))
    _, among, flatness = music_under(Audio(voice.samples + chord, RATE), ears.pitch(voice))
    assert alone < 0.05 and among > 0.18 and flatness < 0.3


def test_distance_to_the_noise_is_that_of_the_levels(sounds: Any) -> None:
    both = sounds.joined(sounds.noise(2, 0.1), sounds.noise(2, 0.01))
    level = levels(both)
    assert noise_distance_db(level, torch.arange(len(level)) < 100) == pytest.approx(20, abs=1)
    assert noise_distance_db(level, torch.ones(len(level), dtype=torch.bool)) == math.inf
    held = levels(sounds.noise(100))
    assert noise_distance_db(held, torch.arange(len(held)) >= 30) == math.inf
    assert not sounding(levels(sounds.silence(1))).any() and not len(sounding(levels(sounds.silence(0.001))))


def test_only_so_much_is_kept(ears: Ears, sounds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mynah.voices.enrolment.MOST_SECONDS", 20.0)
    assert MOST_SECONDS == 900
    heard = take([sounds.sung(seconds=15)] * 10, ears)
    assert heard.seconds < 36 and any("are kept" in line for line in heard.advice)


def test_progress_goes_from_nothing_to_all(ears: Ears, sounds: Any) -> None:
    told: list[float] = []
    take([sounds.sung()], ears, told.append)
    assert told == sorted(told) and told[0] > 0 and told[-1] == 1.0
