"""What SV2TTS learns: who is who, and to read; and the way from a folder to weights that speak."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.audio.files import write
from mynah.core.errors import BadData
from mynah.core.recipe import Recipe
from mynah.core.types import Audio
from mynah.features.ge2e import GE2E
from mynah.speak.sv2tts import Sv2tts
from mynah.speak.sv2tts.net import FORMAT, Config, Synthesizer
from mynah.speak.sv2tts.published import EPSILON
from mynah.speak.sv2tts.recipe import course
from mynah.speak.sv2tts.recipe.reading import SynthesizerRecipe
from mynah.speak.sv2tts.recipe.speakers import EncoderRecipe
from mynah.speak.sv2tts.text import numbers_of
from mynah.train.data import Take, prepare, scan
from mynah.train.run import train
from mynah.train.transcripts import Readings, read_aloud

SPEAKERS, EACH, SECONDS = 6, 11, 1.9
EIGHTH = Config(letter=64, reading=32, attention=16, units=128, finish=64, kernels=3, highways=2, voice=256)
RESONANCES = [(500, 1500), (560, 1500), (500, 1650), (560, 1650), (530, 1750), (470, 1400)]  # Hz, of each speaker


def murmur(speaker: int, number: int) -> Tensor:
    """Harmonics of a wandering pitch through the two resonances of a speaker."""
    dice = torch.Generator().manual_seed(100 * speaker + number)
    t = torch.arange(int(SECONDS * 16_000)) / 16_000
    low = 90 + 90 * torch.rand((), generator=dice)
    phase = math.tau * torch.cumsum(low * (1 + 0.1 * torch.sin(math.tau * 2 * t + number)), 0) / 16_000
    sound = torch.zeros_like(t)
    for harmonic in range(1, 25):
        strength = sum(1 / (1 + ((harmonic * low - hz) / 120) ** 2) for hz in RESONANCES[speaker])
        sound += strength * torch.sin(harmonic * phase)
    return 0.3 * sound / sound.abs().max() + 0.01 * torch.randn(t.shape, generator=dice)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> list[Take]:
    place = tmp_path_factory.mktemp("crowd")
    for speaker in range(SPEAKERS):
        for number in range(EACH):
            path = place / f"speaker{speaker}" / f"{number:02}.wav"
            path.parent.mkdir(exist_ok=True)
            write(Audio(murmur(speaker, number)[None], 16_000), path)
    return list(prepare(scan(place), tmp_path_factory.mktemp("prepared"), workers=1).takes)


def test_the_encoder_learns_who_is_who(crowd: list[Take], tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = GE2E(size=32, layers=1, epsilon=EPSILON)
    recipe = EncoderRecipe(crowd, small, steps=150, stretches=4, learns=3e-3)
    assert recipe.batch(3)["mel"].equal(recipe.batch(3)["mel"])
    assert recipe.batch(3)["mel"].shape == (SPEAKERS, 4, 160, 40)
    before = recipe.measures()["right speaker (%)"]
    train(recipe, tmp_path, device="cpu", save_every=1000)
    assert recipe.measures()["right speaker (%)"] >= max(90, before + 10)


def tone(hz: float, seconds: float) -> Tensor:
    t = torch.arange(int(seconds * 16_000)) / 16_000
    return sum((torch.sin(math.tau * hz * k * t) / k for k in range(2, 6)), torch.sin(math.tau * hz * t))


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two readers, to whom every letter is a tone of its own."""
    place = tmp_path_factory.mktemp("readings")
    pitches = {"a": 200.0, "e": 320.0, "o": 500.0, "u": 800.0}
    with (place / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "speaker", "text"])
        for number, text in enumerate(["aeou", "uoea", "oaue", "euao"]):
            wave = torch.cat([0.2 * tone(pitches[letter], 0.11) for letter in text])
            write(Audio(wave[None], 16_000), place / f"{number}.wav")
            table.writerow([f"{number}.wav", f"reader{number % 2}", text])
    return place


def learner(readings: Path, cache: Path, **settings: Any) -> SynthesizerRecipe:
    takes = prepare(read_aloud(readings, several=True), cache).takes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SynthesizerRecipe(
            Readings(takes, FORMAT, numbers_of, peak=0.9),
            GE2E(epsilon=EPSILON),
            Synthesizer(EIGHTH),
            clips=4,
            **settings,
        )


def test_the_synthesizer_learns_to_read(readings: Path, tmp_path: Path) -> None:
    recipe = learner(readings, tmp_path / "prepared", steps=30, rates=((1, 3e-3),))
    batch = recipe.collate(recipe.readings.training)

    def wrong() -> float:
        with torch.no_grad():
            return sum(loss.item() for loss in recipe.losses("net", batch).values())

    before = wrong()
    train(recipe, tmp_path, device="cpu", save_every=1000)
    assert wrong() < before / 2


def test_a_batch_ends_where_its_recordings_end(readings: Path, tmp_path: Path) -> None:
    recipe = learner(readings, tmp_path / "prepared", steps=64)
    batch = recipe.batch(0)
    assert batch["mel"].shape[-1] % 2 == 0
    assert (batch["mel"].shape[-1] > batch["frames"]).all()
    assert (batch["mel"][0, :, batch["frames"][0] :] == -4).all()
    assert batch["symbols"][:, -1].eq(1).all()  # all texts are as long
    assert [recipe.learning_rate("net", step) for step in (0, 1, 2, 15, 16, 63)] == [1e-3, 1e-3, 5e-4, 1e-4, 3e-5, 1e-5]


def test_recordings_without_texts_or_of_one_speaker_teach_nothing(crowd: list[Take], tmp_path: Path) -> None:
    speakers = crowd[0].clip.path.parent.parent
    with pytest.raises(BadData, match="what is said"):
        course(speakers, tmp_path, start="")["synthesizer"]()
    with pytest.raises(BadData, match="tell speakers apart"):
        EncoderRecipe(crowd[:EACH], GE2E())


def test_from_a_folder_to_weights_that_speak_and_on(readings: Path, crowd: list[Take], tmp_path: Path) -> None:
    def made(stage: Callable[[], Recipe]) -> str:
        recipe = stage()
        [file] = recipe.export(str(tmp_path / "out"))
        return file

    (tmp_path / "out").mkdir()
    speakers = tmp_path / "speakers"
    for take in crowd[:2] + crowd[-2:]:
        path = speakers / take.clip.speaker / take.clip.path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(take.clip.path.read_bytes())
    made(course(speakers, tmp_path / "out")["encoder"])
    made(course(readings, tmp_path / "out", config=EIGHTH)["synthesizer"])
    system = Sv2tts.load(str(tmp_path / "out"))
    assert system.config == EIGHTH
    assert int(system.synthesizer.decoder.r) == 2
    on = course(readings, tmp_path / "more", start=str(tmp_path / "out"))["synthesizer"]()
    assert isinstance(on, SynthesizerRecipe)
    assert on.net.post_proj.weight.equal(system.synthesizer.post_proj.weight)
    assert on.encoder.linear.weight.equal(system.encoder.linear.weight)
    again = course(speakers, tmp_path / "more", start=str(tmp_path / "out" / "encoder.safetensors"))["encoder"]()
    assert isinstance(again, EncoderRecipe)
    assert again.encoder.linear.weight.equal(system.encoder.linear.weight)
