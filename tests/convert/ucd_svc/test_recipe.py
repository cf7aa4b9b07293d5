"""The recipe: who sings in which pass, what is compared with what, and that a run from a folder works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mynah.audio.files import write
from mynah.convert.ucd_svc import UcdSvc
from mynah.convert.ucd_svc.listeners import student_ear
from mynah.convert.ucd_svc.recipe.plan import SMALL_PLAN, WEIGHTS
from mynah.convert.ucd_svc.recipe.sing import SingRecipe
from mynah.convert.ucd_svc.recipe.songs import Songs, others
from mynah.convert.ucd_svc.sizes import config
from mynah.core.errors import BadData
from mynah.core.types import Audio, Voice
from mynah.features.content import ContentConfig, ContentStudent
from mynah.train.data import prepare, scan

SIZES = config(window=512, voice=8, layers=4, stacks=1, residual=8, gates=16, skip=8)
PLAN = replace(
    SMALL_PLAN, steps=4, clips=4, swapped=2, mixed=1, frames=10, swaps_from=1, critics_from=2, bf16=False,
    weights=WEIGHTS | {"melody": 0.0},
)  # fmt: skip


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Songs:
    folder = tmp_path_factory.mktemp("songs")
    dice = torch.Generator().manual_seed(0)
    for singer, hz in (("anna", 220.0), ("bert", 130.0)):
        time = torch.arange(3 * 16_000) / 16_000
        wave = sum((torch.sin(6.2832 * hz * k * time) / k for k in range(2, 8)), torch.sin(6.2832 * hz * time))
        noisy = 0.1 * wave[None] + 0.001 * torch.randn(1, len(time), generator=dice)
        write(Audio(noisy, 16_000), folder / singer / "a.wav")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student = ContentStudent(ContentConfig(channels=8, dilations=(1,), ahead=(1,)))
    return Songs(prepare(scan(folder), folder / "cache").takes, student_ear(student), SIZES, PLAN.frames)


def test_batches_are_functions_of_the_step(songs: Songs) -> None:
    recipe = SingRecipe(songs, PLAN)
    first, again, other = recipe.batch(3), recipe.batch(3), recipe.batch(4)
    assert all(first[name].equal(again[name]) for name in first)
    assert not first["wave"].equal(other["wave"])
    assert first["wave"].shape == (4, 3200)
    assert first["loudness"].shape == (4, 50)
    assert first["pitch"].shape == (4, 21)


def test_who_sings_in_which_pass(songs: Songs) -> None:
    recipe = SingRecipe(songs, PLAN)
    dice = torch.Generator().manual_seed(0)
    assert list(recipe.passes(recipe.batch(0), dice)) == ["own"]
    sung = recipe.passes(recipe.batch(1), dice)
    assert {name: len(place) for name, (place, _) in sung.items()} == {"own": 4, "swapped": 2, "virtual": 1}
    singer = recipe.batch(1)["singer"]
    rows = recipe.table(singer)
    assert sung["own"][1].equal(rows)
    assert sung["swapped"][1].equal(recipe.table(1 - singer[:2]))  # never their own
    anna, bert = recipe.table(torch.tensor([0, 1]))
    virtual = sung["virtual"][1][0]
    assert ((virtual - anna).norm() + (virtual - bert).norm()).allclose((anna - bert).norm(), atol=1e-5)


def test_reconstruction_is_asked_for_once_a_step(songs: Songs, monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.convert.ucd_svc import objectives

    asked: list[int] = []
    real = objectives.reconstruction

    def counted(made: torch.Tensor, recorded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(len(made))
        return real(made, recorded)

    monkeypatch.setattr(objectives, "reconstruction", counted)
    recipe = SingRecipe(songs, PLAN)
    losses = recipe.losses("net", recipe.batch(2))
    assert asked == [4]  # the four recordings, and not the three that others sing
    assert list(losses) == ["convergence", "magnitude", "words", "fooled"]
    assert list(recipe.losses("critic", recipe.batch(2))) == ["critic"]


def test_critics_wait_for_their_step(songs: Songs) -> None:
    recipe = SingRecipe(songs, PLAN)
    assert "fooled" not in recipe.losses("net", recipe.batch(1))
    assert recipe.losses("critic", recipe.batch(1)) == {}


def test_critics_that_begin_late_begin_with_their_whole_rate(songs: Songs) -> None:
    recipe = SingRecipe(songs, replace(PLAN, steps=1000, critics_from=800))
    critic, net = ([recipe.learning_rate(turn, step) for step in (850, 1000)] for turn in ("critic", "net"))
    assert critic == pytest.approx([PLAN.critic_rate * (1 - 0.95 * 0.25), PLAN.critic_rate * 0.05])
    assert net[0] == pytest.approx(PLAN.rate * (1 - 0.95 * 0.85))


def test_one_singer_alone_is_only_reconstructed(songs: Songs) -> None:
    recipe = SingRecipe(songs, PLAN)
    recipe.songs = type("Alone", (), {"singers": ["anna"]})()
    batch = {"singer": torch.tensor([0]), "step": torch.tensor(9)}
    assert list(recipe.passes(batch, torch.Generator())) == ["own"]


def test_others_are_others() -> None:
    singer = torch.arange(5).repeat(20)
    chosen = others(singer, 5, torch.Generator().manual_seed(0))
    assert not (chosen == singer).any()
    assert set(chosen.tolist()) == {0, 1, 2, 3, 4}


def test_what_is_exported_sings(songs: Songs, tmp_path: Path) -> None:
    from mynah.train.run import train

    recipe = SingRecipe(songs, PLAN)
    train(recipe, tmp_path, device="cpu")
    files = recipe.export(str(tmp_path))
    system = UcdSvc.load(files[0])
    made = system.convert(Audio(0.1 * torch.randn(1, 8000), 16_000), Voice("bert", (80.0, 300.0)))
    assert made.samples.shape == (1, 8000)
    assert made.samples.isfinite().all()
    assert (tmp_path / "ucd_svc_critics.safetensors").exists()


def test_recordings_that_are_too_short_are_told(songs: Songs) -> None:
    with pytest.raises(BadData, match="nothing to learn from"):
        Songs(songs.training, songs.ear, SIZES, 10_000)
