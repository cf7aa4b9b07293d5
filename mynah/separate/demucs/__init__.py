"""Demucs: drums, bass, other and vocals by U-Nets on the waveform, and later on its spectrum too: versions 1 to 4.

The first two versions hear the waveform alone, through an LSTM; the third hears waveform and spectrum side by side; the
fourth lets transformers pass notes between the two. Nets of the first two are ours, those of the later ones are the
maintained package's; files, quantised weights, bags, segments and shifts are read and done here, for all alike, in
flat memory and without running what a file says. Défossez et al., arXiv 1911.13254; Défossez, 2111.03600; Rouard,
Massa and Défossez, 2211.08553.

Where it differs: pieces of the first version overlap too, and one unshifted pass is the default, because it gives the
same result every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from mynah.catalog.weights import fetch, place_of, web_page
from mynah.core.errors import BadCheckpoint, BadOption, Offline
from mynah.core.recipe import Recipe
from mynah.core.system import Card
from mynah.core.types import Audio, Stems, Voice
from mynah.core.verbs import Options
from mynah.nets.separator import Pieces, Separator
from mynah.separate.demucs.bag import checked, described
from mynah.separate.demucs.engine import Engine, engine_of
from mynah.separate.demucs.overlap import Plan, apart
from mynah.separate.demucs.package import STEMS, read
from mynah.separate.demucs.published import BAGS, OLDER, WEIGHTS, Bag


@dataclass(frozen=True)
class Net:
    """One net of a bag.

    Attributes:
        kind: `"waveform"`, `"time"`, `"hybrid"` or `"transformer"`.
        settings: What it is built from, by the names that its class gives them.
    """

    kind: str = "transformer"
    settings: dict[str, Any] = field(
        default_factory=lambda: {"sources": list(STEMS), "dconv_mode": 3, "bottom_channels": 512}
    )


@dataclass(frozen=True)
class Config:
    """Which nets answer, and whose answer counts how much.

    Attributes:
        nets: One or more.
        weights: Of each for each stem, `[net][stem]`; alike when empty.
    """

    nets: tuple[Net, ...] = (Net(),)
    weights: tuple[tuple[float, ...], ...] = ()


class DemucsOptions(Options):
    """What a listener may change."""

    shifts: Annotated[
        int,
        Field(ge=0, le=20, description="passes over the song, each moved by a little and averaged: better and slower"),
    ] = 0
    overlap: Annotated[
        float,
        Field(
            ge=0,
            le=0.95,
            description="how much neighbouring segments overlap: more is smoother and slower",
            json_schema_extra={"unit": "of a segment"},
        ),
    ] = 0.25
    segment: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=0.1, le=600)],
        Field(
            description="how much a net hears at once; less needs less memory", json_schema_extra={"unit": "seconds"}
        ),
    ] = "auto"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the moves that shifts makes")] = 0


class Demucs(Separator[Config]):
    """Takes a song apart by any published Demucs, or one of your own."""

    card = Card(
        verbs=("separate",),
        paper="https://arxiv.org/abs/2211.08553",
        origin="wrapped engine",
        extra="demucs",
        weights=WEIGHTS,
    )

    def __init__(self, config: Config, engines: Sequence[Engine] | None = None) -> None:
        super().__init__(config)
        nets = list(engines or (Engine(net.kind, net.settings) for net in config.nets))
        first = nets[0]
        if any((net.stems, net.rate, net.channels) != (first.stems, first.rate, first.channels) for net in nets):
            raise BadCheckpoint("the nets of a bag must agree on stems, rate and channels, and these do not")
        self.rate, self.channels, self._stems = first.rate, first.channels, first.stems
        self.weights = config.weights or tuple((1.0,) * len(first.stems) for _ in nets)
        if len(self.weights) != len(nets) or any(len(row) != len(first.stems) for row in self.weights):
            raise BadCheckpoint(f"a bag of {len(nets)} nets with {len(first.stems)} stems needs as many weights")
        if not all(sum(column) > 0 for column in zip(*self.weights, strict=True)):
            raise BadCheckpoint("a bag has a stem that none of its nets answers for")
        self.nets = nn.ModuleList(nets)
        self.nets.eval().requires_grad_(False)

    @property
    def stems(self) -> tuple[str, ...]:
        return self._stems

    @classmethod
    def tiny(cls) -> Self:
        settings = {
            "sources": list(STEMS), "channels": 8, "depth": 2, "nfft": 512, "dconv_mode": 3, "bottom_channels": 8,
            "t_layers": 2, "t_heads": 2, "segment": 0.5,
        }  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(Config((Net("transformer", settings),)))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in published weights by name, or others from this machine.

        Args:
            weights: A bag (`htdemucs`, `htdemucs_ft`, `mdx_extra_q`, ...); one of its files by its signature, such as
                `04573f0d`; a file of any version; or a folder or `.yaml` file that describes a bag, see
                `mynah.separate.demucs.bag`.
            device: Where the nets run.

        Raises:
            Offline: The files are not here and cannot be fetched; the message says how to bring them by hand.
            BadCheckpoint: Damaged, hostile, or no Demucs.
            BadOption: No such weights.
            MissingExtra: The package that the later versions come from is not installed.
        """
        bag, paths = cls._found(weights)
        engines = [engine_of(read(path), str(path)) for path in paths]
        if bag.segment is not None:
            for engine in engines:
                engine.accustom(bag.segment)
        config = Config(tuple(Net(engine.kind, engine.settings) for engine in engines), bag.weights)
        system = cls(config, engines)
        system.nets.to(device)
        return system

    @classmethod
    def _found(cls, weights: str) -> tuple[Bag, list[Path]]:
        signatures = {name.rpartition("/")[2]: name for name in WEIGHTS} | {name: name for name in WEIGHTS}
        names = BAGS | {"default": BAGS["htdemucs"]}
        if weights in names or weights in signatures:
            bag = names.get(weights) or Bag((signatures[weights],))
            return bag, _fetched(bag)
        path = Path(weights).expanduser()
        if path.is_dir() or path.suffix in (".yaml", ".yml"):
            return described(path)
        if path.is_file():
            return Bag(()), [checked(path)]
        if weights in OLDER:
            raise Offline(f"{weights} is not fetched by name: download {OLDER[weights]} and give the path of that file")
        raise BadOption(
            f"no weights {weights!r}: neither a file, nor a folder, nor one of {', '.join((*BAGS, *OLDER))}"
        )

    def separate(self, mix: Audio, options: DemucsOptions | None = None) -> Stems:  # type: ignore[override]
        """As any separator, see `Separator.separate`; of a mono mix both sides are heard alike."""
        return super().separate(mix, options)

    def apart(self, mix: Pieces, options: DemucsOptions | None = None) -> Iterator[Tensor]:  # type: ignore[override]
        """See `Separator.apart`."""
        chosen = options or DemucsOptions()
        seconds = None if chosen.segment == "auto" else chosen.segment
        plan = Plan(chosen.shifts, chosen.overlap, seconds, chosen.seed)
        engines = [engine for engine in self.nets if isinstance(engine, Engine)]
        return apart(mix, engines, self.weights, plan)

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", hold_out: Sequence[str] = ()
    ) -> dict[str, Callable[[], Recipe]]:
        """One stage, from nothing; see `mynah.separate.demucs.recipe`. There is no teacher."""
        from mynah.separate.demucs.recipe import course

        if teacher:
            raise BadOption("separate/demucs learns from stems alone: it takes no --teacher")
        return course(data, folder, hold_out=hold_out)

    def adapt(self, voice: Voice) -> NoReturn:
        """Not for separation.

        Raises:
            BadOption: Always.
        """
        raise BadOption("separate/demucs takes songs apart and knows no voices: train it with --data")


def _fetched(bag: Bag) -> list[Path]:
    """The files of a bag; whoever has to bring one by hand is told of all at once."""
    paths = []
    for name in bag.files:
        try:
            paths.append(fetch(WEIGHTS[name]))
        except Offline as error:
            rest = [WEIGHTS[later] for later in bag.files[len(paths) + 1 :] if not place_of(WEIGHTS[later]).exists()]
            also = "".join(f"; likewise {web_page(one)} ({one.bytes / 1e6:.1f} MB) to {place_of(one)}" for one in rest)
            raise Offline(f"{error}{also}") from error
    return paths
