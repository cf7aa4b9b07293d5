"""Hostile and broken files for `hostile.py`, by what is wrong with them; the same ones in every run."""

import copy
import gzip
import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


def model(**changes: Any) -> dict[str, Any]:
    """A voice of RVC in the layout that is shared, of small sizes and fixed numbers."""
    from mynah.convert.rvc.net import Singer
    from mynah.convert.rvc.published import description
    from mynah.convert.rvc.sizes import DecoderConfig, NetConfig

    decoder = DecoderConfig(32_000, 16, (10, 8, 2, 2), (20, 16, 4, 4), (3,), ((1, 3, 5),))
    config = NetConfig(
        words=256, bins=513, latent=4, hidden=4, filters=4, heads=2, layers=1, voices=2, condition=4, decoder=decoder
    )
    torch.manual_seed(0)
    weight = {name: value.half() for name, value in Singer(config).state_dict().items()}
    return {
        "weight": weight,
        "config": description(config),
        "info": "",
        "sr": "32k",
        "f0": 1,
        "version": "v1",
    } | changes


def saved(held: Any, path: Path, *, old: bool = False) -> Path:
    torch.save(held, path, _use_new_zipfile_serialization=not old)
    return path


def index(rows: int = 6, size: int = 256) -> bytes:
    """As faiss writes `IVF2,Flat`."""
    vectors = np.random.default_rng(0).standard_normal((rows, size)).astype("<f4")

    def head(count: int) -> bytes:
        return struct.pack("<iqqqBi", size, count, 1 << 20, 1 << 20, 1, 1)

    centres = struct.pack("<Q", 2 * size) + vectors[:2].tobytes()
    half = rows // 2
    lists = b"ilar" + struct.pack("<QQ", 2, 4 * size) + b"full" + struct.pack("<QQQ", 2, half, rows - half)
    cells = b"".join(
        vectors[a:b].tobytes() + np.arange(a, b, dtype="<i8").tobytes() for a, b in ((0, half), (half, rows))
    )
    return b"IwFl" + head(rows) + struct.pack("<QQ", 2, 1) + b"IxF2" + head(2) + centres + bytes(9) + lists + cells


def zipped(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, how)
    return path


def honest(folder: Path) -> Path:
    """One that is to be taken: a voice with its index in an archive."""
    content = saved(model(), folder / "honest.pth").read_bytes()
    return zipped(folder / "honest.zip", {"singer/singer.pth": content, "singer/added_x.index": index()})


def all_of_them(folder: Path, marks: Path) -> dict[str, str]:
    """What to import by what is wrong with it; files are made in `folder`, and what runs leaves a file in `marks`."""
    folder.mkdir(parents=True)
    found: dict[str, str] = {}
    for kind in (payloads, cut_off, not_numbers, misfits, claims, archives, safe_tensors, indexes, nestings, folders):
        for what, made in kind(marks):
            name = f"{kind.__name__.replace('_', ' ')}: {what}"
            assert name not in found, name
            if callable(made):
                place = folder / f"{len(found):03}"
                place.mkdir()
                made = str(made(place))
            found[name] = made
    for what, content in no_models():
        path = folder / f"{len(found):03}{what.replace(' ', '-')[:20]}.pth"
        path.write_bytes(content)
        found[f"no model: {what}"] = str(path)
    return found | {f"address: {source}": source for source in ADDRESSES}


Case = tuple[str, Callable[[Path], Path]]

ADDRESSES = [
    "http://example.org/singer.zip", "file:///etc/passwd", "ftp://example.org/singer.pth", "https://127.0.0.1/a.pth",
    "https://localhost/a.pth", "https://[::1]/a.pth", "https://169.254.169.254/latest/meta-data", "https://10.0.0.1/a.zip",
    "https://[::ffff:127.0.0.1]/a.pth", "https://0x7f000001/a.pth", "https://me:secret@127.0.0.1/a", "https:///a.pth",
    "../../no/such/file.pth", "owner/../name", "",
]  # fmt: skip


def call(module: str, name: str, *args: object) -> bytes:
    """`module.name(*args)` as the inside of a pickle."""
    return f"c{module}\n{name}\n".encode() + pickle.dumps(args, 2)[2:-1] + b"R"


