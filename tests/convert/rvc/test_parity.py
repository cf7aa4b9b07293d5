"""Numbers of the reference (RVC, branch 20240604) at small sizes, from weights that both sides fill alike.

Only widths are small: rates, kernels and depths of the decoder are those of the published models.
"""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.convert.rvc.net import SPREAD, Trainee
from mynah.convert.rvc.sizes import PUBLISHED, WORDS, NetConfig, published
from mynah.nets.normed import folded

FRAMES = 24
NEAR = {"abs": 2e-5, "rel": 1e-5}
# By version, rate and whether there is a pitch: parameters of the full model, its keys at the small size, and what is
# heard, sung, and heard again.
HEARD: dict[tuple[str, int, bool], tuple[int, int, list[float], list[float], list[float], list[float]]] = {
    ("v1", 32000, True): (
        36294338,
        547,
        [-0.001425, 0.002174, 0.005515, 0.000449, 0.003519, 0.030832],
        [-2.673298, -0.497099, -0.979576, 0.659560, 1.118867, 1.472377],
        [2.183877, -2.141636, 0.561092, -2.652775, -0.133289, 2.096009],
        [1.579041, -1.678098, 1.407269, -2.828182, -0.630211, 2.270790],
    ),
    ("v1", 32000, False): (
        36225600,
        534,
        [0.003559, 0.004994, 0.002851, 0.001129, 0.004946, 0.009547],
        [-3.815335, 2.787892, 0.027087, 2.366815, -1.037616, 2.035817],
        [1.814137, -2.945570, 1.064243, 1.115999, 0.151399, 2.323803],
        [1.945618, -2.763396, 1.294572, -1.224319, 2.702739, 2.448267],
    ),
    ("v1", 40000, True): (
        36360514,
        488,
        [0.042046, 0.185415, 0.303351, 0.131901, 0.184886, 0.135815],
        [-0.970564, -0.210437, -0.874700, 3.367170, -4.052944, 2.711697],
        [-0.979260, -4.435627, -0.819798, 0.380494, -0.188723, 1.898272],
        [0.129362, -3.509593, -0.896886, 0.799608, -0.561145, 1.915319],
    ),
    ("v1", 40000, False): (
        36289088,
        477,
        [0.085023, 0.083606, 0.100343, 0.122326, 0.075536, 0.062829],
        [-9.548273, -1.201025, 1.288541, 0.066727, -1.110230, 2.370816],
        [-0.073625, -2.165495, 0.574162, 0.355204, 0.953517, 2.228830],
        [-0.038084, -1.133613, -2.418294, 0.182307, -1.317230, 2.289274],
    ),
    ("v1", 48000, True): (
        36400834,
        547,
        [-0.000614, 0.003875, -0.000193, 0.000699, 0.001756, 0.030533],
        [-2.673298, -0.497099, -0.979576, 0.659560, 1.118867, 1.472377],
        [2.183877, -2.141636, 0.561092, -2.652775, -0.133289, 2.096009],
        [1.579041, -1.678098, 1.407269, -2.828182, -0.630211, 2.270790],
    ),
    ("v1", 48000, False): (
        36323904,
        534,
        [0.001905, 0.003192, 0.003339, -0.001218, 0.003074, 0.008435],
        [-3.815335, 2.787892, 0.027087, 2.366815, -1.037616, 2.035817],
        [1.814137, -2.945570, 1.064243, 1.115999, 0.151399, 2.323803],
        [1.945618, -2.763396, 1.294572, -1.224319, 2.702739, 2.448267],
    ),
    ("v2", 32000, True): (
        36880706,
        488,
        [0.071722, 0.196372, 0.186302, 0.130364, 0.201416, 0.134903],
        [1.314918, -0.368939, -1.750121, 2.032661, -3.893312, 2.285576],
        [-0.979260, -4.435627, -0.819798, 0.380494, -0.188723, 1.898272],
        [0.129362, -3.509593, -0.896886, 0.799608, -0.561145, 1.915319],
    ),
    ("v2", 32000, False): (
        36813376,
        477,
        [0.080064, 0.090938, 0.096428, 0.103271, 0.121001, 0.063600],
        [-4.154226, -0.219435, 0.487209, -0.899952, -0.242577, 2.324662],
        [-0.073625, -2.165495, 0.574162, 0.355204, 0.953517, 2.228830],
        [-0.038084, -1.133613, -2.418294, 0.182307, -1.317230, 2.289274],
    ),
    ("v2", 40000, True): (
        36458818,
        488,
        [0.076289, 0.192735, 0.291994, 0.155469, 0.200482, 0.135331],
        [1.314918, -0.368939, -1.750121, 2.032661, -3.893312, 2.285576],
        [-0.979260, -4.435627, -0.819798, 0.380494, -0.188723, 1.898272],
        [0.129362, -3.509593, -0.896886, 0.799608, -0.561145, 1.915319],
    ),
    ("v2", 40000, False): (
        36387392,
        477,
        [0.085479, 0.109274, 0.107112, 0.109303, 0.106986, 0.061995],
        [-4.154226, -0.219435, 0.487209, -0.899952, -0.242577, 2.324662],
        [-0.073625, -2.165495, 0.574162, 0.355204, 0.953517, 2.228830],
        [-0.038084, -1.133613, -2.418294, 0.182307, -1.317230, 2.289274],
    ),
    ("v2", 48000, True): (
        37638466,
        488,
        [0.110292, 0.203819, 0.115328, 0.186878, 0.227660, 0.137520],
        [1.314918, -0.368939, -1.750121, 2.032661, -3.893312, 2.285576],
        [-0.979260, -4.435627, -0.819798, 0.380494, -0.188723, 1.898272],
        [0.129362, -3.509593, -0.896886, 0.799608, -0.561145, 1.915319],
    ),
    ("v2", 48000, False): (
        37567040,
        477,
        [0.098668, 0.096832, 0.090270, 0.094478, 0.109080, 0.064169],
        [-4.154226, -0.219435, 0.487209, -0.899952, -0.242577, 2.324662],
        [-0.073625, -2.165495, 0.574162, 0.355204, 0.953517, 2.228830],
        [-0.038084, -1.133613, -2.418294, 0.182307, -1.317230, 2.289274],
    ),
}

