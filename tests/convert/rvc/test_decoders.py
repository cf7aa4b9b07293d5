"""Applio's other decoders, by numbers of its own nets (3.2.9 and 3.6.4), from weights that both sides fill alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.convert.rvc import Config, Rvc, RvcOptions, published
from mynah.convert.rvc.decoders import HIFI, MRF, kind_of, outward
from mynah.convert.rvc.net import SPREAD, Singer, Trainee
from mynah.convert.rvc.recipe import course
from mynah.convert.rvc.refine import RefineConfig, Refiner, between
from mynah.convert.rvc.rendering import render
from mynah.convert.rvc.share import export, merge
from mynah.convert.rvc.sizes import PUBLISHED, DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint
from mynah.core.types import Audio, Voice
from mynah.nets.normed import folded
from mynah.nets.numbered import white as numbered
from tests.convert.rvc.test_parity import FRAMES, NEAR, filled, melody, probe, white
from tests.convert.rvc.test_recipe import DECODER as TRAINED
from tests.convert.rvc.test_recipe import NARROW, PLAN, TINY, data, ear, recipe, songs, turned  # noqa: F401
from tests.convert.rvc.test_system import MELODY, SOMEBODY, ears, note

OLD, NEW = "RefineGAN of 3.2.9", "RefineGAN"
# By kind and rate: parameters of the whole net, and what the small one sings.
HEARD = {
    (MRF, 24_000): (36_746_060, [-0.059060, -0.078565, -0.070702, -0.098082, -0.065609, 0.089380]),
    (MRF, 32_000): (36_881_228, [-0.076158, -0.079400, -0.066975, -0.094521, -0.077093, 0.093024]),
    (MRF, 40_000): (36_459_340, [-0.074946, -0.082235, -0.026877, -0.080141, -0.078615, 0.091531]),
    (MRF, 48_000): (37_638_988, [-0.066763, -0.090545, -0.096545, -0.079243, -0.086516, 0.089393]),
    (OLD, 24_000): (34_800_690, [-0.130479, -0.030010, -0.162886, -0.099976, -0.245986, 0.050064]),
    (OLD, 32_000): (34_802_738, [-0.116947, -0.091106, -0.121804, -0.091512, -0.130433, 0.048708]),
    (OLD, 40_000): (34_903_090, [-0.168690, -0.059843, -0.174484, -0.091363, -0.218929, 0.049482]),
    (OLD, 48_000): (34_903_090, [-0.080741, -0.120684, -0.079184, -0.101163, -0.171617, 0.049947]),
    (NEW, 24_000): (35_096_850, [-0.127099, -0.024598, -0.161772, -0.094348, -0.241865, 0.049451]),
    (NEW, 32_000): (35_096_850, [-0.109882, -0.083940, -0.120106, -0.089231, -0.122832, 0.047794]),
    (NEW, 40_000): (35_195_154, [-0.163912, -0.056256, -0.164036, -0.087212, -0.216918, 0.048506]),
    (NEW, 48_000): (35_195_154, [-0.081672, -0.121868, -0.070044, -0.096817, -0.163255, 0.048990]),
}  # fmt: skip
KINDS = (MRF, OLD, NEW)
every_kind = pytest.mark.parametrize("kind", KINDS)
every_model = pytest.mark.parametrize(("kind", "rate"), list(HEARD))


def decoder(kind: str, rate: int, channels: int = 64) -> DecoderConfig:
    plain = PUBLISHED["v2", rate][1]
    if kind == MRF:
        return DecoderConfig(rate, channels, plain.rates, plain.up_kernels, normed=True, sines=9)
    return RefineConfig(rate, channels, plain.rates, plain.up_kernels, strided=kind == OLD)


def small(kind: str, rate: int = 32_000, words: int = 256, **changes: Any) -> NetConfig:
    sizes = {"bins": 513, "latent": 4, "hidden": 8, "filters": 8, "layers": 1, "voices": 2, "condition": 4}
    return NetConfig(**{"words": words, **sizes, "decoder": decoder(kind, rate, 32), **changes})


def state_of(config: NetConfig, *, complete: bool = True, seed: int = 7) -> dict[str, Tensor]:
    """In the names of Applio."""
    with torch.device("meta"):
        net = Trainee(config) if complete else Singer(config)
    return filled(outward(net.state_dict(), config.decoder), seed)


def shared(config: NetConfig, seed: int = 7, **changes: Any) -> dict[str, Any]:
    """As Applio shares a voice."""
    weight = {name: value.half() for name, value in state_of(config, complete=False, seed=seed).items()}
    about = {"sr": config.decoder.rate, "f0": True, "version": config.version, "vocoder": kind_of(config.decoder)}
    about |= {"embedder_model": "contentvec", "speakers_id": 1, "epoch": 5, "step": 100, "dataset_length": None}
    return {"weight": weight, "config": published.description(config), **about, **changes}


def saved(held: Any, path: Path) -> Path:
    torch.save(held, path)
    return path


def singer_of(config: NetConfig) -> Singer:
    singer = Singer(config).eval().requires_grad_(False)
    load_strict(singer, published.parted(shared(config), "the test").singer, "the test")
    return folded(singer)


@every_model
@torch.inference_mode()
def test_what_is_sung_is_what_applio_sings(kind: str, rate: int) -> None:
    config = NetConfig(
        bins=16, latent=16, hidden=16, filters=32, layers=2, voices=5, condition=16, decoder=decoder(kind, rate)
    )
    held = {"weight": state_of(config), "config": published.description(config), "vocoder": kind_of(config.decoder)}
    given = published.parted(held, "the test")
    assert given.config == config
    assert len(given.state) == (491 if kind == MRF else 516)
    net = Trainee(config).eval()
    load_strict(net, given.state, "the test")
    net = folded(net)
    voice, phases = net.emb_g(torch.tensor([3])), None
    if kind == MRF:
        phases = white(6, 9).abs().remainder(1.0) * (torch.arange(9) > 0)
    latent = net.latent(white(1, 1, 768, FRAMES), melody(), voice, SPREAD * white(4, 1, 16, FRAMES))
    source = net.dec.m_source(melody(), white(5, 1, FRAMES * rate // 100), phases=phases)
    sound = net.sound(latent, voice, source, lambda place, *size: white(100 + place, 1, size[0], FRAMES * size[1]))
    # The largest difference of all samples is 1.7e-6.
    assert probe(sound) == pytest.approx(HEARD[kind, rate][1], abs=NEAR["abs"], rel=NEAR["rel"])
    assert sound.shape[-1] == FRAMES * rate // 100


@pytest.mark.parametrize(("kind", "rate"), [(kind, rate) for kind, rate in HEARD if rate in (32_000, 48_000)])
def test_a_full_model_has_as_many_parameters_as_applios(kind: str, rate: int) -> None:
    bins = PUBLISHED["v2", rate][0]
    with torch.device("meta"):
        net = Trainee(NetConfig(bins=bins, decoder=decoder(kind, rate, 512)))
    assert sum(weight.numel() for weight in net.parameters()) == HEARD[kind, rate][0]


@every_kind
@torch.inference_mode()
def test_no_seam_is_heard_between_stretches(kind: str) -> None:
    singer, seed, frames = singer_of(small(kind, 24_000)), 3, 560
    words, pitch = white(1, 256, frames), torch.full((frames,), 220.0)
    pitch[100:140] = 0
    pitch[500:] = 300
    voice = singer.emb_g.weight[0]
    stretches = torch.cat(list(render(singer, words.split(77, -1), pitch, voice, seed, 0.6)))
    number, hop = torch.arange(frames), singer.config.decoder.hop
    latent = singer.latent(words[None], pitch[None], voice[None], 0.6 * numbered(number, 4, seed)[None])
    phases = singer.phases(torch.Generator().manual_seed(seed))
    source = singer.dec.m_source(pitch[None], numbered(number, hop, seed + 1).T.reshape(1, -1), phases=phases)

    def grain(place: int, channels: int, each: int) -> Tensor:
        noise = numbered(number, channels * each, seed + 2 + place).reshape(channels, each, frames)
        return noise.transpose(1, 2).reshape(1, channels, -1)

    whole = singer.sound(latent, voice[None], source, grain)[0, 0]
    assert len(stretches) == frames * hop
    torch.testing.assert_close(stretches, whole, atol=1e-5, rtol=0)
    # Another seed is other noise, the same one the same.
    few = words[:, :40]
    one, again, other = (torch.cat(list(render(singer, [few], pitch, voice, at, 0.6))) for at in (seed, seed, seed + 1))
    assert one.equal(again)
    assert not one.allclose(other, atol=1e-3)


@pytest.mark.parametrize("kind", [OLD, NEW])
@torch.no_grad()
def test_the_reach_is_how_far_a_frame_is_heard(kind: str) -> None:
    singer, count, at = singer_of(small(kind)), 240, 120
    dec, hop = singer.dec, singer.config.decoder.hop
    assert isinstance(dec, Refiner)

    def grain(place: int, channels: int, each: int) -> Tensor:
        return torch.zeros(1, channels, count * each)

    def moved(*, lead: bool, changed: str) -> tuple[int, int]:
        results = []
        for change in (0.0, 50.0):
            latent, pitch = white(1, 1, 4, count), torch.full((1, count), 200.0)
            # Turns stay what they were, because streams know them.
            turns = dec.m_source.turns(pitch)
            pitch[0, at] += change * (changed == "pitch")
            latent[..., at] += change * (changed == "latent")
            source = dec.m_source(pitch, torch.zeros(1, count * hop), turns)
            if lead:
                results.append(dec.lead(source)[0])
            else:
                steady = torch.zeros(1, singer.config.decoder.channels // 2, count)
                results.append(dec(latent, white(2, 1, 4), source, grain, lead=steady)[0].view(count, hop).T)
        places = (results[0] - results[1]).abs().amax(0).gt(1e-9).nonzero()[:, 0]
        return at - int(places[0]), int(places[-1]) - at

    assert 0 < max(moved(lead=True, changed="pitch")) <= dec.lead_reach()
    assert 0 < max(moved(lead=False, changed="pitch")) <= dec.reach()
    assert 0 < max(moved(lead=False, changed="latent")) <= dec.reach()


@pytest.mark.parametrize("kind", [OLD, NEW])
def test_listening_gives_what_learning_gives(kind: str) -> None:
    dec = singer_of(small(kind, decoder=decoder(kind, 32_000, 256))).dec
    assert isinstance(dec, Refiner)
    frames, voice = 12, white(2, 1, 4)

    def grain(place: int, channels: int, each: int) -> Tensor:
        return white(place, 1, channels, each * frames)

    source = dec.m_source(torch.full((1, frames), 200.0), white(3, 1, frames * dec.config.hop))
    wanted = dec(white(1, 1, 4, frames), voice, source, grain)
    with torch.no_grad():
        torch.testing.assert_close(dec(white(1, 1, 4, frames), voice, source, grain), wanted, atol=2e-6, rtol=0)
        rough = dec(white(1, 1, 4, frames), voice, source, grain, precision=torch.bfloat16)
        assert 0 < (rough - wanted).norm() < 0.003 * wanted.norm()  # -50 dB
        # Other weights are noticed.
        dec.conv_post.weight.mul_(0.5)
        assert not dec(white(1, 1, 4, frames), voice, source, grain).allclose(wanted, atol=1e-3)


def test_between_samples_lines_are_straight() -> None:
    x = white(0, 1, 3, 11)
    for rate in (2, 10):
        wanted = torch.nn.functional.interpolate(x, scale_factor=rate, mode="linear")
        torch.testing.assert_close(between(x, rate), wanted, atol=1e-5, rtol=0)


@every_kind
def test_a_voice_comes_in_sings_streams_and_goes_back(kind: str, tmp_path: Path) -> None:
    held = shared(small(kind))
    path = saved(held, tmp_path / "singer.pth")
    into = tmp_path / "into"
    into.mkdir()
    assert Rvc.recognises({path: held})
    voice = Rvc.adopt({path: held}, into)
    voice = Voice("singer", SOMEBODY.range_hz, weights=voice.weights, system="convert/rvc")
    system, source = Rvc(Config(), ears()), note(15_000)
    whole = system.convert(source, voice, melody=MELODY)
    assert whole.samples.shape == (1, 15_000)
    assert whole.samples.std() > 0
    # However the sound is cut.
    streamed = []
    for size in (700, 4000):
        stream = system.stream(voice, RvcOptions(transpose=0), rate=source.rate)
        blocks = [Audio(piece, source.rate) for piece in source.samples.split(size, -1)]
        streamed.append(torch.cat([*(stream.push(block).samples for block in blocks), stream.flush().samples], -1))
        assert streamed[-1].shape == whole.samples.shape
    torch.testing.assert_close(streamed[0], streamed[1], atol=1e-6, rtol=0)
    # What goes back is what came.
    out = torch.load(export(voice.weights or "", tmp_path / "back.pth"), weights_only=True)
    assert out["vocoder"] == held["vocoder"]
    assert out["config"] == held["config"]
    assert set(out["weight"]) == set(held["weight"])
    assert all(value.equal(held["weight"][name]) for name, value in out["weight"].items())


@every_kind
def test_new_and_folded_weight_norm_are_the_same(kind: str) -> None:
    config = small(kind)
    state = state_of(config, complete=False)
    given = {"config": published.description(config), "vocoder": kind_of(config.decoder)}
    new = {
        name.replace(".weight_g", ".parametrizations.weight.original0").replace(
            ".weight_v", ".parametrizations.weight.original1"
        ): value
        for name, value in state.items()
    }
    one = published.parted({"weight": state, **given}, "the test").state
    assert all(value.equal(one[name]) for name, value in published.parted({"weight": new, **given}, "").state.items())
    singer = Singer(config)
    load_strict(singer, one, "the test")
    plain = outward(folded(singer).state_dict(), config.decoder)
    assert not any(name.endswith("weight_g") for name in plain)
    again = Singer(config)
    load_strict(again, published.parted({"weight": plain, **given}, "").state, "the test")
    for name, value in outward(folded(again).state_dict(), config.decoder).items():
        torch.testing.assert_close(value, plain[name], atol=1e-6, rtol=0)


@every_model
def test_a_training_run_tells_its_rate_or_is_named_by_it(kind: str, rate: int) -> None:
    config = small(kind, rate, bins=PUBLISHED["v2", rate][0], decoder=decoder(kind, rate, 512))
    with torch.device("meta"):
        state = outward(Trainee(config).state_dict(), config.decoder)
    held = {"model": {name: torch.zeros(1).expand(value.shape) for name, value in state.items()}}
    assert published.parted(held, f"refinegan/f0G{rate // 1000}k.pth").config == config
    if kind == MRF:
        assert published.parted(held, "G_2333.pth").config == config
    elif kind == NEW:
        with pytest.raises(BadCheckpoint, match=r"does not say of which rate .* as in f0G32k\.pth"):
            published.parted(held, "G_2333.pth")


@every_kind
def test_merging_takes_two_of_a_kind(kind: str, tmp_path: Path) -> None:
    first, second = (saved(shared(small(kind), seed), tmp_path / f"{seed}.pth") for seed in (1, 2))
    both = published.read(merge(first, second, tmp_path / "both.pth", 0.25))
    one, other = published.read(first).state, published.read(second).state
    assert both.about["vocoder"] == kind_of(small(kind).decoder)
    for name, value in both.state.items():
        torch.testing.assert_close(value, (0.75 * one[name].float() + 0.25 * other[name].float()).half())
    for strange in {*KINDS} - {kind}:
        held = saved(shared(small(strange)), tmp_path / "strange.pth")
        with pytest.raises(BadCheckpoint, match="only models of the same kind can be merged"):
            merge(first, held, tmp_path / "none.pth")
    assert not (tmp_path / "none.pth").exists()


def spoilt(kind: str, name: str, change: Callable[[Tensor], Any]) -> dict[str, Any]:
    held = shared(small(kind))
    held["weight"][name] = change(held["weight"][name])
    return held


def with_config(kind: str, place: int, value: Any) -> dict[str, Any]:
    held = shared(small(kind))
    held["config"][place] = value
    return held


def with_more(kind: str, name: str, value: Tensor) -> dict[str, Any]:
    held = shared(small(kind))
    held["weight"][name] = value
    return held


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "an unknown vocoder": (lambda: shared(small(NEW), vocoder="RingFormer"), "'RingFormer'; only HiFi-GAN, MRF"),
    "another vocoder": (lambda: shared(small(NEW), vocoder=MRF), "is MRF HiFi-GAN, and holds a RefineGAN"),
    "not what it says": (lambda: shared(small(MRF), vocoder=HIFI), "is HiFi-GAN, and holds a MRF"),
    "another listener": (lambda: shared(small(MRF), embedder_model="spin-v2"), "hears with 'spin-v2'"),
    "no melody": (lambda: shared(small(MRF), weight=toneless(MRF)), "is told no melody, and no MRF HiFi-GAN"),
    "NaN": (lambda: spoilt(NEW, "dec.pre_conv.bias", lambda x: x * torch.nan), "not numbers"),
    "wide": (lambda: spoilt(NEW, "dec.conv_post.weight_v", lambda x: x.repeat(2, 1, 1)), r"dec\.conv_post\.weight_v"),
    "flat": (lambda: spoilt(OLD, "dec.mel_conv.weight_v", lambda x: x[0, 0]), "hold together"),
    "a scalar": (lambda: spoilt(OLD, "dec.mel_conv.weight_v", lambda x: x[0, 0, 0]), "no decoder"),
    "no entry": (lambda: spoilt(OLD, "dec.pre_conv.weight_v", lambda x: x[:3]), r"dec\.pre_conv\.weight_v"),
    "a scalar up": (lambda: spoilt(MRF, "dec.upsamples.0.weight_v", lambda x: x[0, 0, 0]), "no decoder"),
    "folded to nothing": (lambda: with_more(MRF, "dec.conv_pre.weight", torch.ones(1)), "the shape of nothing"),
    "twice": (lambda: with_more(MRF, "dec.ups.0.weight_v", torch.ones(1)), "twice"),
    "one too many": (lambda: with_more(MRF, "dec.mrfs.0.9.layers.0.conv1.bias", torch.ones(1)), "does not fit"),
    "too deep": (lambda: with_more(MRF, f"dec.mrfs.{'9' * 5000}.0.layers.0.conv1.bias", torch.ones(1)), "dec.mrfs"),
    "between releases": (lambda: with_more(NEW, "dec.filters.0.weight", torch.ones(1)), "between two releases"),
    "rates that do not go": (lambda: with_config(NEW, 12, [10, 8, 2]), "description"),
    "an odd frame": (lambda: with_config(NEW, 12, [9, 7, 5, 1]) | {"x": 1}, "does not go|hold together"),
    "another rate": (lambda: with_config(OLD, 17, 48_000), "does not go with"),
    "other rates": (lambda: with_config(MRF, 12, [8, 10, 2, 2]), "description|of another"),
}  # fmt: skip


def toneless(kind: str) -> dict[str, Tensor]:
    return {
        name: value for name, value in shared(small(kind))["weight"].items() if not name.startswith("enc_p.emb_pit")
    }


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    make, why = WRONG[name]
    with pytest.raises(BadCheckpoint, match=why):
        published.read(saved(make(), tmp_path / "singer.pth"))


def test_mrf_learns_as_hifi_gan_does_and_refinegan_does_not(songs: Any, tmp_path: Path) -> None:  # noqa: F811
    pytest.importorskip("lightning")
    nine = DecoderConfig(**{**vars(TRAINED), "normed": True, "sines": 9})
    learner = recipe(songs, config=NetConfig(**{**vars(TINY), "decoder": nine}))
    learner.critics.requires_grad_(False)
    assert all(value.isfinite() for value in turned(learner, "net").values())
    assert not {name for name, value in learner.net.named_parameters() if value.grad is None}
    voice, _, whole, _ = map(Path, learner.export(str(tmp_path)))
    assert torch.load(voice, weights_only=True)["vocoder"] == MRF
    going_on = published.read(whole)
    assert going_on.complete
    assert all(value.equal(going_on.state[name]) for name, value in learner.net.state_dict().items())
    state = {"model": state_of(small(NEW, decoder=decoder(NEW, 32_000, 512)))}
    with pytest.raises(BadCheckpoint, match="RefineGAN, which learns from other critics"):
        course(tmp_path, tmp_path, ear=ear, plan=PLAN, start=str(saved(state, tmp_path / "f0G32k.pth")))
