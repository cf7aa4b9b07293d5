"""Spleeter: vocals and accompaniment, four stems or five, by U-Nets that weigh the magnitudes of short-time spectra.

Every stem has a U-Net of its own, which sees blocks of 512 frames (12 seconds) up to 11 or 16 kHz; the powers of what
they answer share out the spectrum of the mix, whose phase all stems keep.
Paper: Hennequin, Khlif, Voituret, Moussallam, "Spleeter: a fast and efficient music source separation tool with
pre-trained models", JOSS 2020; the U-Net after Jansson et al., ISMIR 2017. Parameters: Deezer (MIT), read from
TensorFlow's checkpoints. What differs: the song is separated block by block, so that memory does not grow with it, even
where the multichannel Wiener filter has to hear the whole of it first; and what lies above the highest frequency that
the nets see can be given to the last stem instead of being dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from mynah.audio.chunks import map_chunks, regroup
from mynah.catalog.checkpoint import load_strict
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card, Weights
from mynah.core.types import Audio, Stems, Voice
from mynah.core.verbs import Options
from mynah.nets.separator import Pieces, Separator
from mynah.separate.spleeter import published
from mynah.separate.spleeter.net import Nets
from mynah.separate.spleeter.spectra import OVERLAP, analysed, blocks_of, joined, masked, synthesised
from mynah.separate.spleeter.wiener import filtered, placed

_RELEASE = "https://github.com/deezer/spleeter/releases/download/v1.4.0/"


@dataclass(frozen=True)
class Config:
    """What a set of stems is separated by.

    Attributes:
        stems: Their names, in the order in which the checkpoints have them.
        elu: Activations are ELU, else LeakyReLU on the way down and ReLU on the way up.
        softmax: The stems' shares of a bin add up to 1 already in the nets.
        filters: Of the six layers on the way down.
        window: Of the spectra, in samples; a hop is a quarter of it.
        bins: How many the nets see, from the lowest; a multiple of 64.
        block: Frames that the nets see at once; a multiple of 64.
    """

    stems: tuple[str, ...] = ("vocals", "accompaniment")
    elu: bool = False
    softmax: bool = False
    filters: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    window: int = 4096
    bins: int = 1024
    block: int = 512


VARIANTS = {
    2: Config(),
    4: Config(("vocals", "drums", "bass", "other"), elu=True),
    5: Config(("vocals", "piano", "drums", "bass", "other"), elu=True, softmax=True),
}


class SpleeterOptions(Options):
    """What a listener may change."""

    band: Annotated[
        Literal["11kHz", "16kHz"], Field(description="how far up the nets listen; they were trained for 11kHz")
    ] = "11kHz"
    above: Annotated[
        Literal["zeros", "average", "rest"],
        Field(
            description="what lies above the band: zeros drops it, average shares it out as the nets did on average, "
            "rest gives it to the last stem"
        ),
    ] = "zeros"
    wiener: Annotated[
        bool,
        Field(
            description="multichannel Wiener filter: tells stems apart by their place between left and right as well, "
            "in twice the time; it drops what lies above the band"
        ),
    ] = False
    blocks: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="how much the nets see at once: more is faster on a GPU and takes more memory",
            json_schema_extra={"unit": "blocks of 12 s"},
        ),
    ] = 1


class Spleeter(Separator[Config]):
    """Separates vocals from the accompaniment, or a song into four or five stems."""

    card = Card(
        verbs=("separate",),
        paper="https://doi.org/10.21105/joss.02154",
        origin="upstream weights",
        weights={
            "default": Weights(
                _RELEASE + "2stems.tar.gz",
                sha256="f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692",
                bytes=73_109_797,
                license="MIT",
            ),
            "2stems": Weights(
                _RELEASE + "2stems.tar.gz",
                sha256="f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692",
                bytes=73_109_797,
                license="MIT",
            ),
            # Their sizes were published in whole MiB (140 and 174); these are the most that can be meant.
            "4stems": Weights(
                _RELEASE + "4stems.tar.gz",
                sha256="3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8",
                bytes=141 << 20,
                license="MIT",
            ),
            "5stems": Weights(
                _RELEASE + "5stems.tar.gz",
                sha256="25a1e87eb5f75cc72a4d2d5467a0a50ac75f05611f877c278793742513cc7218",
                bytes=175 << 20,
                license="MIT",
            ),
        },
    )
    rate = 44_100

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.nets = nets_of(config)
        self.nets.eval().requires_grad_(False)

    @property
    def stems(self) -> tuple[str, ...]:
        return self.config.stems

    @classmethod
    def tiny(cls) -> Self:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(Config(filters=(2,) * 6, window=512, bins=128, block=64))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        state = cls.remap(published.read(weights, cls.card.weights))
        system = cls(_config_of(state, weights))
        load_strict(system.nets, state, weights)
        system.nets.to(device)
        return system

    @classmethod
    def remap(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """From TensorFlow's names and layouts, see `mynah.separate.spleeter.published.remap`; ours stay as they are."""
        if not published.is_published(state):
            return state
        return published.remap(state, {count: variant.stems for count, variant in VARIANTS.items()})

    def separate(self, mix: Audio, options: SpleeterOptions | None = None) -> Stems:  # type: ignore[override]
        """Take a mix apart, see `Separator`."""
        return super().separate(mix, options)

    @torch.inference_mode()
    def apart(self, mix: Pieces, options: SpleeterOptions | None = None) -> Iterator[Tensor]:  # type: ignore[override]
        """Stretches of the stems, `[stem, 2, time]`; every block of spectra is separated by itself."""
        options = options or SpleeterOptions()
        heard = 0

        def counted() -> Iterator[Tensor]:
            nonlocal heard
            for piece in mix():
                heard += piece.shape[-1]
                yield piece

        window, chunk = self.config.window, options.blocks * self.config.block
        if options.wiener:
            share = partial(filtered, places=placed(self._song(mix(), options)))
        else:
            share = partial(masked, above=options.above)
        waves = map_chunks(
            partial(synthesised, window=window),
            (share(estimates, spectrum) for estimates, spectrum in self._song(counted(), options)),
            chunk=chunk,
            left=OVERLAP - 1,
            ratio=window // OVERLAP,
        )
        before, given = window, 0  # the silence in front of the song is not given back
        for wave in waves:
            piece = wave[..., before:][..., : heard - given].cpu()
            before, given = max(0, before - wave.shape[-1]), given + piece.shape[-1]
            yield piece

    def _song(self, mix: Iterator[Tensor], options: SpleeterOptions) -> Iterator[tuple[Tensor, Tensor]]:
        """The song in blocks, behind one window of silence: magnitudes of the stems and the spectrum of the mix."""
        window, block = self.config.window, self.config.block
        bins = self.config.bins if options.band == "11kHz" else self.config.bins * 3 // 2
        hop, chunk = window // OVERLAP, options.blocks * block
        device = next(self.nets.parameters()).device
        spectra = map_chunks(
            partial(analysed, window=window),
            (piece.to(device) for piece in chain([torch.zeros(self.channels, window)], mix)),
            chunk=chunk * hop,
            right=window - hop,
            ratio=Fraction(1, hop),
        )
        for spectrum in regroup(spectra, chunk):
            magnitude = blocks_of(spectrum[:, :bins].abs(), block)
            yield joined(self.nets(magnitude), spectrum.shape[-1]), spectrum

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", hold_out: Sequence[str] = ()
    ) -> dict[str, Callable[[], Recipe]]:
        """Training from nothing: one stage for each set of stems that the folder has recordings for.

        Args:
            data: Folder of songs in stems, see `mynah.train.mixtures`.
            folder: Where prepared recordings are kept.
            teacher: There is none.
            hold_out: Patterns of songs to measure on; they are not learnt from.
        """
        from mynah.separate.spleeter.recipe import course

        return course(data, folder, VARIANTS.values(), hold_out=hold_out)

    def adapt(self, voice: Voice) -> Recipe:
        """There is no such thing: a separator is not for one voice.

        Raises:
            BadOption: Always.
        """
        raise BadOption("separate/spleeter learns from songs in stems, not for one voice: train it with --data FOLDER")


def nets_of(config: Config) -> Nets:
    """Untrained nets."""
    return Nets(config.stems, config.filters, elu=config.elu, softmax=config.softmax)


def _config_of(state: dict[str, Tensor], weights: str) -> Config:
    """Of weights in our layout, by the stems that they are for and the shapes that they have."""
    stems = {name.partition(".")[0] for name in state}
    for variant in VARIANTS.values():
        if stems == set(variant.stems):
            layers = [state.get(f"{variant.stems[0]}.down.{layer}.bias") for layer in range(len(variant.filters))]
            return replace(variant, filters=tuple(1 if layer is None else layer.numel() for layer in layers))
    raise BadCheckpoint(f"{weights}: holds no nets of separate/spleeter")
