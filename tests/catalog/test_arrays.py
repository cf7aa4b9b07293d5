"""Arrays that NumPy wrote, and files that only look like them."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mynah.catalog.arrays import read_array, shape_of
from mynah.core.errors import BadCheckpoint


@pytest.mark.parametrize("kind", ["<f4", "<f8", "<f2", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_of_any_size_and_order_are_read(kind: str, order: Any, tmp_path: Path) -> None:
    values = np.asarray(np.arange(6).reshape(2, 3) / 4, dtype=kind, order=order)
    np.save(tmp_path / "a.npy", values)
    assert shape_of(tmp_path / "a.npy") == (2, 3)
    read = read_array(tmp_path / "a.npy")
    assert read.dtype == torch.float32
    assert read.tolist() == values.tolist()


class Bomb:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.victim),)


def saved(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def test_objects_are_refused_and_never_made(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(saved(np.array([Bomb(tmp_path / "victim")], dtype=object)))
    for read in (shape_of, read_array):
        with pytest.raises(BadCheckpoint, match=r"a\.npy: holds Python objects"):
            read(tmp_path / "a.npy")
    assert not (tmp_path / "victim").exists()


GOOD = saved(np.ones(256, np.float32))
WRONG = {
    "empty": (b"", "no array"),
    "text": (b"1.0, 2.0", "no array"),
    "cut off": (GOOD[:-4], "another length"),
    "cut off early": (GOOD[:20], "no array"),
    "longer": (GOOD + b"1234", "another length"),
    "huge": (GOOD.replace(b"(256,), }", b"(1<<40,)}"), "no array"),
    "more than it has": (GOOD.replace(b"(256,), }", b"(9999999,)}"), "another length"),
    "less than nothing": (GOOD.replace(b"(256,), }", b"(-256,), }"), "another length"),
    "whole numbers": (saved(np.ones(256, np.int64)), "int64 instead of"),
    "text in it": (saved(np.array(["a"])), "instead of floating"),
    "a later version": (GOOD[:6] + b"\x09\x00" + GOOD[8:], "no array"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    content, why = WRONG[name]
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(BadCheckpoint, match=why):
        shape_of(tmp_path / "a.npy")


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1.0, np.nan], np.float32))
    assert shape_of(tmp_path / "a.npy") == (2,)
    with pytest.raises(BadCheckpoint, match="not numbers"):
        read_array(tmp_path / "a.npy")
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        read_array(tmp_path / "none.npy")
