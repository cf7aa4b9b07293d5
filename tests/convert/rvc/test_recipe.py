"""How RVC learns, on synthetic vowels of two singers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mynah.audio.files import write
from mynah.catalog.vectors import read_vectors
from mynah.convert.rvc import Rvc
from mynah.convert.rvc.published import read
from mynah.convert.rvc.recipe import course
from mynah.convert.rvc.recipe.critics import Critics, critics_of
from mynah.convert.rvc.recipe.losses import WEIGHTS
from mynah.convert.rvc.recipe.plan import Plan
from mynah.convert.rvc.recipe.sing import SingRecipe
from mynah.convert.rvc.recipe.songs import Ear, Songs
from mynah.convert.rvc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint, BadData, BadOption
from mynah.core.types import Audio
from mynah.features.mel import LogMel, PowerSpectrum
from mynah.nets.critics import SLOPE, PeriodCritic, Several, Verdict
from mynah.train.data import prepare, scan

DECODER = DecoderConfig(16_000, 32, (10, 4, 4), (20, 8, 8), (3,), ((1, 3),))
TINY = NetConfig(
    words=256, bins=257, latent=16, hidden=16, filters=32, layers=1, voices=2, condition=8, decoder=DECODER
)
PLAN = Plan(steps=40, clips=2, segment=16, rate=1e-2)
VOWELS = ((700, 1200), (300, 2300), (500, 1500))
THROATS = {"anna": 1.2, "bert": 0.9}
NARROW = 32


def vowel(hz: float, formants: tuple[int, int], throat: float, seconds: float = 1.6) -> Audio:
    time = torch.arange(int(32_000 * seconds)) / 32_000
    turns = (hz * 2 ** (0.1 * torch.sin(math.tau * 0.7 * time)) / 32_000).cumsum(0)
    wave = torch.zeros_like(time)
    for number in range(1, 30):
        loud = sum(1 / (1 + ((number * hz - throat * formant) / 150) ** 2) for formant in formants)
        wave += (loud + 0.01) * torch.cos(math.tau * number * turns)
    hiss = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    return Audio(0.15 * wave[None] + 0.003 * hiss, 32_000)


def ear(version: str = "v1") -> Ear:
    """One without weights: mel bands through a matrix drawn once."""
    matrix = torch.randn(256, 40, generator=torch.Generator().manual_seed(3)) / 3
    power, mel = PowerSpectrum(400, 320), LogMel(bands=40)
    return Ear("drawn", 256, lambda wave: (matrix @ (2 * mel(power(wave[None]))[0])).T)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for singer, throat in THROATS.items():
        for number, formants in enumerate(VOWELS):
            hz = (220 if singer == "anna" else 140) * 2 ** (number / 6)
            write(vowel(hz, formants, throat), folder / singer / f"{number}.wav")
    return folder


@pytest.fixture(scope="module")
def songs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Songs:
    takes = prepare(scan(data), tmp_path_factory.mktemp("cache")).takes
    return Songs(takes, ear(), 16_000, root=data, hold_out=["anna/2*"])


class FewCritics(Several):
    """Two small ones of the two kinds."""

    def __init__(self) -> None:
        super().__init__([PeriodCritic(3, (4, 8), SLOPE), PeriodCritic(7, (4, 8), SLOPE)])

    def forward(self, sound: Tensor) -> list[Verdict]:
        return [critic(sound) for critic in self.discriminators]


def recipe(songs: Songs, plan: Plan = PLAN, config: NetConfig = TINY, critics: nn.Module | None = None) -> SingRecipe:
    torch.manual_seed(0)
    made = SingRecipe(songs, config, plan, critics=critics or FewCritics())
    made.nets.train()
    return made


def turned(learner: SingRecipe, turn: str) -> dict[str, Tensor]:
    losses = learner.losses(turn, learner.batch(0))
    total: Tensor = sum(losses.values(), torch.zeros(()))
    total.backward()
    return losses


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "sing" / "log.jsonl").read_text("utf-8").splitlines()]


def test_the_mel_loss_falls_by_half(songs: Songs, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from mynah.train.run import train

    learner = recipe(songs)
    before = learner.measures()["likeness"]
    train(learner, tmp_path, device="cpu", log_every=1, save_every=1000)
    mel = [line["mel"] for line in log(tmp_path) if "mel" in line]
    assert len(mel) == PLAN.steps
    assert sum(mel[-5:]) / 5 < 0.5 * mel[0], mel
    assert learner.measures()["likeness"] > before


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(songs: Songs, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from mynah.train.run import train

    plan = replace(PLAN, steps=4, clips=2)
    whole, first, second = (recipe(songs, plan) for _ in range(3))
    first.steps = 2
    train(whole, tmp_path / "whole", device="cpu", save_every=2)
    train(first, tmp_path / "parts", device="cpu", save_every=2)
    train(second, tmp_path / "parts", device="cpu", save_every=2)
    for name, value in whole.nets.state_dict().items():
        assert value.equal(second.nets.state_dict()[name]), name


def test_each_turn_teaches_its_own_nets_and_every_part_of_them(songs: Songs) -> None:
    learner = recipe(songs, critics=Critics("v1", NARROW))
    learner.critics.requires_grad_(False)
    losses = turned(learner, "net")
    assert set(losses) == set(WEIGHTS)
    assert all(value.isfinite() for value in losses.values())
    silent = {name for name, value in learner.net.named_parameters() if value.grad is None}
    assert not silent
    learner.nets.zero_grad()
    learner.critics.requires_grad_(True)
    turned(learner, "critic")
    assert not any(value.grad is not None and value.grad.any() for value in learner.net.parameters())
    assert all(value.grad is not None for value in learner.critics.parameters())
    assert not learner.rendered


def test_batches_are_a_function_of_their_number(songs: Songs) -> None:
    learner = recipe(songs)
    first, again, other = learner.batch(7), learner.batch(7), learner.batch(8)
    assert all(first[name].equal(again[name]) for name in first)
    assert not first["wave"].equal(other["wave"])
    assert first["wave"].shape[-1] == first["words"].shape[-1] * 160
    assert set(learner.batch(3)["singer"].tolist()) <= {0, 1}


def test_sound_is_kept_at_the_rate_of_the_model(data: Path, tmp_path: Path) -> None:
    takes = prepare(scan(data)[:1], tmp_path).takes
    batch = (at := Songs(takes, ear(), 48_000)).collate(at.training)
    assert batch["wave"].shape[-1] == 480 * batch["pitch"].shape[-1]
    low = Songs(takes, ear(), 16_000).collate(at.training)["wave"]
    assert torch.nn.functional.avg_pool1d(batch["wave"], 3).sub(low).abs().mean() < 0.2 * low.abs().mean()


def test_what_is_exported_sings_comes_in_and_learns_on(songs: Songs, tmp_path: Path) -> None:
    learner = recipe(songs, critics=Critics("v1", NARROW))
    voice, index, whole, critics = map(Path, learner.export(str(tmp_path)))
    held = torch.load(voice, weights_only=True)
    assert (held["version"], held["f0"], held["sr"]) == ("v1", 1, "16k") and len(held["config"]) == 18
    bank = read_vectors(index)
    assert bank.shape == (sum(part.frames for part in songs.training), 256)
    (tmp_path / "home").mkdir()
    files = {voice: held, index: None}
    assert Rvc.recognises(files)
    adopted = Rvc.adopt(files, tmp_path / "home")
    assert adopted.bank is not None and len(adopted.bank) == len(bank)
    kept = read(adopted.weights or "").state
    exact = learner.net.state_dict()
    assert all(torch.allclose(value.float(), exact[name], atol=2e-3) for name, value in kept.items())
    # Going on from the pair, as from a published one.
    data = songs.training[0].take.clip.path.parents[1]
    stages = course(data, tmp_path / "on", ear=ear, plan=PLAN, start=f"{whole},{critics}")
    further = stages["sing"]()
    assert isinstance(further, SingRecipe)
    for name, value in learner.nets.state_dict().items():
        assert value.equal(further.nets.state_dict()[name]), name
    # A voice cannot learn on, critics are no model, and a model is no critic.
    with pytest.raises(BadCheckpoint, match="exported for singing"):
        course(data, tmp_path, ear=ear, start=str(voice))
    with pytest.raises(BadCheckpoint, match="holds no model of RVC"):
        course(data, tmp_path, ear=ear, start=str(critics))
    with pytest.raises(BadCheckpoint, match="holds no critics of RVC"):
        course(data, tmp_path / "on", ear=ear, start=f"{whole},{whole}")["sing"]()


def test_critics_of_another_version_or_with_odd_numbers_are_refused(tmp_path: Path) -> None:
    critics = Critics("v1", NARROW)
    torch.save({"model": critics.state_dict(), "iteration": 3}, tmp_path / "D.pth")
    read_again = critics_of(tmp_path / "D.pth", "v1").state_dict()
    assert all(value.equal(read_again[name]) for name, value in critics.state_dict().items())
    with pytest.raises(BadCheckpoint, match=r"discriminators\.7"):
        critics_of(tmp_path / "D.pth", "v2")
    with torch.no_grad():
        next(critics.parameters()).fill_(torch.nan)
    torch.save({"model": critics.state_dict()}, tmp_path / "D.pth")
    with pytest.raises(BadCheckpoint, match="not numbers"):
        critics_of(tmp_path / "D.pth", "v1")


def test_what_would_not_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--start"):
        Rvc.course(tmp_path, tmp_path, teacher="hubert")
    with pytest.raises(BadOption, match="--start takes a model"):
        Rvc.course(tmp_path, tmp_path, start="a.pth,b.pth,c.pth")
    with pytest.raises(BadCheckpoint, match="there is no such file"):
        Rvc.course(tmp_path, tmp_path, start="f0G48k.pth")


def test_more_singers_than_rows_and_other_rates_are_refused(songs: Songs) -> None:
    with pytest.raises(BadData, match="there are 2 singers, and the model has room for 1"):
        recipe(songs, config=replace(TINY, voices=1))
    with pytest.raises(BadData, match="not the model's"):
        recipe(songs, config=replace(TINY, words=768))
