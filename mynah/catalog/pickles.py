"""Pickles read as plain descriptions: nothing that they name is ever looked up, imported or called.

Python's own unpickler runs what the file says. This one is a small machine for the instructions of pickle protocols
2 to 5. A global becomes a `Name`, an object of an unknown class a `Foreign`, a tensor a `TensorClaim`; what torch and
the standard library would do for a handful of well-known names is done here, on plain values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn

from mynah.catalog.limits import Limits
from mynah.core.errors import BadCheckpoint


@dataclass(frozen=True)
class Name:
    """A global that the pickle refers to, as text."""

    name: str


@dataclass(eq=False)
class Foreign:
    """An object of a class that is not ours, kept as what the pickle said about it. It does nothing.

    Attributes:
        name: Module and class, such as `"demucs.hdemucs.HDemucs"`.
        args: What it was to be made from.
        state: What was to be set on it, usually a dictionary of attributes.
        items: What was to be appended to it.
        entries: What was to be put into it by key.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Foreign({self.name!r})"


@dataclass(frozen=True, eq=False)
class StorageClaim:
    """Stored bytes that the pickle refers to: under `key`, `count` elements of `dtype` (a name such as `"float32"`)."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True, eq=False)
class TensorClaim:
    """A tensor as described: every field still has to be checked."""

    storage: Any
    offset: Any
    size: Any
    stride: Any
    dtype: str


class _Mark:
    pass


_MARK = _Mark()
_STORAGES = {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64", "Int": "int32",
    "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexFloat": "complex64",
    "ComplexDouble": "complex128", "Untyped": "uint8",
}  # fmt: skip
_DICTIONARIES = ("collections.OrderedDict", "collections.defaultdict", "collections.Counter", "builtins.dict")
_SEQUENCES = ("builtins.set", "builtins.frozenset", "builtins.list", "builtins.tuple", "torch.Size")
_TEXT_BYTES = 64 << 20
_DIGITS_BYTES = 64


class Reader:
    """Reads one pickle from a file.

    Args:
        file: Positioned at the pickle; afterwards just behind it.
        limits: What is refused for its size.

    Attributes:
        storages: By key, the first claim on each block of stored bytes.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._left = limits.pickle_bytes
        self.storages: dict[str, StorageClaim] = {}

    def read(self) -> Any:
        """The described value, made of plain values, `Name`, `Foreign` and `TensorClaim`.

        Raises:
            BadCheckpoint: Truncated, malformed, over the limits, or with an instruction that checkpoints do not need.
        """
        steps = 0
        try:
            while (code := self._take(1)) != b".":
                steps += 1
                if steps > self._limits.steps:
                    _refuse("its description never ends")
                act = _ACTS.get(code)
                if act is None:
                    _refuse(f"it holds the pickle instruction {code!r}, which no checkpoint needs")
                act(self)
            [value] = self._stack
        except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
            if isinstance(error, BadCheckpoint):
                raise
            raise BadCheckpoint(f"its description is malformed ({type(error).__name__})") from error
        return value

    def _take(self, count: int) -> bytes:
        if count < 0 or count > self._left:
            _refuse("its description is larger than any checkpoint's")
        self._left -= count
        data = self._file.read(count)
        if len(data) != count:
            _refuse("it ends too early; the download may have been cut off")
        return data

    def _number(self, layout: str) -> Any:
        return struct.unpack("<" + layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        line = self._file.readline(512)
        self._left -= len(line)
        if not line.endswith(b"\n"):
            _refuse("it names something without end")
        return line[:-1].decode("utf-8")

    def _text(self, layout: str, encoding: str = "utf-8") -> None:
        count = self._number(layout)
        if count > _TEXT_BYTES:
            _refuse("it holds a text larger than any checkpoint's")
        self._stack.append(self._take(count).decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict"))

    def _bytes(self, layout: str) -> None:
        count = self._number(layout)
        if count > _TEXT_BYTES:
            _refuse("it holds a string of bytes larger than any checkpoint's")
        self._stack.append(self._take(count))

    def _long(self) -> None:
        count = self._number("B")
        if count > _DIGITS_BYTES:
            _refuse("it holds a number larger than any checkpoint's")
        self._stack.append(int.from_bytes(self._take(count), "little", signed=True))

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop_mark(self) -> list[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _MARK:
                values = self._stack[at + 1 :]
                del self._stack[at:]
                return values
        _refuse("its description is malformed (no mark)")

    def _drop(self, values: list[Any]) -> None:
        pass  # popped, and that is all

    def _tuple(self, count: int) -> None:
        values = tuple(self._stack[len(self._stack) - count :])
        if len(values) != count or _MARK in values:
            _refuse("its description is malformed (tuple)")
        del self._stack[len(self._stack) - count :]
        self._stack.append(values)

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > 512:
            _refuse("it names a class by something that is no name")
        if module == "__builtin__":
            module = "builtins"
        self._stack.append(Name(f"{module}.{name}"))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(module, name)

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Foreign):
            target.items.extend(values)
        else:
            _refuse("it appends to something that is no list")

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        entries = target.entries if isinstance(target, Foreign) else target
        if not isinstance(entries, dict) or len(values) % 2:
            _refuse("it puts entries into something that is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            entries[_fit_key(key)] = value

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        # What torch sets on ordered dictionaries (version numbers) and on tensors (hooks) is of no use here.
        if isinstance(target, Foreign):
            target.state = state
        elif not isinstance(target, (dict, TensorClaim)):
            _refuse("it sets the state of something that has none")

    def _make(self, named: bool = False) -> None:
        entries = self._stack.pop() if named else {}
        args, callee = self._stack.pop(), self._stack.pop()
        if not isinstance(args, tuple) or not isinstance(entries, dict):
            _refuse("it calls something with what are no arguments")
        made = self._stand_in(callee, args)
        if isinstance(made, Foreign):
            made.entries.update(entries)
        self._stack.append(made)

    def _stand_in(self, callee: Any, args: tuple[Any, ...]) -> Any:
        """What a call in the pickle amounts to, as plain values; an inert `Foreign` for whatever is not well known."""
        if isinstance(callee, Foreign):
            return Foreign("call", (callee, *args))
        if not isinstance(callee, Name):
            _refuse("it calls something that is no class")
        name = callee.name
        if name in _DICTIONARIES:
            # A defaultdict's factory comes first and is forgotten.
            source = next((part for part in args if isinstance(part, (dict, list, tuple))), ())
            self._charge(source)
            pairs = source.items() if isinstance(source, dict) else source
            return {_fit_key(key): value for key, value in pairs}
        if name in _SEQUENCES:
            values = args[0] if args else ()
            if not isinstance(values, (list, tuple)):
                _refuse("it makes a list of something that is none")
            self._charge(values)
            return tuple(values) if name.endswith(("Size", "tuple")) else list(values)
        if name == "_codecs.encode" and len(args) == 2 and isinstance(args[0], str):
            self._charge(args[0])
            return args[0].encode("latin-1")
        if name == "torch.device" and len(args) <= 2 and all(isinstance(part, (str, int)) for part in args):
            return ":".join(str(part)[:16] for part in args)
        if name in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2") and len(args) >= 4:
            return TensorClaim(args[0], args[1], args[2], args[3], getattr(args[0], "dtype", ""))
        if name == "torch._utils._rebuild_tensor_v3" and len(args) >= 7 and isinstance(args[6], Name):
            return TensorClaim(args[0], args[1], args[2], args[3], args[6].name.removeprefix("torch."))
        if name in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state") and args:
            return args[0]
        if name == "torch._tensor._rebuild_from_type_v2" and len(args) >= 3 and isinstance(args[2], tuple):
            return self._stand_in(args[0], args[2]) if args[0] != callee else _refuse("it rebuilds itself")
        return Foreign(name, args)

    def _charge(self, copied: Any) -> None:
        """Copies cost as if they stood in the file; else a small one could ask for any number of them."""
        self._left -= 16 * len(copied) + 64
        if self._left < 0:
            _refuse("its description is larger than any checkpoint's")

    def _persistent(self) -> None:
        claim = self._stack.pop()
        if isinstance(claim, tuple) and claim and claim[0] == "module" and len(claim) >= 2:
            self._stack.append(claim[1])  # a class together with its source, which is ignored
            return
        if not isinstance(claim, tuple) or len(claim) not in (5, 6) or claim[0] not in ("storage", b"storage"):
            _refuse("it refers to outside data in an unknown way")
        _, kind, key, _, count = claim[:5]
        if len(claim) == 6 and claim[5] is not None:
            _refuse("it was written by a torch older than 0.4; open it with that and save it again")
        dtype = _dtype_of_storage(kind)
        if not isinstance(key, str) or not 0 < len(key) <= 64 or not key.replace("_", "").isalnum():
            _refuse("it refers to stored data by something that is no key")
        if type(count) is not int or not 0 <= count < 1 << 48:
            _refuse("it claims stored data of an impossible size")
        claim = StorageClaim(key, dtype, count)
        self.storages.setdefault(key, claim)
        self._stack.append(claim)


def _dtype_of_storage(kind: Any) -> str:
    if isinstance(kind, Name):
        where, _, what = kind.name.rpartition(".")
        if where in ("torch", "torch.storage", "torch.cuda") and what.removeprefix("_").endswith("Storage"):
            dtype = _STORAGES.get(what.removeprefix("_").removesuffix("Storage"))
            if dtype:
                return dtype
    _refuse("it holds stored data of an unknown type")


def _fit_key(key: Any) -> Any:
    """The key itself. Anything whose hash could recurse or be chosen by the writer is refused."""
    if type(key) is tuple:
        if len(key) > 16:
            _refuse("it has a dictionary key that is no plain value")
        return tuple(_fit_key(part) if type(part) is not tuple else _refuse("its keys are nested") for part in key)
    if type(key) is int and not -(1 << 63) <= key < 1 << 64:
        _refuse("it has a dictionary key that is no plain value")
    if type(key) not in (str, bytes, int, float, bool, type(None), Name, Foreign):
        _refuse("it has a dictionary key that is no plain value")
    return key


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)


_ACTS: dict[bytes, Callable[[Reader], None]] = {
    b"\x80": lambda r: _check_protocol(r._number("B")),
    b"\x95": lambda r: _refuse("its description is too long") if r._number("Q") > r._left else None,
    b"N": lambda r: r._push(None),
    b"\x88": lambda r: r._push(True),
    b"\x89": lambda r: r._push(False),
    b"J": lambda r: r._push(r._number("i")),
    b"K": lambda r: r._push(r._number("B")),
    b"M": lambda r: r._push(r._number("H")),
    b"G": lambda r: r._push(struct.unpack(">d", r._take(8))[0]),
    b"\x8a": lambda r: r._long(),
    b"X": lambda r: r._text("I"),
    b"\x8c": lambda r: r._text("B"),
    b"\x8d": lambda r: r._text("Q"),
    b"U": lambda r: r._text("B", "latin-1"),
    b"T": lambda r: r._text("I", "latin-1"),
    b"B": lambda r: r._bytes("I"),
    b"C": lambda r: r._bytes("B"),
    b"\x8e": lambda r: r._bytes("Q"),
    b"(": lambda r: r._push(_MARK),
    b")": lambda r: r._push(()),
    b"]": lambda r: r._push([]),
    b"}": lambda r: r._push({}),
    b"\x8f": lambda r: r._push([]),
    b"t": lambda r: r._push(tuple(r._pop_mark())),
    b"l": lambda r: r._push(r._pop_mark()),
    b"\x91": lambda r: r._push(r._pop_mark()),
    b"\x85": lambda r: r._tuple(1),
    b"\x86": lambda r: r._tuple(2),
    b"\x87": lambda r: r._tuple(3),
    b"a": lambda r: r._append([r._stack.pop()]),
    b"e": lambda r: r._append(r._pop_mark()),
    b"\x90": lambda r: r._append(r._pop_mark()),
    b"s": lambda r: r._set_items([r._stack.pop(-2), r._stack.pop()]),
    b"u": lambda r: r._set_items(r._pop_mark()),
    b"q": lambda r: r._put(r._number("B")),
    b"r": lambda r: r._put(r._number("I")),
    b"\x94": lambda r: r._put(len(r._memo)),
    b"h": lambda r: r._push(r._memo[r._number("B")]),
    b"j": lambda r: r._push(r._memo[r._number("I")]),
    b"c": lambda r: r._global(r._line(), r._line()),
    b"\x93": lambda r: r._stack_global(),
    b"R": lambda r: r._make(),
    b"\x81": lambda r: r._make(),
    b"\x92": lambda r: r._make(named=True),
    b"b": lambda r: r._build(),
    b"Q": lambda r: r._persistent(),
    b"0": lambda r: r._drop([r._stack.pop()]),
    b"1": lambda r: r._drop(r._pop_mark()),
    b"2": lambda r: r._push(r._stack[-1]),
}


def _check_protocol(number: int) -> None:
    if not 2 <= number <= 5:
        _refuse(f"it is a pickle of protocol {number}")
