"""HiFi-GAN by parity with the reference (jik876/hifi-gan, commit 4769534), from the same weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mynah.catalog.checkpoint import load_strict
from mynah.nets.normed import folded, split
from mynah.nets.nsf import Decoder
from mynah.train.losses import adversarial, critic_loss
from mynah.vocode.hifi_gan.critics import Critics
from mynah.vocode.hifi_gan.published import net_of
from mynah.vocode.hifi_gan.sizes import SIZES, Config, config_of, described
from tests.convert.rvc.test_parity import filled, probe, white

NEAR = {"abs": 2e-5, "rel": 1e-5}
# Sound of nine frames; number of keys, parameters with weight norm and without.
GENERATORS = {
    "v1": ([0.117944, 0.102888, 0.147452, 0.117082, 0.115566, 0.031082], 234, 13_936_130, 13_926_017),
    "v2": ([0.095287, 0.099355, 0.101135, 0.108554, 0.096736, 0.052898], 234, 928_514, 925_985),
    "v3": ([0.249835, 0.242949, 0.202761, 0.259843, 0.252754, 0.021332], 69, 1_464_322, 1_462_273),
}
# Scores, and what all layers saw one behind the other: of the critics of periods, then of those of scales; a quarter as
# wide as the published ones.
SEEN = [
    ([-0.229793, -0.228185, -0.279491, -0.224239, -0.233134, 0.012748],
     [0.175219, 0.144132, 0.043143, 0.045451, -0.004464, 0.080574]),
    ([-0.099797, -0.09696, -0.049775, -0.09473, -0.096778, 0.012863],
     [0.009168, -0.026532, 0.053669, -0.002258, -0.00926, 0.083488]),
    ([-0.039747, -0.03934, 0.005693, -0.036537, -0.041551, 0.024028],
     [0.084439, -0.002256, -0.020652, -0.012614, 0.172835, 0.080277]),
    ([-0.08227, -0.092083, -0.067796, -0.07921, -0.090562, 0.00792],
     [-0.03348, 0.009691, -0.002679, -0.000125, 0.023037, 0.088202]),
    ([0.006605, 0.014, 0.042322, 0.005967, 0.001799, 0.021431],
     [-0.001002, 0.353849, -0.009921, -0.012896, -0.01927, 0.093942]),
    ([-0.193605, -0.196384, -0.085175, -0.193184, -0.195711, 0.017463],
     [0.154722, 0.066141, 0.34201, -0.006267, 0.077198, 0.093177]),
    ([0.007462, 0.011099, 0.036017, 0.007476, 0.016389, 0.011687],
     [-0.00778, 0.017848, -0.000258, 0.084139, -0.000571, 0.080476]),
    ([-0.101164, -0.105352, -0.066883, -0.101157, -0.09952, 0.018303],
     [-0.000907, 0.165658, 0.115684, 0.027265, -0.00368, 0.068318]),
]  # fmt: skip
CRITIC, SCORE, FEATURE = 9.662119, 9.546560, 2.801952


def generator(version: str) -> Decoder:
    net = net_of(replace(Config(), decoder=SIZES[version])).eval()
    load_strict(net, filled(net.state_dict(), 7), "the test")
    return net


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("version", GENERATORS)
def test_generators_are_exact_with_weight_norm_and_without(version: str) -> None:
    wanted, keys, normed, plain = GENERATORS[version]
    net, mel = generator(version), 2 * white(version_seed(version), 2, 80, 9)
    assert (len(net.state_dict()), count(net)) == (keys, normed)
    whole = net(mel)  # as it is trained
    assert probe(whole) == pytest.approx(wanted, **NEAR)
    light = folded(net)
    assert count(light) == plain
    with torch.no_grad():
        assert torch.allclose(light(mel), whole, atol=2e-5)
    again = net_of(replace(Config(), decoder=SIZES[version]))
    load_strict(again, split(light.state_dict(), again.state_dict()), "the test")
    with torch.no_grad():
        assert torch.allclose(again(mel), whole, atol=2e-5)


def version_seed(version: str) -> int:
    return int(version[1:])


@pytest.mark.parametrize("version", SIZES)
def test_a_description_says_the_sizes(version: str) -> None:
    config = replace(Config(), decoder=SIZES[version])
    assert config_of(described(config), "the test") == config


@pytest.fixture(scope="module")
def critics() -> Critics:
    every = Critics(part=4)
    load_strict(every.mpd, filled(every.mpd.state_dict(), 8), "the test")
    load_strict(every.msd, filled(every.msd.state_dict(), 9), "the test")
    recorded, made = sounds()
    for _ in range(5):  # spectral norm finds its vectors
        every(recorded), every(made)
    return every


def sounds() -> tuple[torch.Tensor, torch.Tensor]:
    return 0.3 * white(4, 2, 1, 4001), 0.3 * white(5, 2, 1, 4001)


@torch.no_grad()
def test_critics_and_their_losses_are_exact(critics: Critics) -> None:
    recorded, made = sounds()
    verdicts, others = critics(recorded), critics(made)
    for (score, seen), wanted in zip(verdicts, SEEN, strict=True):
        assert probe(score) == pytest.approx(wanted[0], **NEAR)
        assert probe(torch.cat([layer.flatten() for layer in seen])) == pytest.approx(wanted[1], **NEAR)
    losses = adversarial(others, verdicts)
    assert len(SEEN) * critic_loss(verdicts, others).item() == pytest.approx(CRITIC, rel=1e-5)
    assert losses["score"].item() == pytest.approx(SCORE, rel=1e-5)
    assert 2 * losses["feature"].item() == pytest.approx(FEATURE, rel=1e-5)


def test_whole_critics_are_as_large_as_the_published_ones() -> None:
    with torch.device("meta"):
        critics = Critics()
    assert (count(critics.mpd), count(critics.msd)) == (41_105_770, 29_618_821)
    names = critics.msd.state_dict()
    assert {f"discriminators.0.convs.0.weight_{part}" for part in ("orig", "u", "v")} <= set(names)
    assert {f"discriminators.1.convs.0.weight_{part}" for part in ("g", "v")} <= set(names)
