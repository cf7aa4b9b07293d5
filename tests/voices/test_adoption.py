"""Voices of a community: taken in, kept, sung with by name, and removed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.convert import convert
from mynah.convert.rvc.net import Singer
from mynah.convert.rvc.published import description
from mynah.convert.rvc.sizes import DecoderConfig, NetConfig
from mynah.convert.so_vits_svc import SoVitsSvc
from mynah.convert.so_vits_svc.net import Singer as SoVitsSinger
from mynah.convert.so_vits_svc.sizes import NetConfig as SoVitsConfig
from mynah.convert.so_vits_svc.sizes import decoder
from mynah.core.errors import BadCheckpoint, BadOption, BadVoice
from mynah.core.types import Audio, Terms
from mynah.features.contentvec import Ears
from mynah.features.hubert import Hubert, HubertConfig
from mynah.voices import library
from mynah.voices.adoption import adopt

ROOT = Path(__file__).parent.parent.parent
CONFIG = NetConfig(
    words=256, bins=513, latent=4, hidden=4, filters=4, heads=2, layers=1, voices=2, condition=4,
    decoder=DecoderConfig(32_000, 16, (10, 8, 2, 2), (20, 16, 4, 4), (3,), ((1, 3, 5),)),
)  # fmt: skip


def saved(path: Path, **changes: Any) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weight = {name: value.half() for name, value in Singer(CONFIG).state_dict().items()}
    about = {"info": "200epoch", "sr": "32k", "f0": 1, "version": "v1"}
    torch.save({"weight": weight, "config": description(CONFIG)} | about | changes, path)
    return path


def indexed(path: Path, vectors: torch.Tensor) -> Path:
    rows, size = vectors.shape
    head = size.to_bytes(4, "little") + rows.to_bytes(8, "little") + bytes(16) + b"\1" + (1).to_bytes(4, "little")
    path.write_bytes(b"IxF2" + head + vectors.numel().to_bytes(8, "little") + vectors.numpy().tobytes())
    return path


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small ContentVec of random weights; of it, only the sizes are those of the published one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = HubertConfig(channels=8, size=48, layers=1, heads=2, hidden=8, kernel=16, groups=2, units=256, labels=1)
        ears = Ears(Hubert(sizes).eval().requires_grad_(False))
    monkeypatch.setattr("mynah.features.contentvec.load", lambda *_, **__: ears)


def test_a_voice_is_taken_in_and_sings_by_its_name_alone(heard: None, tmp_path: Path, shelf: Path, sounds: Any) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    original = saved(folder / "singer.pth").read_bytes()
    vectors = torch.randn(20, 256, generator=torch.Generator().manual_seed(0))
    indexed(folder / "added_x.index", vectors)
    indexed(folder / "trained_x.index", vectors[:0])
    voice = adopt(folder, "singer", terms=Terms("CC0-1.0", "somebody"))
    assert (voice.name, voice.system, voice.range_hz) == ("singer", "convert/rvc", (0.0, 0.0))
    assert voice.bank is not None
    assert voice.bank.allclose(vectors, atol=2e-3)
    assert (folder / "singer.pth").read_bytes() == original
    note = sounds.sung(seconds=0.6)
    sung = convert(note, "singer", retrieval=0)
    assert sung.samples.shape == note.samples.shape
    assert sung.samples.isfinite().all()
    assert sung.samples.std() > 0
    assert not sung.samples.equal(convert(note, "singer", retrieval=1).samples)
    [summary] = library.names()
    assert (summary.kind, summary.system, summary.origin) == ("imported", "convert/rvc", "shared")
    library.remove("singer")
    assert [path.name for path in shelf.iterdir()] == [".lock"]


def test_the_range_that_is_told_moves_melodies_and_none_leaves_them(tmp_path: Path) -> None:
    from mynah.features.melody import semitones_to_fit

    path = saved(tmp_path / "singer.pth")
    told = adopt(path, "one", range_hz=(100, 200))
    assert semitones_to_fit(torch.full((9,), 440.0), told.range_hz) == -24
    assert semitones_to_fit(torch.full((9,), 440.0), adopt(path, "two").range_hz) == 0
    with pytest.raises(BadOption, match="lower one first"):
        adopt(path, "three", range_hz=(200, 100))


def test_a_name_is_not_taken_twice_unless_asked(tmp_path: Path) -> None:
    path = saved(tmp_path / "singer.pth")
    assert adopt(path).name == "singer"
    with pytest.raises(BadVoice, match="already"):
        adopt(path, "Singer")
    assert adopt(path, "Singer", replace=True).name == "Singer"
    assert [voice.name for voice in library.names()] == ["Singer"]


def test_what_is_taken_in_can_be_given_on(tmp_path: Path) -> None:
    adopt(saved(tmp_path / "singer.pth"), "one")
    parcel = library.export("one", tmp_path)
    again = adopt(parcel, "two")
    assert again.system == "convert/rvc"
    assert again.weights is not None
    assert library.describe("two").kind == "imported"


def test_a_refusal_leaves_the_library_as_it_was(tmp_path: Path, shelf: Path) -> None:
    path = saved(tmp_path / "singer.pth")
    adopt(path, "singer")
    before = {file: file.read_bytes() for file in sorted((shelf / "singer").iterdir()) if file.is_file()}
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BadCheckpoint, match=r"singer\.pth"):
        adopt(path, "singer", replace=True)
    assert {file: file.read_bytes() for file in sorted((shelf / "singer").iterdir()) if file.is_file()} == before
    assert sorted(file.name for file in shelf.iterdir()) == [".lock", "singer"]


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no voice": (lambda folder: torch.save({"model": {"encoder": torch.ones(1)}}, folder / "a.pth"), "no voice of a"),
    "two voices": (lambda folder: (saved(folder / "a.pth"), saved(folder / "b.pth")), r"one of 2 models of RVC"),
    "two indexes": (
        lambda folder: (
            saved(folder / "a.pth"),
            [indexed(folder / f"{name}.index", torch.ones(1, 256)) for name in "ab"],
        ),
        "one of 2 indexes",
    ),
    "an index of another": (
        lambda folder: (saved(folder / "a.pth"), indexed(folder / "a.index", torch.ones(1, 768))),
        "another model",
    ),
    "a vocoder": (lambda folder: saved(folder / "a.pth", vocoder="MRF HiFi-GAN"), "MRF HiFi-GAN"),
    "a listener": (lambda folder: saved(folder / "a.pth", embedder_model="spin"), "hears with 'spin'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_sung_with_is_refused_with_a_reason(what: str, tmp_path: Path) -> None:
    make, why = WRONG[what]
    (tmp_path / "given").mkdir()
    make(tmp_path / "given")
    with pytest.raises(BadCheckpoint, match=why):
        adopt(tmp_path / "given", "singer")


def test_applio_says_more_and_is_understood(tmp_path: Path) -> None:
    about = {
        "vocoder": "HiFi-GAN", "embedder_model": "contentvec", "speakers_id": 1, "f0": True, "sr": 32000,
        "author": None, "model_name": "x", "epoch": 9, "step": 90, "dataset_length": "0:10:00", "overtrain_info": "",
    }  # fmt: skip
    assert adopt(saved(tmp_path / "a.pth", **about), "singer").system == "convert/rvc"


def test_hostile_files_run_nothing_crash_nothing_and_stay_outside() -> None:
    """A part of `benchmarks/hostile.py`, which tries all of them."""
    done = subprocess.run(
        [sys.executable, "benchmarks/hostile.py", "--every", "9"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout
    assert "\n0 executed code\n0 crashed the process, 0 ended in a bug\n0 got in\n" in done.stdout


def test_sound_is_no_model(tmp_path: Path, sounds: Any) -> None:
    from mynah.audio.files import write

    silence: Audio = sounds.silence(0.1)
    with pytest.raises(BadCheckpoint, match="neither a torch file"):
        adopt(write(silence, tmp_path / "a.wav"), "singer")


def imported() -> set[str]:
    return {summary.name for summary in library.names() if summary.kind == "imported"}


def test_every_voice_of_a_model_becomes_one(tmp_path: Path, shelf: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    config = SoVitsConfig(
        words=256, bins=9, latent=8, hidden=8, filters=8, layers=1, voices=4, condition=4, decoder=decoder(channels=32)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = dict(SoVitsSinger(config).state_dict())
    torch.save({"model": state, "iteration": 1, "optimizer": {}, "learning_rate": 1e-4}, shared / "G_1.pth")
    about = {
        "train": {},
        "data": {"sampling_rate": 44_100, "hop_length": 512, "filter_length": 2048},
        "model": {
            "resblock": "1",
            "resblock_kernel_sizes": [3, 7, 11],
            "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
            "upsample_rates": [8, 8, 2, 2, 2],
            "upsample_kernel_sizes": [16, 16, 4, 4, 4],
            "ssl_dim": 256,
            "n_speakers": 4,
        },
        "spk": {"ann": 1, "bo": 0, "c/d": 2, "Ann": 3},
    }
    (shared / "config.json").write_text(json.dumps(about))
    assert adopt(shared, "band").name == "band"
    assert imported() == {"band", "band-ann", "band-2", "band-3"}
    singers = {name: SoVitsSvc.load(str(library.find(name).weights)).config.speakers for name in ("band", "band-3")}
    assert singers == {"band": about["spk"], "band-3": {"Ann": 3}}
    # All of them or none.
    library.remove("band")
    with pytest.raises(BadVoice, match="already a voice 'band-ann'"):
        adopt(shared, "band")
    assert imported() == {"band-ann", "band-2", "band-3"}
