"""The singer as an ONNX graph, beside the net."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from mynah.convert.whisper_vits_svc.graph import Graph, to_onnx
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import MissingExtra

TINY = NetConfig(
    words=6, sounds=3, voice=5, bins=9, latent=4, hidden=8, condition=4, filters=8, layers=1, posterior_layers=1,
    flow_layers=1, couplings=2, decoder=DecoderConfig(channels=32, kernels=(3, 5), dilations=(1, 3)),
)  # fmt: skip


def singer() -> Singer:
    torch.manual_seed(0)
    made = Singer(TINY).eval()
    for value in made.parameters():  # nothing is left at the zeros that it starts with
        value.data.add_(0.1 * torch.randn_like(value))
    return made


@torch.no_grad()
def sung(net: Singer, given: dict[str, torch.Tensor]) -> torch.Tensor:
    mask = torch.ones_like(given["pitch"])[:, None]
    latent = net.latent(given["words"], given["sounds"], given["pitch"], given["voice"], mask, given["noise"])
    source = net.dec.m_source(given["pitch"], given["hiss"], phases=given["phases"])
    return net.dec(latent, source, given["voice"])


def test_the_graph_sings_what_the_net_sings_at_any_length(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import onnxruntime

    net = singer()
    session = onnxruntime.InferenceSession(to_onnx(net, tmp_path / "singer.onnx"))
    for frames in (2, 31, 150):
        given = Graph(net).example(frames, seed=frames)
        [made] = session.run(["sound"], {name: value.numpy() for name, value in given.items()})
        wanted = sung(net, given)
        assert wanted.abs().max() > 0.01
        torch.testing.assert_close(torch.from_numpy(made), wanted, atol=2e-5, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["singer.onnx"]


def test_layers_spelt_out_give_the_same() -> None:
    net = singer()
    given = Graph(net).example(70, seed=3)
    with torch.no_grad():
        torch.testing.assert_close(Graph(net)(*given.values()), sung(net, given), atol=1e-5, rtol=0)


def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"mynah\[onnx\]"):
        to_onnx(singer(), tmp_path / "singer.onnx")
    assert not list(tmp_path.iterdir())
