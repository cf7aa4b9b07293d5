import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mynah.convert.so_vits_svc import Config, SoVitsSvc, SoVitsSvcOptions, sizes
from mynah.convert.so_vits_svc.net import Singer, all_of
from mynah.convert.so_vits_svc.rendering import render, state
from mynah.convert.so_vits_svc.sizes import NetConfig
from mynah.core.errors import BadAudio, BadOption, BadVoice
from mynah.core.types import Audio, Contour, Voice
from mynah.features.contentvec import Ears
from mynah.features.hubert import Hubert, HubertConfig
from mynah.nets.numbered import white

SOMEBODY = Voice("somebody", range_hz=(110.0, 440.0))
MELODY = Contour(torch.cat([torch.full((50,), 220.0), torch.full((50,), torch.nan)]), 0.01, "Hz")


def note(samples: int, rate: int = 16_000) -> Audio:
    turns = torch.arange(samples) * (220 / rate) * 2 * torch.pi
    return Audio(0.2 * sum((torch.sin(k * turns) / k for k in range(2, 8)), torch.sin(turns))[None], rate)


def sung(options: SoVitsSvcOptions | None = None, voice: Voice = SOMEBODY) -> torch.Tensor:
    return SoVitsSvc.tiny().convert(note(16_000), voice, options, melody=MELODY).samples


@pytest.mark.parametrize(("samples", "rate"), [(1, 16_000), (333, 8000), (22_051, 44_100), (9601, 48_000)])
def test_the_result_is_as_long_as_the_source(samples: int, rate: int) -> None:
    result = SoVitsSvc.tiny().convert(note(samples, rate), SOMEBODY)
    assert result.samples.shape == (1, samples)
    assert result.rate == rate
    assert result.samples.isfinite().all()


def test_every_knob_does_something() -> None:
    voice = replace(SOMEBODY, bank=torch.randn(40, 16, generator=torch.Generator().manual_seed(0)))
    usual = sung(SoVitsSvcOptions(), voice)
    assert usual.equal(sung(SoVitsSvcOptions(), voice))
    for knob, value in {
        "transpose": 7, "speaker": "bo", "guess": True, "retrieval": 0.1, "protect": 0.0, "envelope": 1.0,
        "silence_db": -20.0, "spread": 0.0, "seed": 1,
    }.items():  # fmt: skip
        source = note(16_000) if knob != "silence_db" else Audio(note(16_000).samples * 0.2, 16_000)
        first, second = (
            SoVitsSvc.tiny().convert(source, voice, SoVitsSvcOptions.of(**chosen), melody=MELODY).samples
            for chosen in ({}, {knob: value})
        )
        assert not first.equal(second), knob


def test_a_quiet_source_is_heard_as_quiet() -> None:
    """By the net itself, which is told the volume; what it hears of words does not change with it."""
    system = SoVitsSvc.tiny()
    system.nets["singer"].emb_vol.weight.data.fill_(1.0)
    loud, quiet = note(16_000), Audio(0.5 * note(16_000).samples, 16_000)
    first, second = (system.convert(source, SOMEBODY, melody=MELODY).samples for source in (loud, quiet))
    assert not torch.allclose(first, second, atol=1e-4)


def test_silence_stays_silent() -> None:
    source = Audio(torch.cat([note(16_000).samples, torch.zeros(1, 16_000)], 1), 16_000)
    result = SoVitsSvc.tiny().convert(source, SOMEBODY).samples
    assert result[:, 20_000:].abs().max() == 0
    assert result[:, :14_000].abs().max() > 0


def test_recordings_that_are_none_are_refused() -> None:
    for samples, why in ((torch.zeros(1, 0), "empty"), (torch.full((1, 9), torch.nan), "NaN")):
        with pytest.raises(BadAudio, match=why):
            SoVitsSvc.tiny().convert(Audio(samples, 16_000), SOMEBODY)


def test_what_does_not_go_with_the_model_is_refused() -> None:
    with pytest.raises(BadVoice, match="another model"):
        sung(voice=replace(SOMEBODY, bank=torch.zeros(3, 7)))
    with pytest.raises(BadOption, match="no speaker 'zoe': the model has ann, bo"):
        sung(SoVitsSvcOptions(speaker="zoe"))
    with pytest.raises(BadVoice, match="brings no model"):
        SoVitsSvc.load().convert(note(800), SOMEBODY, melody=MELODY)
    assert sung(SoVitsSvcOptions(speaker="1")).equal(sung(SoVitsSvcOptions(speaker="bo")))


@pytest.mark.parametrize("guesses", [True, False])
def test_a_voice_brings_its_model(guesses: bool, tmp_path: Path) -> None:
    net = NetConfig(
        words=256, guesses=guesses, latent=4, hidden=8, filters=8, layers=1, voices=2, condition=4,
        decoder=sizes.decoder(channels=32),
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save({"model": Singer(net).state_dict()}, tmp_path / "G_1.pth")
        small = HubertConfig(channels=4, size=8, layers=1, heads=1, hidden=8, kernel=4, groups=1, units=256, labels=1)
        ears = Ears(Hubert(small).eval().requires_grad_(False))
    (tmp_path / "config.json").write_text(json.dumps({"model": {}, "data": {}, "spk": {"ann": 1}}))
    voice = replace(SOMEBODY, weights=tmp_path / "G_1.pth", system="convert/so_vits_svc")
    waiting = SoVitsSvc(Config(), ears)
    first = waiting.convert(note(8000), voice, melody=MELODY).samples
    assert first.std() > 0
    own = SoVitsSvc.load(str(tmp_path / "G_1.pth"))
    own.ears = ears
    assert own.convert(note(8000), SOMEBODY, melody=MELODY).samples.equal(first)
    if not guesses:
        with pytest.raises(BadOption, match="never learnt"):
            waiting.convert(note(8000), voice, SoVitsSvcOptions(guess=True), melody=MELODY)


@torch.inference_mode()
def test_no_seam_is_heard_between_stretches() -> None:
    torch.manual_seed(0)
    decoder = sizes.decoder(16_000, 32, (5, 4, 4, 2), (9, 8, 8, 4), (3, 7), ((1, 3), (1, 3)))
    net = NetConfig(words=4, latent=4, hidden=8, filters=8, heads=1, layers=1, voices=1, condition=4, decoder=decoder)
    singer = Singer(net).eval()
    words, pitch = torch.randn(4, 700), torch.full((700,), 220.0)
    voiced, voice = (torch.arange(700) % 300 > 40).float(), singer.emb_g.weight[0]
    rows = torch.cat([words, pitch[None], voiced[None]])
    stretches = torch.cat(list(render(singer, rows.split(77, -1), voice, 3, 0.6)))
    number = torch.arange(700)
    x = state(singer, rows, voice.device)
    latent = singer.latent(x, pitch[None], voice[None], 0.6 * white(number, 4, 3)[None], all_of(x))
    phases = torch.rand(sizes.SINES, generator=torch.Generator().manual_seed(3))
    phases[0] = 0
    hiss = white(number, decoder.hop, 4).T.reshape(1, -1)
    source = singer.dec.m_source(pitch[None], hiss, phases=phases)
    torch.testing.assert_close(stretches, singer.dec(latent, voice[None], source)[0, 0], atol=1e-5, rtol=0)
