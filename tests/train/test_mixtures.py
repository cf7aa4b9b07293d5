from pathlib import Path

import numpy as np
import pytest
import torch

from mynah.audio.files import write
from mynah.core.errors import BadData
from mynah.core.types import Audio
from mynah.train.mixtures import PLAIN, WHOLE, Mixtures, Variety, _sounding_level, found, held_out
from mynah.train.stems import UNVARIED
from mynah.train.variety import placed, roomy, tinted, transposed

RATE = 8000
SECONDS = 3


def tone(hz: float, channels: int = 2) -> Audio:
    wave = 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(SECONDS * RATE) / RATE)
    return Audio(wave.expand(channels, -1), RATE)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two songs, each with notes of its own, and solos in folders named after their stem."""
    for song, hz in (("one", 200.0), ("two", 300.0)):
        for stem, factor in (("lead", 1.0), ("backing", 1.5), ("drums", 5.0), ("bass", 7.0)):
            write(tone(hz * factor), tmp_path / "songs" / song / f"{stem}.wav")
    write(tone(1000.0, 1), tmp_path / "vocals" / "somebody.wav")
    write(tone(100.0), tmp_path / "songs" / "one" / "notes.wav")  # of no stem: not looked at
    return tmp_path


def pitches(sound: torch.Tensor) -> set[int]:
    """The notes that sound in `[channel, time]`, to 20 Hz."""
    spectrum = torch.fft.rfft(sound.mean(0) * torch.hann_window(sound.shape[-1])).abs()
    loud = (spectrum > 0.1 * spectrum.max()).nonzero().flatten() * RATE / sound.shape[-1]
    return {round(hz / 20) * 20 for hz in loud.tolist()}


def test_a_file_is_known_by_its_name_or_by_its_folder(data: Path) -> None:
    songs = found(data)
    assert set(songs) == {"songs/one", "songs/two", "vocals/somebody.wav"}
    assert set(songs["songs/one"]) == {"lead", "backing", "drums", "bass"}
    assert set(songs["vocals/somebody.wav"]) == {"vocals"}


def test_hidden_files_are_somebody_elses(data: Path) -> None:
    write(tone(50.0), data / "vocals" / ".half.wav")
    assert "vocals/.half.wav" not in found(data)


def test_stems_add_up_to_the_mix_and_hold_what_they_say(data: Path, tmp_path: Path) -> None:
    mixtures = Mixtures(data, tmp_path / "cache", ("vocals", "accompaniment"), rate=RATE)
    batch = mixtures.batch(0, 6, RATE)
    assert batch["mix"].shape == (6, 2, RATE)
    assert torch.allclose(batch["stems"].sum(1), batch["mix"], atol=1e-6)
    assert batch["mix"].abs().max() <= 1
    for vocals, rest in batch["stems"]:
        assert pitches(vocals) <= {200, 300, 440, 460, 1000}
        assert pitches(rest) <= {1000, 1400, 1500, 2100}


def test_four_stems(data: Path, tmp_path: Path) -> None:
    for song in ("one", "two"):
        write(tone(2500.0), data / "songs" / song / "other.wav")
    mixtures = Mixtures(data, tmp_path / "cache", ("drums", "bass", "other", "vocals"), rate=RATE, channels=1)
    stems = mixtures.batch(3, 4, RATE)["stems"]
    assert stems.shape == (4, 4, 1, RATE)
    for drums, bass, other, _ in stems:
        assert pitches(drums) <= {1000, 1500}
        assert pitches(bass) <= {1400, 2100}
        assert pitches(other) == {2500}


def test_a_batch_depends_on_seed_and_step_alone(data: Path, tmp_path: Path) -> None:
    def drawn(seed: int, step: int) -> torch.Tensor:
        stems = ("vocals", "accompaniment")
        return Mixtures(data, tmp_path / "cache", stems, rate=RATE, variety=Variety(), seed=seed).batch(step, 2, RATE)[
            "mix"
        ]

    assert drawn(1, 5).equal(drawn(1, 5))
    assert not drawn(1, 5).equal(drawn(1, 6))
    assert not drawn(1, 5).equal(drawn(2, 5))


def test_a_held_out_song_is_never_heard(data: Path, tmp_path: Path) -> None:
    mixtures = Mixtures(data, tmp_path / "cache", ("vocals", "accompaniment"), rate=RATE, hold_out=["*/two"])
    for _, rest in torch.cat([mixtures.batch(step, 4, RATE)["stems"] for step in range(5)]):
        assert pitches(rest) <= {1000, 1400}
    [(vocals, rest)] = held_out(data, ["*/two"], RATE).values()
    assert vocals.seconds == SECONDS and 300 in pitches(vocals.samples)
    assert pitches(rest.samples) == {1500, 2100}


def test_holding_out_what_is_not_there_is_a_mistake(data: Path) -> None:
    with pytest.raises(BadData, match="no song"):
        held_out(data, ["three"], RATE)


def test_a_stem_that_nobody_plays_is_an_error(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="piano"):
        Mixtures(data, tmp_path / "cache", ("vocals", "piano"), rate=RATE)
    with pytest.raises(BadData, match="no stems"):
        Mixtures(tmp_path / "cache", tmp_path / "cache", ("vocals",), rate=RATE)


def test_songs_keep_their_share_however_many_solos_there_are(data: Path, tmp_path: Path) -> None:
    for number in range(40):
        write(tone(2000.0, 1), data / "vocals" / f"{number}.wav")
    mixtures = Mixtures(data, tmp_path / "cache", ("vocals", "accompaniment"), rate=RATE)
    mixtures.variety = Variety(**{**vars(PLAIN), "across": 1.0})
    vocals = torch.cat([mixtures.batch(step, 10, 2000)["stems"][:, 0] for step in range(20)])
    solos = sum(bool(pitches(clip) & {1000, 2000}) for clip in vocals) / len(vocals)
    assert solos == pytest.approx(1 - WHOLE, abs=0.12)


def test_a_voice_that_pauses_is_as_loud_as_one_that_does_not() -> None:
    whole = torch.ones(2, RATE)
    half = whole.clone()
    half[:, RATE // 2 :] = 1e-4
    assert _sounding_level(half, RATE).item() == pytest.approx(_sounding_level(whole, RATE).item(), rel=1e-3)
    assert _sounding_level(0 * whole, RATE) == 0


def test_some_clips_have_no_vocals_and_some_nothing_else(data: Path, tmp_path: Path) -> None:
    stems = ("vocals", "accompaniment")
    mixtures = Mixtures(data, tmp_path / "cache", stems, rate=RATE, variety=Variety(drop=0.25))
    silent = (mixtures.batch(0, 60, 800)["stems"].abs().amax((2, 3)) == 0).float().mean(0)
    assert 0.1 < silent[0] < 0.45 and 0.03 < silent[1] < 0.3
    plain = Mixtures(data, tmp_path / "cache", stems, rate=RATE, variety=PLAIN)
    assert (plain.batch(0, 60, 800)["stems"].abs().amax((2, 3)) > 0).all()


def test_what_is_not_varied_is_not_varied_in_any_way() -> None:
    assert not any(vars(UNVARIED).values())
    assert {name for name, value in vars(PLAIN).items() if value} == {"gain_db", "across"}


def test_an_octave_up_is_twice_as_high() -> None:
    assert pitches(transposed(tone(200.0).samples, 12.0, RATE)) == {400}
    assert transposed(tone(200.0).samples, 0.0, RATE).equal(tone(200.0).samples[:, :RATE])


def test_placing_keeps_the_power_of_what_was_in_the_middle() -> None:
    sound = tone(200.0).samples
    for seed in range(20):
        moved = placed(sound, np.random.default_rng(seed))
        assert moved.square().sum().item() == pytest.approx(sound.square().sum().item(), rel=1e-3)


def test_a_room_goes_on_after_the_sound_has_ended() -> None:
    click = torch.zeros(2, RATE)
    click[:, 100] = 1
    wet = roomy(click, RATE, np.random.default_rng(0))
    assert wet.shape == click.shape
    assert wet[:, :100].abs().max() < 1e-5  # nothing before its cause
    assert wet[:, 200:].abs().max() > 1e-4


def test_an_equaliser_changes_colour_and_nothing_else() -> None:
    noise = torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))
    changed = tinted(noise, RATE, np.random.default_rng(0))
    gain = torch.fft.rfft(changed) / torch.fft.rfft(noise)
    assert gain.imag.abs().max() < 1e-2  # nothing moves in time
    assert gain.real.min() > 0.1 and gain.real.max() / gain.real.min() > 1.2
    assert pitches(tinted(tone(200.0).samples, RATE, np.random.default_rng(0))) == {200}
