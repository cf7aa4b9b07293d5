"""Pictures of a conversion: what went in and what came out, as spectrograms with their melodies, side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.audio.resample import resample
from mynah.core.atomic import replacing
from mynah.core.errors import BadAudio, BadOption, MissingExtra
from mynah.core.types import Audio, Contour
from mynah.features.pitch import pitch

FORMATS = (".png", ".svg", ".pdf")
_LOW_HZ, _HIGH_HZ = 60.0, 16_000.0
_ROWS, _COLUMNS = 240, 900
_RANGE_DB = 80.0
_PITCH_TICKS = (50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 1600)
_MELODY = "#ffffff"
_COLOURS = ("#7a7a7a", "#d1495b")  # source, result


def side_by_side(
    source: Audio,
    result: Audio,
    path: Path | str,
    *,
    melodies: tuple[Contour, Contour] | None = None,
    titles: tuple[str, str] = ("source", "result"),
    seconds: float = 20.0,
) -> Path:
    """Draw two spectrograms with their pitch contours, and both contours below in one frame.

    Args:
        source: What went in. Channels are averaged.
        result: What came out.
        path: Ends in .png, .svg or .pdf; appears whole or not at all.
        melodies: Pitch of source and result; tracked when not given.
        titles: Written above.
        seconds: How much is drawn, from the beginning.

    Raises:
        MissingExtra: matplotlib is not installed.
        BadOption: A format that cannot be drawn.
        BadAudio: A recording is empty.
    """
    path = Path(path)
    figure = new_figure(path, 12.0, 7.0)
    shown = [_start(audio, seconds) for audio in (source, result)]
    melodies = melodies or (pitch(shown[0]), pitch(shown[1]))
    top_hz = min(_HIGH_HZ, *(audio.rate / 2 for audio in shown))
    grid = figure.add_gridspec(2, 2, height_ratios=(2.2, 1.0))
    first = None
    for column, (audio, melody, title) in enumerate(zip(shown, melodies, titles, strict=True)):
        axes = figure.add_subplot(grid[0, column], sharey=first)
        first = first or axes
        draw_spectrogram(axes, audio, top_hz)
        axes.plot(*_points(melody, audio.seconds), color=_MELODY, linewidth=1.2)
        axes.set_title(title)
        axes.set_xlabel("seconds")
        if not column:
            axes.set_ylabel("Hz")
    below = figure.add_subplot(grid[1, :])
    for audio, melody, title, colour in zip(shown, melodies, titles, _COLOURS, strict=True):
        below.plot(*_points(melody, audio.seconds), color=colour, linewidth=1.5, label=title)
    below.set_yscale("log")
    below.set_yticks(_PITCH_TICKS, [f"{hz}" for hz in _PITCH_TICKS])
    below.minorticks_off()
    below.set_ylim(*_span(melodies))
    below.set_xlim(0, max(audio.seconds for audio in shown))
    below.set_xlabel("seconds")
    below.set_ylabel("pitch in Hz")
    below.legend(loc="upper right", frameon=False)
    return save(figure, path)


def draw_spectrogram(axes: Any, audio: Audio, top_hz: float) -> None:
    """Level over time and the logarithm of frequency, 80 dB down from the loudest point."""
    level_db, edges_seconds, edges_hz = spectrogram(audio, top_hz)
    axes.pcolormesh(
        edges_seconds.numpy(),
        edges_hz.numpy(),
        level_db.numpy(),
        cmap="magma",
        vmin=-_RANGE_DB,
        vmax=0,
        rasterized=True,
    )
    axes.set_yscale("log")
    ticks = [hz for hz in (100, 200, 500, 1000, 2000, 5000, 10_000) if hz < top_hz]
    axes.set_yticks(ticks, [f"{hz}" for hz in ticks])
    axes.minorticks_off()


def spectrogram(audio: Audio, top_hz: float = _HIGH_HZ) -> tuple[Tensor, Tensor, Tensor]:
    """Level in dB below the loudest point, `[row, column]`; then the columns' edges in seconds, and the rows' in Hz.

    The rows are evenly spaced in octaves from 60 Hz to `top_hz`.
    """
    mono = audio.samples.mean(0)
    size = 1 << max(8, math.ceil(math.log2(audio.rate * 0.064)))
    hop = max(size // 8, math.ceil(len(mono) / _COLUMNS))
    padded = torch.nn.functional.pad(mono, (size // 2, size // 2))
    spectrum = torch.stft(padded, size, hop, window=torch.hann_window(size), center=False, return_complex=True)
    power = spectrum.abs().square()
    edges_hz = _LOW_HZ * (top_hz / _LOW_HZ) ** torch.linspace(0, 1, _ROWS + 1)
    # Mean power between a row's edges: high rows are wider than a bin of the transform, low ones narrower.
    summed = torch.nn.functional.pad(power.double().cumsum(0), (0, 0, 1, 0))
    place = (edges_hz.double() * size / audio.rate + 0.5).clamp(max=power.shape[0] - 1e-6)
    below = place.long()
    rows = torch.lerp(summed[below], summed[below + 1], (place - below)[:, None]).diff(dim=0)
    rows = (rows / place.diff()[:, None].clamp(min=1e-6)).float()
    level_db = 10 * (rows / rows.max().clamp(min=1e-20)).clamp(min=1e-12).log10()
    edges_seconds = (torch.arange(power.shape[1] + 1) - 0.5) * hop / audio.rate
    return level_db, edges_seconds.clamp(min=0), edges_hz


def new_figure(path: Path, width: float, height: float) -> Any:
    """An empty sheet, in inches, that can be saved at `path`.

    Raises:
        MissingExtra: matplotlib is not installed.
        BadOption: A format that cannot be drawn.
    """
    if path.suffix.lower() not in FORMATS:
        raise BadOption(f"{path}: a picture ends in {', '.join(FORMATS)}")
    try:
        # Not pyplot: that keeps state, and asks for a screen.
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "pictures") from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> Path:
    """Write a picture whole or not at all; the same figure gives the same bytes as PNG."""
    with replacing(path) as half:
        figure.savefig(half, dpi=120)
    return path


def _start(audio: Audio, seconds: float) -> Audio:
    if not audio.samples.numel():
        raise BadAudio("an empty recording cannot be drawn")
    beginning = Audio(audio.samples[:, : int(seconds * audio.rate)].mean(0, keepdim=True), audio.rate)
    return resample(beginning, 48_000) if audio.rate > 48_000 else beginning


def _span(melodies: tuple[Contour, Contour]) -> tuple[float, float]:
    """A little more than the range of both melodies, and an octave at least."""
    sung = torch.cat([melody.values[melody.values.isfinite()] for melody in melodies])
    low, high = (sung.min().item(), sung.max().item()) if len(sung) else (100.0, 400.0)
    centre, half = math.sqrt(low * high), max(math.sqrt(2), 1.1 * math.sqrt(high / low))
    return centre / half, centre * half


def _points(melody: Contour, seconds: float) -> tuple[list[float], list[float]]:
    """Times and pitches to draw; NaN breaks the line."""
    count = min(len(melody.values), math.ceil(seconds / melody.hop_seconds))
    return [frame * melody.hop_seconds for frame in range(count)], melody.values[:count].tolist()
