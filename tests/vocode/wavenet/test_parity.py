"""WaveNet by parity with the reference (r9y9/wavenet_vocoder, commits a35fff7 and, of 2018, 2092a64)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mynah.catalog.checkpoint import load_strict
from mynah.features.mel import MelFormat
from mynah.nets.normed import folded
from mynah.vocode.wavenet.net import WaveNetNet
from mynah.vocode.wavenet.sampling import Runner, sampled
from mynah.vocode.wavenet.sizes import EARLIER, LATER, Config, earlier
from tests.convert.rvc.test_parity import filled, probe, white

NEAR = {"abs": 2e-6, "rel": 1e-5}
FORMAT = MelFormat(8000, 64, 16, 64, 10)
SMALL = {"layers": 6, "stacks": 2, "residual": 12, "gate": 20, "skip": 8, "scales": (4, 4)}
EARLY = replace(EARLIER, format=FORMAT, **SMALL)
CONFIGS = {
    "mol": Config(FORMAT, **SMALL),
    "gaussian": Config(FORMAT, "gaussian", **SMALL),
    "mulaw256": Config(FORMAT, "mulaw", **SMALL),
    "2018": EARLY,
    "2018 of three": replace(EARLY, speakers=3, speaker=5),
}
# What is said of 192 samples; how much they surprise, in nats.
SAID = {
    "mol": ([0.113561, 0.110843, 0.11409, 0.117424, 0.118803, 0.130995], 11.595971),
    "gaussian": ([0.013281, 0.028917, 0.035817, 0.049843, 0.008968, 0.019032], 1.019034),
    "mulaw256": ([-0.104211, -0.098325, -0.08523, -0.06831, -0.069265, 0.104858], 5.549792),
    "2018": ([0.25024, 0.265208, 0.253564, 0.26249, 0.26438, 0.129381], 11.564154),
    "2018 of three": ([-0.090833, -0.088317, -0.09869, -0.107384, -0.114989, 0.141116], 11.621164),
}
SIZES = {
    "mol": (LATER["mol"], 282, 3_720_932),
    "gaussian": (LATER["gaussian"], 282, 3_717_292),
    "mulaw256": (LATER["mulaw256"], 348, 4_699_944),
    "2018, LJSpeech": (EARLIER, 309, 24_737_396),
    "2018, ARCTIC": (replace(EARLIER, format=earlier(16_000), speakers=7, speaker=16), 382, 24_958_692),
}


def net_of(config: Config) -> WaveNetNet:
    net = WaveNetNet(config).eval()
    load_strict(net, filled(net.state_dict(), 7), "the test")
    return net


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_published_files(name: str) -> None:
    config, keys, parameters = SIZES[name]
    with torch.device("meta"):
        net = WaveNetNet(config)
    assert (len(net.state_dict()), sum(each.numel() for each in net.parameters())) == (keys, parameters)


@torch.no_grad()
@pytest.mark.parametrize("name", CONFIGS)
def test_all_samples_at_once_and_one_after_another_are_exact(name: str) -> None:
    config = CONFIGS[name]
    net, (wanted, surprise) = net_of(config), SAID[name]
    mel = white(1, 2, 10, 12)
    mel = mel.abs() if config.early else mel
    samples = net.head.written((0.4 * white(2, 2, 192)).clamp(-1, 1))
    told = net.stretched(mel)
    said = net(samples, told, torch.tensor([1, 1]) if config.speakers else None)
    assert probe(said) == pytest.approx(wanted, **NEAR)
    assert net.head.surprise(said[:, :-1], samples[:, 1:]).mean().item() == pytest.approx(surprise, rel=1e-6)
    assert torch.allclose(Runner(folded(net), 2, min(1, config.speakers)).said(told, samples), said, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_drawn_is_what_was_said_of_it(name: str) -> None:
    """Drawn with random numbers that are known, every sample is the one that the net at once expects there."""
    config = CONFIGS[name]
    net = folded(net_of(config))
    mel, head = white(1, 1, 10, 12).abs(), net.head
    luck = torch.rand(192, 1, head.numbers, generator=torch.Generator().manual_seed(5))
    came = iter(luck.split(192))
    made = sampled(net, mel, luck=lambda count: next(came))
    first = head.value(torch.tensor([127])) if config.kind == "mulaw" else torch.zeros(1)
    before = torch.cat([first, made[0, :-1]])[None]
    said = net(before, net.stretched(mel), torch.tensor([0]) if config.speakers else None)
    again = torch.stack([head.drawn(said[:, time], luck[time]) for time in range(192)], 1)
    assert torch.allclose(made, again, atol=1e-5)
    assert made.std() > 0.1


def test_one_normal_distribution_is_that() -> None:
    head, said = CONFIGS["gaussian"].head, torch.tensor([[0.25, math.log(0.5)]])
    wanted = -torch.distributions.Normal(0.25, 0.5).log_prob(torch.tensor([0.1]))
    assert torch.allclose(head.surprise(said, torch.tensor([0.1])), wanted)
    luck = torch.rand(20_000, 1, generator=torch.Generator().manual_seed(0))
    drawn = head.drawn(torch.tensor([[0.1, math.log(0.2)]]).expand(20_000, 2), luck)
    assert drawn.mean().item() == pytest.approx(0.1, abs=0.01)
    assert drawn.std().item() == pytest.approx(0.2, abs=0.01)
