"""Checkpoints of TensorFlow, read without it: true ones, and every way in which one can be wrong."""

import base64
import contextlib
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.catalog.crc32c import crc32c, masked
from mynah.catalog.limits import Limits
from mynah.catalog.snappy import unpack
from mynah.catalog.sstable import pairs
from mynah.catalog.tensorflow import index_of, load_bundle
from mynah.core.errors import BadCheckpoint

WRITTEN = {
    "whole.index": (
        "000IE0U81b0RROLVsc?=ZU_z%1QG%W0w@GEZI7;300tFgZ*^j9We5Ti2oeGa0TKcT0U!h@2sM;^Sh4^F5oT;*X9x-s1QG%W0w4@10yST"
        "-&Vc|64QFg`Vqt7wb97~J2niAZAPy)9HCK8_aR3AnXklz-2on+n5&{SUAQmVDHL%hm=>P>0X>N2gG6(|_1QG%W0U#PE1T{@!oqYfe5pH"
        "F4FJo_Rb}wRSVRHxp5(E+g2m~M=C=fM2JkP!f1{rH*a&Bd82muld5&{SU5&{SV5&{SWATB6iHSqfB009FMZ*FA>0TKoh01^TS10aq8HQ"
        "4Hcq5uE@009610017iP|g4V000310002M@}aN*0RwLUg#rKo000310000XiYai40tlA^4*&oF0000000000000000000000000000000"
        "000000012`+$oibw}F"
    ),
    "whole.data-00000-of-00001": (
        "z&}7h7%fCp`ymNH0RXcL0ssI20000!0KobG|Nj60fIa{KfIa{KfIa{KfIa{KfWH6$V7~wWK)(P0Ain?r0KWhLz`g(gfW80#0KNbK0000"
        "006qW!fIa{Kz&-!~06zc#AU^;AKtBKgU_Sr=fIk2LkUszbpg#Zrus;9*z&`*0&_4hG;6DHW@IL"
    ),
    "two.index": (
        "000IE0vZAc0RROLVsc?=ZU_z%1QG%W0w@GEZI7;300tFgZ*^j9We5Ti2oeGa0TKcT0U!h@2sM;^Sh4^F5oT;*X9x-s1QG%W0w4@10yST"
        "-&Vc|64QFg`Vqt7wb97~J2niAZAPy)9HCK8_aR3AnXklz-2on+n5&{SU7y&2*HL%hm=>P>2X>N2gG6(|_1QG%W0T=-w1SkYGO=6vW01X"
        "pvWppoNZ*F!kVrgM>2mulV5&{SW7y%#%C=fM2JkP!f1{-T-a&Bd82muld5&{SU5&{SV5&{SW7y%#{C}1`4`sn}x0~2p<We5Qh1`+@g0t"
        "f>b0U&ra*y@6!000000RR910C>i(3;+NC00961006-9p|Ah}18)F~0ssI200961006GkKa7zA2%Z8D00000000000000000000000000"
        "000000000000000039}fQuw`N81"
    ),
    "two.data-00000-of-00002": ("z&}7h7%fCp`ymNH0RXcL0ssI2000"),
    "two.data-00001-of-00002": (
        "06qY~`Tzg_004kK004kK004kK004kK004l$003aW002P0001Dr0002L006+g004l#0002K000000000!004kK006)~0000#001CA002N"
        "g003Y=004kL0059b005vr006K*006*0007WG007`W008hm"
    ),
    "object.index": (
        "000IE0U81b0RS8hUqeVmLrYLkNlsKjLQF+pPeMvXLsVZ!QbABi2nP}XAQC8=0X0Q1sy6@}4`DAZK~z*yNkUarMN=<UK~hOULQF+pRzXZ"
        "vMF;^B1QG%W0w@SISv=)602~c-FD^k;R8mPoRa8Y&FIGWPNkKwPMPF7yOjSh)2ND1v2q+3Q?BKvD000000RR910A6OKCIA2c00961006"
        "-9p|Ah}19SkG0RR9100961006bucx9ad2&w@O00000000000000000000000000000000000000000039}fQuw`N81"
    ),
    "object.data-00000-of-00001": (
        "004kL0000$1=+@&Luh4eY;TkS+WYUO3K9wh2mulSVG0EZ0uljpDgp=r3O*7z3Jz95Qb|EVOhsQ-K}=Oe5(rjda%o{=Y-Ji8VJ|L0R8&$"
        ")LRC~nQ!iFQQb|EVOhsQ-K}=OeDgp=r3O*7z3Jz95Qb|EVOhsQ-K}=Oe5(rjda%o{=Y-Ji8b1yDIR8&$)LRC~nQ!iFQQb|EVOhsQ-K}="
        "OeDgp=r"
    ),
}
PACKED = (
    "_6uZlWpH6~VRUbDFJo_Rb}?jMFfVIma&Bd8J3<-&05M`3001&#8UO$@Vj2JdG-4V605xJ7001^(8UO${Vj2JdIAR(A06AhB001#+1p#I"
    "T0RS;(2LS*vW(WZQF=hz?05N6?0RS;(3jqKzW()xUF=h<`05N6`0RS>)4gml%W)1-WGG-0|05WC{0RS>)4gml%W)1-WGG-0|05WC{0RS"
    ">)4gml%W)1-WGiD9}05fI|0R%HLVr>EdGiD9}05fI|0RS^*4gml&W)1-WGiD9}05fI|0RS^K4gdiD0Ra910R9005drZ20RjUA1qKHQ2?"
    "`4g4Gs?w5fT#=6&4p585$cL9UdPbAtECrB_<~*DJm;0EiNxGF)}kWH8wXmIXXK$Jw87`K|(`BMMg(RNlHshO-@fxQBqS>RaRG6Sz23MU"
    "0z>cVPa!sWoBn+X=-b1ZEkOHadLBXb#`}nd3t+%eSUv{fr5jCg@%WSiHeJijgF6yk&=^?m6n&7nVOrNot~edp`xRtrKYE-sj922t*)=I"
    "v9hzYwYImoxw^Z&y}rM|!NSAD#m2|T$;!*j&Cbuz(bCh@)z;V8+1lIO-QM5e;o{@u<>u$;>FVq3?e6dJ@$&QZ_4fDp`TG0({r>*"
)


