from pathlib import Path

import pytest
import torch

from mynah.core.errors import BadData
from mynah.features.mel import MelFormat
from mynah.train.data import prepare
from mynah.train.transcripts import Readings, read_aloud, spoken
from tests.speak.readings import LETTER_SECONDS, ljspeech, manifest, texts

FORMAT = MelFormat(centred=True)


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Readings:
    data = ljspeech(tmp_path_factory.mktemp("data"), 7)
    takes = prepare(read_aloud(data), tmp_path_factory.mktemp("cache")).takes
    return Readings(takes, FORMAT, lambda text: [ord(letter) for letter in text], root=data, hold_out=["*R006*"])


def test_texts_are_found_in_either_layout(tmp_path: Path) -> None:
    named = read_aloud(ljspeech(tmp_path / "a", 3))
    listed = read_aloud(manifest(tmp_path / "b", 3))
    assert [clip.text for clip in named] == [clip.text for clip in listed] == texts(3)
    assert {clip.speaker for clip in named} == {"a"} and {clip.speaker for clip in listed} == {"ann"}
    assert all(clip.path.exists() for clip in (*named, *listed))


def test_one_voice_is_of_one_speaker(tmp_path: Path) -> None:
    folder = manifest(tmp_path, 4, ("ann", "bert"))
    with pytest.raises(BadData, match=r"2 speakers \(ann, bert\).*--skip"):
        read_aloud(folder)
    assert {clip.speaker for clip in read_aloud(folder, skip=["bert/*"])} == {"ann"}


def test_recordings_without_texts_are_refused(tmp_path: Path) -> None:
    folder = manifest(tmp_path, 1)
    (folder / "manifest.csv").write_text("path,speaker\nann/0.wav,ann\n")
    with pytest.raises(BadData, match=r"nobody knows what is said.*metadata\.csv"):
        read_aloud(folder)
    (folder / "metadata.csv").write_text("0\n")
    with pytest.raises(BadData, match=r"line 1: a row is name\|text"):
        read_aloud(folder)


def test_silence_around_is_taken_off_and_pitch_goes_with_the_frames(readings: Readings) -> None:
    reading = readings.training[0]
    mel = readings.mel(reading)
    assert mel.shape == (80, reading.frames)
    seconds = reading.frames * FORMAT.hop / FORMAT.rate
    assert seconds == pytest.approx(6 * LETTER_SECONDS, abs=0.12)
    assert readings.pitch(reading).shape == (reading.frames,)
    quiet = torch.cat([torch.zeros(5000), torch.ones(1000)])
    assert spoken(quiet, 60)[0] >= 3500 and spoken(torch.zeros(100), 60) == (0, 0)


def test_batches_hold_every_reading_once_before_any_again(readings: Readings) -> None:
    assert len(readings.held_out) == 1 and len(readings.training) == 6
    drawn = [readings.drawn(step, 4, seed=3) for step in range(4)]
    for epoch in (drawn[:2], drawn[2:]):
        names = sorted(reading.take.clip.path.name for batch in epoch for reading in batch)
        assert names == sorted(reading.take.clip.path.name for reading in readings.training)
    assert readings.drawn(1, 4, seed=3) == drawn[1]


def test_a_batch_is_laid_out_side_by_side(readings: Readings) -> None:
    both = [readings.training[0], readings.training[1]]
    batch = readings.batch(both, silence=-7.0, more=2)
    longest = max(reading.frames for reading in both)
    assert batch["mel"].shape == (2, 80, longest + 2)
    assert (batch["mel"][0, :, both[0].frames :] == -7).all()
    assert batch["symbols"][1, : batch["lengths"][1]].tolist() == [ord(c) for c in both[1].take.clip.text]


def test_nothing_to_learn_from_is_told(readings: Readings) -> None:
    with pytest.raises(BadData, match="none of 1 readings can be learnt from"):
        Readings([readings.training[0].take], FORMAT, lambda text: [])
