"""How the separator learns: random mixtures, and how far the vocals' spectrum is from the true one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_strict, to_safetensors
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.metrics.stems import gains
from mynah.separate.mynah.net import MaskConfig, MaskNet, Spectrum, middle_and_side
from mynah.train.mixtures import Mixtures, Variety, held_out

LOW = 4  # groups of bands, of the lowest, that are learnt at every step: to 9.6 kHz, where nearly all power is
HIGH_EVERY = 4  # steps: then all of them
ON_STEPS, ON_RATE = 2800, 1e-3  # of a run that goes on from a net that has learnt
QUIET = 1e-3  # of the mix's power: errors below are as good as none


class MaskRecipe(Recipe):
    """One net, one stage.

    Three losses, each relative to its clip, so that soft music counts as much as loud: the spectrum's error in L1, the
    error of the magnitudes of vocals and of what is left, and the logarithm of the error's power, which is what SI-SDR
    measures. High frequencies count more than their power would.

    Args:
        mixtures: With the stems vocals and accompaniment.
        config: Sizes of the net.
        steps: Of the whole run.
        clips: In a batch.
        seconds: Of a clip.
        rate: Of learning, at its highest; it falls to nearly nothing at the end.
        measured: Figures of a net on held-out songs.
    """

    name = "mask"
    ema = 0.998

    def __init__(
        self,
        mixtures: Mixtures,
        *,
        config: MaskConfig | None = None,
        steps: int = 4500,
        clips: int = 5,
        seconds: float = 4.5,
        rate: float = 2.5e-3,
        measured: Callable[[MaskNet], dict[str, float]] = lambda net: {},
    ) -> None:
        self.mixtures, self.steps, self.clips, self.rate, self.measured = mixtures, steps, clips, rate, measured
        self.net = MaskNet(config or MaskConfig())
        self.nets = nn.ModuleDict({"mask": self.net})
        sizes = self.net.config
        self.spectrum = Spectrum(sizes.size, sizes.hop)
        frames = round(seconds * mixtures.rate / sizes.hop / sizes.step) * sizes.step
        self.samples = (frames - 1) * sizes.hop + sizes.size
        hz = torch.arange(sizes.size // 2) * mixtures.rate / sizes.size
        self.weight = (1 + hz / 1000).sqrt()[:, None]

    def batch(self, step: int) -> Batch:
        batch = self.mixtures.batch(step, self.clips, self.samples)
        vocals = batch["stems"][:, self.mixtures.stems.index("vocals")]
        return {"mix": batch["mix"], "vocals": vocals, "step": torch.tensor(step)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.net.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        warm = min(1.0, (step + 1) / 200)
        return self.rate * warm * (1 - 0.98 * min(1.0, step / self.steps))

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        mix, vocals = (middle_and_side(self.spectrum(batch[name])) for name in ("mix", "vocals"))
        groups = len(self.net.groups) if batch["step"] % HIGH_EVERY == 0 else LOW
        with torch.autocast(mix.device.type, torch.bfloat16):
            guess = self.net(mix, groups)
        bins = guess.shape[2]
        mix, vocals = mix[:, :, :bins], vocals[:, :, :bins]
        weight = self.weight[:bins].to(mix.device)
        loud = (weight * mix.abs()).mean((1, 2, 3)).clamp_min(1e-4)
        wrong = torch.view_as_real(guess - vocals)
        size = (weight * (guess.abs() - vocals.abs()).abs()).mean((1, 2, 3))
        rest = (weight * ((mix - guess).abs() - (mix - vocals).abs()).abs()).mean((1, 2, 3))
        power = mix.abs().square().sum((1, 2, 3)).clamp_min(1e-6)
        return {
            "spectrum": ((weight[..., None] * wrong.abs()).mean((1, 2, 3, 4)) / loud).mean(),
            "size": 0.5 * ((size + rest) / loud).mean(),
            "power": 0.4 * (wrong.square().sum((1, 2, 3, 4)) / power + QUIET).log().mean(),
        }

    def measures(self) -> dict[str, float]:
        return self.measured(self.net)

    def export(self, folder: str) -> list[str]:
        path = Path(folder) / "mynah_separator.safetensors"
        state = {key: value.detach().half().cpu() for key, value in self.net.state_dict().items()}
        to_safetensors(state, path, {"format": "mynah-1", "net": "mynah_separator"})
        return [str(path)]


def course(
    data: Path, folder: Path, *, hold_out: Sequence[str] = (), start: Mapping[str, Tensor] | None = None
) -> dict[str, Callable[[], Recipe]]:
    """The one stage.

    Args:
        data: Folder of songs in stems, and of solos in folders named after their stem.
        folder: Where decoded recordings are kept.
        hold_out: Patterns of songs to measure on; they are not learnt from.
        start: Parameters of a net to go on from, with smaller steps and fewer of them; None begins from nothing.
    """

    def learn() -> Recipe:
        songs = held_out(data, hold_out)

        def measured(net: MaskNet) -> dict[str, float]:
            return gained(net, songs)

        mixtures = Mixtures(
            data, folder / "prepared", ("vocals", "accompaniment"), hold_out=hold_out, variety=Variety()
        )
        if start is None:
            return MaskRecipe(mixtures, measured=measured)
        recipe = MaskRecipe(mixtures, steps=ON_STEPS, rate=ON_RATE, measured=measured)
        load_strict(recipe.net, start, "the net to go on from")
        return recipe

    return {"mask": learn}


@torch.inference_mode()
def gained(net: MaskNet, songs: Mapping[str, tuple[Audio, Audio]]) -> dict[str, float]:
    """Median gain in SI-SDR of vocals and accompaniment over windows of whole songs, in dB."""
    from mynah.separate.mynah import Config, Mynah

    system = Mynah(Config(net.config))
    system.net.load_state_dict(net.state_dict())
    found: dict[str, list[float]] = {"vocals": [], "accompaniment": []}
    for vocals, rest in songs.values():
        mix = Audio(vocals.samples + rest.samples, vocals.rate)
        guess = system.separate(mix)
        for name, true in (("vocals", vocals), ("accompaniment", rest)):
            found[name] += gains(true.samples, guess[name].samples, mix.samples, mix.rate).values()
    return {f"{name} gain dB": median(each) for name, each in found.items() if each}
