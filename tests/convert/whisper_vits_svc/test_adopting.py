"""Voices of so-vits-svc 5.0 as files: taken in, sung with, mixed; and files that are not to be believed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_safetensors
from mynah.convert import convert
from mynah.convert.whisper_vits_svc import WhisperVitsSvc, WhisperVitsSvcOptions
from mynah.core.errors import BadCheckpoint, BadOption, BadVoice
from mynah.core.types import Audio, Contour, Voice
from mynah.features.pitch import read_csv
from mynah.voices import library, store
from mynah.voices.adoption import adopt
from tests.convert.whisper_vits_svc.conftest import singer_state

Options = WhisperVitsSvcOptions
SYSTEM = "convert/whisper_vits_svc"


def vector(seed: int = 0, size: int = 256) -> Tensor:
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    unit: Tensor = drawn / drawn.norm()
    return 0.8 * unit


def put(folder: Path, name: str = "singer", seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.spk.npy", vector(seed).numpy())
    return folder


def model(folder: Path, seed: int = 0, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model_g": singer_state(seed)} | changes, folder / "sovits5.0.pth")
    return folder / "sovits5.0.pth"


def index(path: Path, rows: int, size: int, seed: int = 0) -> Tensor:
    vectors = torch.randn(rows, size, generator=torch.Generator().manual_seed(seed))
    head = size.to_bytes(4, "little") + rows.to_bytes(8, "little") + bytes(16) + b"\1" + (1).to_bytes(4, "little")
    path.write_bytes(b"IxF2" + head + vectors.numel().to_bytes(8, "little") + vectors.numpy().tobytes())
    return vectors


def note(seconds: float = 0.3) -> Audio:
    time = torch.arange(int(seconds * 32_000)) / 32_000
    wave = torch.stack([torch.sin(2 * math.pi * 220 * k * time) / k for k in range(1, 8)]).sum(0)
    return Audio(0.2 * wave[None], 32_000)


MELODY = Contour(torch.full((30,), 220.0), 0.01, "Hz")


def sung(voice: Voice | str, **options: Any) -> Tensor:
    return convert(note(), voice, melody=MELODY, **options).samples


def test_a_model_with_its_vector_and_both_indexes_sings_by_name_alone(ears: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "shared")
    model(folder)
    words, sounds = index(folder / "a_whisper.index", 40, 384), index(folder / "b_hubert.index", 30, 256)
    voice = adopt(folder, "ann", range_hz=(100.0, 400.0))
    assert (voice.name, voice.system) == ("ann", SYSTEM)
    assert voice.bank is not None and voice.bank.shape == (30, 384 + 256)
    torch.testing.assert_close(voice.bank[:, 384:], sounds, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(voice.bank[[0, -1], :384], words[[0, -1]], atol=2e-3, rtol=1e-3)
    plain = sung("ann")
    assert plain.shape == note().samples.shape and plain.isfinite().all() and plain.std() > 0
    drawn = {share: sung("ann", retrieval=share[0], retrieval_sounds=share[1]) for share in ((0, 1), (1, 0), (1, 1))}
    assert all(not other.equal(plain) for other in drawn.values())
    assert not drawn[0, 1].equal(drawn[1, 0]) and not drawn[1, 1].equal(drawn[1, 0])
    assert sung("ann", retrieval=1).equal(drawn[1, 1])  # one share for both, where nothing else is said


def test_one_index_is_drawn_to_alone(ears: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "shared")
    model(folder)
    index(folder / "hubert.index", 30, 256)
    voice = adopt(folder, "ann")
    assert voice.bank is not None and voice.bank.shape == (30, 256)
    plain = sung(voice)
    assert sung(voice, retrieval=1, retrieval_sounds=0).equal(plain)
    assert not sung(voice, retrieval_sounds=1).equal(plain)


@pytest.mark.parametrize("name", ["anny", "boss", "chap", "dick", "ethan", "f."])
def test_no_name_loses_its_index(name: str, home: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / name, name)  # whose last letter the original cuts off
    model(folder)
    index(folder / "hubert.index", 4, 256)
    bank = adopt(folder, "somebody").bank
    assert bank is not None and len(bank) == 4


def test_pitch_is_not_rounded_to_whole_hz(tmp_path: Path) -> None:
    system, voice = WhisperVitsSvc.tiny(), Voice("x", (100.0, 400.0), clips=(note(),))
    lines = "".join(f"{frame / 100},220.4\n" for frame in range(30))
    (tmp_path / "melody.csv").write_text(f"time_seconds,pitch_hz\n{lines}")
    sung_as_asked = system.convert(note(), voice, melody=read_csv(tmp_path / "melody.csv")).samples
    assert not sung_as_asked.equal(system.convert(note(), voice, melody=MELODY).samples)


def test_the_vector_is_the_one_in_the_file_and_nothing_changes_its_length(ears: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "shared", seed=3)
    path = model(folder)
    adopt(folder, "ann")
    [stored] = [load_safetensors(library.path("ann") / "weights.safetensors")]
    torch.testing.assert_close(stored.pop("embedding"), vector(3))
    assert stored.keys() == singer_state().keys()
    # The same model by name, and a voice that is only a vector: nobody's voice has to be heard for either.
    (ears.parent / "cache" / "weights" / "mozilla-tts" / "best_model.pth.tar").unlink()
    lone = adopt(folder / "singer.spk.npy", "bo")
    assert lone.system == SYSTEM and lone.bank is None
    system = WhisperVitsSvc.load(str(path))
    assert system.convert(note(), lone, melody=MELODY).samples.equal(sung("ann"))
    with pytest.raises(BadOption, match=r"'bo' brings no model .* --weights"):
        sung("bo")


def test_voices_of_one_model_are_mixed_by_share(ears: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("ann", "bo")):
        model(put(tmp_path / name, seed=number))
        adopt(tmp_path / name, name)
    between = library.find("ann:0.7,bo:0.3")
    assert between.system == SYSTEM and dict(between.parts) == pytest.approx({"ann": 0.7, "bo": 0.3})
    np.save(tmp_path / "mean.npy", (0.7 * vector(0) + 0.3 * vector(1)).numpy())
    mean = WhisperVitsSvc.load(str(tmp_path / "ann" / "sovits5.0.pth"))
    wanted = mean.convert(note(), adopt(tmp_path / "mean.npy", "mean"), melody=MELODY).samples
    torch.testing.assert_close(sung(between), wanted, atol=1e-5, rtol=0)
    assert not sung("ann").allclose(sung("bo"))
    model(put(tmp_path / "cy", seed=2), seed=5)
    adopt(tmp_path / "cy", "cy")
    with pytest.raises(BadVoice, match="different models"):
        sung(library.find("ann:0.5,cy:0.5"))


def test_a_training_run_gives_what_sings_of_it(home: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "shared")
    held = {"model_d": {"MSD.conv_post.bias": torch.zeros(1)}, "step": 3, "epoch": 1, "hp_str": "train: {}"}
    state = singer_state() | {"emb_g.weight": torch.zeros(4, 256), "enc_q.pre.weight": torch.zeros(4, 9, 1)}
    torch.save({"model_g": state} | held, folder / "sovits5.0_0100.pt")
    assert adopt(folder, "ann").weights is not None


def spoilt(name: str, value: Any) -> dict[str, Any]:
    return {"model_g": singer_state() | {name: value}}


def without(name: str) -> dict[str, Any]:
    return {"model_g": {key: value for key, value in singer_state().items() if key != name}}


WRONG = {
    "a missing key": (without("dec.ups.0.weight_g"), "1 missing .*weight_g"),
    "a surplus key": (spoilt("dec.strange.bias", torch.zeros(3)), "1 surplus .*strange"),
    "another shape": (spoilt("dec.ups.0.weight_g", torch.zeros(3, 1, 1)), "another shape"),
    "NaN": (spoilt("dec.conv_pre.bias", torch.full((32,), torch.nan)), "not numbers"),
    "another filter": (spoilt("dec.activation_post.upsample.filter", torch.ones(1, 1, 12)), "not the filter"),
    "something else": (spoilt("optimizer.x", torch.zeros(1)), "holds no model"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_model_that_is_not_whole_is_refused(name: str, home: Path, tmp_path: Path) -> None:
    held, why = WRONG[name]
    torch.save(held, put(tmp_path / "shared") / "sovits5.0.pth")
    with pytest.raises(BadCheckpoint, match=why):
        adopt(tmp_path / "shared", "ann")
    assert not library.names()


def test_what_does_not_go_together_is_refused(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    model(folder)
    with pytest.raises(BadCheckpoint, match=r"none lies beside it: .*singer\.spk\.npy.*--weights"):
        adopt(folder, "ann")
    put(folder, "one")
    index(folder / "a.index", 3, 100)
    with pytest.raises(BadCheckpoint, match=r"a\.index: holds vectors of 100 numbers, and the model hears 384 and 256"):
        adopt(folder, "ann")
    index(folder / "a.index", 3, 256)
    index(folder / "b.index", 3, 256)
    with pytest.raises(BadCheckpoint, match=r"b\.index: is a second index beside a\.index"):
        adopt(folder, "ann")
    put(folder, "two")
    with pytest.raises(BadCheckpoint, match=r"one of 2 vectors of voices \(one\.spk\.npy, two\.spk\.npy\)"):
        adopt(folder, "ann")
    np.save(tmp_path / "flat.npy", np.zeros(256, np.float32))
    with pytest.raises(BadCheckpoint, match="is no vector of a voice"):
        adopt(tmp_path / "flat.npy", "ann")
    np.save(tmp_path / "short.npy", np.ones(192, np.float32))
    with pytest.raises(BadCheckpoint, match="no voice of a kind known here"):
        adopt(tmp_path / "short.npy", "ann")
    assert not library.names()


def test_a_voice_of_another_model_is_told(ears: Path, tmp_path: Path) -> None:
    put(tmp_path / "a")
    lone = adopt(tmp_path / "a" / "singer.spk.npy", "ann")
    with pytest.raises(BadVoice, match="no vector of 192 numbers"):
        WhisperVitsSvc.tiny().convert(note(), lone, melody=MELODY)
    system = WhisperVitsSvc.load(str(model(tmp_path / "a")))
    odd = replace(lone, bank=torch.zeros(3, 100))
    with pytest.raises(BadVoice, match="frames of 100 numbers, and its model hears 384 and 256"):
        system.convert(note(), odd, Options(retrieval=1.0), melody=MELODY)


def test_a_mixture_of_recorded_voices_is_heard_part_by_part(ears: Path, tmp_path: Path) -> None:
    system = WhisperVitsSvc.load(str(model(tmp_path / "a")))
    clips = {"ann": note(2.0), "bo": Audio(note(2.0).samples.flip(1).square(), 32_000)}
    for name, clip in clips.items():
        voice = Voice(name, (100.0, 400.0), clips=(clip,))
        with store.shelved(name, replace=False) as folder:
            store.write_voice(voice, store.sheet_for(voice, "enrolled", 2.0), folder)
    mixture = Voice("both", (100.0, 400.0), parts=(("ann", 0.25), ("bo", 0.75)))
    both = [system.casting.of(library.find(name)).vector for name in clips]
    assert not both[0].allclose(both[1], atol=1e-4)
    torch.testing.assert_close(system.casting.of(mixture).vector, 0.25 * both[0] + 0.75 * both[1])
    with pytest.raises(BadVoice, match="no clips"):
        system.convert(note(), replace(mixture, parts=()), melody=MELODY)
