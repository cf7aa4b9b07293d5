import pathlib
import struct
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors
import torch
from torch import nn

from mynah.catalog.checkpoint import load_foreign, load_safetensors, load_strict, to_safetensors
from mynah.catalog.header import read_header
from mynah.catalog.limits import Limits
from mynah.catalog.pickles import Foreign
from mynah.core.errors import BadCheckpoint


class Hyper:
    """A class of somebody else's training script."""

    def __init__(self) -> None:
        self.hop = 320


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 3, 5), nn.BatchNorm1d(3), nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)))


@pytest.mark.parametrize("old", [False, True])
def test_a_checkpoint_reads_as_torch_reads_it(old: bool, tmp_path: Path) -> None:
    net = network()
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.randn(2, 2, 7)).sum().backward()
    optimizer.step()
    saved = {
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": 3,
        "lr": 1e-4,
        "names": ("a", None),
    }
    torch.save(saved, tmp_path / "net.pth", _use_new_zipfile_serialization=not old)
    mine = load_foreign(tmp_path / "net.pth")
    theirs = torch.load(tmp_path / "net.pth", weights_only=True)
    assert mine.keys() == theirs.keys() and mine["step"] == 3 and mine["names"] == ("a", None)
    for name, tensor in theirs["model"].items():
        assert torch.equal(mine["model"][name], tensor) and mine["model"][name].dtype == tensor.dtype
    assert torch.equal(mine["optimizer"]["state"][0]["exp_avg"], theirs["optimizer"]["state"][0]["exp_avg"])
    assert mine["optimizer"]["param_groups"] == theirs["optimizer"]["param_groups"]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool, torch.complex64,
    ],
)  # fmt: skip
def test_every_type_and_layout_survives(dtype: torch.dtype, old: bool, tmp_path: Path) -> None:
    whole = (torch.arange(24).reshape(2, 3, 4) % 2).to(dtype)
    saved = {
        "whole": whole, "part": whole[:, 1:], "turned": whole.transpose(0, 2), "one": whole[0, 0, 0],
        "none": whole[:0], "spread": whole[:1, :1].expand(5, 6, 4), "parameter": whole,
    }  # fmt: skip
    if dtype.is_floating_point:
        saved["parameter"] = nn.Parameter(whole)
    torch.save(saved, tmp_path / "odd.pth", _use_new_zipfile_serialization=not old)
    loaded = load_foreign(tmp_path / "odd.pth")
    for name, tensor in saved.items():
        assert torch.equal(loaded[name], tensor) and loaded[name].dtype == dtype, name


def test_types_without_a_storage_class_survive(tmp_path: Path) -> None:
    saved = {"w": torch.arange(6).to(torch.uint16).reshape(2, 3), "f": torch.ones(4).to(torch.float8_e4m3fn)}
    torch.save(saved, tmp_path / "new.pth")
    loaded = load_foreign(tmp_path / "new.pth")
    assert torch.equal(loaded["w"].int(), saved["w"].int()) and torch.equal(loaded["f"].float(), torch.ones(4))


def test_tensors_that_shared_memory_still_do(tmp_path: Path) -> None:
    tied = torch.randn(1000)
    torch.save({"embed": tied, "head": tied}, tmp_path / "tied.pth")
    loaded = load_foreign(tmp_path / "tied.pth")
    assert loaded["embed"].data_ptr() == loaded["head"].data_ptr()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_unknown_classes_become_inert(protocol: int, tmp_path: Path) -> None:
    saved = {"hyper": Hyper(), "path": pathlib.PurePosixPath("a/b"), "class": Hyper, "set": {1, 2}, "big": 1 << 70}
    torch.save(saved | {"w": torch.ones(2), "bytes": b"\x00\xff"}, tmp_path / "odd.pth", pickle_protocol=protocol)
    loaded = load_foreign(tmp_path / "odd.pth")
    assert isinstance(loaded["hyper"], Foreign) and loaded["hyper"].name.endswith(".Hyper")
    assert loaded["hyper"].state == {"hop": 320}
    assert loaded["path"].name.startswith("pathlib") and loaded["path"].args == ("a", "b")
    assert loaded["class"].name.endswith(".Hyper") and sorted(loaded["set"]) == [1, 2] and loaded["big"] == 1 << 70
    assert loaded["bytes"] == b"\x00\xff" and loaded["w"].tolist() == [1, 1]