# True checkpoints, written by TensorFlow 2.21 (`SaveV2`, `MergeV2Checkpoints`, `tf.train.Checkpoint`)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, text in WRITTEN.items():
        (tmp_path / name).write_bytes(base64.b85decode(text))
    return tmp_path


@pytest.mark.parametrize("name", ["whole", "two"])
def test_what_tensorflow_wrote_is_read_to_the_bit(written: Path, name: str) -> None:
    kernel = torch.arange(24.0).reshape(2, 3, 4) / 8 - 1
    wanted = {
        "brain": torch.tensor([1.5, 3], dtype=torch.bfloat16),
        "double": torch.tensor([[torch.pi]], dtype=torch.float64),
        "flag": torch.tensor([True, False]),
        "global_step": torch.tensor(134_067),
        "half": torch.tensor([1.5, -2], dtype=torch.float16),
        "int32": torch.tensor([-7], dtype=torch.int32),
        "net/conv/bias": torch.full((4,), 0.25),
        "net/conv/kernel": kernel,
        "none": torch.zeros(0, 3),
    }
    found = load_bundle(written / name)
    assert list(found) == sorted(wanted)
    for key, tensor in wanted.items():
        assert found[key].dtype == tensor.dtype
        assert found[key].shape == tensor.shape
        assert found[key].equal(tensor)


def test_texts_that_tensorflow_keeps_for_itself_are_left_out(written: Path) -> None:
    [(name, tensor)] = load_bundle(written / "object").items()
    assert name == "a/.ATTRIBUTES/VARIABLE_VALUE"
    assert tensor.tolist() == [1, 2]


def test_a_checkpoint_goes_by_any_of_its_names(written: Path) -> None:
    alone = written / "alone"
    alone.mkdir()
    for path in written.glob("two.*"):
        shutil.copy(path, alone)
    (written / "checkpoint").write_text(
        'model_checkpoint_path: "/home/her/runs/two"\nall_model_checkpoint_paths: "two"'
    )
    for name in ("two", "two.index", "two.data-00001-of-00002", "two.meta", ".", "alone"):
        assert index_of(written / name).name == "two.index", name
    assert "half" in load_bundle(alone)


