"""Forms with files, streamed to disk as they come: memory holds one block, whatever is sent.

Nothing that the sender names becomes a path: the first file is `source-0`, the next `source-1`.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from mynah.audio.disk import typed_errors
from mynah.serve.problems import Problem

_FIELD_BYTES = 64 << 10
_FIELDS = 200
_IDLE_SECONDS = 60.0


@dataclass
class Form:
    """What came.

    Attributes:
        fields: Texts by name, in order, as often as they were given.
        files: Where each file lies.
        label: What the first file is called by its sender; for showing only.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    label: str = ""

    def take(self, name: str, default: str = "") -> str:
        """A field that is given once at most; it is taken out."""
        values = self.fields.pop(name, [default])
        if len(values) > 1:
            raise Problem(400, f"{name}: given {len(values)} times", code="invalid_value", param=name)
        return values[0]

    def take_yes(self, name: str, *, default: bool) -> bool:
        """The same for a field that is `true` or `false`."""
        told = self.take(name, str(default)).lower()
        if told not in ("true", "false", "1", "0"):
            raise Problem(400, f"{name}: true or false, not {told[:40]!r}", code="invalid_value", param=name)
        return told in ("true", "1")


async def received(request: Request, folder: Path, *, files: int) -> Form:
    """Read a form; its files are in `folder` then.

    Raises:
        Problem: Not a form, a broken one, or too many files or fields.
        NoSpace: The disk is full.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Problem(415, "send a form: multipart/form-data with a boundary", code="not_a_form")
    reader = _Reader(folder, files)
    parser = MultipartParser(options[b"boundary"], reader.callbacks())  # type: ignore[arg-type]
    stream = request.stream()
    try:
        while True:
            try:
                block = await asyncio.wait_for(anext(stream), _IDLE_SECONDS)
            except StopAsyncIteration:
                break
            except TimeoutError:
                raise Problem(408, "the upload stopped coming in", code="timeout") from None
            with typed_errors(folder):
                await run_in_threadpool(parser.write, block)
        if not reader.complete:
            raise Problem(400, "the form ends before its last boundary", code="broken_form")
    except MultipartParseError as error:
        raise Problem(400, f"the form is broken: {str(error)[:200]}", code="broken_form") from error
    finally:
        reader.close()
    return reader.form


class _Reader:
    """Takes what the parser finds."""

    def __init__(self, folder: Path, files: int) -> None:
        self.form, self.complete = Form(), False
        self._folder, self._most = folder, files
        self._header, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._name, self._text = "", bytearray()
        self._file: IO[bytes] | None = None
        self._parts = 0

    def callbacks(self) -> dict[str, Any]:
        """As the parser wants them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_end,
            "on_end": self._finish,
        }

    def close(self) -> None:
        """Let go of a file that did not come to its end."""
        if self._file:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _FIELDS:
            raise Problem(400, f"more than {_FIELDS} fields", code="too_many_fields")
        self._headers, self._header, self._value, self._text = {}, b"", b"", bytearray()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if not self._name:
            raise Problem(400, "a part of the form has no name", code="broken_form")
        if b"filename" in options:
            if self._name not in ("file", "files", "file[]", "files[]"):
                raise Problem(400, f"a file came as {self._name[:40]!r}: call it `file`", code="unexpected_file")
            if len(self.form.files) >= self._most:
                raise Problem(400, f"more than {self._most} files", code="too_many_files", param="file")
            path = self._folder / f"source-{len(self.form.files)}"
            if not self.form.files:
                self.form.label = plain(options[b"filename"].decode("utf-8", "replace"))
            self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
            self.form.files.append(path)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _FIELD_BYTES:
            raise Problem(413, f"{self._name[:40]}: too long", code="too_large")

    def _on_end(self) -> None:
        if self._file:
            self.close()
            return
        try:
            text = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise Problem(400, f"{self._name[:40]}: not UTF-8", code="invalid_value") from None
        self.form.fields.setdefault(self._name.removesuffix("[]"), []).append(text)

    def _finish(self) -> None:
        self.complete = True


def plain(name: str) -> str:
    """What a file is called, without folders, suffix and anything that cannot be seen; for showing only.

    Example:

        >>> plain("../../etc/My Song.final.mp3"), plain(""), plain("a\\r\\nb.wav")
        ('My Song.final', 'recording', 'ab')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    seen = "".join(letter for letter in stem if unicodedata.category(letter)[0] not in "CZ" or letter == " ")
    return seen.strip()[:100] or "recording"
