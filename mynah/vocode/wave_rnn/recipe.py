"""How WaveRNN learns: short windows of recordings, and how unexpected their samples are to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.recipe import Batch, Recipe
from mynah.train.data import prepare, scan
from mynah.train.sounds import Sounds
from mynah.vocode.wave_rnn import published
from mynah.vocode.wave_rnn.net import Config, WaveRnnNet

HOPS = 5  # of a window that is learnt from
MEASURED = 8  # windows of every held-out recording
PEAK = 0.9  # that recordings are brought to, as SV2TTS brings them
FILE = "wave_rnn.safetensors"


class WaveRecipe(Recipe):
    """Cross entropy, or the likelihood of mixtures, of windows of five hops.

    As in SV2TTS a net sees spectra of the recordings, not of a synthesizer; what a synthesizer says of the same
    recordings, which it may be trained on afterwards, belongs to another verb.

    Args:
        sounds: What to learn from, at the rate of the model.
        config: Sizes.
        steps: Of the whole run.
        clips: Windows in a batch.
        learns: Learning rate.
        start: State to go on from.
        seed: Of all that is drawn.
    """

    name = "wave"
    clip_norm = 4.0

    def __init__(
        self,
        sounds: Sounds,
        config: Config,
        *,
        steps: int = 400_000,
        clips: int = 100,
        learns: float = 1e-4,
        start: dict[str, Tensor] | None = None,
        seed: int = 1,
    ) -> None:
        self.sounds, self.config, self.steps, self.clips = sounds, config, steps, clips
        self.learns, self.seed = learns, seed
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = WaveRnnNet(config)
        if start is not None:
            self.net.load_state_dict(start)
        self.nets = nn.ModuleDict({"net": self.net})

    def batch(self, step: int) -> Batch:
        dice = Generator().manual_seed(self.seed * 1_000_003 + step)
        return {"wave": self.sounds.draw(dice, self.clips, self._samples)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return self.learns

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        return {"surprise": self.surprise(batch["wave"])}

    def surprise(self, wave: Tensor) -> Tensor:
        """How unexpected windows `[batch, time]` are, in nats for each sample."""
        format, around = self.config.format, self._margin + self.config.pad
        with torch.no_grad():
            frames = format(wave)[..., self._margin : -self._margin - 1]
            sound = wave
            if format.preemphasis:
                sound = (wave - format.preemphasis * torch.nn.functional.pad(wave, (1, 0))[:, :-1]).clamp(-1, 1)
            inner = sound[:, around * format.hop : (around + HOPS) * format.hop + 1]
            samples = self.config.head.written(inner)
        # The sample at a place is what the one after it is told from, as the net was published.
        return self.config.head.surprise(self.net(samples[:, :-1], frames), samples[:, 1:]).mean()

    def measures(self) -> dict[str, float]:
        """Minus the mean surprise on what was held out, at the same places every time."""
        takes = self.sounds.held_out
        if not takes:
            return {}
        training, device = self.net.training, next(self.net.parameters()).device
        found = []
        with torch.inference_mode():
            self.net.eval()
            for number, take in enumerate(takes):
                dice = Generator().manual_seed(number)
                windows = torch.stack([self.sounds.window(take, dice, self._samples) for _ in range(MEASURED)])
                found.append(self.surprise(windows.to(device)).item())
        self.net.train(training)
        return {"expected (nats)": -sum(found) / len(found)}

    def export(self, folder: str) -> list[str]:
        return [str(to_safetensors(self.net.state_dict(), Path(folder) / FILE))]

    @property
    def _margin(self) -> int:
        """Frames at the edges of a window whose spectra reach beyond it."""
        return -(-self.config.format.n_fft // 2 // self.config.format.hop) + 1

    @property
    def _samples(self) -> int:
        """Of a window, with what the net sees around it."""
        return (HOPS + 2 * (self.config.pad + self._margin)) * self.config.format.hop


def course(
    data: Path, folder: Path, *, config: Config | None = None, start: str = "", hold_out: Sequence[str] = ()
) -> dict[str, Callable[[], Recipe]]:
    """The only stage.

    Args:
        data: Folder of recordings.
        folder: Where prepared recordings are kept.
        config: Sizes where there is no `start`; by default those of SV2TTS.
        start: A model to go on from; its sizes and its mel spectrograms are kept.
        hold_out: Patterns of recordings to measure on.

    Raises:
        BadCheckpoint: `start` is damaged, or something else.
    """
    begun = published.read(Path(start)) if start else None
    sizes = begun[0] if begun else config or Config()

    def wave() -> Recipe:
        takes = prepare(scan(data), folder / "prepared").takes
        sounds = Sounds(takes, sizes.format.rate, peak=PEAK, root=data, hold_out=hold_out)
        return WaveRecipe(sounds, sizes, start=begun[1] if begun else None)

    return {WaveRecipe.name: wave}