def test_only_what_is_wanted_is_read(written: Path) -> None:
    (written / "two.data-00000-of-00002").unlink()
    found = load_bundle(written / "two", wanted=lambda name: name.startswith("net/"))
    assert list(found) == ["net/conv/bias", "net/conv/kernel"]
    with pytest.raises(BadCheckpoint, match=r"two\.data-00000-of-00002 is missing"):
        load_bundle(written / "two")


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [
        ('model_checkpoint_path: "../whole"', "there is no whole.index"),
        ('model_checkpoint_path: ".."', "names no checkpoint"),
        ('model_checkpoint_path: "/etc/"', "names no checkpoint"),
        ('model_checkpoint_path: "other"', "there is no other.index"),
        ('model_checkpoint_path: "who\\nle"', "there is no nle.index"),
        ("nothing", "names no checkpoint"),
        (" " * (2 << 20), "too large"),
    ],
)
def test_a_list_never_leads_out_of_its_folder(written: Path, listed: str, complaint: str) -> None:
    folder = written / "inner"
    folder.mkdir()
    (folder / "checkpoint").write_text(listed)
    with pytest.raises(BadCheckpoint, match=complaint):
        load_bundle(folder)


def test_what_is_not_there_is_said(written: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"there is no nothing\.index"):
        load_bundle(written / "nothing")
    with pytest.raises(BadCheckpoint, match="holds 3 checkpoints"):
        load_bundle(written)
    (written / "empty").mkdir()
    with pytest.raises(BadCheckpoint, match="holds no checkpoints"):
        load_bundle(written / "empty")


@pytest.mark.parametrize("name", ["whole.index", "whole.data-00000-of-00001"])
def test_no_part_may_be_missing(written: Path, name: str) -> None:
    path = written / name
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(BadCheckpoint, match=r"whole\.index: cannot be read as a checkpoint of TensorFlow: "):
            load_bundle(written / "whole")


@pytest.mark.parametrize("name", ["whole.index", "whole.data-00000-of-00001"])
def test_no_byte_may_be_another(written: Path, name: str) -> None:
    path = written / name
    content = path.read_bytes()
    true = load_bundle(written / "whole")
    unnoticed = 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        try:
            found = load_bundle(written / "whole")
        except BadCheckpoint:
            continue
        assert all(found[key].equal(tensor) for key, tensor in true.items())
        unnoticed += 1
    # The footer is padded, and the table has a block of hints that nobody reads.
    assert unnoticed <= (56 if name.endswith("index") else 0)


# Checkpoints written here: a writer of the format in a few lines, which can also lie


