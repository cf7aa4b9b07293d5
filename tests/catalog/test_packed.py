import gzip
import io
import zlib
from pathlib import Path

import pytest
import torch

from mynah.catalog.checkpoint import load_foreign, load_tree
from mynah.catalog.limits import Limits
from mynah.catalog.packed import unpacked
from mynah.core.errors import BadCheckpoint

PLAIN = bytes(range(256)) * 20_000


def through(packed: bytes, limits: Limits | None = None) -> bytes:
    with unpacked(io.BytesIO(packed), len(packed), limits or Limits(expansion=2000)) as path:
        content = path.read_bytes()
    assert not path.exists()
    return content


def test_gzip_and_zlib_are_unpacked() -> None:
    assert through(gzip.compress(PLAIN)) == PLAIN
    assert through(zlib.compress(PLAIN)) == PLAIN


def test_what_is_cut_off_damaged_or_goes_on_is_refused() -> None:
    packed = gzip.compress(PLAIN)
    for wrong in (packed[:-1], packed[: len(packed) // 2], packed + b"more", b"\x1f\x8b" + bytes(50), b""):
        with pytest.raises(BadCheckpoint):
            through(wrong)


def test_a_bomb_is_refused() -> None:
    with pytest.raises(BadCheckpoint, match="far more"):
        through(zlib.compress(bytes(50 << 20)), Limits())
    with pytest.raises(BadCheckpoint, match="far more"):
        through(zlib.compress(PLAIN), Limits(file_bytes=1000))


def test_a_packed_checkpoint_reads_as_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "weights.th.gz"
    with gzip.open(path, "wb") as file:
        torch.save(("a name", {"w": torch.arange(3.0)}), file)
    name, state = load_tree(path)
    assert name == "a name"
    assert state["w"].tolist() == [0, 1, 2]
    with pytest.raises(BadCheckpoint, match=r"weights\.th\.gz: .* no dictionary"):
        load_foreign(path)


def test_packed_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.th.gz"
    path.write_bytes(gzip.compress(gzip.compress(b"anything")))
    with pytest.raises(BadCheckpoint, match=r"weights\.th\.gz: cannot be read as a checkpoint: it is neither"):
        load_tree(path)
