"""GE2E: a stranger's ear for voices, to judge conversions with; no net of ours was trained with it.

An LSTM hears 1.6 s of a voice and gives a vector; vectors of one speaker lie close together. They are never negative,
so even strangers have a cosine of 0.5 or more: a figure means something only beside a floor and a ceiling.
Paper: Wan, Wang, Papir, Lopez Moreno, arXiv 1710.10467. Parameters: Resemblyzer, Apache-2.0.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_foreign, load_strict
from mynah.catalog.weights import locate
from mynah.core.errors import BadAudio, BadCheckpoint
from mynah.core.system import Weights
from mynah.core.types import Audio
from mynah.features.mel import PowerSpectrum, mel_filters

RATE = 16_000
HOP = 160  # samples between mel frames
WINDOW = 160  # mel frames that the net hears at a time: 1.6 s
STEP = 77  # mel frames from one window to the next: 1.3 windows a second
SIZE = 256
LEVEL_DB = -30.0  # quieter recordings are brought up to this
DEFAULT = "resemblyzer"
PUBLISHED = {
    DEFAULT: Weights(
        source="https://raw.githubusercontent.com/resemble-ai/Resemblyzer/"
        "15d828edebe06bc72b9cabc8ef8ca5ab2cb457ce/resemblyzer/pretrained.pt",
        sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
        bytes=17_090_379,
        license="Apache-2.0",
    )
}

_SILENCE_WINDOW = 480  # samples: 30 ms
_QUIET_DB = 35.0  # below the loud parts, what is quieter is a pause
_FLOOR_DB = -60.0  # below full scale, what is quieter is a pause in any case
_PAUSE = 6  # windows of silence that are left standing
_SMOOTH = 8  # windows that are averaged over


class GE2E(nn.Module):
    """The net, in Resemblyzer's key layout.

    Args:
        bands: Of the mel power.
        size: Of the layers and of the vectors.
        layers: Recurrent ones.
        epsilon: Added to a vector's length before it is divided by that; SV2TTS has 1e-5.

    Shape:
        Mel power `[batch, frame, 40]` to vectors `[batch, 256]` of unit length, none of whose elements is negative.
    """

    filters: Tensor

    def __init__(self, bands: int = 40, size: int = SIZE, layers: int = 3, *, epsilon: float = 0.0) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.lstm = nn.LSTM(bands, size, layers, batch_first=True)
        self.linear = nn.Linear(size, size)
        self.power = PowerSpectrum()
        self.register_buffer("filters", mel_filters(RATE, 400, bands), persistent=False)

    def forward(self, mel: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mel)
        raw = self.linear(hidden[-1]).relu()
        unit: Tensor = raw / (raw.norm(dim=1, keepdim=True) + self.epsilon)
        return unit

    def mel(self, wave: Tensor) -> Tensor:
        """Mel power (not its logarithm) of 16 kHz waveforms: `[batch, time]` to `[batch, time // 160, 40]`."""
        return torch.matmul(self.filters, self.power(wave)).transpose(1, 2)

    @torch.inference_mode()
    def embed_wave(self, wave: Tensor, *, step: int = STEP) -> Tensor:
        """One vector `[256]` of unit length for a prepared 16 kHz waveform `[time]`: the mean over windows of 1.6 s.

        Args:
            wave: Of any length.
            step: Mel frames from one window to the next.
        """
        starts = window_starts(len(wave), step)
        needed = (starts[-1] + WINDOW) * HOP
        mel = self.mel(F.pad(wave, (0, max(0, needed - len(wave))))[None].to(self.filters.device))[0]
        heard: Tensor = self(torch.stack([mel[start : start + WINDOW] for start in starts]))
        return F.normalize(heard.mean(0), dim=0).cpu()

    def embed(self, clips: Sequence[Audio], *, step: int = STEP, trim: bool = True) -> Tensor:
        """One vector for a voice, from one recording or several of any rate and length; their order does not matter.

        Args:
            clips: Recordings.
            step: Mel frames from one window to the next.
            trim: Whether long pauses are shortened first.

        Returns:
            Shape `[256]`, unit length, on the CPU.

        Raises:
            BadAudio: No clip, or one that is empty, silent or not finite.
        """
        if not clips:
            raise BadAudio("no recording to hear a voice in")
        heard = [self.embed_wave(prepared(clip, trim=trim), step=step) for clip in clips]
        return F.normalize(torch.stack(heard).mean(0), dim=0)


def prepared(clip: Audio, *, trim: bool = True) -> Tensor:
    """Mono at 16 kHz, quiet recordings raised to -30 dB, long pauses shortened if wanted: shape `[time]`.

    Raises:
        BadAudio: Empty, silent or not finite.
    """
    wave = resample(Audio(clip.samples.mean(0, keepdim=True), clip.rate), RATE).samples[0]
    if not wave.numel():
        raise BadAudio("the recording is empty: there is no voice in it")
    if not wave.isfinite().all():
        raise BadAudio("the recording contains NaN or infinity; export it again")
    level_db = 20 * wave.double().square().mean().sqrt().clamp(min=1e-10).log10().item()
    if level_db < -100:
        raise BadAudio("the recording is silent: there is no voice in it")
    wave = wave * 10 ** (max(0.0, LEVEL_DB - level_db) / 20)
    return shorten_pauses(wave) if trim else wave


def shorten_pauses(wave: Tensor) -> Tensor:
    """Silence of more than about 0.2 s is cut down to that.

    Resemblyzer asks webrtcvad which windows are speech; here it is the level alone: a window within 35 dB of the loud
    ones is kept. So loud noise and music stay in, where webrtcvad may throw them out, and quiet consonants stay, too.
    Smoothing and margins are Resemblyzer's. A recording shorter than 30 ms is left as it is.

    Args:
        wave: 16 kHz, shape `[time]`.
    """
    count = len(wave) // _SILENCE_WINDOW
    if not count:
        return wave
    windows = wave[: count * _SILENCE_WINDOW].reshape(count, _SILENCE_WINDOW)
    level_db = 20 * windows.square().mean(1).sqrt().clamp(min=1e-10).log10()
    threshold = max(level_db.quantile(0.95).item() - _QUIET_DB, _FLOOR_DB)
    loud = (level_db >= threshold).float()[None, None]
    smooth = F.avg_pool1d(F.pad(loud, ((_SMOOTH - 1) // 2, _SMOOTH // 2)), _SMOOTH, 1)
    kept = F.max_pool1d((smooth > 0.5).float(), _PAUSE + 1, 1, padding=_PAUSE // 2)[0, 0].bool()
    # Something too short to survive the smoothing is all there is: better heard than refused.
    return windows[kept].flatten() if kept.any() else wave


def window_starts(samples: int, step: int = STEP) -> list[int]:
    """First mel frame of each window over a recording. The last may hang over the end by a quarter, or be the only one.

    Example:

        >>> window_starts(16_000), window_starts(48_000)
        ([0], [0, 77, 154])
    """
    frames = -(-(samples + 1) // HOP)
    starts = list(range(0, max(1, frames - WINDOW + step + 1), step))
    covered = (samples - starts[-1] * HOP) / (WINDOW * HOP)
    return starts[:-1] if covered < 0.75 and len(starts) > 1 else starts


def installed() -> Path | None:
    """The parameters in the package `resemblyzer`, if that is installed. It is not imported: its import often fails."""
    found = importlib.util.find_spec("resemblyzer")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "pretrained.pt"
        if path.is_file():
            return path
    return None


def load(
    weights: str | Path = DEFAULT, *, device: str = "cpu", progress: Callable[[float], None] | None = None
) -> GE2E:
    """The published encoder: from the package `resemblyzer` where that is installed, else fetched (17 MB).

    Args:
        weights: A file in Resemblyzer's layout, or the name `resemblyzer`.
        device: Where it runs.
        progress: Told the fraction that has been downloaded, 0 to 1.

    Raises:
        BadOption: Neither a file nor the name that is known.
        BadCheckpoint: Damaged, hostile, or another net.
        Offline: Neither installed nor on this machine, and cannot be fetched.
    """
    here = installed() if weights == DEFAULT else None
    path = here or locate(str(weights), PUBLISHED, progress)
    state = load_foreign(path)
    state = state.get("model_state", state)
    if not isinstance(state, dict):
        raise BadCheckpoint(f"{path} holds no state of a GE2E encoder")
    # Scale and offset of the training loss are of no use here.
    state = {name: value for name, value in state.items() if not name.startswith("similarity_")}
    net = GE2E()
    load_strict(net, state, str(path))
    return net.to(device).eval().requires_grad_(False)