def payloads(marks: Path) -> Iterator[Case]:
    def leaving(number: int) -> tuple[str, str]:
        mark = marks / f"{number}"
        return f"touch {mark}", f"open({str(mark)!r}, 'w').close()"

    shell, python = leaving(0)
    calls = {
        "os.system": call("os", "system", shell),
        "posix.system": call("posix", "system", shell),
        "nt.system": call("nt", "system", shell),
        "os.popen": call("os", "popen", shell),
        "subprocess.Popen": call("subprocess", "Popen", ["touch", str(marks / "1")]),
        "subprocess.run": call("subprocess", "run", ["touch", str(marks / "2")]),
        "eval": call("builtins", "eval", python),
        "exec": call("builtins", "exec", python),
        "exec of python 2": call("__builtin__", "exec", python),
        "open": call("builtins", "open", str(marks / "3"), "w"),
        "import": call("builtins", "__import__", "antigravity"),
        "runpy": call("runpy", "_run_code", python, {}),
        "import_module": call("importlib", "import_module", "this"),
        "mkdir": call("os", "mkdir", str(marks / "4")),
        "rmtree": call("shutil", "rmtree", str(marks)),
        "ctypes": call("ctypes", "CDLL", "libc.so.6"),
        "pty": call("pty", "spawn", ["touch", str(marks / "5")]),
        "pickle in a pickle": call("pickle", "loads", b"\x80\x02" + call("os", "system", shell) + b"."),
        "marshal": call("marshal", "loads", b"\xe3"),
        "timeit": call("timeit", "timeit", python),
    }
    for what, inner in calls.items():
        alone = b"\x80\x02}X\x06\x00\x00\x00weight" + inner + b"s."
        yield (
            f"{what}, new",
            lambda place, alone=alone: zipped(place / "a.pth", {"a/data.pkl": alone}, zipfile.ZIP_STORED),
        )
        yield f"{what}, old", lambda place, alone=alone: old(place / "a.pth", alone)
        yield f"{what}, in a voice that works", lambda place, inner=inner: infected(place / "a.pth", inner)


def new(path: Path, described: bytes) -> Path:
    return zipped(path, {"a/data.pkl": described}, zipfile.ZIP_STORED)


def old(path: Path, described: bytes) -> Path:
    machine = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {}}
    head = [pickle.dumps(part, 2) for part in (MAGIC, VERSION, machine)]
    path.write_bytes(b"".join([*head, described, pickle.dumps([], 2)]))
    return path


def infected(path: Path, inner: bytes) -> Path:
    """A voice that works, and whose `info` is a call."""
    whole = saved(model(info="HERE"), path.with_name("whole.pth"))
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    whole.unlink()
    [described] = [name for name in members if name.endswith("data.pkl")]
    text = b"X\x04\x00\x00\x00HERE"
    assert members[described].count(text) == 1
    members[described] = members[described].replace(text, inner)
    return zipped(path, members, zipfile.ZIP_STORED)


def cut_off(marks: Path) -> Iterator[Case]:
    def part(name: str, make: Callable[[Path], Path], share: float) -> Callable[[Path], Path]:
        def made(place: Path) -> Path:
            path = make(place / name)
            content = path.read_bytes()
            path.write_bytes(content[: round(share * (len(content) - 1))])
            return path

        return made

    kinds: dict[str, Callable[[Path], Path]] = {
        "a.pth": lambda path: saved(model(), path),
        "old.pth": lambda path: saved(model(), path, old=True),
        "a.safetensors": tensors,
        "a.zip": lambda path: zipped(path, {"a.pth": saved(model(), path.with_suffix(".pth")).read_bytes()}),
    }
    for name, make in kinds.items():
        for share in (0.001, 0.3, 0.7, 1.0):
            yield f"{name} to {share:.1%}", part(name, make, share)


def tensors(path: Path) -> Path:
    safetensors.torch.save_file(model()["weight"], path)
    return path


