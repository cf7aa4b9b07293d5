import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mynah.core.errors import BadCheckpoint
from mynah.features.hubert import Hubert, HubertConfig, from_state

TINY = HubertConfig(channels=8, size=64, layers=2, heads=1, hidden=32, kernel=16, groups=4, units=5, labels=3)


@pytest.fixture(scope="module")
def net() -> Hubert:
    torch.manual_seed(0)
    return Hubert(TINY).eval()


def test_the_published_model_has_as_many_parameters() -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in Hubert().parameters()) == 94_594_176


def test_a_layer_is_torch_s_own(net: Hubert) -> None:
    theirs = nn.TransformerEncoderLayer(64, 1, 32, activation="gelu", batch_first=True).eval()
    theirs.load_state_dict(net.encoder["layers"][0].state_dict())
    x = torch.randn(2, 30, 64)
    torch.testing.assert_close(net.encoder["layers"][0](x), theirs(x), atol=1e-5, rtol=1e-5)


def test_a_frame_for_every_20_ms(net: Hubert) -> None:
    for frames in (1, 2, 50):
        assert net(torch.randn(1, 320 * frames)).shape == (1, frames, 5)


def test_loudness_is_no_content(net: Hubert) -> None:
    wave = torch.randn(1, 6400)
    one, other = net(0.2 * wave), net(wave)
    assert F.cosine_similarity(one, other, dim=2).min() > 0.999


def test_files_of_one_gpu_and_of_several_are_read(net: Hubert) -> None:
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    wave = torch.randn(1, 3200)
    for held in (state, net.state_dict()):
        assert torch.equal(from_state(held)(wave), net(wave))
    with pytest.raises(BadCheckpoint, match="a file holds no HuBERT"):
        from_state({"weight": torch.zeros(2)}, "a file")
    with pytest.raises(BadCheckpoint, match=r"missing.*proj\.bias"):
        from_state({name: value for name, value in state.items() if name != "module.proj.bias"})
