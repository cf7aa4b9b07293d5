"""A corpus of hostile checkpoints: each is refused or becomes inert, and none gets anything to run."""

import collections
import contextlib
import copyreg
import io
import pickle
import stat
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mynah.catalog.checkpoint import load_foreign
from mynah.catalog.limits import Limits
from mynah.catalog.pickles import Foreign
from mynah.core.errors import BadCheckpoint

CANARY: list[str] = []
WATCH: list[tuple[str, str]] | None = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if WATCH is not None and event.split(".")[0] in FORBIDDEN:
        WATCH.append((event, repr(args)[:200]))


FORBIDDEN = {"os", "exec", "compile", "import", "subprocess", "open", "ctypes", "socket", "shutil", "marshal", "pickle"}
sys.addaudithook(_watch)


def sing(*_: object, **__: object) -> str:
    """What a hostile file would call."""
    CANARY.append("sang")
    return "sang"


class Singer:
    """A class of ours whose every door sings."""

    def __init__(self, *_: object) -> None:
        sing()

    def __setstate__(self, state: object) -> None:
        sing()

    def __setitem__(self, key: object, value: object) -> None:
        sing()

    def append(self, value: object) -> None:
        sing()


@pytest.fixture
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Any]]:
    """Loads a file; fails if anything ran, was imported, or any file but that one was opened."""
    # Whatever is imported late is imported now, so that an import during the test is the file's doing.
    honest = tmp_path_factory.mktemp("honest")
    load_foreign(zipped(honest / "new.pth", pickle.dumps({"é": b"cp437".decode("cp437").encode("latin-1")}, 2)))
    load_foreign(legacy(honest / "old.pth", pickle.dumps({}, 2)))

    def load(path: Path) -> Any:
        global WATCH
        CANARY.clear()
        WATCH = []
        try:
            return load_foreign(path)
        finally:
            seen, WATCH = WATCH, None
            strange = [(event, args) for event, args in seen if not (event == "open" and str(path) in args)]
            assert not CANARY and not strange, (CANARY, strange)

    yield load


def zipped(path: Path, description: bytes, stored: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", description)
        for key, content in (stored or {}).items():
            archive.writestr(f"archive/data/{key}", content)
    return path


def legacy(path: Path, description: bytes) -> Path:
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, machine)]
    path.write_bytes(b"".join([*head, description, pickle.dumps([], 2)]))
    return path


def calling(module: str, name: str, *args: object) -> bytes:
    """`{"x": module.name(*args)}` as a pickle."""
    inner = pickle.dumps(args, 2)[2:-1]
    return b"\x80\x02}X\x01\x00\x00\x00x" + f"c{module}\n{name}\n".encode() + inner + b"Rs."