def not_numbers(marks: Path) -> Iterator[Case]:
    for value in (float("nan"), float("inf"), float("-inf")):
        for name in ("emb_g.weight", "dec.conv_pre.bias", "enc_p.emb_phone.weight"):
            yield (
                f"{value} in {name}",
                lambda place, name=name, value=value: spoilt(place, name, lambda x: x * 0 + value),
            )


def spoilt(place: Path, name: str, change: Callable[[Any], Any]) -> Path:
    held = copy.deepcopy(model())
    held["weight"][name] = change(held["weight"][name])
    return saved(held, place / "a.pth")


def misfits(marks: Path) -> Iterator[Case]:
    shapes: dict[str, Callable[[Any], Any]] = {
        "flat": lambda x: x.flatten(),
        "one more axis": lambda x: x[None],
        "cut": lambda x: x[:-1],
        "empty": lambda x: x[:0],
        "a number": lambda x: x.sum(),
        "whole numbers": lambda x: x.int(),
        "truths": lambda x: x.bool(),
        "complex": lambda x: x.float() + 0j,
        "text": lambda x: "weights",
        "a list": lambda x: x.tolist(),
        "nothing": lambda x: None,
    }
    for what, change in shapes.items():
        for name in ("dec.conv_pre.weight", "enc_p.encoder.attn_layers.0.emb_rel_k"):
            yield f"{name}: {what}", lambda place, name=name, change=change: spoilt(place, name, change)
    for part in ("flow.", "dec.resblocks.", "dec.m_source.", "enc_p.encoder."):
        kept = lambda part=part: {n: v for n, v in model()["weight"].items() if not n.startswith(part)}  # noqa: E731
        yield f"without {part}", lambda place, kept=kept: saved(model(weight=kept()), place / "a.pth")
    yield "surplus", lambda place: saved(model(weight=model()["weight"] | {"dec.more": torch.ones(1)}), place / "a.pth")
    yield "critics", lambda place: saved({"model": {"discriminators.0.bias": torch.ones(1)}}, place / "D.pth")


def claims(marks: Path) -> Iterator[Case]:
    def config(at: int, value: Any) -> Callable[[Path], Path]:
        held = model()
        held["config"][at] = value
        return lambda place: saved(held, place / "a.pth")

    yield "rates of a million", config(12, [10**6, 8, 2, 2])
    yield "negative rates", config(12, [-10, 8, 2, 2])
    yield "a thousand rates", config(12, [2] * 1000)
    yield "rate", config(17, 10**12)
    yield "text for a rate", config(17, "999k")
    yield "kernels", config(10, [10**9])
    yield "dilations", config(11, [[10**9, 1, 1]])
    yield "no list", lambda place: saved(model(config="x" * 18), place / "a.pth")
    yield "a short list", lambda place: saved(model(config=[1]), place / "a.pth")
    yield "an unknown vocoder", lambda place: saved(model(vocoder="RingFormer"), place / "a.pth")
    yield "another vocoder", lambda place: saved(model(vocoder="RefineGAN"), place / "a.pth")
    yield "another listener", lambda place: saved(model(embedder_model="japanese-hubert-base"), place / "a.pth")
    for what, size, stride in (
        ("huge", (1 << 47,), (1,)),
        ("spread", (1 << 20, 1 << 20), (0, 0)),
        ("minus", (-1,), (1,)),
    ):
        yield f"a tensor, {what}", lambda place, size=size, stride=stride: claimed(place / "a.pth", size, stride)


def claimed(path: Path, size: tuple[int, ...], stride: tuple[int, ...]) -> Path:
    """A tensor of four bytes that claims to be of another size."""
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ"
    )  # fmt: skip
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00"
    tensor += pickle.dumps(size, 2)[2:-1] + pickle.dumps(stride, 2)[2:-1] + b"\x89}tR"
    described = b"\x80\x02}X\x0c\x00\x00\x00emb_g.weight" + tensor + b"s."
    return zipped(path, {"a/data.pkl": described, "a/data/0": bytes(4)}, zipfile.ZIP_STORED)


