"""The one base class: a configuration, a card, a way in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Self, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

C = TypeVar("C")


@dataclass(frozen=True)
class Weights:
    """One published or shipped set of parameters.

    Attributes:
        source: Hub id and file (`"hub:owner/name/file"`), address (`"https://..."`), or `"shipped:file"`.
        sha256: Of the file, in hexadecimal; where only its first digits were ever published, those, and then no more
            than those can be checked.
        bytes: Its size; where only a rounded one was ever published, the most that this can mean.
        license: SPDX identifier, or the name of the licence.
    """

    source: str
    sha256: str
    bytes: int
    license: str


@dataclass(frozen=True)
class Card:
    """What a person should know before using a system.

    Attributes:
        verbs: What it can do, such as `("convert",)`.
        paper: Where the idea was published; empty when nowhere.
        origin: Who made the parameters that it runs with.
        extra: What to install: `pip install mynah[extra]`; empty when the core suffices.
        weights: By name; `"default"` is the one that `load()` takes.
    """

    verbs: tuple[str, ...]
    paper: str
    origin: Literal["ours", "ours, after the paper", "upstream weights", "wrapped engine"]
    extra: str = ""
    weights: dict[str, Weights] = field(default_factory=dict)


class System(ABC, Generic[C]):
    """A named system. Subclasses satisfy one verb protocol or more."""

    card: ClassVar[Card]

    def __init__(self, config: C) -> None:
        self.config = config

    @classmethod
    @abstractmethod
    def tiny(cls) -> Self:
        """A few channels, random weights from a fixed seed: the whole path on a CPU in milliseconds, for tests."""

    @classmethod
    @abstractmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in weights by name, path or hub id. Strict: a missing or surplus key is an error."""

    @classmethod
    def remap(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """From the published checkpoint's key layout to ours."""
        return state
