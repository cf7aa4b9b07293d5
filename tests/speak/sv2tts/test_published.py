"""Folders as Real-Time Voice Cloning has them, old and new, and what only looks like them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.features import ge2e
from mynah.features.ge2e import GE2E
from mynah.speak.sv2tts import Sv2tts, Sv2ttsOptions
from mynah.speak.sv2tts.net import Config, Synthesizer
from mynah.vocode.wave_rnn.net import Config as WaveConfig
from mynah.vocode.wave_rnn.net import WaveRnnNet
from tests.test_house import SOMEBODY

SMALL = Config(letter=8, reading=8, attention=8, units=8, finish=8, kernels=2, highways=1)
State = dict[str, Tensor]


def synthesizer(**changes: Tensor) -> dict[str, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Synthesizer(SMALL).state_dict()
    state["decoder.r"] = torch.tensor(2, dtype=torch.int)
    return {"model_state": state | changes, "optimizer_state": {"state": {}, "param_groups": [{"lr": 1e-5}]}}


def encoder() -> dict[str, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        state = GE2E().state_dict() | {"similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    return {"step": 1_564_501, "model_state": state, "optimizer_state": {}}


def vocoder() -> dict[str, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = WaveRnnNet(WaveConfig(units=8, hidden=8, channels=8, aside=8, blocks=1))
    return {"model_state": net.state_dict() | {"step": torch.tensor([3])}, "optimizer_state": {}}


def saved(held: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(held, path)
    return path


LAYOUTS = {
    "new": "{part}.pt",
    "older": "{part}/saved_models/pretrained.pt",
    "oldest": "{part}/saved_models/pretrained/pretrained.pt",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_of_the_three_parts_is_read(layout: str, tmp_path: Path) -> None:
    parts = {"encoder": encoder(), "synthesizer": synthesizer(), "vocoder": vocoder()}
    paths = {part: saved(held, tmp_path / LAYOUTS[layout].format(part=part)) for part, held in parts.items()}
    system = Sv2tts.load(str(tmp_path))
    assert system.config == SMALL
    assert int(system.synthesizer.decoder.r) == 2
    assert system.beside == paths["vocoder"]
    for net, held in ((system.synthesizer, parts["synthesizer"]), (system.encoder, parts["encoder"])):
        assert all(value.equal(held["model_state"][name]) for name, value in net.state_dict().items())


def test_our_own_files_are_read(tmp_path: Path) -> None:
    to_safetensors(encoder()["model_state"], tmp_path / "encoder.safetensors")
    to_safetensors(synthesizer()["model_state"], tmp_path / "synthesizer.safetensors")
    assert Sv2tts.load(str(tmp_path)).beside is None


def test_beside_a_synthesizer_alone_the_published_encoder_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = saved(synthesizer(), tmp_path / "synthesizer.pt"), GE2E()
    monkeypatch.setattr(ge2e, "load", lambda: told)
    assert Sv2tts.load(str(path)).encoder is told
    assert told.epsilon == 1e-5


@pytest.mark.parametrize(
    ("held", "complaint"),
    [
        (synthesizer(**{"encoder_proj.weight": torch.zeros(8, 8 + 768)}), "MockingBird"),
        (synthesizer(**{"gst.stl.embed": torch.zeros(10, 64)}), "style tokens"),
        (synthesizer(**{"encoder.embedding.weight": torch.zeros(75, 8)}), "reads 75 symbols"),
        (synthesizer(**{"encoder_proj.weight": torch.zeros(8, 8 + 64)}), "does not fit"),
        (synthesizer(**{"decoder.r": torch.tensor(21, dtype=torch.int)}), "21 frames in a step"),
        (synthesizer(**{"post_proj.weight": torch.full((80, 8), torch.inf)}), "NaN or infinite"),
        (synthesizer(surplus=torch.zeros(1)), "surplus"),
        (encoder(), "is an encoder of SV2TTS"),
        (vocoder(), "is a vocoder of SV2TTS"),
        ({"weights": torch.zeros(2)}, "holds no synthesizer"),
    ],
)
def test_other_synthesizers_are_refused_in_one_line(held: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=complaint) as caught:
        Sv2tts.load(str(saved(held, tmp_path / "synthesizer.pt")))
    assert "\n" not in str(caught.value)


def touched(*names: str) -> Callable[[Path], None]:
    def touch(place: Path) -> None:
        for name in names:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).touch()

    return touch


@pytest.mark.parametrize(
    ("fill", "complaint"),
    [
        (touched("logs-pretrained/taco_pretrained/tacotron_model.ckpt-278000.index"), "of TensorFlow"),
        (touched("tacotron_model.ckpt-278000.index", "checkpoint"), "of TensorFlow"),
        (touched("readme.txt"), r"no synthesizer\.pt"),
    ],
)
def test_folders_without_a_synthesizer_are_refused(
    fill: Callable[[Path], None], complaint: str, tmp_path: Path
) -> None:
    fill(tmp_path)
    with pytest.raises(BadCheckpoint, match=complaint):
        Sv2tts.load(str(tmp_path))


def test_a_part_of_tensorflow_and_a_wrong_encoder_are_refused(tmp_path: Path) -> None:
    index = tmp_path / "tacotron_model.ckpt-278000.index"
    index.touch()
    with pytest.raises(BadCheckpoint, match="of TensorFlow"):
        Sv2tts.load(str(index))
    saved(synthesizer(), tmp_path / "synthesizer.pt")
    saved(vocoder(), tmp_path / "encoder.pt")
    with pytest.raises(BadCheckpoint, match=r"encoder\.pt: holds no encoder"):
        Sv2tts.load(str(tmp_path))


def test_nothing_is_shipped_and_it_says_where_to_look() -> None:
    with pytest.raises(BadOption, match="huggingface"):
        Sv2tts.load()


def test_the_vocoder_in_the_folder_makes_the_sound(tmp_path: Path) -> None:
    for part, held in {"encoder": encoder(), "synthesizer": synthesizer(), "vocoder": vocoder()}.items():
        saved(held, tmp_path / f"{part}.pt")
    system, options = Sv2tts.load(str(tmp_path)), Sv2ttsOptions(stop=0.0, trim=False)
    said = system.speak("Hello.", SOMEBODY, options)
    assert (said.rate, said.samples.shape) == (16_000, (1, 14 * 200))  # the step after the tenth frame
    other = system.speak("Hello.", SOMEBODY, Sv2ttsOptions(stop=0.0, trim=False, vocoder="griffin_lim"))
    assert not other.samples.equal(said.samples)
    named = Sv2ttsOptions(stop=0.0, trim=False, vocoder=str(tmp_path / "vocoder.pt"))
    assert system.speak("Hello.", SOMEBODY, named).samples.equal(said.samples)
