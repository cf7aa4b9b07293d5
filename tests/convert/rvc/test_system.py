from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mynah.catalog.checkpoint import to_safetensors
from mynah.convert.rvc import Config, Rvc, RvcOptions, published
from mynah.convert.rvc.net import Singer
from mynah.convert.rvc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadAudio, BadCheckpoint, BadOption, BadVoice, Offline
from mynah.core.types import Audio, Contour, Voice
from mynah.features.contentvec import Ears
from mynah.features.hubert import Hubert, HubertConfig

SOMEBODY = Voice("somebody", range_hz=(110.0, 440.0))


def note(samples: int, rate: int = 16_000) -> Audio:
    turns = torch.arange(samples) * (220 / rate) * 2 * torch.pi
    return Audio(0.2 * sum((torch.sin(k * turns) / k for k in range(2, 8)), torch.sin(turns))[None], rate)


def sung(options: RvcOptions | None = None, voice: Voice = SOMEBODY) -> torch.Tensor:
    return Rvc.tiny().convert(note(16_000), voice, options, melody=MELODY).samples


MELODY = Contour(torch.cat([torch.full((50,), 220.0), torch.full((50,), torch.nan)]), 0.01, "Hz")


@pytest.mark.parametrize(("samples", "rate"), [(1, 16_000), (333, 8000), (22_051, 44_100), (9601, 48_000)])
def test_the_result_is_as_long_as_the_source(samples: int, rate: int) -> None:
    result = Rvc.tiny().convert(note(samples, rate), SOMEBODY)
    assert result.samples.shape == (1, samples)
    assert result.rate == rate
    assert result.samples.isfinite().all()


def test_every_knob_does_something() -> None:
    voice = replace(SOMEBODY, bank=torch.randn(40, 16, generator=torch.Generator().manual_seed(0)))
    usual = sung(RvcOptions(precision="float32"), voice)
    assert usual.equal(sung(RvcOptions(precision="float32"), voice))
    for knob, value in {
        "transpose": 7, "retrieval": 0.1, "protect": 0.0, "envelope": 0.0, "speaker": 1, "spread": 0.0, "seed": 1,
        "precision": "bfloat16",
    }.items():  # fmt: skip
        assert not usual.equal(sung(RvcOptions.of(**{"precision": "float32", knob: value}), voice)), knob


def test_recordings_that_are_none_are_refused() -> None:
    for samples, why in ((torch.zeros(1, 0), "empty"), (torch.full((1, 9), torch.nan), "NaN")):
        with pytest.raises(BadAudio, match=why):
            Rvc.tiny().convert(Audio(samples, 16_000), SOMEBODY)


def test_a_bank_of_another_version_is_refused() -> None:
    with pytest.raises(BadVoice, match="another version"):
        sung(voice=replace(SOMEBODY, bank=torch.zeros(3, 7)))


def test_a_speaker_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadOption, match="no speaker 2"):
        sung(RvcOptions(speaker=2))


def model(tmp_path: Path, *, pitched: bool) -> Path:
    decoder = DecoderConfig(32_000, 16, (10, 8, 2, 2), (20, 16, 4, 4))
    config = NetConfig(
        words=256, pitched=pitched, latent=4, hidden=8, filters=8, layers=1, voices=1, condition=4, decoder=decoder
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        held = {"weight": Singer(config).state_dict(), "config": published.description(config), "version": "v1"}
    torch.save(held, tmp_path / "singer.pth")
    return tmp_path / "singer.pth"


def ears() -> Ears:
    """As wide as ContentVec at the end, and small before."""
    config = HubertConfig(channels=4, size=8, layers=1, heads=1, hidden=8, kernel=4, groups=1, units=256, labels=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Ears(Hubert(config).eval().requires_grad_(False))


@pytest.mark.parametrize("pitched", [True, False])
def test_a_voice_brings_its_model(pitched: bool, tmp_path: Path) -> None:
    path = model(tmp_path, pitched=pitched)
    voice = replace(SOMEBODY, weights=path, system="convert/rvc")
    waiting = Rvc(Config(), ears())
    first = waiting.convert(note(8000), voice, melody=MELODY).samples
    assert first.std() > 0
    assert waiting.convert(note(8000), voice, melody=MELODY).samples.equal(first)
    own = Rvc.load(str(path))
    own.ears = ears()
    assert own.convert(note(8000), SOMEBODY, melody=MELODY).samples.equal(first)
    exported = published.converted(path, tmp_path / "singer.safetensors")
    assert waiting.convert(note(8000), replace(voice, weights=exported), melody=MELODY).samples.equal(first)


def test_without_a_model_nobody_sings() -> None:
    with pytest.raises(BadVoice, match="brings no model"):
        Rvc.load().convert(note(800), SOMEBODY, melody=MELODY)


def test_without_contentvec_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path / "home"))
    with pytest.raises(Offline, match="ContentVec"):
        Rvc.load(str(model(tmp_path, pitched=True))).convert(note(800), SOMEBODY, melody=MELODY)


def test_a_model_that_lacks_something_is_refused(tmp_path: Path) -> None:
    held = published.read(model(tmp_path, pitched=True))
    state = {name: value for name, value in held.singer.items() if name != "flow.flows.0.post.bias"}
    torch.save({"weight": state, "config": published.description(held.config)}, tmp_path / "less.pth")
    with pytest.raises(BadCheckpoint, match=r"flow\.flows\.0\.post\.bias"):
        Rvc.load(str(tmp_path / "less.pth"))
    to_safetensors({"weight": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BadCheckpoint, match="no model of RVC"):
        Rvc.load(str(tmp_path / "other.safetensors"))