def test_stored_on_another_device_reads_on_this_one(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(3.0)}, tmp_path / "cpu.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "cpu.pth").read_bytes()
    assert content.count(b"X\x03\x00\x00\x00cpu") == 1
    (tmp_path / "gpu.pth").write_bytes(content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    assert load_foreign(tmp_path / "gpu.pth")["w"].tolist() == [0, 1, 2]


def test_whole_modules_are_refused_with_advice(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(BadCheckpoint, match=r"whole object \(torch.nn.modules.linear.Linear\); save its state_dict"):
        load_foreign(tmp_path / "module.pth")


def test_safetensors_round_trip_and_the_same_bytes(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    state = {"b": base.T, "a": base[1:], "count": torch.tensor(7)}
    notes = {"license": "MIT", "author": "nobody", "recipe": "x"}
    one = to_safetensors(state, tmp_path / "one.safetensors", notes)
    two = to_safetensors(dict(reversed(state.items())), tmp_path / "two.safetensors", dict(reversed(notes.items())))
    assert sorted(read_header(one).metadata.items()) == sorted(notes.items()) and read_header(one).shapes["b"] == (6, 4)
    loaded = load_safetensors(one)
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    assert load_foreign(one).keys() == state.keys()
    assert one.read_bytes() == two.read_bytes()
    with safetensors.safe_open(one, "pt") as file:
        assert file.metadata() == notes and set(file.keys()) == set(state)
    half = to_safetensors(state, tmp_path / "half.safetensors", dtype=torch.float16)
    assert read_header(half).dtypes == {"a": "F16", "b": "F16", "count": "I64"}


@pytest.mark.parametrize(
    "head",
    [
        b"[]", b"{", b'{"w":1}', b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}',
        b'{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"w":{"dtype":"Q8","shape":[1],"data_offsets":[0,4]}}',
        b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"v":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b'{"__metadata__":{"x":1},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"[" * 100_000,
        b'{"w":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}',
        b'{"w":{"dtype":"F32","shape":[99999999999999999999,0],"data_offsets":[0,8]}}',
    ],
)  # fmt: skip
def test_damaged_safetensors_are_refused(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(8))
    with pytest.raises(BadCheckpoint, match="safetensors"):
        load_safetensors(path)
    with pytest.raises(BadCheckpoint):
        load_foreign(path)


def test_truncated_safetensors_are_refused(tmp_path: Path) -> None:
    whole = to_safetensors({"w": torch.ones(3)}, tmp_path / "w.safetensors").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.safetensors").write_bytes(whole[:length])
        with pytest.raises(BadCheckpoint):
            load_safetensors(tmp_path / "cut.safetensors")
    with pytest.raises(BadCheckpoint, match="claims 1 tensors"):
        load_safetensors(tmp_path / "w.safetensors", Limits(tensors=0))


def test_safetensors_whose_head_is_as_long_as_a_pickle_begins_are_no_pickle(tmp_path: Path) -> None:
    lengths = set()
    for padding in range(0, 256, 8):
        path = to_safetensors({"weight": torch.ones(2)}, tmp_path / "ones.safetensors", {"note": "x" * padding})
        lengths.add(path.read_bytes()[0])
        assert load_foreign(path)["weight"].tolist() == [1, 1]
    assert 0x80 in lengths


def test_strict_loading_names_what_does_not_fit() -> None:
    net = network()
    state = OrderedDict(network().state_dict())
    del state["0.bias"]
    state["extra.weight"] = torch.ones(1)
    state["0.weight"] = torch.ones(1, 2, 3)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(BadCheckpoint) as error:
        load_strict(net, state, "song.pth")
    for part in ("song.pth", "1 missing (0.bias)", "1 surplus (extra.weight)", "0.weight [1, 2, 3] for [3, 2, 5]"):
        assert part in str(error.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    many = {f"layer.{i}": torch.ones(1) for i in range(1000)}
    with pytest.raises(BadCheckpoint, match="1000 surplus") as error:
        load_strict(net, net.state_dict() | many, "song.pth")
    assert len(str(error.value)) < 300
    with pytest.raises(BadCheckpoint):
        load_strict(net, net.state_dict() | {"0.bias": 3}, "song.pth")  # type: ignore[dict-item]


def test_half_precision_weights_run_in_full(tmp_path: Path) -> None:
    net, other = network(), nn.Sequential(*network().children())
    nn.init.zeros_(other[0].weight)
    path = to_safetensors(net.state_dict(), tmp_path / "half.safetensors", dtype=torch.float16)
    load_strict(other, load_safetensors(path), "half")
    assert other[0].weight.dtype == torch.float32
    assert torch.allclose(other[0].weight, net[0].weight, atol=1e-3)  # type: ignore[index]