every_model = pytest.mark.parametrize(("version", "rate", "pitched"), list(HEARD))


def small(version: str, rate: int, pitched: bool) -> NetConfig:
    _, decoder = PUBLISHED[version, rate]
    narrow = type(decoder)(decoder.rate, 64, decoder.rates, decoder.up_kernels)
    return NetConfig(
        words=WORDS[version], pitched=pitched, bins=16, latent=16, hidden=16, filters=32, layers=2, voices=5,
        condition=16, decoder=narrow,
    )  # fmt: skip


def filled(state: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The same weights on both sides: a generator for each key, numbered in alphabetical order."""
    weights = {}
    for number, name in enumerate(sorted(state)):
        usual = state[name]
        dice = np.random.default_rng([seed, number])
        drawn = torch.from_numpy(dice.standard_normal(tuple(usual.shape), dtype="f4"))
        if name.endswith("weight_g"):
            drawn = 0.6 + 0.1 * drawn.abs()
        elif name.endswith("gamma"):
            drawn = 1 + 0.1 * drawn
        elif usual.ndim > 1:
            drawn = drawn / math.sqrt(usual[0].numel())
        else:
            drawn = 0.1 * drawn
        weights[name] = drawn
    return weights


def white(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype="f4"))


def melody() -> Tensor:
    pitch = (220 + 60 * white(2, 1, FRAMES)).clamp(min=60)
    pitch[:, 9:14] = 0
    return pitch


def probe(x: Tensor) -> list[float]:
    """Five values, and how much all of them vary."""
    x = x.detach().flatten().double()
    return [*x[torch.linspace(0, len(x) - 1, 7).long()[1:-1]].tolist(), x.std().item()]


def model(version: str, rate: int, pitched: bool) -> Trainee:
    net = Trainee(small(version, rate, pitched)).eval()
    load_strict(net, filled(net.state_dict(), 7), "the test")
    return net


@every_model
@torch.inference_mode()
def test_what_is_sung_is_what_the_original_sings(version: str, rate: int, pitched: bool) -> None:
    _, keys, wave, latent, _, _ = HEARD[version, rate, pitched]
    net = model(version, rate, pitched)
    assert len(net.state_dict()) == keys
    net = folded(net)
    pitch = melody() if pitched else None
    words, voice = white(1, 1, net.config.words, FRAMES), net.emb_g(torch.tensor([3]))
    frames = net.latent(words, pitch, voice, SPREAD * white(4, 1, 16, FRAMES))
    assert probe(frames) == pytest.approx(latent, **NEAR)
    hiss = white(5, 1, FRAMES * net.config.decoder.hop)
    source = None if pitch is None else net.dec.m_source(pitch, hiss)
    assert probe(net.dec(frames, voice, source)) == pytest.approx(wave, **NEAR)


@pytest.mark.parametrize(("version", "rate", "pitched"), [("v1", 40_000, True), ("v2", 48_000, False)])
@torch.inference_mode()
def test_what_training_hears_is_what_the_original_hears(version: str, rate: int, pitched: bool) -> None:
    _, _, _, _, posterior, forward = HEARD[version, rate, pitched]
    net = model(version, rate, pitched)
    voice, mask = net.emb_g(torch.tensor([3])), torch.ones(1, 1, FRAMES)
    heard = net.enc_q(white(3, 1, 16, FRAMES).abs(), mask, voice, white(6, 1, 16, FRAMES)).sample
    assert probe(heard) == pytest.approx(posterior, **NEAR)
    assert probe(net.flow(heard, mask, voice)) == pytest.approx(forward, **NEAR)


@every_model
def test_a_full_model_has_as_many_parameters_as_the_original(version: str, rate: int, pitched: bool) -> None:
    with torch.device("meta"):
        net = Trainee(published(version, rate, pitched=pitched))
    assert sum(weight.numel() for weight in net.parameters()) == HEARD[version, rate, pitched][0]
