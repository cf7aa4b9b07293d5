"""What a system can do: one protocol for each verb, spoken in the third person."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict

from mynah.core.types import Audio, Voice

VERBS = ("separate", "convert", "speak", "sing", "transcribe", "translate", "compose", "converse", "classify")


class Options(BaseModel):
    """Knobs of one system, declared once: flags, sliders and the HTTP schema are generated from here.

    Every field has a description, a default and bounds; `json_schema_extra={"unit": "semitones"}` says what a number is in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


AnyOptions = TypeVar("AnyOptions", bound=Options, contravariant=True)


@runtime_checkable
class Converts(Protocol[AnyOptions]):
    """Gives a recording another voice and keeps its words, melody and length."""

    def convert(self, source: Audio, voice: Voice, options: AnyOptions | None = None) -> Audio: ...


@runtime_checkable
class Stream(Protocol):
    """A verb that works while the sound is still coming in."""

    latency: float  # seconds

    def push(self, block: Audio) -> Audio: ...

    def flush(self) -> Audio: ...
