"""Numbers of the reference (PlayVoice/whisper-vits-svc) at small sizes, from weights that both sides fill alike.

All that is random comes from numbered generators in the order in which the reference draws it.
"""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.convert.whisper_vits_svc import losses, published
from mynah.convert.whisper_vits_svc.critics import Critics
from mynah.convert.whisper_vits_svc.net import Learnt, Noise, Singer, Trainee
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.nets.normed import folded

SMALL = NetConfig(
    words=20, sounds=12, voice=16, bins=33, latent=16, hidden=16, condition=16, filters=32,
    decoder=DecoderConfig(channels=64),
)  # fmt: skip
FRAMES, BATCH, SEGMENT = 40, 2, 25
NEAR = {"abs": 1e-4, "rel": 1e-4}


def filled(state: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The same weights on both sides: a generator for each key, numbered in alphabetical order."""
    weights = {}
    for number, name in enumerate(sorted(state)):
        usual = state[name]
        dice = np.random.default_rng([seed, number])
        drawn = torch.from_numpy(dice.standard_normal(tuple(usual.shape), dtype="f4"))
        if name.endswith("filter") or "merge_" in name:
            drawn = usual
        elif name.endswith("weight_g"):
            drawn = 0.6 + 0.1 * drawn.abs()
        elif name.endswith("gamma"):
            drawn = 1 + 0.1 * drawn
        elif name.endswith(("alpha", "beta")):
            drawn = 0.2 * drawn
        elif usual.ndim > 1:
            drawn = drawn / math.sqrt(usual[0].numel())
        else:
            drawn = 0.1 * drawn
        weights[name] = drawn
    return weights


def white(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype="f4"))


def even(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype="f4"))


def probe(x: Tensor) -> list[float]:
    """Five values, and how much all of them vary."""
    x = x.detach().flatten().double()
    return [*x[torch.linspace(0, len(x) - 1, 5).long()].tolist(), x.std().item()]


def phases(seed: int, batch: int) -> Tensor:
    drawn = even(seed, batch, 11)
    drawn[:, 0] = 0
    return drawn


def merged(noise: Tensor, net: Singer) -> Tensor:
    """The noise of eleven harmonics as the one that their sum is."""
    mix = net.dec.m_source.merge_w[0]
    return noise @ mix / mix.norm()


WORDS, SOUNDS = white(1, BATCH, FRAMES, 20).transpose(1, 2), white(2, BATCH, FRAMES, 12).transpose(1, 2)
PITCH = (200 + 60 * white(3, BATCH, FRAMES)).clamp(min=60)
PITCH[:, 15:20] = 0
VOICE, SPECTRUM = 0.3 * white(4, BATCH, 16), white(5, BATCH, 33, FRAMES).abs()
REAL = (0.2 * white(6, BATCH, 1, SEGMENT * 320)).clamp(-1, 1)
MASK = (torch.arange(FRAMES) < torch.tensor([FRAMES, 32])[:, None]).float()[:, None]


@pytest.fixture(scope="module")
def net() -> Trainee:
    net = Trainee(SMALL).eval()
    load_strict(net, filled(net.state_dict(), 0), "the weights of the test")
    return net


@pytest.fixture(scope="module")
def critics() -> Critics:
    critics = Critics().eval()
    load_strict(critics, filled(critics.state_dict(), 1), "the weights of the test")
    return critics


@pytest.fixture(scope="module")
def learnt(net: Trainee) -> Learnt:
    first = (even(105, BATCH) * (MASK.sum((1, 2)) - SEGMENT + 1)).long()
    assert first.tolist() == [4, 5]
    noise = Noise(
        words=white(101, BATCH, FRAMES, 20).transpose(1, 2),
        sounds=white(102, BATCH, FRAMES, 12).transpose(1, 2),
        prior=white(103, BATCH, 16, FRAMES),
        posterior=white(104, BATCH, 16, FRAMES),
        decoder=white(106, BATCH, 16, SEGMENT),
        source=merged(white(108, BATCH, SEGMENT * 320, 11), net),
        phases=phases(107, BATCH),
    )
    return net(WORDS, SOUNDS, PITCH, SPECTRUM, VOICE, MASK, first, noise)


def test_every_part_of_a_step_of_training(learnt: Learnt) -> None:
    theirs = {
        "sound": [0.285349, 0.300335, 0.24707, 0.266073, 0.22749, 0.150913],
        "prior_mean": [1.787362, -0.373131, -0.476804, -0.0, -0.0, 1.267291],
        "prior_spread": [-0.331987, -1.229748, -0.388125, -0.0, 0.0, 0.802596],
        "prior_sample": [2.659761, -0.303132, -0.424067, -0.0, 0.0, 1.677459],
        "posterior_mean": [-0.137021, 0.797934, -0.70333, -0.0, 0.0, 0.786506],
        "posterior_sample": [0.687119, 0.176459, -0.577663, 0.0, -0.0, 5.238598],
        "forward": [1.689729, 1.501348, 1.412166, 0.0, 0.0, 8.982223],
        "backward": [3.788836, -0.44422, -0.581192, -0.0, -0.0, 1.971785],
        "volume": [-84.232208, -84.232208, -84.232208, -84.232208, -16.36702, 47.987935],
        "volume_back": [84.232201, 84.232201, 84.232201, 84.232201, 16.36702, 47.98793],
        "guess": [-0.022772, 0.203127, -0.116456, 0.184555, -0.082213, 0.173009],
    }
    ours = learnt._asdict() | {
        f"{side}_{part}": getattr(getattr(learnt, side), part)
        for side in ("prior", "posterior")
        for part in ("sample", "mean", "spread")
    }
    for name, numbers in theirs.items():
        assert probe(ours[name]) == pytest.approx(numbers, **NEAR), name


def test_all_losses_all_critics_and_what_they_teach(net: Trainee, critics: Critics, learnt: Learnt) -> None:
    rendered, real = critics(learnt.sound), critics(REAL)
    theirs = [
        [0.153351, 0.352489, 0.090032, 0.300987, 0.074028, 0.050654],
        [-0.311531, -1.713069, -0.038059, -0.989592, -0.046499, 0.060408],
        [0.059616, 0.917689, -0.204457, 0.923801, -0.211963, 0.083074],
        [-0.026711, 0.008443, -0.095327, -0.009368, -0.10714, 0.029508],
        [0.165468, 0.18556, 0.206561, 0.186664, 0.206367, 0.005399],
        [-0.110641, -0.120514, -0.134255, -0.120608, -0.134541, 0.003987],
        [-0.042858, -0.056195, -0.00957, -0.056973, -0.008876, 0.011301],
        [-0.047233, -0.113889, -0.215084, -0.114857, -0.214569, 0.034031],
        [0.172575, 0.112868, 0.080867, 0.108808, 0.080826, 0.023944],
        [0.037413, 0.040686, 0.029579, 0.040355, 0.029798, 0.004318],
    ]
    layers = [1.800595, 1.498006, 1.768219, 0.959566, 0.508042, 0.4404, 0.338944, 0.424249, 0.420487, 0.380845]
    assert len(rendered) == len(theirs)
    for (score, seen), numbers, total in zip(rendered, theirs, layers, strict=True):
        assert probe(score) == pytest.approx(numbers, **NEAR)
        assert sum(layer.abs().mean().item() for layer in seen) == pytest.approx(total, **NEAR)
    assert losses.critic_loss(rendered, real).item() == pytest.approx(1.028213, **NEAR)

    ours = losses.net_losses(learnt, REAL, VOICE, MASK, rendered, real, SMALL.decoder)
    wanted = {
        "score": 1.014104, "feature": 2.398948, "mel": 1.380436, "stft": 23.613533, "kl": 452.125,
        "kl_back": 16.035482, "voice": 2.011792,
    }  # fmt: skip
    assert {name: loss.item() for name, loss in ours.items()} == pytest.approx(wanted, **NEAR)

    torch.stack(list(ours.values())).sum().backward(retain_graph=True)
    slopes = {
        "emb_g.weight": 533.267578,
        "enc_p.pre.weight": 538.91748,
        "speaker_classifier.classifier.1.weight_v": 2.264518,
        "enc_q.pre.weight": 2653.831543,
        "flow.flows.2.snac.weight": 451.613922,
        "dec.conv_pre.weight": 6.764378,
        "dec.resblocks.7.activations.3.act.alpha": 0.560791,
    }
    found = dict(net.named_parameters())
    assert {name: found[name].grad.norm().item() for name in slopes} == pytest.approx(slopes, rel=1e-3)


def test_conversion_from_features_to_sound(net: Trainee) -> None:
    singer = Singer(SMALL).eval()
    load_strict(singer, published.singer_of(net.state_dict()), "the weights of the test")
    with torch.inference_mode():
        for made in (singer, folded(singer)):
            source = made.dec.m_source(PITCH[:1], merged(white(202, 1, FRAMES * 320, 11), net), phases=phases(201, 1))
            latent = made.latent(
                WORDS[:1], SOUNDS[:1], PITCH[:1], VOICE[:1], torch.ones(1, 1, FRAMES), white(203, 1, 16, FRAMES)
            )
            assert probe(source) == pytest.approx(
                [0.003852, 0.035643, -0.010406, 0.005382, -0.004583, 0.025338], abs=1e-5
            )
            assert probe(made.dec(latent, source, VOICE[:1])) == pytest.approx(
                [0.32216, 0.238373, 0.334466, 0.241249, 0.315036, 0.149037], abs=1e-5
            )


def test_the_spectrum_that_the_posterior_hears() -> None:
    theirs = [6.263055, 4.625408, 2.525472, 3.554542, 1.419258, 1.81831]
    assert probe(losses.linear(REAL[:, 0], 320)) == pytest.approx(theirs, **NEAR)
