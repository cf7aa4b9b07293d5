"""What is written down about a voice: the text beside its sound and its vectors."""

from __future__ import annotations

import json
import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mynah.core.errors import BadOption, BadVoice

Text = Annotated[str, Field(max_length=20_000)]
Hz = Annotated[float, Field(ge=0, le=20_000)]
Share = Annotated[float, Field(gt=0, le=1)]

_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}


class Sheet(BaseModel):
    """The text of a voice, as in `voice.json` and in the metadata of a shipped one.

    Attributes:
        format: Of this text.
        name: In the library.
        kind: How the voice came about.
        range_hz: Lowest and highest comfortable pitch; twice 0 for an imported voice of which nobody knows it.
        seconds: Of recordings that it was made from.
        encoder: Which voice encoder heard it; empty for a voice without a vector.
        system: The one system that it belongs to; empty for any.
        origin: Where an imported voice came from.
        parts: Of a mixture, names and shares.
        license: SPDX identifier; empty for a private voice.
        attribution: Who is to be named.
        advice: What would make it better.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    name: Annotated[str, Field(max_length=200)]
    kind: Literal["enrolled", "mixture", "shipped", "imported"]
    range_hz: tuple[Hz, Hz]
    seconds: Annotated[float, Field(ge=0)] = 0.0
    encoder: Annotated[str, Field(max_length=100)] = ""
    system: Annotated[str, Field(max_length=100)] = ""
    parts: Annotated[tuple[tuple[Annotated[str, Field(max_length=200)], Share], ...], Field(max_length=100)] = ()
    origin: Text = ""
    license: Text = ""
    attribution: Text = ""
    advice: Annotated[tuple[Text, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _low_first(self) -> Sheet:
        if self.range_hz[0] > self.range_hz[1]:
            raise ValueError("range_hz: the lowest pitch comes first")
        if self.range_hz[0] == 0 and (self.kind != "imported" or self.range_hz[1] > 0):
            raise ValueError("range_hz: both ends are above 0")
        return self

    def text(self) -> str:
        """As JSON; the same voice gives the same text."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"


def sheet_of(text: str | bytes, where: object) -> Sheet:
    """Read a sheet.

    Raises:
        BadVoice: Not the text of a voice; the message names `where` and the first thing that is wrong.
    """
    try:
        return Sheet.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadVoice(f"{where}: the voice is damaged ({f'{field}: ' if field else ''}{first['msg']})") from error


def fit_name(name: str) -> str:
    """A name that any file system takes as it is.

    Raises:
        BadOption: Empty, too long, or with anything but letters, digits, spaces, `-` and `_`.

    Example:

        >>> fit_name("Grandma 2")
        'Grandma 2'
        >>> fit_name("../me")
        Traceback (most recent call last):
        mynah.core.errors.BadOption: no voice can be called '../me': use letters, digits, spaces, - and _ ...
    """
    fit = unicodedata.normalize("NFC", name)
    bad = (
        not 1 <= len(fit) <= 64
        or len(fit.encode("utf-8", "replace")) > 200
        or not all(letter.isalnum() or letter in "-_ " for letter in fit)
        or not fit[0].isalnum()
        or fit[-1] == " "
        or fit.casefold() in _RESERVED
    )
    if bad:
        raise BadOption(
            f"no voice can be called {name[:80]!r}: use letters, digits, spaces, - and _"
            " (at most 64, a letter or a digit first)"
        )
    return fit


def same_name(one: str, other: str) -> bool:
    """Whether two names would meet on a file system that knows no case."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
