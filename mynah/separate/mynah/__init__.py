"""Mynah: vocals and accompaniment of a stereo song, by a small net that runs ahead of time on a laptop.

The spectrum is heard in bands, narrow at the bottom and wide at the top; a U-Net of ConvNeXt blocks over bands and time
gives each bin a complex 2-by-2 mask that takes the vocals out of middle and side, so that what is in the centre and
what is wide can be told apart. The accompaniment is what is left, so that both add up to the song. Ours; band splitting
is from the band-split RNN (Luo and Yu, arXiv 2209.15174), the blocks are ConvNeXt's (Liu et al., arXiv 2201.03545).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import Field
from torch import Tensor

from mynah.audio.chunks import map_chunks
from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.weights import locate
from mynah.core.recipe import Recipe
from mynah.core.system import Card, Weights
from mynah.core.types import Audio, Stems
from mynah.core.verbs import Options
from mynah.nets.separator import Pieces, Separator
from mynah.separate.mynah.net import MaskConfig, MaskNet, Spectrum, middle_and_side

USUAL_DB = -20.0  # how loud songs are, whole, when the net hears them
MOST_DB = 60.0  # no recording is made louder than by this
TRUST = 0.9  # an estimate that errs is nearest to the truth, in both stems, a little softer than it is
FRAMES = 768  # that the net hears at once, besides their context: more is a little faster and takes more memory


@dataclass(frozen=True)
class Config:
    """Sizes of the net, and the rate that it learnt at."""

    mask: MaskConfig = field(default_factory=MaskConfig)
    rate: int = 44_100


class MynahOptions(Options):
    """What a listener may change."""

    views: Annotated[
        int,
        Field(ge=1, le=4, description="hear the song so many times, sides swapped or a little later, and average"),
    ] = 1
    caution: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="leave to the accompaniment what is hardly vocals: 0 as the net has it, more makes both stems "
            "cleaner of the band and thinner of faint vocals",
        ),
    ] = 0.4


class Mynah(Separator[Config]):
    """Takes a song apart into vocals and accompaniment."""

    card = Card(
        verbs=("separate",),
        paper="",
        origin="ours",
        weights={
            "default": Weights(
                "shipped:mynah_separator.safetensors",
                sha256="528bd2186b51daeb3e8093d92dc76b30dfaa29c912029aca8b6c7206d85d67bf",
                bytes=9535140,
                license="CC-BY-SA-4.0",
            )
        },
    )
    remainder = "accompaniment"
    channels = 2

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.rate = config.rate
        self.net = MaskNet(config.mask).eval().requires_grad_(False)
        self.spectrum = Spectrum(config.mask.size, config.mask.hop)

    @classmethod
    def tiny(cls) -> Self:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            widths = ((8, 8), (16, 12))
            return cls(Config(MaskConfig(512, 128, widths, channels=(4, 6, 8), blocks=(1, 1, 1), kernel=(3, 3))))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        system = cls(Config())
        load_strict(system.net, load_safetensors(locate(weights, cls.card.weights)), "the net of separate/mynah")
        system.net.to(device)
        system.spectrum.to(device)
        return system

    @property
    def stems(self) -> tuple[str, ...]:
        return ("vocals", "accompaniment")

    def separate(self, mix: Audio, options: MynahOptions | None = None) -> Stems:  # type: ignore[override]
        """Take a song apart, see `Separator`."""
        return super().separate(mix, options)

    def apart(self, mix: Pieces, options: MynahOptions | None = None) -> Iterator[Tensor]:  # type: ignore[override]
        """Stretches of the vocals, `[stem, 2, time]`."""
        options = options or MynahOptions()
        sizes = self.config.mask
        gain = _gain(mix())
        length = 0

        def heard() -> Iterator[Tensor]:
            nonlocal length
            for piece in mix():
                length += piece.shape[-1]
                yield piece * gain
            yield torch.zeros(2, sizes.size)  # so that the last frames of the song have others to overlap with

        # Frames are counted from the song's beginning, so that where a chunk ends makes no difference.
        spectra = map_chunks(
            self._spectrum,
            heard(),
            chunk=256 * sizes.hop,
            left=sizes.size // 2,
            right=sizes.size // 2,
            ratio=Fraction(1, sizes.hop),
        )
        frames = -(-FRAMES // sizes.step) * sizes.step
        vocals = map_chunks(
            lambda window: self._vocals(window, options), spectra, chunk=frames, left=sizes.context, right=sizes.context
        )
        around = sizes.size // sizes.hop
        waves = map_chunks(self._wave, vocals, chunk=frames, left=around, right=around, ratio=sizes.hop)
        done = 0
        for wave in waves:
            wave = wave[..., : length - done]
            done += wave.shape[-1]
            yield torch.stack([wave / gain, torch.zeros_like(wave)]).cpu()

    def _spectrum(self, window: Tensor) -> Tensor:
        """`[2, time]` to middle and side `[2, bin, frame]`; a frame for every hop that has begun."""
        hop, half = self.config.mask.hop, self.config.mask.size // 2
        frames = -(-window.shape[-1] // hop)
        window = torch.nn.functional.pad(window, (half, half + frames * hop - window.shape[-1]))
        spectrum = self.spectrum(window.to(self.spectrum.window.device))[..., :frames]
        return middle_and_side(spectrum[None])[0]

    def _vocals(self, spectrum: Tensor, options: MynahOptions) -> Tensor:
        """The vocals' share of `[2, bin, frame]`."""
        frames = spectrum.shape[-1]
        whole = torch.nn.functional.pad(spectrum, (0, -frames % self.config.mask.step))[None]
        vocals = self.net(whole)
        for view in range(1, options.views):
            # With sides swapped; and at another place in the net's grid of frames.
            swap, late = torch.tensor([1, -1 if view % 2 else 1]).view(1, 2, 1, 1).to(whole.device), view // 2 * 4
            seen = torch.nn.functional.pad(whole * swap, (late, self.config.mask.step - late if late else 0))
            vocals += self.net(seen)[..., late : late + whole.shape[-1]] * swap
        vocals = vocals[0, ..., :frames] / options.views
        return cautious(vocals, spectrum, options.caution) if options.caution else vocals

    def _wave(self, spectrum: Tensor) -> Tensor:
        """Middle and side `[2, bin, frame]` to left and right `[2, time]`, a hop for each frame."""
        sides = middle_and_side(spectrum[None])[0]
        sides = torch.nn.functional.pad(sides, (0, 1, 0, 1))  # the highest bin, and a frame to end in
        return self.spectrum.back(sides)

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", hold_out: Sequence[str] = (), start: str = ""
    ) -> dict[str, Callable[[], Recipe]]:
        """The one stage of training: `data` is a folder of songs in stems, see `mynah.train.mixtures`.

        Args:
            data: Folder of songs in stems.
            folder: Where the stage is trained.
            teacher: None is known.
            hold_out: Patterns of songs to measure on.
            start: Weights to go on from, such as `"default"`; by default none.
        """
        from mynah.separate.mynah.recipe import course

        known = load_safetensors(locate(start, cls.card.weights)) if start else None
        return course(data, folder, hold_out=hold_out, start=known)


def cautious(vocals: Tensor, mix: Tensor, caution: float) -> Tensor:
    """Vocals less where they are little of the mix, as a soft mask of the net's own two magnitudes says.

    Args:
        vocals: Middle and side, complex `[2, bin, frame]`.
        mix: The same of the mix.
        caution: Power of the mask.
    """
    sung, whole = middle_and_side(vocals[None])[0], middle_and_side(mix[None])[0]  # left and right
    level = sung.abs()
    share = level / (level + (whole - sung).abs()).clamp_min(1e-9)
    return TRUST * middle_and_side((sung * share**caution)[None])[0]


def _gain(mix: Iterator[Tensor]) -> float:
    """What makes the whole song as loud as songs are."""
    power, count = 0.0, 0
    for piece in mix:
        power += piece.square().sum().item()
        count += piece.numel()
    if not power:
        return 1.0
    gain: float = min((10 ** (USUAL_DB / 10) * count / power) ** 0.5, 10 ** (MOST_DB / 20))
    return gain
