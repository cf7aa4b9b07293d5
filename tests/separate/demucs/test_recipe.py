"""Learning: two stems that sound nothing alike, told apart after a minute fraction of a real training."""

from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from demucs.hf import load_safetensors_model

from mynah.core.errors import BadOption
from mynah.core.recipe import Learns
from mynah.separate.demucs import Demucs
from mynah.separate.demucs.recipe import DemucsRecipe, course
from mynah.train.mixtures import Mixtures

RATE = 8000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two songs of a low hum and high noise."""
    for song, hz in (("one", 110.0), ("two", 147.0)):
        at = torch.arange(4 * RATE) / RATE
        dice = torch.Generator().manual_seed(int(hz))
        hum = 0.3 * torch.sin(2 * torch.pi * hz * at)
        hiss = torch.randn(len(at), generator=dice)
        hiss = 0.1 * (hiss - torch.nn.functional.avg_pool1d(hiss[None], 9, 1, 4)[0])
        (tmp_path / "songs" / song).mkdir(parents=True)
        for stem, sound in (("vocals", hum), ("accompaniment", hiss)):
            soundfile.write(tmp_path / "songs" / song / f"{stem}.wav", sound.numpy(), RATE)
    return tmp_path / "songs"


def mixtures(data: Path, tmp_path: Path, seed: int = 0) -> Mixtures:
    return Mixtures(data, tmp_path / "cache", ("vocals", "accompaniment"), rate=RATE, seed=seed)


@pytest.mark.parametrize(("kind", "steps"), [("waveform", 200), ("transformer", 50)])
def test_it_learns_to_tell_two_sounds_apart(kind: str, steps: int, data: Path, bench: Any, tmp_path: Path) -> None:
    settings = bench.small[kind] | ({"channels": 8, "lstm_layers": 1} if kind == "waveform" else {})
    unseen = mixtures(data, tmp_path, seed=9)
    recipe = DemucsRecipe(
        mixtures(data, tmp_path), (unseen,), kind=kind, settings=settings, seconds=0.5, clips=2, rate=3e-3
    )
    before = recipe.measures()["gain_db"]
    optimizer = torch.optim.AdamW(recipe.parameters("net"), lr=3e-3, **recipe.optimizer("net"))
    recipe.nets.train()
    first = last = 0.0
    for step in range(steps):
        [loss] = recipe.losses("net", recipe.batch(step)).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = first or loss.item(), loss.item()
    after = recipe.measures()
    assert set(after) == {"gain_db", "gain_db_vocals", "gain_db_accompaniment"}
    assert before < 0
    assert after["gain_db"] > 6
    assert last < first / 2


def test_what_is_exported_loads_here_and_in_the_package(data: Path, bench: Any, tmp_path: Path) -> None:
    recipe = DemucsRecipe(
        mixtures(data, tmp_path), kind="transformer", settings=bench.small["transformer"], seconds=0.5
    )
    bench.lively(recipe.engine)
    [file] = recipe.export(str(tmp_path))
    ours, theirs = Demucs.load(file), load_safetensors_model(file)
    assert (ours.stems, ours.rate) == (("vocals", "accompaniment"), RATE)
    mix = bench.noise(0.8)
    wanted = bench.theirs(theirs, mix)
    torch.testing.assert_close(bench.ours(ours, mix), wanted, atol=1e-4, rtol=0)


def test_batches_are_a_function_of_the_step(data: Path, bench: Any, tmp_path: Path) -> None:
    recipe = DemucsRecipe(mixtures(data, tmp_path), kind="waveform", settings=bench.small["waveform"], seconds=0.3)
    assert recipe.batch(3)["mix"].equal(recipe.batch(3)["mix"])
    assert not recipe.batch(3)["mix"].equal(recipe.batch(4)["mix"])
    assert recipe.batch(0)["mix"].shape[-1] == recipe.engine.net.valid_length(int(0.3 * RATE))  # type: ignore[operator]


def test_the_course_has_one_stage_and_no_voices(data: Path, tmp_path: Path) -> None:
    assert issubclass(Demucs, Learns)
    assert list(Demucs.course(data, tmp_path)) == ["demucs"]
    with pytest.raises(BadOption, match="teacher"):
        Demucs.course(data, tmp_path, teacher="somebody")
    with pytest.raises(BadOption, match="voices"):
        Demucs.tiny().adapt(None)  # type: ignore[arg-type]


def test_the_stems_are_those_that_the_data_has(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: dict[str, Any] = {}

    def noted(mixed: Mixtures, tests: list[Mixtures]) -> None:
        built.update(stems=mixed.stems, songs=len(mixed.songs), tests=len(tests))

    monkeypatch.setattr("mynah.separate.demucs.recipe.DemucsRecipe", noted)
    course(data, tmp_path, hold_out=["two"])["demucs"]()
    assert built == {"stems": ("accompaniment", "vocals"), "songs": 1, "tests": 1}
    for song in ("one", "two"):
        for stem in ("drums", "bass", "other"):
            (data / song / f"{stem}.wav").write_bytes((data / song / "accompaniment.wav").read_bytes())
    course(data, tmp_path)["demucs"]()
    assert built == {"stems": ("drums", "bass", "other", "vocals"), "songs": 2, "tests": 0}