HERE = __name__
HOSTILE = {
    "os.system": calling("os", "system", "touch sang"),
    "posix.system": calling("posix", "system", "touch sang"),
    "subprocess": calling("subprocess", "Popen", ["touch", "sang"]),
    "eval": calling("builtins", "eval", "open('sang', 'w')"),
    "exec": calling("builtins", "exec", "open('sang', 'w')"),
    "exec of python 2": calling("__builtin__", "exec", "open('sang', 'w')"),
    "import": calling("builtins", "__import__", "antigravity"),
    "open": calling("builtins", "open", "sang", "w"),
    "getattr": calling("builtins", "getattr", "x", "__class__"),
    "our own function": calling(HERE, "sing"),
    "runpy": calling("runpy", "_run_code", "import os", {}),
    "torch.load": calling("torch", "load", "other.pth"),
    "torch.hub": calling("torch.hub", "load", "owner/name", "model"),
    "torch.jit": calling("torch.jit", "load", "other.pt"),
    "torch storage from file": calling("torch", "FloatStorage.from_file", "/etc/passwd", False, 10),
    "dotted name": calling("torch._utils", "_rebuild_tensor_v2.__globals__", 0),
    "numpy object array": pickle.dumps({"x": np.array([1, None], dtype=object)}, 2),
    "numpy memmap": calling("numpy", "memmap", "/etc/passwd"),
    "numpy load": calling("numpy", "load", "/etc/passwd", None, True),
    "copyreg": b"\x80\x02}X\x01\x00\x00\x00xccopyreg\n_reconstructor\n(c"
    + f"{HERE}\nSinger\n".encode() + b"cbuiltins\nobject\nNtRs.",
    "new object": b"\x80\x02}X\x01\x00\x00\x00x" + f"c{HERE}\nSinger\n".encode() + b")\x81s.",
    "new object with keywords": b"\x80\x04}X\x01\x00\x00\x00x" + f"c{HERE}\nSinger\n".encode() + b")}\x92s.",
    "set state": b"\x80\x02}X\x01\x00\x00\x00x" + f"c{HERE}\nSinger\n".encode() + b")\x81}bs.",
    "set item": b"\x80\x02}X\x01\x00\x00\x00x" + f"c{HERE}\nSinger\n".encode() + b")\x81K\x01K\x02ss.",
    "append": b"\x80\x02}X\x01\x00\x00\x00x" + f"c{HERE}\nSinger\n".encode() + b")\x81K\x01as.",
    "class as value": b"\x80\x02}X\x01\x00\x00\x00x" + f"c{HERE}\nSinger\ns.".encode(),
    "call of a call": b"\x80\x02}X\x01\x00\x00\x00x" + f"c{HERE}\nsing\n".encode() + b")R)Rs.",
    "rebuild from type": b"\x80\x02}X\x01\x00\x00\x00xctorch._tensor\n_rebuild_from_type_v2\n("
    + f"c{HERE}\nsing\nc{HERE}\nSinger\n)Nt".encode() + b"Rs.",
    "parameter hooks": b"\x80\x02}X\x01\x00\x00\x00xctorch._utils\n_rebuild_parameter\n(K\x01\x88"
    + f"c{HERE}\nsing\n".encode() + b")RtRs.",
    "stack global": b"\x80\x04}\x8c\x01x\x8c\x02os\x8c\x06system\x93\x8c\x0atouch sang\x85Rs.",
    "module with source": b"\x80\x02}X\x01\x00\x00\x00x(X\x06\x00\x00\x00module" + f"c{HERE}\nSinger\n".encode()
    + b"X\x04\x00\x00\x00a.pyX\x0a\x00\x00\x00import os\ntQs.",
}  # fmt: skip
REFUSED = {
    "instance": b"\x80\x02}X\x01\x00\x00\x00x(" + f"i{HERE}\nSinger\n".encode() + b"s.",
    "object": b"\x80\x02}X\x01\x00\x00\x00x(" + f"c{HERE}\nSinger\n".encode() + b"os.",
    "text protocol": pickle.dumps({"x": 1}, 0),
    "extension registry": b"\x80\x02\x82\x01.",
    "text persistent id": b"\x80\x02P1\n.",
    "odd persistent id": b"\x80\x02}X\x01\x00\x00\x00xK\x01Qs.",
    "state on a dictionary's class": b"\x80\x02ccollections\nOrderedDict\n}b.",
    "state on a list": b"\x80\x02]}b.",
    "items into a tuple": b"\x80\x02)K\x01K\x02s.",
    "append to a dictionary": b"\x80\x02}K\x01a.",
    "call of a number": b"\x80\x02K\x01)R.",
    "call with no tuple": b"\x80\x02cos\nsystem\n]R.",
    "unhashable key": b"\x80\x02}]K\x01s.",
    "deep key": b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.",
    "huge integer key": b"\x80\x02}\x8a\x40" + b"\x7f" * 64 + b"K\x01s.",
    "empty stack": b"\x80\x020.",
    "two values": b"\x80\x02}}.",
    "no mark": b"\x80\x02K\x01t.",
    "lone mark": b"\x80\x02}K\x01(s.",
    "unknown memo": b"\x80\x02h\x07.",
    "endless text": b"\x80\x02X\xff\xff\xff\xff.",
    "endless text, 64 bits": b"\x80\x04\x8d" + b"\xff" * 8 + b".",
    "endless bytes": b"\x80\x04\x8e" + b"\xff" * 8 + b".",
    "endless frame": b"\x80\x04\x95" + b"\xff" * 8 + b".",
    "huge number": b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".",
    "name without end": b"\x80\x02c" + b"a" * 5000 + b"\nb\n.",
    "deep list": b"\x80\x02}K\x01" + b"]" * 50_000 + b"a" * 49_999 + b"s.",
    "deep calls": b"\x80\x02}K\x01cos\nsystem\n" + b")R" * 200 + b"s.",
    "deep tuple": b"\x80\x02}K\x01)" + b"\x85" * 100_000 + b"s.",
    "unknown protocol": b"\x80\x09}.",
    "not text": b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "a list": pickle.dumps([1, 2], 2),
    "a whole object": b"\x80\x02" + f"c{HERE}\nSinger\n".encode() + b")\x81.",
}  # fmt: skip


