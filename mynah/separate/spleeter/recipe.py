"""How Spleeter learns: mixtures of stems, and how far its magnitudes are from the true ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.metrics.stems import gains
from mynah.separate import vocals_apart
from mynah.separate.spleeter.net import Nets
from mynah.separate.spleeter.spectra import OVERLAP, analysed, blocks_of, joined, masked, synthesised
from mynah.train.mixtures import Mixtures, found, held_out

if TYPE_CHECKING:
    from mynah.separate.spleeter import Config

_RATE = 44_100
_NEEDED = {"2stems": (), "4stems": ("drums", "bass"), "5stems": ("piano", "drums", "bass")}


class StemsRecipe(Recipe):
    """The published one: L1 on magnitudes, summed over stems; Adam at a constant rate; four clips of one block.

    Normalisation and dropout are on, as the paper has them.

    Args:
        config: Of the nets.
        mixtures: Of the same stems, in two channels.
        steps: Of the whole run; published were 1.0 to 2.5 million.
        clips: In a batch.
        learns: The learning rate.
        measured: Figures of the nets on songs that were held out.
    """

    clip_norm = float("inf")

    def __init__(
        self,
        config: Config,
        mixtures: Mixtures,
        *,
        steps: int = 1_000_000,
        clips: int = 4,
        learns: float = 1e-4,
        measured: Callable[[Nets], dict[str, float]] = lambda nets: {},
    ) -> None:
        self.config, self.mixtures, self.steps, self.clips = config, mixtures, steps, clips
        self.learns, self.measured = learns, measured
        with torch.random.fork_rng():
            torch.manual_seed(mixtures.seed)
            self.nets: Nets = Nets(config.stems, config.filters, elu=config.elu, softmax=config.softmax)

    def batch(self, step: int) -> Batch:
        window = self.config.window
        return self.mixtures.batch(step, self.clips, (self.config.block - 1) * window // OVERLAP + window)

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return self.learns

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        truth = self._blocks(batch["stems"].transpose(0, 1))
        wrong = (self.nets(self._blocks(batch["mix"])) - truth).abs().mean((1, 2, 3, 4))
        return dict(zip(self.config.stems, wrong, strict=True))

    def measures(self) -> dict[str, float]:
        return self.measured(self.nets)

    def preview(self, batch: Batch) -> Audio:
        """The first stem of the first clip, as it comes out of the mix."""
        training = self.nets.training
        with torch.no_grad():
            spectrum = analysed(batch["mix"][0], self.config.window)[..., : self.config.block]
            magnitude = blocks_of(spectrum[:, : self.config.bins].abs(), self.config.block)
            estimates = joined(self.nets.eval()(magnitude), spectrum.shape[-1])
        self.nets.train(training)
        return Audio(synthesised(masked(estimates, spectrum, "zeros")[0], self.config.window), self.mixtures.rate)

    def export(self, folder: str) -> list[str]:
        path = Path(folder) / f"spleeter_{len(self.config.stems)}stems.safetensors"
        return [str(to_safetensors(self.nets.state_dict(), path))]

    def _blocks(self, wave: Tensor) -> Tensor:
        """Magnitudes `[..., 2, frame, bin]` of waves `[..., 2, time]` that are one block long."""
        spectrum = analysed(wave, self.config.window)[..., : self.config.bins, : self.config.block]
        return spectrum.abs().transpose(-1, -2)


class TwoStems(StemsRecipe):
    """Vocals and accompaniment."""

    name = "2stems"


class FourStems(StemsRecipe):
    """Vocals, drums, bass and other."""

    name = "4stems"


class FiveStems(StemsRecipe):
    """Vocals, piano, drums, bass and other."""

    name = "5stems"


def course(
    data: Path, folder: Path, configs: Iterable[Config], *, hold_out: Sequence[str] = ()
) -> dict[str, Callable[[], Recipe]]:
    """The sets of stems that there are recordings for, each a stage that stands by itself.

    Args:
        data: Folder of songs in stems.
        folder: Where prepared recordings are kept.
        configs: Of 2, 4 and 5 stems.
        hold_out: Patterns of songs to measure on; they are not learnt from.

    Raises:
        BadData: No such folder, or no stems in it.
    """
    sizes = {len(config.stems): config for config in configs}
    songs = found(data)
    kept = [files for name, files in songs.items() if not any(fnmatch(name, pattern) for pattern in hold_out)]
    there = {what for files in kept for what in files}

    def stage(recipe: type[StemsRecipe], config: Config) -> Recipe:
        mixtures = Mixtures(data, folder / "prepared", config.stems, rate=_RATE, hold_out=hold_out)
        measured = partial(gained, config=config, songs=held_out(data, hold_out, _RATE))
        return recipe(config, mixtures, measured=measured)

    return {
        recipe.name: partial(stage, recipe, sizes[int(recipe.name[0])])
        for recipe in (TwoStems, FourStems, FiveStems)
        if there.issuperset(_NEEDED[recipe.name])
    }


@torch.inference_mode()
def gained(nets: Nets, config: Config, songs: Mapping[str, tuple[Audio, Audio]]) -> dict[str, float]:
    """Median gain in SI-SDR of vocals and of all the rest over windows of whole songs, in dB."""
    from mynah.separate.spleeter import Spleeter

    system = Spleeter(config)
    system.nets.load_state_dict(nets.state_dict())
    each: dict[str, list[float]] = {"vocals": [], "accompaniment": []}
    for truth in songs.values():
        mix = Audio(truth[0].samples + truth[1].samples, truth[0].rate)
        guess = vocals_apart(system.separate(mix))
        for name, ours, theirs in zip(each, guess, truth, strict=True):
            each[name] += gains(theirs.samples, ours.samples, mix.samples, mix.rate).values()
    return {f"{name} gain dB": median(values) for name, values in each.items() if values}
