"""Indexes of vectors: the very bytes of faiss, and the same with something wrong in them."""

import base64
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mynah.catalog.vectors import read_vectors, write_vectors
from mynah.core.errors import BadCheckpoint

# faiss 1.15.1: index_factory(4, "IVF2,Flat"), trained on and filled with VECTORS, by write_index.
FAISS = zlib.decompress(
    base64.b64decode(
        "eNrzLHfLYWFgYOBhgAEBFJqREUgwQYUYobRnhZsRC5I4Vk0cUKGzZ3j2g+hZMyP3Gxtv3jdZ5eS+vNtmdl6TUuzvbMu1h5uRmZNYxIRmXlpp"
        "Tg5MjBVKs8N1OAANXgAyfD9U1wEGhoZ9EDGQHJhtD2XbAbE9Ql8DVB9YHKwWZg8zmn1sGPaC9QDNdoA5HmoOyC6wHVC7GaB8ONsOgmFuA+k/"
        "YA9xL5i2h4jBzAeJMTgwoIU+C5SGBTAnlOaC0txQGgAh1T2i"
    )
)
VECTORS = np.round(np.random.default_rng(0).standard_normal((12, 4)).astype("float32") * 4) / 4


def read(content: bytes, tmp_path: Path) -> np.ndarray:
    path = tmp_path / "added.index"
    path.write_bytes(content)
    return read_vectors(path).numpy()


def flat(vectors: np.ndarray) -> bytes:
    head = struct.pack("<iqqqBi", vectors.shape[1], len(vectors), 0, 0, 1, 1)
    return b"IxF2" + head + struct.pack("<Q", vectors.size) + vectors.astype("<f4").tobytes()


def test_what_faiss_wrote_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    assert np.array_equal(read(FAISS, tmp_path), VECTORS)


def test_a_flat_index_is_read(tmp_path: Path) -> None:
    assert np.array_equal(read(flat(VECTORS), tmp_path), VECTORS)


def test_an_index_that_was_only_trained_is_empty(tmp_path: Path) -> None:
    cells = FAISS.index(b"ilar")
    trained = FAISS[:8] + bytes(8) + FAISS[16 : cells + 24] + struct.pack("<QQQ", 2, 0, 0)
    assert read(trained, tmp_path).shape == (0, 4)


def test_a_sparse_list_of_cells_is_read(tmp_path: Path) -> None:
    cells = FAISS.index(b"ilar")
    one = VECTORS[:2].tobytes() + np.arange(2, dtype="<i8").tobytes()
    sparse = FAISS[:8] + struct.pack("<q", 2) + FAISS[16 : cells + 20] + b"sprs" + struct.pack("<QQQ", 2, 1, 2) + one
    assert np.array_equal(read(sparse, tmp_path), VECTORS[:2])


def test_it_may_end_nowhere_but_at_its_end(tmp_path: Path) -> None:
    for end in range(len(FAISS)):
        with pytest.raises(BadCheckpoint, match="index of vectors"):
            read(FAISS[:end], tmp_path)
    with pytest.raises(BadCheckpoint, match="belong to nothing"):
        read(FAISS + b"x", tmp_path)


@given(at=st.integers(0, len(FAISS) - 1), value=st.integers(0, 255), width=st.integers(1, 8))
def test_whatever_is_changed_it_is_read_or_refused(
    at: int, value: int, width: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changed = (FAISS[:at] + bytes([value]) * width + FAISS[at + width :])[: len(FAISS)]
    try:
        vectors = read(changed, tmp_path_factory.getbasetemp())
    except BadCheckpoint:
        return
    assert vectors.size <= len(FAISS) // 4
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e9])
def test_vectors_that_are_no_numbers_are_refused(number: float, tmp_path: Path) -> None:
    vectors = VECTORS.copy()
    vectors[3, 2] = number
    with pytest.raises(BadCheckpoint, match="not numbers"):
        read(flat(vectors), tmp_path)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (4, struct.pack("<i", 1 << 30), "claims vectors of"),
        (8, struct.pack("<q", 1 << 40), "too short for them"),
        (37, struct.pack("<Q", 1 << 60), "cells"),
        (0, b"IwPQ", "'IwPQ'"),
        (len(FAISS) - 8, struct.pack("<q", -1), "does not hold"),
        (len(FAISS) - 8, struct.pack("<q", 0), "same number"),
    ],
)
def test_absurd_claims_are_refused_with_a_reason(at: int, value: bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=why):
        read(FAISS[:at] + value + FAISS[at + len(value) :], tmp_path)


def test_what_is_written_is_what_faiss_writes(tmp_path: Path) -> None:
    rows = torch.arange(24.0).view(6, 4)
    out = write_vectors(rows, tmp_path / "voice.index")
    # The first bytes of faiss 1.15 for as many rows of that size.
    head = "497846320400000006000000000000000000100000000000000010000000000001010000001800000000000000"
    assert out.read_bytes() == bytes.fromhex(head) + rows.numpy().astype("<f4").tobytes()
    assert np.array_equal(read(out.read_bytes(), tmp_path), rows.numpy())
