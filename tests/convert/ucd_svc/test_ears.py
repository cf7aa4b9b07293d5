"""Other acoustic models than the student: wav2letter, Whisper and HuBERT, small and random."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mynah.audio.files import write
from mynah.catalog.home import home
from mynah.catalog.weights import sha256
from mynah.convert.ucd_svc import UcdSvc, ears
from mynah.convert.ucd_svc.ears import ear_by, ear_named
from mynah.convert.ucd_svc.hear import content_of
from mynah.convert.ucd_svc.objectives import perceptual
from mynah.convert.ucd_svc.recipe import course
from mynah.convert.ucd_svc.recipe.plan import SMALL_PLAN, WEIGHTS
from mynah.convert.ucd_svc.sizes import config
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.types import Audio, Voice
from mynah.features import whisper
from mynah.features.hubert import Hubert, HubertConfig
from mynah.features.wav2letter import Wav2Letter, Wav2LetterConfig
from mynah.features.whisper import WhisperConfig, WhisperEncoder
from mynah.train.run import train

SIZES = {"wav2letter": 8, "whisper": 64, "hubert": 12}


def net(kind: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "wav2letter":
            return Wav2Letter(Wav2LetterConfig(8, 12, 5, (250, 48, 7, 7, 32, 1, 1)))
        if kind == "whisper":
            return WhisperEncoder(WhisperConfig(size=64, layers=2))
        return Hubert(HubertConfig(16, 64, 2, 1, 32, 8, 4, 12, 3))


def brought(kind: str, folder: Path) -> Path:
    """A small random one on disk."""
    state = {f"encoder.{name}" if kind == "whisper" else name: value for name, value in net(kind).state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / f"{kind}.pt")
    return folder / f"{kind}.pt"


def noise(seconds: float) -> torch.Tensor:
    return 0.1 * torch.randn(round(seconds * 16_000), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", SIZES)
def test_each_hears_fifty_frames_a_second_and_judges_words(kind: str, tmp_path: Path) -> None:
    ear = ear_by([f"{kind}={brought(kind, tmp_path)}"])
    wave = noise(1.0)
    heard = content_of(wave, ear)
    assert heard.shape == (SIZES[kind], 50) == (ear.size, 50)
    assert heard.mean(0).abs().max() < 1e-4
    assert heard.std(0, correction=0).allclose(torch.ones(50), atol=1e-2)
    made = wave[None].clone().requires_grad_()
    judge = ear.activations
    assert perceptual(judge(wave[None]), judge(wave[None])).item() == 0.0
    perceptual(judge(made), judge(wave[None].flip(1))).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in ear.net.parameters())


def test_wav2letter_hears_a_long_recording_in_pieces_as_at_once(tmp_path: Path) -> None:
    ear = ear_by([f"wav2letter={brought('wav2letter', tmp_path)}"])
    wave = noise(25.0)
    assert content_of(wave, ear).allclose(ear.net(wave[None])[0], atol=1e-4)


@pytest.mark.parametrize("kind", SIZES)
def test_a_model_is_trained_with_it_and_finds_it_again(kind: str, tmp_path: Path) -> None:
    for singer, gain in (("anna", 1.0), ("bert", 0.5)):
        tone = torch.sin(1300 * torch.arange(24_000) / 16_000 * gain)
        write(Audio((gain * 0.3 * tone + noise(1.5))[None], 16_000), tmp_path / "data" / singer / "a.wav")
    path = brought(kind, home() / "ears")
    plan = replace(
        SMALL_PLAN, steps=2, clips=2, frames=20, swaps_from=0, swapped=1, critics_from=9, bf16=False,
        weights=WEIGHTS | {"melody": 0.0},
    )  # fmt: skip
    small = config(window=512, voice=8, layers=4, stacks=1, residual=8, gates=16, skip=8)
    ear = ear_by([f"{kind}={path}"])
    recipe = course(tmp_path / "data", tmp_path / "run", config=small, plan=plan, ear=ear)["sing"]()
    train(recipe, tmp_path / "run", device="cpu")
    [model, _] = recipe.export(str(tmp_path))
    system = UcdSvc.load(model)
    assert (system.config.ear, system.config.content) == (kind, SIZES[kind])
    assert system.ear.name == f"{kind}-{sha256(path)[:8]}"
    made = system.convert(Audio(noise(1.0)[None], 16_000), Voice("bert", (80.0, 300.0)))
    assert made.samples.shape == (1, 16_000)
    assert made.samples.isfinite().all()
    path.unlink()
    with pytest.raises(BadCheckpoint, match=rf"bring the file it was trained with.*{kind}\.pt"):
        UcdSvc.load(model)


def test_another_file_of_the_same_kind_is_not_taken_for_it() -> None:
    brought("hubert", home() / "ears")
    with pytest.raises(BadCheckpoint, match="hears with hubert-00000000"):
        ear_named("hubert", "hubert-00000000")


@pytest.mark.parametrize("told", [["wav2letter"], ["nobody=x"], ["whisper=a", "hubert=b"], ["hubert="], ["published"]])
def test_what_cannot_be_understood_is_told(told: list[str]) -> None:
    with pytest.raises(BadOption, match="wav2letter=PLACE"):
        ear_by(told)
    with pytest.raises(BadOption):
        UcdSvc.course(Path(), Path(), ears=told)


def test_of_the_house_is_the_default() -> None:
    assert ear_by([]).name == ear_by(["house"]).name == ear_named("student", "student-00000000").name
    with pytest.raises(BadOption, match="nowhere"):
        ear_by(["wav2letter=nowhere.pt"])


def test_of_the_published_ones_the_one_it_was_trained_with_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def locate(spec: str, known: object) -> Path:
        raise Asked(spec)

    monkeypatch.setattr(ears, "locate", locate)
    for published, weights in whisper.PUBLISHED.items():
        with pytest.raises(Asked, match=f"^{published}$"):
            ear_named("whisper", f"whisper-{weights.sha256[:8]}")