def number(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(tag: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return number(tag << 3 | 2) + number(len(value)) + value
    return number(tag << 3) + number(value)


def block(content: bytes, kind: int = 0) -> bytes:
    return content + bytes([kind]) + struct.pack("<I", masked(crc32c(content + bytes([kind]))))


def entries(items: list[tuple[bytes, bytes]]) -> bytes:
    out, before = b"", b""
    for key, value in items:
        shared = 0
        while key[: shared + 1] == before[: shared + 1] and shared < len(before):
            shared += 1
        out += number(shared) + number(len(key) - shared) + number(len(value)) + key[shared:] + value
        before = key
    return out + struct.pack("<II", 0, 1)


def literal(content: bytes) -> bytes:
    """Snappy's way of packing nothing."""
    pieces = (content[i : i + 60] for i in range(0, len(content), 60))
    return number(len(content)) + b"".join(bytes([len(piece) - 1 << 2]) + piece for piece in pieces)


def table(blocks: list[list[tuple[bytes, bytes]]], *, snappy: bool = False) -> bytes:
    out, handles = b"", []
    pack: Callable[[bytes], bytes] = literal if snappy else bytes
    for items in blocks:
        content = pack(entries(items))
        handles.append((items[-1][0] if items else b"", number(len(out)) + number(len(content))))
        out += block(content, int(snappy))
    content = pack(entries(handles))
    footer = (number(0) * 2 + number(len(out)) + number(len(content))).ljust(40, b"\0")
    return out + block(content, int(snappy)) + footer + (0xDB4775248B80FB57).to_bytes(8, "little")


HEADER = (b"", field(1, 1))


def shaped(*lengths: int) -> bytes:
    return b"".join(field(2, field(1, length)) for length in lengths)


def entry(shape: bytes, offset: int, size: int, content: bytes, dtype: int = 1, shard: int = 0) -> bytes:
    crc = number(6 << 3 | 5) + struct.pack("<I", masked(crc32c(content)))
    return field(1, dtype) + field(2, shape) + field(3, shard) + field(4, offset) + field(5, size) + crc


def bundle(folder: Path, index: bytes, data: bytes = bytes(64)) -> Path:
    (folder / "m.index").write_bytes(index)
    (folder / "m.data-00000-of-00001").write_bytes(data)
    return folder / "m"


@pytest.mark.parametrize("snappy", [False, True])
def test_many_blocks_packed_or_not(tmp_path: Path, snappy: bool) -> None:
    data = torch.arange(300, dtype=torch.int32)
    raw = data.numpy().tobytes()
    numbers = [(i, raw[4 * i : 4 * i + 4]) for i in range(300)]
    items = [HEADER, *((b"layer_%03d" % i, entry(shaped(1), 4 * i, 4, piece, dtype=3)) for i, piece in numbers)]
    blocks = [items[i : i + 31] for i in range(0, len(items), 31)]
    found = load_bundle(bundle(tmp_path, table(blocks, snappy=snappy), raw))
    assert torch.cat(list(found.values())).equal(data)


ZEROS = bytes(16)
GOOD = entry(shaped(4), 0, 16, ZEROS)


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        pytest.param([(b"w", GOOD)], "does not begin with a description", id="no header"),
        pytest.param([(b"", b""), (b"w", GOOD)], "claims 0 files", id="no shards"),
        pytest.param([(b"", field(1, 1 << 40))], "claims 1099511627776 files", id="too many shards"),
        pytest.param([(b"", field(1, 1) + field(2, 1))], "big-endian", id="big-endian"),
        pytest.param([(b"", field(1, 1) + field(3, field(2, 9)))], "too new", id="too new"),
        pytest.param([HEADER, (b"\xff", GOOD)], "no text", id="name is no text"),
        pytest.param([HEADER, (b"w", GOOD), (b"w", GOOD)], "out of order", id="twice"),
        pytest.param([HEADER, (b"w", GOOD), (b"v", GOOD)], "out of order", id="out of order"),
        pytest.param([HEADER, (b"v", GOOD), (b"w", GOOD)], "overlaps", id="overlap"),
        pytest.param([HEADER, (b"w", GOOD + field(7, b""))], "cut into slices", id="sliced"),
        pytest.param([HEADER, (b"\0w", GOOD)], "slices", id="a slice"),
        pytest.param([HEADER, (b"w", entry(shaped(4), 0, 12, ZEROS))], "does not follow", id="too small"),
        pytest.param([HEADER, (b"w", entry(shaped(1 << 40), 0, 1 << 42, ZEROS))], "too short", id="a huge tensor"),
        pytest.param([HEADER, (b"w", entry(shaped(1 << 62), 0, 0, ZEROS))], "does not follow", id="overflow"),
        pytest.param([HEADER, (b"w", entry(shaped(0, 1 << 62), 0, 0, b""))], "does not follow", id="huge and empty"),
        pytest.param([HEADER, (b"w", entry(shaped(-4), 0, 16, ZEROS))], "malformed", id="negative length"),
        pytest.param([HEADER, (b"w", entry(shaped(4), -16, 16, ZEROS))], "malformed", id="negative offset"),
        pytest.param([HEADER, (b"w", entry(shaped(4), 56, 16, ZEROS))], "too short", id="beyond the end"),
        pytest.param([HEADER, (b"w", entry(shaped(4), 1 << 60, 16, ZEROS))], "impossible place", id="far away"),
        pytest.param([HEADER, (b"w", entry(shaped(4), 0, 16, ZEROS, shard=1))], "impossible place", id="no such shard"),
        pytest.param([HEADER, (b"w", entry(shaped(4), 0, 16, ZEROS, dtype=20))], "unknown type 20", id="resource"),
        pytest.param([HEADER, (b"w", entry(shaped(4), 0, 16, b"other"))], "wrong checksum", id="checksum"),
        pytest.param([HEADER, (b"w", entry(shaped(*[1] * 40), 0, 4, ZEROS))], "40 dimensions", id="dimensions"),
        pytest.param([HEADER, (b"w", entry(field(3, 1), 0, 4, ZEROS))], "no shape", id="unknown rank"),
        pytest.param([HEADER, (b"w", field(1, b"x"))], "malformed", id="text for a number"),
        pytest.param([HEADER, (b"w", field(2, 7))], "malformed", id="number for a message"),
        pytest.param([HEADER, (b"w", field(2, b"abc")[:-1])], "cut off", id="a message cut off"),
        pytest.param([HEADER, (b"w", b"\x0b")], "malformed", id="a group"),
        pytest.param([HEADER, (b"w", b"\xff" * 20)], "never ends", id="an endless number"),
        pytest.param([HEADER, (b"w" * 5000, GOOD)], "malformed entry", id="an endless name"),
        pytest.param([HEADER, *((b"%05d" % i, b"\x08\x07") for i in range(9))], "more tensors", id="too many"),
    ],
)
def test_lies_are_refused(tmp_path: Path, items: list[tuple[bytes, bytes]], complaint: str) -> None:
    with pytest.raises(BadCheckpoint, match=complaint):
        load_bundle(bundle(tmp_path, table([items])), Limits(tensors=8))


