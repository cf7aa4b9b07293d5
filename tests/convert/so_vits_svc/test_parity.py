"""Numbers of the blocks that the model is made of, run elsewhere: VITS (jaywalnut310/vits, MIT), and NSF as a formula.

Both sides fill a net alike, by the names of its weights. Only widths are small: rates, kernels and depths of the
decoder are those of the published models. The reference of the whole model was not looked at; that the parts are put
together as they should be is told by how many tensors and parameters there are, for every kind of model.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.convert.so_vits_svc import sizes
from mynah.convert.so_vits_svc.guess import level_taken
from mynah.convert.so_vits_svc.net import Trainee, all_of
from mynah.convert.so_vits_svc.sizes import NetConfig
from mynah.nets.normed import folded

FRAMES = 24
NEAR = {"abs": 2e-5, "rel": 1e-5}
STATE = [3.199630, -0.718752, -1.056646, 0.628014, -1.592533, 1.074944]
GUESS = [-0.427075, 0.010591, 0.092837, 0.572402, 0.416568, 0.447560]
LATENT = [-1.168696, -1.551357, -1.172228, -1.159910, -1.707085, 1.674288]
SOURCE = [-0.009715, 0.082226, 0.086623, 0.100841, 0.032141, 0.066487]
WAVE = [0.022455, 0.008744, 0.025548, 0.027982, 0.018668, 0.015770]
POSTERIOR = [1.384421, -1.941000, 0.454569, -0.512964, 1.575577, 2.613011]
FORWARD = [1.888731, -1.452299, 1.225960, -0.025418, 1.167757, 2.544791]
SMALL = NetConfig(
    words=256, loud=True, bins=16, latent=16, hidden=16, filters=32, layers=2, voices=5, condition=16,
    decoder=sizes.decoder(channels=64),
)  # fmt: skip
# Of the published models: tensors and parameters of all that is trained.
PUBLISHED = {
    "4.1": (NetConfig(), 751, 52_402_957),
    "4.0": (NetConfig(words=256, condition=256), 751, 45_157_133),
    "without a guess": (NetConfig(guesses=False), 647, 45_935_436),
    "told how loud": (NetConfig(loud=True), 753, 52_402_957 + 384),
}


def filled(state: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The same weights on both sides: a generator for each key, numbered in alphabetical order."""
    weights = {}
    for number, name in enumerate(sorted(state)):
        usual = state[name]
        drawn = torch.from_numpy(np.random.default_rng([seed, number]).standard_normal(tuple(usual.shape), dtype="f4"))
        if name.endswith("weight_g"):
            drawn = 0.6 + 0.1 * drawn.abs()
        elif name.endswith("gamma"):
            drawn = 1 + 0.1 * drawn
        else:
            drawn = drawn / math.sqrt(usual[0].numel()) if usual.ndim > 1 else 0.1 * drawn
        weights[name] = drawn
    return weights


def white(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype="f4"))


def probe(x: Tensor) -> list[float]:
    """Five values, and how much all of them vary."""
    x = x.detach().flatten().double()
    return [*x[torch.linspace(0, len(x) - 1, 7).long()[1:-1]].tolist(), x.std().item()]


def model() -> Trainee:
    net = Trainee(SMALL).eval()
    load_strict(net, filled(net.state_dict(), 7), "the test")
    return net


def heard(net: Trainee) -> tuple[Tensor, Tensor, Tensor]:
    pitch, voiced = (220 + 60 * white(2, 1, FRAMES)).clamp(min=60), torch.ones(1, FRAMES)
    voiced[:, 9:14] = 0
    words = white(1, 1, 256, FRAMES)
    return net.state(words, voiced, 0.1 * white(8, 1, FRAMES).abs(), all_of(words)), pitch, voiced


@torch.inference_mode()
def test_what_is_sung_is_what_the_blocks_of_the_reference_sing() -> None:
    net = folded(model())
    voice = net.emb_g(torch.tensor([3]))
    state, pitch, _ = heard(net)
    assert probe(state) == pytest.approx(STATE, **NEAR)
    latent = net.latent(state, pitch, voice, 0.4 * white(4, 1, 16, FRAMES), all_of(state))
    assert probe(latent) == pytest.approx(LATENT, **NEAR)
    source = net.dec.m_source(pitch, white(5, 1, FRAMES * 512))
    assert probe(source) == pytest.approx(SOURCE, **NEAR)
    assert probe(net.dec(latent, voice, source)) == pytest.approx(WAVE, **NEAR)


@torch.inference_mode()
def test_the_melody_that_is_made_up_is_that_of_the_blocks_of_the_reference() -> None:
    net = model()
    state, pitch, voiced = heard(net)
    guess = net.f0_decoder(state, level_taken(pitch, voiced), all_of(state), net.emb_g(torch.tensor([3])))
    assert probe(guess) == pytest.approx(GUESS, **NEAR)


@torch.inference_mode()
def test_a_guess_looks_back_only() -> None:
    """But for two convolutions at its entrance, which look one frame ahead each."""
    net = model()
    state, pitch, voiced = heard(net)
    voice, level = net.emb_g(torch.tensor([3])), level_taken(pitch, voiced)
    other = torch.cat([state[..., :12], white(9, 1, 16, 12)], -1)
    first, second = (net.f0_decoder(x, level, all_of(x), voice) for x in (state, other))
    torch.testing.assert_close(first[..., :11], second[..., :11])
    assert not torch.allclose(first[..., 12:], second[..., 12:])


@torch.inference_mode()
def test_what_training_hears_is_what_the_blocks_of_the_reference_hear() -> None:
    net = model()
    voice, mask = net.emb_g(torch.tensor([3])), torch.ones(1, 1, FRAMES)
    given = net.enc_q(white(3, 1, 16, FRAMES).abs(), mask, voice, white(6, 1, 16, FRAMES)).sample
    assert probe(given) == pytest.approx(POSTERIOR, **NEAR)
    assert probe(net.flow(given, mask, voice)) == pytest.approx(FORWARD, **NEAR)


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_full_model_has_the_tensors_and_parameters_of_the_published_ones(kind: str) -> None:
    config, tensors, parameters = PUBLISHED[kind]
    with torch.device("meta"):
        state = Trainee(config).state_dict()
    assert len(state) == tensors
    assert sum(weight.numel() for weight in state.values()) == parameters


def test_the_keys_that_are_known_of_published_files_are_there() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(weight.shape) for name, weight in Trainee(NetConfig()).state_dict().items()}
        first = Trainee(replace(NetConfig(), words=256, condition=256)).state_dict()
    for name, shape in {
        "emb_g.weight": (200, 768),
        "pre.weight": (192, 768, 5),
        "enc_p.f0_emb.weight": (256, 192),
        "dec.conv_pre.weight_v": (512, 192, 7),
        "dec.m_source.l_linear.weight": (1, 9),
        "flow.flows.0.enc.cond_layer.weight_v": (1536, 768, 1),
    }.items():
        assert shapes[name] == shape
    assert any(name.startswith("enc_p.enc_.attn_layers.5.") for name in shapes)
    assert any(name.startswith("f0_decoder.decoder.self_attn_layers.5.") for name in shapes)
    assert tuple(first["pre.weight"].shape) == (192, 256, 5)
