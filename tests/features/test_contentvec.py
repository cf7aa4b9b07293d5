"""ContentVec as transformers would hear it, from a small checkpoint in its names."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mynah.core.errors import BadCheckpoint, Offline
from mynah.features import contentvec
from mynah.features.hubert import HOP, RATE, Hubert, HubertConfig, from_state
from mynah.nets.streams import SONG

SIZE, HIDDEN, UNITS = 128, 32, 24
# Of transformers 5.23: the last layer, and the ninth behind the projection; 4000 samples, whose last frame is whole.
LAST = [-0.696707, -0.020375, -0.696446, -0.019432, -0.696305, -0.020194, -0.696676, 0.997946]
NINTH = [-0.404958, 1.463899, -0.401781, 1.455268, -0.401986, 1.458973, -0.402608, 1.466348]


def shapes() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "masked_spec_embed": (SIZE,),
        "feature_extractor.conv_layers.0.layer_norm.weight": (16,),
        "feature_extractor.conv_layers.0.layer_norm.bias": (16,),
        "feature_projection.layer_norm.weight": (16,),
        "feature_projection.layer_norm.bias": (16,),
        "feature_projection.projection.weight": (SIZE, 16),
        "feature_projection.projection.bias": (SIZE,),
        "encoder.pos_conv_embed.conv.weight_g": (1, 1, 16),
        "encoder.pos_conv_embed.conv.weight_v": (SIZE, SIZE // 2, 16),
        "encoder.pos_conv_embed.conv.bias": (SIZE,),
        "encoder.layer_norm.weight": (SIZE,),
        "encoder.layer_norm.bias": (SIZE,),
        "final_proj.weight": (UNITS, SIZE),
        "final_proj.bias": (UNITS,),
    }
    for number, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        found[f"feature_extractor.conv_layers.{number}.conv.weight"] = (16, 16 if number else 1, kernel)
    for number in range(11):
        before = f"encoder.layers.{number}."
        for name, shape in {
            **{f"attention.{part}_proj": (SIZE, SIZE) for part in ("k", "v", "q", "out")},
            "layer_norm": (SIZE,),
            "feed_forward.intermediate_dense": (HIDDEN, SIZE),
            "feed_forward.output_dense": (SIZE, HIDDEN),
            "final_layer_norm": (SIZE,),
        }.items():
            found[f"{before}{name}.weight"], found[f"{before}{name}.bias"] = shape, shape[:1]
    return found


def filled(seed: int) -> dict[str, Tensor]:
    """The same weights on both sides: a generator for each key, numbered in alphabetical order."""
    weights = {}
    for number, (name, shape) in enumerate(sorted(shapes().items())):
        drawn = torch.from_numpy(np.random.default_rng([seed, number]).standard_normal(shape, dtype="f4"))
        if (name.endswith("weight") and len(shape) == 1) or name.endswith("weight_g"):
            drawn = 1 + 0.1 * drawn
        elif len(shape) > 1:
            drawn = drawn - drawn.mean((1, 2), keepdim=True) if len(shape) == 3 else drawn
            drawn = 1.5 * drawn / math.sqrt(drawn[0].numel())
        else:
            drawn = 0.1 * drawn
        weights[name] = drawn
    return weights


def probe(x: Tensor) -> list[float]:
    """Seven values, and how much all of them vary."""
    x = x.detach().flatten().double()
    return [*x[torch.linspace(0, len(x) - 1, 9).long()[1:-1]].tolist(), x.std().item()]


def small() -> Hubert:
    return from_state(contentvec.remap(filled(3)))


@torch.inference_mode()
def test_layers_are_what_transformers_hears() -> None:
    wave = 0.1 * torch.from_numpy(np.random.default_rng(9).standard_normal((1, 4000), dtype="f4"))
    net = small()
    assert probe(net.states(wave)) == pytest.approx(LAST, abs=1e-5)
    assert probe(net.proj(net.states(wave, contentvec.FIRST_LAYERS))) == pytest.approx(NINTH, abs=2e-5)


def test_both_spellings_of_weight_norm_are_one_net() -> None:
    state = filled(3)
    before = "encoder.pos_conv_embed.conv."
    for number, part in enumerate("gv"):
        state[f"{before}parametrizations.weight.original{number}"] = state.pop(f"{before}weight_{part}")
    renamed = {f"hubert.{name}": value for name, value in state.items()}
    ours = small().state_dict()
    assert all(value.equal(ours[name]) for name, value in from_state(contentvec.remap(renamed)).state_dict().items())


@pytest.mark.parametrize("samples", [1, HOP, 5 * HOP + 1, 16 * RATE + 3])
@torch.inference_mode()
def test_there_is_a_frame_for_every_20_ms_begun(samples: int) -> None:
    config = HubertConfig(channels=4, size=8, layers=1, heads=1, hidden=8, kernel=4, groups=1, units=3, labels=1)
    ears = contentvec.Ears(Hubert(config).eval())
    for projected in (True, False):
        pieces = list(ears.frames([torch.randn(samples)], projected=projected))
        assert torch.cat(pieces, -1).shape == (ears.size(projected=projected), -(-samples // HOP))


def test_bfloat16_hears_nearly_the_same() -> None:
    ears = contentvec.Ears(small())
    wave = torch.randn(16_000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        exact = torch.cat(list(ears.frames([wave], projected=True)), -1)
        listening = ears.listening(SONG, projected=True, precision=torch.bfloat16)
        rough = torch.cat(list(listening.over([wave])), -1)
    assert rough.dtype == torch.float32
    assert not rough.equal(exact)
    assert (rough - exact).norm() < 0.02 * exact.norm()


def test_what_is_missing_is_said_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(Offline, match=r"pytorch_model\.bin and config\.json \(about 380 MB\) from https://"):
        contentvec.load(tmp_path)


def test_other_nets_are_refused(tmp_path: Path) -> None:
    save_file(filled(3), tmp_path / "model.safetensors")
    with pytest.raises(BadCheckpoint, match="another size"):
        contentvec.load(tmp_path)
    (tmp_path / "config.json").write_text('{"do_stable_layer_norm": true}')
    with pytest.raises(BadCheckpoint, match="another kind"):
        contentvec.load(tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        contentvec.load(tmp_path)
    (tmp_path / "config.json").unlink()
    save_file({"weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(BadCheckpoint, match="no HuBERT"):
        contentvec.load(tmp_path)