def test_limits_hold(tmp_path: Path) -> None:
    path = bundle(tmp_path, table([[HEADER, (b"w", GOOD)]]))
    assert load_bundle(path)["w"].tolist() == [0, 0, 0, 0]
    with pytest.raises(BadCheckpoint, match="files are larger"):
        load_bundle(path, Limits(file_bytes=63))
    with pytest.raises(BadCheckpoint, match="index is larger"):
        load_bundle(path, Limits(pickle_bytes=100))


def test_a_packed_index_never_unpacks_to_more_than_it_may() -> None:
    bomb = number(1 << 30) + bytes([0, 0]) + bytes([63 << 2 | 2, 1, 0]) * 1000
    for claimed in (bomb, number(100) + bomb[5:]):
        content = block(claimed, 1)
        footer = (number(0) * 3 + number(len(claimed))).ljust(40, b"\0")
        with pytest.raises(BadCheckpoint, match="larger than"):
            list(pairs(content + footer + (0xDB4775248B80FB57).to_bytes(8, "little"), 1 << 20))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_valid_block_nothing_worse_happens(data: st.DataObject) -> None:
    true = entries([HEADER, (b"v", GOOD), (b"w", GOOD)])
    content = bytearray(true)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(true) - 1), st.integers(0, 255)), max_size=4)):
        content[place] = byte
    kind = data.draw(st.sampled_from([0, 1]))
    first = block(bytes(content), kind)
    index = entries([(b"w", number(0) + number(len(content)))])
    footer = (number(0) * 2 + number(len(first)) + number(len(index))).ljust(40, b"\0")
    whole = first + block(index) + footer + (0xDB4775248B80FB57).to_bytes(8, "little")
    try:
        found = list(pairs(whole, 1 << 16))
    except BadCheckpoint:
        return
    assert all(isinstance(key, bytes) for key, _ in found)


# The parts


def test_packed_text_is_unpacked() -> None:
    """`PACKED` is from Google's own algorithm (cramjam's build of it)."""
    content = b"".join(b"separator/conv1d_%d/kernel;" % i for i in range(40)) + bytes(200) + bytes(range(256))
    packed = base64.b85decode(PACKED)
    assert unpack(packed, 2000) == content
    for length in range(len(packed)):
        with pytest.raises(BadCheckpoint):
            unpack(packed[:length], 2000)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_packed_noise_is_refused_or_harmless(noise: bytes) -> None:
    with contextlib.suppress(BadCheckpoint):
        assert len(unpack(noise, 1000)) <= 1000


@pytest.mark.parametrize("length", [0, 1, 3, 4095, 4096, 5000, (1 << 22) + 4097])
def test_lanes_give_the_checksum_of_bytes_one_by_one(length: int) -> None:
    content = torch.randint(256, (length,), dtype=torch.uint8, generator=torch.Generator().manual_seed(length)).numpy()
    # Piecewise, because the checksum of a whole follows from those of small parts: each is done byte by byte.
    register = 0xFFFFFFFF
    table = [0] * 256
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)
        table[byte] = value
    for byte in content.tobytes():
        register = table[(register ^ byte) & 0xFF] ^ register >> 8
    assert crc32c(content) == register ^ 0xFFFFFFFF


def test_checksums_of_the_standard() -> None:
    """RFC 3720, B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
