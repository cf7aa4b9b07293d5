"""Quantised weights: packed here bit by bit, and a few words that DiffQ itself has packed."""

import io
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mynah.catalog.pickles import Foreign
from mynah.core.errors import BadCheckpoint
from mynah.separate.demucs import Demucs
from mynah.separate.demucs.quantised import restored

LEAST = 0.0005  # MB; parameters of more than 131 values are quantised


def packed(levels: Tensor, bits: int) -> Tensor:
    """Word by word: bit `place` of word `[line, bit, side]` is `bit` of level `line * 2048 + place * 32 + side`."""
    lines = -(-len(levels) // 2048)
    words = [[[0] * 32 for _ in range(bits)] for _ in range(lines)]
    for at, level in enumerate(levels.tolist()):
        line, rest = divmod(at, 2048)
        place, side = divmod(rest, 32)
        for bit in range(bits):
            words[line][bit][side] |= (level >> bit & 1) << place
    signed = [[[word - (1 << 64) if word >> 63 else word for word in row] for row in part] for part in words]
    return torch.tensor(signed, dtype=torch.int64)


def columns(levels: Tensor, bits: int) -> Tensor:
    """The other layout: level `place * columns + column` gives bit `place` of word `[bit, column]`."""
    count = -(-len(levels) // 16)
    padded = torch.cat([levels.long(), torch.zeros(16 * count - len(levels), dtype=torch.long)]).view(16, count)
    words = torch.stack([sum((padded[at] >> bit & 1) << at for at in range(16)) for bit in range(bits)])
    return (words - (words >> 15 << 16)).to(torch.int16)


def quantised(net: nn.Module, how: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A state as DiffQ saves it, and the weights that it stands for."""
    dice = torch.Generator().manual_seed(3)
    stored, others, wanted = [], [], {}
    pack = columns if how == "columns" else packed
    for name, parameter in net.named_parameters():
        if parameter.numel() <= LEAST * 2**20 // 4:
            others.append(parameter.detach().clone())
            wanted[name] = others[-1]
            continue
        low, high = -1.5, 2.0
        groups = 1 if how == "uniform" else parameter.numel() // 4
        bits = torch.full((1,), 5) if how == "uniform" else torch.randint(2, 15, (groups,), generator=dice)
        levels = (torch.rand(groups, parameter.numel() // groups, generator=dice) * 2 ** bits[:, None]).long()
        wanted[name] = (levels.double() / (2 ** bits[:, None] - 1) * (high - low) + low).float().view_as(parameter)
        if how == "uniform":
            stored.append((pack(levels.flatten(), 5), (low, high)))
        elif how == "plain":
            stored.append((levels.short(), (low, high), bits.byte()[:, None]))
        else:
            sorted_out: list[Tensor | None] = []
            for count in range(1, 15):
                mine = levels[bits == count].flatten()
                sorted_out.append(pack(mine, count) if len(mine) else None)
            stored.append((sorted_out, (low, high), pack(bits - 2, 4)))
    klass = "diffq.uniform.UniformQuantizer" if how == "uniform" else "diffq.diffq.DiffQuantizer"
    settings = {"min_size": LEAST, "bits": 5.0} if how == "uniform" else {"min_size": LEAST, "group_size": 4}
    meta = {"init_kwargs": settings, "klass": Foreign(klass), "packed": how != "plain", "torch_pack": how == "columns"}
    return {"quantized": stored, "float16": [], "others": others, "meta": meta}, wanted


def shapes(net: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, parameter.shape) for name, parameter in net.named_parameters()]


@pytest.mark.parametrize("how", ["packed", "columns", "plain", "uniform"])
def test_every_layout_is_unpacked(how: str, bench: Any) -> None:
    net = bench.net("time")
    state, wanted = quantised(net, how)
    assert len(state["quantized"]) > 3
    whole = restored(state, shapes(net))
    assert whole.keys() == wanted.keys()
    for name, value in whole.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, wanted[name], atol=1e-6, rtol=0)


def test_words_that_diffq_packed() -> None:
    """Levels made from a square, packed by DiffQ 0.2.4 to three bits."""
    words = packed(torch.tensor([(i * i // 3 + i) % 8 for i in range(2500)]), 3)
    assert words.shape == (2, 3, 32)
    assert words[0, :, :3].tolist() == [
        [7905747460161236406, -2635249153387078803, -5270498306774157605],
        [0, 0, -1],
        [7905747460161236406, 2635249153387078802, 5270498306774157604],
    ]
    assert words[1, :, 30:].tolist() == [[14043, 11702], [16383, 16383], [14043, 11702]]


def test_a_published_quantised_file(bench: Any, tmp_path: Path) -> None:
    net = bench.net("time")
    state, wanted = quantised(net, "packed")
    del state["meta"]["klass"]
    path = bench.packed(net, tmp_path / "net.th", state={**state, "__quantized": True})
    for name, value in Demucs.load(str(path)).nets[0].net.state_dict().items():
        torch.testing.assert_close(value, wanted[name], atol=1e-6, rtol=0)


def test_the_second_version_keeps_them_in_a_file_within_the_file(bench: Any, tmp_path: Path) -> None:
    """Published at the size of 64 channels; small enough only without memory, so the refusal is looked at."""
    inner = io.BytesIO()
    torch.save({"quantized": [], "float16": [], "others": [torch.ones(64)]}, inner)
    path = tmp_path / "demucs_quantized.th"
    torch.save({"compressed": zlib.compress(inner.getvalue())}, path)
    with pytest.raises(BadCheckpoint, match=r"encoder\.0\.0\.weight is of another shape"):
        Demucs.load(str(path))


def broken(state: dict[str, Any], way: str) -> dict[str, Any]:
    levels, scale, bits = state["quantized"][0]
    first = {
        "fewer": state["quantized"][1:],
        "more": [*state["quantized"], state["quantized"][0]],
        "no range": [(levels, (0.0, float("nan")), bits), *state["quantized"][1:]],
        "lost group": [([None] * 14, scale, bits), *state["quantized"][1:]],
        "short": [(levels, scale, bits[:, :, :1]), *state["quantized"][1:]],
        "no tuple": [3, *state["quantized"][1:]],
    }
    if way in first:
        return {**state, "quantized": first[way]}
    meta = state["meta"]
    other = {
        "no meta": None,
        "other class": {**meta, "klass": Foreign("diffq.uniform.UniformQuantizer")},
        "odd groups": {**meta, "init_kwargs": {"min_size": LEAST, "group_size": 77}},
        "no size": {**meta, "init_kwargs": {"min_size": "small"}},
    }
    return {**state, "meta": other[way]}


@pytest.mark.parametrize(
    "way",
    [
        *("fewer", "more", "no range", "lost group", "short", "no tuple"),
        *("no meta", "other class", "odd groups", "no size"),
    ],
)
def test_what_does_not_fit_is_refused(way: str, bench: Any) -> None:
    net = bench.net("time")
    state, _ = quantised(net, "packed")
    with pytest.raises(BadCheckpoint):
        restored(broken(state, way), shapes(net))