def archives(marks: Path) -> Iterator[Case]:
    content = pickle.dumps(0)
    for name in ("../a.pth", "/etc/a.pth", "a/../../a.pth", "C:/a.pth", "..\\a.pth", "a\\..\\..\\a.pth", "\x01/a.pth"):
        yield f"named {name!r}", lambda place, name=name: zipped(place / "a.zip", {name: content})
    for name in ("inner.zip", "a/b.rar", "c.7z", "d.tar.gz"):
        yield f"with {name}", lambda place, name=name: zipped(place / "a.zip", {"a.pth": content, name: b"PK\3\4"})
    yield "a bomb", lambda place: zipped(place / "a.zip", {"a.pth": bytes(300 << 20)})
    yield "a bomb of a checkpoint", lambda place: zipped(place / "a.pth", {"a/data.pkl": bytes(300 << 20)})
    yield "ten thousand files", lambda place: zipped(place / "a.zip", {f"{n}.pth": b"" for n in range(10_000)})
    yield "nothing", lambda place: zipped(place / "a.zip", {})
    yield "pictures alone", lambda place: zipped(place / "a.zip", {"a.png": b"\x89PNG", "b.txt": b"hello"})
    yield "an index alone", lambda place: zipped(place / "a.zip", {"a.index": index()})
    yield (
        "a broken index",
        lambda place: zipped(
            place / "a.zip", {"a.pth": saved(model(), place / "w.pth").read_bytes(), "a.index": index()[:-9]}
        ),
    )
    yield (
        "two voices",
        lambda place: zipped(place / "a.zip", {f"{n}.pth": saved(model(), place / "w.pth").read_bytes() for n in "ab"}),
    )
    yield "a link", linked
    for what, at, value in (("encrypted", 6, 1), ("packed by bzip2", 8, 12), ("size lied about", 22, 1 << 30)):
        yield what, lambda place, at=at, value=value: patched(place / "a.zip", content, at, value)


def linked(place: Path) -> Path:
    entry = zipfile.ZipInfo("a.pth")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return place / "a.zip"


def patched(path: Path, content: bytes, at: int, value: int) -> Path:
    """A zip archive of one file with another number in both of its heads."""
    data = bytearray(zipped(path, {"a.pth": content}).read_bytes())
    second = data.index(b"PK\x01\x02")
    for begin in (at, second + at + 2):
        data[begin : begin + (4 if at > 20 else 2)] = value.to_bytes(4 if at > 20 else 2, "little")
    path.write_bytes(data)
    return path


def safe_tensors(marks: Path) -> Iterator[Case]:
    def head(described: bytes, data: bytes = bytes(8), size: int | None = None) -> Callable[[Path], Path]:
        def made(place: Path) -> Path:
            count = len(described) if size is None else size
            (place / "a.safetensors").write_bytes(count.to_bytes(8, "little") + described + data)
            return place / "a.safetensors"

        return made

    entry = '{"dtype":"%s","shape":%s,"data_offsets":%s}'
    yield "head of an exabyte", head(b"{}", size=1 << 60)
    yield "no JSON", head(b'{"a":')
    yield "deep JSON", head(b'{"a":' + b"[" * 100_000)
    yield "a list", head(b"[1, 2]")
    for what, values in {
        "an unknown type": ("F3", "[2]", "[0,8]"), "a negative shape": ("F32", "[-2]", "[0,8]"),
        "a huge shape": ("F32", "[1099511627776,1099511627776]", "[0,8]"), "beyond the end": ("F32", "[4]", "[0,16]"),
        "backwards": ("F32", "[2]", "[8,0]"), "text": ("F32", '"x"', "[0,8]"), "gaps": ("F32", "[1]", "[4,8]"),
    }.items():  # fmt: skip
        yield what, head(f'{{"emb_g.weight":{entry % values}}}'.encode())
    one = entry % ("F32", "[2]", "[0,8]")
    yield "a name twice", head(f'{{"a":{one},"a":{one}}}'.encode())
    yield "overlapping", head(f'{{"a":{one},"b":{one}}}'.encode())
    yield "another net", head(f'{{"encoder":{one}}}'.encode())