@pytest.mark.parametrize("form", [zipped, legacy])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_become_inert(
    name: str, form: Callable[[Path, bytes], Path], tmp_path: Path, audited: Callable[[Path], Any], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    path = form(tmp_path / "hostile.pth", HOSTILE[name])
    loaded = audited(path)
    assert_inert(loaded)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("form", [zipped, legacy])
@pytest.mark.parametrize("name", REFUSED)
def test_malformed_pickles_are_refused(
    name: str, form: Callable[[Path, bytes], Path], tmp_path: Path, audited: Callable[[Path], Any]
) -> None:
    with pytest.raises(BadCheckpoint) as error:
        audited(form(tmp_path / "hostile.pth", REFUSED[name]))
    assert "\n" not in str(error.value) and len(str(error.value)) < 400 + len(str(tmp_path))


def assert_inert(value: Any) -> None:
    if type(value) is Foreign:
        for part in (value.args, value.state, value.items, value.entries):
            assert_inert(part)
    elif type(value) is dict:
        for key, part in value.items():
            assert_inert(key)
            assert_inert(part)
    elif type(value) in (list, tuple):
        for part in value:
            assert_inert(part)
    else:
        assert type(value) in (str, bytes, int, float, bool, type(None), torch.Tensor)


def test_the_canary_can_sing() -> None:
    """The corpus is dangerous to Python's own unpickler, so that its silence here means something."""
    CANARY.clear()
    for name in ("our own function", "set state", "set item", "append"):
        pickle.loads(HOSTILE[name])
        assert CANARY, name
        CANARY.clear()
    global WATCH
    WATCH = []
    try:
        with pytest.raises(Exception):  # noqa: B017
            pickle.loads(calling("builtins", "exec", "raise KeyError"))
    finally:
        seen, WATCH = WATCH, None
    assert any(event == "exec" for event, _ in seen)


def test_memo_bombs_are_refused(tmp_path: Path, audited: Callable[[Path], Any]) -> None:
    laughs = b"\x80\x02}K\x01]q\x00"
    for level in range(1, 40):
        laughs += b"](" + f"h{chr(level - 1)}".encode("latin-1") * 10 + b"eq" + bytes([level])
    nested = laughs + b"s."
    with pytest.raises(BadCheckpoint):
        audited(zipped(tmp_path / "laughs.pth", nested))
    itself = b"\x80\x02}q\x00K\x01h\x00s."
    with pytest.raises(BadCheckpoint, match="nested"):
        audited(zipped(tmp_path / "itself.pth", itself))
    copies = b"\x80\x02X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x000}" + b""
    copies += b"c_codecs\nencode\nq\x010" + b"K\x01h\x01h\x00h\x00\x86Rs" * 100_000 + b"."
    with pytest.raises(BadCheckpoint, match="larger"):
        audited(zipped(tmp_path / "copies.pth", copies))


def claim(size: Any, stride: Any, offset: Any = 0, count: Any = 16, dtype: str = "Float", key: Any = "0") -> bytes:
    """`{"w": tensor}` with whatever is claimed about the tensor."""

    class Described:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (Stored(), offset, size, stride, False, collections.OrderedDict())

    class Stored:
        pass

    class Writer(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if isinstance(thing, Stored):
                return "storage", getattr(torch, f"{dtype}Storage"), key, "cpu", count
            return None

    out = io.BytesIO()
    Writer(out, 2).dump({"w": Described()})
    return out.getvalue()


def test_an_honest_claim_is_a_tensor(tmp_path: Path, audited: Callable[[Path], Any]) -> None:
    data = np.arange(16, dtype=np.float32)
    path = zipped(tmp_path / "good.pth", claim((2, 3), (8, 2), 1), {"0": data.tobytes()})
    assert audited(path)["w"].tolist() == [[1, 3, 5], [9, 11, 13]]


@pytest.mark.parametrize(
    "description",
    [
        claim((17,), (1,)),
        claim((16,), (1,), 1),
        claim((4, 4), (5, 1), 0),
        claim((4,), (-1,), 4),
        claim((4,), (1,), -1),
        claim((-4,), (1,)),
        claim((1 << 40, 1 << 40), (0, 0)),
        claim((1 << 47,), (0,)),
        claim((1 << 62,), (1,)),
        claim((4,), (1, 1)),
        claim((4.0,), (1,)),
        claim((True,), (1,)),
        claim([4], [1]),
        claim((1,) * 9, (1,) * 9),
        claim((4,), (1,), count=1 << 40),
        claim((4,), (1,), count=-16),
        claim((4,), (1,), count=8),
        claim((4,), (1,), count=16.0),
        claim((4,), (1,), dtype="Double"),
        claim((4,), (1,), dtype="QInt8"),
        claim((4,), (1,), key="../0"),
        claim((4,), (1,), key="missing"),
        claim((4,), (1,), key=0),
    ],
)
def test_tensors_that_do_not_fit_their_data_are_refused(
    description: bytes, tmp_path: Path, audited: Callable[[Path], Any]
) -> None:
    with pytest.raises(BadCheckpoint):
        audited(zipped(tmp_path / "bad.pth", description, {"0": bytes(64)}))


def test_many_views_of_a_little_data_are_refused(tmp_path: Path, audited: Callable[[Path], Any]) -> None:
    with pytest.raises(BadCheckpoint, match="far more"):
        audited(zipped(tmp_path / "bad.pth", claim((1 << 27,), (0,)), {"0": bytes(64)}))


def test_booleans_are_true_or_false(tmp_path: Path, audited: Callable[[Path], Any]) -> None:
    path = zipped(tmp_path / "odd.pth", claim((16,), (1,), dtype="Bool"), {"0": bytes(range(16))})
    assert audited(path)["w"].view(torch.uint8).tolist() == [0] + [1] * 15


def good_zip(path: Path) -> Path:
    torch.save({"w": torch.arange(64.0)}, path)
    return path


def test_zip_tricks_are_refused(tmp_path: Path, audited: Callable[[Path], Any]) -> None:
    empty = pickle.dumps({"x": 1}, 2)

    def made(name: str, fill: Callable[[zipfile.ZipFile], None]) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("archive/data.pkl", empty)
            fill(archive)
        return tmp_path / name

    def link(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo("archive/data/0")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")

    def bomb(archive: zipfile.ZipFile) -> None:
        archive.writestr("archive/data/0", bytes(20 << 20), zipfile.ZIP_DEFLATED)

    def twice(archive: zipfile.ZipFile) -> None:
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("archive/data.pkl", empty)

    for name in ("../outside", "/etc/outside", "archive/../../outside", "a\\..\\outside", "C:/outside"):
        with pytest.raises(BadCheckpoint, match="outside its folder"):
            audited(made("path.pth", lambda archive, name=name: archive.writestr(name, "x")))  # type: ignore[misc]
    with pytest.raises(BadCheckpoint, match="link"):
        audited(made("link.pth", link))
    with pytest.raises(BadCheckpoint, match="more data"):
        audited(made("bomb.pth", bomb))
    with pytest.raises(BadCheckpoint, match="twice"):
        audited(made("twice.pth", twice))
    with pytest.raises(BadCheckpoint, match="unusual"):
        audited(made("packed.pth", lambda archive: archive.writestr("archive/x", "x" * 100, zipfile.ZIP_BZIP2)))
    with pytest.raises(BadCheckpoint, match="not one that torch wrote"):
        audited(made("two.pth", lambda archive: archive.writestr("other/data.pkl", empty)))
    with pytest.raises(BadCheckpoint, match="big-endian"):
        audited(made("big.pth", lambda archive: archive.writestr("archive/byteorder", "big")))


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path, audited: Callable[[Path], Any]) -> None:
    text = {
        "": "empty",
        "hello\n": "neither",
        "<!doctype html><title>404</title>": "web page",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n": "git-lfs",
    }
    for content, word in text.items():
        (tmp_path / "odd.pth").write_text(content)
        with pytest.raises(BadCheckpoint, match=word):
            audited(tmp_path / "odd.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"w": [1.0]}, 4))
    with pytest.raises(BadCheckpoint, match="not one that torch wrote"):
        audited(tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "photos.pth", "w") as archive:
        archive.writestr("photo.jpg", b"...")
    with pytest.raises(BadCheckpoint, match="not one that torch wrote"):
        audited(tmp_path / "photos.pth")
    (tmp_path / "safe.pth").write_bytes((1000).to_bytes(8, "little") + b"{" * 2000)
    with pytest.raises(BadCheckpoint, match="safetensors"):
        audited(tmp_path / "safe.pth")
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        audited(tmp_path / "absent.pth")
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        audited(tmp_path)


@pytest.mark.parametrize("old", [False, True])
def test_every_truncation_is_refused(old: bool, tmp_path: Path, audited: Callable[[Path], Any]) -> None:
    torch.save({"w": torch.arange(64.0)}, tmp_path / "whole.pth", _use_new_zipfile_serialization=not old)
    whole = (tmp_path / "whole.pth").read_bytes()
    cut = tmp_path / "cut.pth"
    for length in range(0, len(whole) - (0 if old else 1), max(1, len(whole) // 60)):
        cut.write_bytes(whole[:length])
        with pytest.raises(BadCheckpoint):
            audited(cut)


@pytest.mark.parametrize("old", [False, True])
def test_damage_is_refused_or_harmless(old: bool, tmp_path: Path, audited: Callable[[Path], Any]) -> None:
    """Any byte may be another one; what comes out is a typed error or plain data."""
    torch.save({"w": torch.arange(8.0), "step": 3}, tmp_path / "whole.pth", _use_new_zipfile_serialization=not old)
    whole = (tmp_path / "whole.pth").read_bytes()
    random = np.random.default_rng(0)
    hurt = tmp_path / "hurt.pth"
    for _ in range(150):
        content = bytearray(whole)
        for at in random.integers(0, len(content), 3):
            content[at] = random.integers(0, 256)
        hurt.write_bytes(content)
        with contextlib.suppress(BadCheckpoint):
            assert_inert(audited(hurt))


def test_limits_are_held(tmp_path: Path) -> None:
    path = good_zip(tmp_path / "good.pth")
    for limits in (
        Limits(file_bytes=100), Limits(pickle_bytes=50), Limits(steps=5), Limits(nodes=2), Limits(depth=0),
        Limits(tensors=0), Limits(dimensions=0), Limits(members=1),
    ):  # fmt: skip
        with pytest.raises(BadCheckpoint):
            load_foreign(path, limits)
    assert load_foreign(path)["w"].shape == (64,)


def test_the_registry_of_extensions_stays_empty() -> None:
    assert not copyreg._inverted_registry  # type: ignore[attr-defined]
