import csv
import math
from pathlib import Path

import pytest
import torch

from mynah.audio.files import write
from mynah.core.errors import BadCheckpoint, BadData
from mynah.core.recipe import Recipe
from mynah.core.types import Audio
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.letters import LettersConfig
from mynah.speak.mynah import Mynah
from mynah.speak.mynah.acoustic import AcousticConfig
from mynah.speak.mynah.aligner import Aligner
from mynah.speak.mynah.recipe import course
from mynah.speak.mynah.recipe.align import AlignRecipe, way
from mynah.speak.mynah.recipe.letters import LettersRecipe
from mynah.speak.mynah.recipe.readings import Readings
from mynah.speak.mynah.recipe.speech import SpeechRecipe
from mynah.voices import library

pytest.importorskip("phonemizer")
TEXTS = ["Das ist ein Haus.", "Und wir sind hier.", "Es ist nicht gut."]


def said(number: int) -> Audio:
    """A sound that changes a few times, as speech does, with a pause in the middle."""
    time = torch.arange(32_000 * 2) / 32_000
    vowel = 500 + 300 * torch.sin(2 * math.pi * 3 * time + number)
    wave = sum(torch.cos(2 * math.pi * k * 150 * time) / (1 + ((k * 150 - vowel) / 200) ** 2) for k in range(1, 20))
    wave[28_000:36_000] = 0
    return Audio(0.05 * wave[None], 32_000)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "speaker", "text"])
        for number, text in enumerate(TEXTS):
            write(said(number), folder / f"{number}.wav")
            table.writerow([f"{number}.wav", "anna", text])
    return folder


@pytest.fixture(scope="module")
def readings(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Readings:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student = ContentStudent(ContentConfig(channels=8, dilations=(1,), ahead=(1,))).eval()
    return Readings.open(data, tmp_path_factory.mktemp("cache"), student, "tiny")


def descend(recipe: Recipe, steps: int, rate: float) -> tuple[float, float]:
    torch.manual_seed(0)
    descent = torch.optim.AdamW(recipe.parameters("net"), rate)
    totals = []
    for _ in range(steps):
        descent.zero_grad()
        total = torch.stack(list(recipe.losses("net", recipe.batch(0)).values())).sum()
        total.backward()
        descent.step()
        totals.append(total.item())
    return totals[0], totals[-1]


def test_a_batch_is_a_function_of_its_number(readings: Readings) -> None:
    for recipe in (LettersRecipe(readings, clips=2), AlignRecipe(readings, clips=2)):
        first, again, other = recipe.batch(3), recipe.batch(3), recipe.batch(4)
        assert all(first[name].equal(again[name]) for name in first)
        assert any(first[name].shape != other[name].shape or not first[name].equal(other[name]) for name in first)


def test_letters_are_learnt(readings: Readings) -> None:
    recipe = LettersRecipe(readings, config=LettersConfig(channels=16, dilations=(1,)), clips=2)
    first, last = descend(recipe, 60, 1e-2)
    assert last < first / 2
    assert set(recipe.measures()) == {"letters_right"}


def test_every_sound_lasts_at_least_a_frame_and_all_together_the_recording(readings: Readings) -> None:
    recipe = AlignRecipe(readings, clips=3)
    first, last = descend(recipe, 20, 1e-3)
    assert last < first
    for reading in readings.readings:
        _, durations = way(recipe.aligner, readings, reading)
        assert durations.min() >= 1
        assert durations.sum() == reading.take.frames


def test_what_is_exported_speaks(readings: Readings, tmp_path: Path) -> None:
    recipe = SpeechRecipe(readings, Aligner(), config=AcousticConfig(16, 1, (1,), (1,)), clips=3)
    first, last = descend(recipe, 60, 1e-2)
    assert last < 0.7 * first
    assert {"content_likeness", "pitch_off_semitones", "length_off"} == set(recipe.measures())
    [file] = recipe.export(str(tmp_path))
    system = Mynah.load(file)
    assert system.config.readers.languages == {"de": 0}
    # By what it learnt a text should last about as long as it was read.
    speech = system.speak(TEXTS[0], library.find("kerstin"))
    assert 0.5 < speech.seconds < 4


def test_weights_of_something_else_are_refused(readings: Readings, tmp_path: Path) -> None:
    [file] = AlignRecipe(readings, clips=2).export(str(tmp_path))
    with pytest.raises(BadCheckpoint, match="mynah train speak/mynah"):
        Mynah.load(file)


def test_recordings_without_a_text_are_refused(tmp_path: Path) -> None:
    write(said(0), tmp_path / "anna" / "0.wav")
    stages = course(tmp_path, tmp_path / "out")
    with pytest.raises(BadData, match=r"manifest\.csv"):
        stages["letters"]()


def test_speech_without_an_aligner_says_which_stage_is_missing(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="stage `align` first"):
        course(data, tmp_path)["speech"]()
