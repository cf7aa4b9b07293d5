"""The LSTM voice encoder of Mozilla's and Coqui's TTS, by whose vectors VoiceCraft SVC knows its singers.

Ten stretches of 4 s are heard and their vectors averaged; the mean is not brought back to unit length, because the
singers were trained with it as it is: how short it is tells how much the voice varies.
Paper: Wan, Wang, Papir, Lopez Moreno, arXiv 1710.10467; trained by the angular loss of Chung et al., arXiv 2003.11982.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_foreign, load_strict
from mynah.catalog.home import cache
from mynah.core.errors import BadAudio, BadCheckpoint, Offline
from mynah.core.types import Audio
from mynah.features.mel import mel_filters

RATE = 16_000
SIZE = 256
PAGE = "https://github.com/PlayVoice/whisper-vits-svc/releases/tag/dependency"
_FFT, _HOP, _BANDS = 1024, 256, 80
_FRAMES, _STRETCHES = 250, 10
_PREEMPHASIS = 0.98
_PEAK = 0.95
_QUIET_DB = -60.0  # against the loudest frame: quieter ends are cut off
_MARGIN = 160  # samples that are cut off in any case
_SPAN = 4.0  # bands lie between minus this and this


class _Layer(nn.Module):
    def __init__(self, heard: int, hidden: int, size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(heard, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.lstm(x)[0])


class MozillaSpeaker(nn.Module):
    """The net, in the published key layout.

    Shape:
        Bands `[batch, frame, 80]` to vectors of unit length `[batch, 256]`.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, hidden: int = 768, size: int = SIZE, layers: int = 3) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(*(_Layer(_BANDS if layer == 0 else size, hidden, size) for layer in range(layers)))
        self.register_buffer("filters", mel_filters(RATE, _FFT, _BANDS, 0.0, 8000.0), persistent=False)
        self.register_buffer("window", torch.hann_window(_FFT), persistent=False)

    def forward(self, bands: Tensor) -> Tensor:
        return F.normalize(self.layers(bands)[:, -1], dim=1)

    def bands(self, wave: Tensor) -> Tensor:
        """Mel magnitudes in dB, from -4 (-80 dB) to 4 (20 dB): 16 kHz `[time]` to `[time // 256 + 1, 80]`."""
        bright = torch.cat([wave[:1], wave[1:] - _PREEMPHASIS * wave[:-1]])
        padded = F.pad(bright[None, None], (_FFT // 2, _FFT // 2), mode="reflect")[0]
        spectrum = torch.stft(padded, _FFT, _HOP, window=self.window, center=False, return_complex=True).abs()
        db = 20 * torch.matmul(self.filters, spectrum).clamp(min=1e-5).log10() - 20
        return ((db + 100) / 100 * 2 * _SPAN - _SPAN).clamp(-_SPAN, _SPAN)[0].T

    @torch.inference_mode()
    def embed_wave(self, wave: Tensor) -> Tensor:
        """One vector `[256]`, shorter than 1, for a prepared 16 kHz waveform `[time]`."""
        bands = self.bands(wave.to(self.filters.device))
        frames = min(_FRAMES, len(bands))
        starts = torch.linspace(0, len(bands) - frames, _STRETCHES, dtype=torch.float64).long().tolist()
        return self(torch.stack([bands[start : start + frames] for start in starts])).mean(0).cpu()

    def embed(self, clips: Sequence[Audio]) -> Tensor:
        """One vector `[256]` for a voice: the mean over its clips, of any rate and length.

        Raises:
            BadAudio: No clip, or one that is empty, silent or not finite.
        """
        if not clips:
            raise BadAudio("no recording to hear a voice in")
        return torch.stack([self.embed_wave(prepared(clip)) for clip in clips]).mean(0)


def prepared(clip: Audio) -> Tensor:
    """Mono at 16 kHz without quiet ends, with a peak of 0.95: shape `[time]`.

    Raises:
        BadAudio: Empty, shorter than 70 ms, silent or not finite.
    """
    wave = resample(Audio(clip.samples.mean(0, keepdim=True), clip.rate), RATE).samples[0]
    if not wave.isfinite().all():
        raise BadAudio("the recording contains NaN or infinity; export it again")
    wave = wave[_MARGIN : len(wave) - _MARGIN]
    if len(wave) <= _FFT // 2:
        raise BadAudio("the recording is shorter than a tenth of a second: there is no voice in it")
    power = F.pad(wave, (_FFT // 2, _FFT // 2)).unfold(0, _FFT, _HOP).square().mean(1)
    loud = (10 * (power / power.max().clamp(min=1e-10)).clamp(min=1e-10).log10() > _QUIET_DB).nonzero()
    if power.max() < 1e-10 or not len(loud):
        raise BadAudio("the recording is silent: there is no voice in it")
    wave = wave[int(loud[0]) * _HOP : (int(loud[-1]) + 1) * _HOP]
    if len(wave) <= _FFT // 2:
        wave = F.pad(wave, (0, _FFT // 2 + 1 - len(wave)))
    return wave / wave.abs().max() * _PEAK


def place() -> Path:
    """The file with the published net.

    Raises:
        Offline: It is not there; says where to get it and where to put it.
    """
    path = cache() / "weights" / "mozilla-tts" / "best_model.pth.tar"
    if not path.is_file():
        raise Offline(
            "the voice encoder of Mozilla TTS is not on this machine: download best_model.pth.tar from "
            f"{PAGE} and put it at {path}"
        )
    return path


def load(path: Path | str | None = None, *, device: str = "cpu") -> MozillaSpeaker:
    """From a file in the published layout.

    Args:
        path: By default `place()`. Nobody published a checksum of it, so it cannot be
            fetched by itself.
        device: Where it runs.

    Raises:
        Offline: The file is not there; says where to get it and where to put it.
        BadCheckpoint: Damaged, hostile, or another net.
    """
    path = place() if path is None else Path(path)
    held = load_foreign(path)
    state = held.get("model", held)
    first = state.get("layers.0.linear.weight") if isinstance(state, Mapping) else None
    if not isinstance(first, Tensor) or first.ndim != 2:
        raise BadCheckpoint(f"{path} holds no voice encoder of Mozilla TTS")
    size, hidden = first.shape
    net = MozillaSpeaker(hidden, size, len({str(name).split(".")[1] for name in state}))
    load_strict(net, state, str(path))
    return net.to(device).eval().requires_grad_(False)
