"""Speakers whose voices come with their weights: how a model comes in, whose voice it is, and their common knobs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

import torch
from pydantic import Field
from torch import nn

from mynah.catalog.weights import locate
from mynah.core.errors import BadCheckpoint, BadOption, BadVoice
from mynah.core.recipe import Recipe
from mynah.core.system import System
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Files
from mynah.nets.brought import Brought

C = TypeVar("C")
T = TypeVar("T")

Vocoder = Annotated[
    str,
    Field(
        description="what makes sound of the spectrogram: griffin_lim, or the weights of another",
        json_schema_extra={"place": True},
    ),
]
Pause = Annotated[float, Field(ge=0, le=5, description="between sentences", json_schema_extra={"unit": "seconds"})]


class Speaking(System[C | None], Generic[C]):
    """What such speakers share.

    Attributes:
        name: What its own voice is called: as the file of the weights.
        device: Where the nets run.
        nets: The net as `"net"`; nothing where every voice brings its own.
        system: What the registry calls it.
        kind: What people call it.
        example: A file that it reads.
    """

    system: ClassVar[str]
    kind: ClassVar[str]
    example: ClassVar[str]

    def __init__(self, net: Any = None, *, name: str = "", device: str = "cpu") -> None:
        """With a net that has a `config`, or without any."""
        super().__init__(None if net is None else net.config)
        self.name, self.device = name or self.system.partition("/")[2], device
        self.nets = nn.ModuleDict({} if net is None else {"net": net})
        self.nets.eval().requires_grad_(False).to(device)
        self._brought: Brought[Any] = Brought(lambda path: self.net_of(path).to(device), net, self.kind)

    @classmethod
    @abstractmethod
    def net_of(cls, path: Path) -> Any:
        """The net of a file, ready to speak.

        Raises:
            BadCheckpoint: Damaged, hostile, or of another system.
        """

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in weights.

        Args:
            weights: Path of the file; with `"default"` every voice brings its own.
            device: Where it runs.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, hostile, or of another system.
        """
        if weights == "default":
            return cls(device=device)
        path = locate(weights, cls.card.weights)
        return cls(cls.net_of(path), name=path.stem, device=device)

    @classmethod
    def recognises(cls, files: Files) -> bool:
        """Whether one of the files is a model of its kind, as the system's own `adopting` tells."""
        found: bool = import_module(f"{cls.__module__}.adopting").recognises(files)
        return found

    @classmethod
    def adopt(cls, files: Files, into: Path) -> Voice:
        """The voice that lies in the files.

        Raises:
            BadCheckpoint: Damaged, hostile, of an unknown layout, or several.
        """
        voice: Voice = import_module(f"{cls.__module__}.adopting").adopt(files, into)
        return voice

    @classmethod
    def course(
        cls,
        data: Path,
        folder: Path,
        *,
        teacher: str = "",
        hold_out: Sequence[str] = (),
        skip: Sequence[str] = (),
        start: str = "",
    ) -> dict[str, Callable[[], Recipe]]:
        """The stages of training, as the system's own `recipe` has them.

        Args:
            data: Recordings of one speaker with their texts.
            folder: Where stages are trained and export to.
            teacher: There is none here.
            hold_out: Patterns of recordings to measure on.
            skip: Patterns of recordings to leave out.
            start: A model to go on from.

        Raises:
            BadOption: A teacher was named.
            BadCheckpoint: What to go on from is missing, damaged or hostile.
            BadData: The recordings have no texts, or are of several speakers.
        """
        if teacher:
            raise BadOption(f"{cls.system} learns from no teacher: a model to go on from is --start FILE")
        stages: dict[str, Callable[[], Recipe]] = import_module(f"{cls.__module__}.recipe").course(
            data, folder, hold_out=hold_out, skip=skip, start=start
        )
        return stages

    @property
    def own(self) -> Voice:
        """The voice of the weights."""
        return Voice(self.name, (0.0, 0.0), system=self.system)

    def gives(self, voice: Voice) -> bool:
        """Its own voice, and whoever brings weights of its kind."""
        return voice.system == self.system and (voice.weights is not None or voice.name == self.name)

    def net_for(self, voice: Voice) -> Any:
        """The net that says it.

        Raises:
            BadVoice: A voice that it cannot give, or its own where it came without weights.
            BadCheckpoint: The voice's weights are damaged, hostile, or of another system.
        """
        if not self.gives(voice):
            raise BadVoice(
                f"{self.system} cannot give the voice {voice.name!r} by itself: `mynah speak` converts to it"
            )
        if voice.weights is None and "net" not in self.nets:
            raise BadVoice(
                f"{self.system} comes without weights: name a file, such as {self.example}, or a voice that was "
                "imported from one"
            )
        return self._brought.of(voice)


def followed(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Each with whether another one follows.

    Example:

        >>> list(followed("ab"))
        [('a', True), ('b', False)]
    """
    every = iter(items)
    for item in every:
        for after in every:
            yield item, True
            item = after
        yield item, False


def joined(pieces: Iterable[Audio]) -> Audio:
    """Sentences one after another."""
    parts = list(pieces)
    return Audio(torch.cat([part.samples for part in parts], -1), parts[0].rate)


def only(files: Files, is_model: Callable[[Any], bool], kind: str) -> Path:
    """The one file that holds a model.

    Raises:
        BadCheckpoint: There are several.
    """
    models = [path for path, held in files.items() if is_model(held)]
    if len(models) > 1:
        names = ", ".join(path.name for path in models[:6])
        raise BadCheckpoint(
            f"{models[0]}: is one of {len(models)} models of {kind} ({names}): give the one that is meant"
        )
    return models[0]