def indexes(marks: Path) -> Iterator[Case]:
    """Beside a voice that works, an index with one number changed."""
    good = index()
    cells = good.index(b"ilar")
    places = {
        "size": (4, 4), "count": (8, 8), "metric": (33, 4), "cells": (37, 8), "size of centres": (57, 4),
        "count of centres": (61, 8), "floats of centres": (90, 8), "cells again": (cells + 4, 8),
        "bytes of a vector": (cells + 12, 8), "list of cells": (cells + 24, 8), "length of a cell": (cells + 32, 8),
        "map": (cells - 9, 1), "length of the map": (cells - 8, 8), "number of a vector": (len(good) - 8, 8),
        "a vector": (len(good) - 3 * 8 - 4, 4),
    }  # fmt: skip
    for what, (at, width) in places.items():
        for value in (b"\xff" * (width - 1) + b"\x7f", b"\xff" * width):
            changed = good[:at] + value + good[at + width :]
            yield f"{what} {value.hex()}", lambda place, changed=changed: beside(place, changed)
    yield "another kind", lambda place: beside(place, b"IwPQ" + good[4:])
    yield "no index", lambda place: beside(place, b"hello")
    yield "empty", lambda place: beside(place, b"")
    yield "more behind it", lambda place: beside(place, good + b"more")
    yield "of another model", lambda place: beside(place, index(size=768))


def beside(place: Path, content: bytes) -> Path:
    saved(model(), place / "a.pth")
    (place / "a.index").write_bytes(content)
    return place


def nestings(marks: Path) -> Iterator[Case]:
    def told(described: bytes) -> Callable[[Path], Path]:
        return lambda place: new(place / "a.pth", described)

    yield "a hundred thousand tuples", told(b"\x80\x02}K\x00" + b")" + b"\x85" * 100_000 + b"s.")
    yield "a hundred thousand lists", told(b"\x80\x02}K\x00" + b"(" * 100_000 + b"l" * 100_000 + b"s.")
    yield "a list in itself", told(b"\x80\x02}K\x00]q\x00h\x00as.")
    laughs = b"".join(b"]q" + bytes([n]) + b"(" + (b"h" + bytes([n - 1])) * 10 + b"e" for n in range(1, 40))
    yield "laughs", told(b"\x80\x02}K\x00]q\x00" + laughs + b"s.")
    yield "marks without end", told(b"\x80\x02" + b"(" * 1_000_000)
    yield "a text of four gigabytes", told(b"\x80\x02X\xff\xff\xff\xff.")
    yield "a number of two gigabytes", told(b"\x80\x02\x8b\xff\xff\xff\x7f.")
    yield "gzip bomb", lambda place: _wrote(place / "a.pth", gzip.compress(b"\x80\x02" + bytes(200 << 20), mtime=0))


def folders(marks: Path) -> Iterator[Case]:
    def linking(place: Path) -> Path:
        (place / "a.pth").symlink_to("/etc/passwd")
        return place

    def piped(place: Path) -> Path:
        os.mkfifo(place / "a.pth")
        return place

    def endless(place: Path) -> Path:
        (place / "inner").symlink_to(place, target_is_directory=True)
        return place

    yield "empty", lambda place: place
    yield "a link", linking
    yield "a folder that is a link to itself", endless
    yield "a pipe", piped
    yield "a pipe alone", lambda place: piped(place) / "a.pth"
    yield "a device", lambda place: Path("/dev/zero")
    yield "packed", lambda place: _wrote(place / "a.rar", b"Rar!").parent
    yield "deep JSON", lambda place: _wrote(place / "config.json", b"[" * 100_000).parent
    yield "JSON of bytes", lambda place: _wrote(place / "config.json", b"\xff\xfe\x00").parent


def _wrote(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def no_models() -> Iterator[tuple[str, bytes]]:
    dice = random.Random(0)
    whole = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), whole)
    yield "a whole object", whole.getvalue()
    yield "empty", b""
    yield "text", b"hello, I am a voice\n"
    yield "web page", b"<!DOCTYPE html><html>not found</html>"
    yield "pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"
    yield "picture", b"\x89PNG\r\n\x1a\n" + bytes(64)
    yield "sound", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(32)
    yield "program", b"\x7fELF" + bytes(64)
    yield "pickle of a list", pickle.dumps([1, 2])
    yield "pickle of Python 1", b"(lp0\nI1\na."
    for number in range(4):
        yield f"dice {number}", dice.randbytes(1000 + number)
