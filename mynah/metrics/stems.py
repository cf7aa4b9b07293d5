"""Separation: how much of a stem arrived in its estimate, and how much else came with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch import Tensor

from mynah.audio.mixing import match_channels
from mynah.audio.resample import resample
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio, Stems
from mynah.metrics.bsseval import bsseval
from mynah.metrics.report import Figure, Measured, Report

WINDOW_SECONDS = 12.0
SOUNDING_DB = -30.0  # against the whole mix: what is fainter, on the mean of a window, counts as silent there
_SLACK_SECONDS = 0.1  # what lossy formats may add to or take from a file
_VOICES = ("lead", "backing")
_BANDLESS = ("vocals", *_VOICES)
_MDX_EPS = 1e-7


def si_sdr(reference: Tensor, estimate: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio in dB: an estimate that is merely too soft loses nothing.

    The channels are one long signal: left and right share one scale. Nothing is taken off the mean. A silent estimate
    has minus infinity, a perfect one infinity, and of a silent reference nothing can be said (NaN).

    Args:
        reference: Shape `[channel, time]`.
        estimate: The same shape.

    Source: J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?" (2019).

    Example:

        >>> reference = torch.tensor([[1.0, 0.0, -1.0, 0.0]])
        >>> round(si_sdr(reference, torch.tensor([[3.0, 1.0, -3.0, 1.0]])), 3)  # 10 log10(18 / 2)
        9.542
    """
    true, heard = reference.flatten().double(), estimate.flatten().double()
    energy = true @ true
    if not energy:
        return math.nan
    wanted = true * (heard @ true / energy)
    if not heard.any():
        return -math.inf
    return _db(wanted @ wanted, (heard - wanted).square().sum())


def mdx_sdr(reference: Tensor, estimate: Tensor) -> float:
    """Signal-to-distortion ratio in dB, over all samples and channels at once; too soft counts as wrong.

    Args:
        reference: Shape `[channel, time]`.
        estimate: The same shape.

    Source: Y. Mitsufuji et al., "Music Demixing Challenge 2021" (2022), whose 1e-7 it adds to both sides.

    Example:

        >>> round(mdx_sdr(torch.ones(2, 50), torch.full((2, 50), 0.9)), 3)
        20.0
    """
    true, heard = reference.double(), estimate.double()
    return _db(true.square().sum() + _MDX_EPS, (true - heard).square().sum() + _MDX_EPS)


def chunk_sdr(reference: Tensor, estimate: Tensor, rate: int, *, seconds: float = 1.0) -> float:
    """Median of `mdx_sdr` over the chunks of a song in which the reference is not digital silence; NaN if it always is.

    Args:
        reference: Shape `[channel, time]`.
        estimate: The same shape.
        rate: In Hz.
        seconds: Length of a chunk; what is left at the end is left out, unless it is all there is.
    """
    size = min(round(seconds * rate), reference.shape[-1])
    pairs = zip(*(_cut(samples, size, size) for samples in (reference, estimate)), strict=True)
    return _median([mdx_sdr(true, heard) for true, heard in pairs if true.any()])


def gains(
    reference: Tensor,
    estimate: Tensor,
    mix: Tensor,
    rate: int,
    *,
    seconds: float = WINDOW_SECONDS,
    hop_seconds: float | None = None,
) -> dict[float, float]:
    """By how many dB of SI-SDR an estimate is better than the mix itself, window by window.

    Only windows count in which both the stem and the rest of the mix sound: where the mean level (RMS) of each is at
    most 30 dB below that of the whole mix. Elsewhere the mix is already the stem, or there is no stem to be found.

    Args:
        reference: Shape `[channel, time]`.
        estimate: The same shape.
        mix: The same shape.
        rate: In Hz.
        seconds: Length of a window; a shorter song is one window.
        hop_seconds: From one window to the next; None puts them side by side.

    Returns:
        Gain in dB by the second in which the window starts.
    """
    size = min(round(seconds * rate), mix.shape[-1])
    hop = round(hop_seconds * rate) if hop_seconds else size
    least = _level(mix) * 10 ** (SOUNDING_DB / 20)
    found = {}
    windows = zip(*(_cut(samples, size, hop) for samples in (reference, estimate, mix)), strict=True)
    for number, (true, heard, mixed) in enumerate(windows):
        if least and min(_level(true), _level(mixed - true)) >= least:
            found[number * hop / rate] = si_sdr(true, heard) - si_sdr(true, mixed)
    return found


def paired(references: Stems, estimates: Stems) -> tuple[Stems, Stems]:
    """Both sides under the same names, with the rate, channels and length of the references.

    Stems of one side are added up where the other side has them in one: lead and backing as vocals, all but the voice
    as accompaniment, whatever the other side does not tell apart as `other`. Names that stay without a counterpart stay
    as they are, at the end.

    Raises:
        BadAudio: A stem is of another length: it is of another song.
        BadOption: No name is on both sides.

    Example:

        >>> def sound(value):
        ...     return Audio(torch.full((1, 4), value), 8000)
        >>> references = Stems(lead=sound(1.0), backing=sound(0.5), drums=sound(2.0), bass=sound(3.0))
        >>> true, _ = paired(references, Stems(vocals=sound(1.4), accompaniment=sound(5.1)))
        >>> {name: audio.samples[0, 0].item() for name, audio in true.items()}
        {'vocals': 1.5, 'accompaniment': 5.0}
    """
    if not (references and estimates):
        raise BadOption(f"there are no stems among the {'estimates' if references else 'references'}")
    pattern = next(iter(references.values()))
    if not pattern.samples.numel():
        raise BadAudio("the references are empty")
    true = {name: _fitted(audio, pattern, f"the reference {name!r}") for name, audio in references.items()}
    heard = {name: _fitted(audio, pattern, f"the estimate {name!r}") for name, audio in estimates.items()}
    true, heard = _joined(true, heard), _joined(heard, true)
    names = sorted((name for name in true if name in heard), key=lambda name: name != "vocals")  # the voice first
    if not names:
        raise BadOption(f"no stem is on both sides: references {', '.join(true)}; estimates {', '.join(heard)}")
    return _named(true, names, pattern.rate), _named(heard, names, pattern.rate)


def evaluate(
    references: Stems,
    estimates: Stems,
    mix: Audio | None = None,
    *,
    window_seconds: float = WINDOW_SECONDS,
    progress: Callable[[float], None] = lambda fraction: None,
) -> list[Report]:
    """A report for each stem that both sides have, with its windows one by one.

    Args:
        references: What was played, by name; see `paired` for names that differ.
        estimates: What a separator made of the mix.
        mix: What was separated; None adds up the references.
        window_seconds: For `gains`.
        progress: Told the fraction that is done.

    Raises:
        BadAudio: A stem or the mix is of another length.
        BadOption: No name is on both sides.
    """
    true, heard = paired(references, estimates)
    names = [name for name in true if name in heard]
    pattern = true[names[0]]
    rate = pattern.rate
    played = torch.stack([audio.samples for audio in true.values()])
    mixed = played.sum(0) if mix is None else _fitted(mix, pattern, "the mix")
    found = torch.stack([heard[name].samples for name in names])
    vincent = bsseval(played, found, window=rate, progress=lambda fraction: progress(0.9 * fraction))
    reports = []
    for number, name in enumerate(names):
        reference, estimate = played[number], found[number]
        better = gains(reference, estimate, mixed, rate, seconds=window_seconds)
        silent = "" if reference.any() else "the reference is silent"
        rare = "" if better else f"in no window of {window_seconds:g} s do both the stem and the rest of the mix sound"
        alone = "" if vincent.sdr[number].isfinite().any() else "in no second do all stems and all estimates sound"
        figures = (
            _figure("SI-SDR", si_sdr(reference, estimate), silent),
            _figure("SI-SDR of the mix", si_sdr(reference, mixed), silent),
            _figure("SI-SDR gain, median window", _median([*better.values()]), rare),
            _figure("SI-SDR gain, worst window", min(better.values(), default=math.nan), rare),
            _figure("SDR of the song (MDX)", mdx_sdr(reference, estimate), ""),
            _figure("SDR, median second (MDX)", chunk_sdr(reference, estimate, rate), silent),
            *(
                _figure(f"{label} (BSSEval 4)", values[number].nanmedian().item(), alone)
                for label, values in zip(("SDR", "ISR", "SIR", "SAR"), vincent, strict=True)
            ),
        )
        length = min(window_seconds, pattern.seconds)
        windows = (
            Measured(f"from {start:g} s", length, (Figure("SI-SDR gain", gain, "dB"),))
            for start, gain in better.items()
        )
        reports.append(Report(name, figures, tuple(windows)))
        progress(0.9 + 0.1 * (number + 1) / len(names))
    return reports


def _figure(name: str, value: float, why: str) -> Figure:
    return Figure(name, None if math.isnan(value) else value, "dB", why=why if math.isnan(value) else "")


def _fitted(audio: Audio, pattern: Audio, what: str) -> Tensor:
    """Samples at the rate, and of the channels and length, of another recording of the same song."""
    if abs(audio.seconds - pattern.seconds) > _SLACK_SECONDS:
        raise BadAudio(
            f"{what} is {audio.seconds:.2f} s long and the first reference {pattern.seconds:.2f} s:"
            " all must be of one song, from its beginning to its end"
        )
    channels, time = pattern.samples.shape
    samples = resample(match_channels(audio, channels), pattern.rate).samples[:, :time]
    return torch.nn.functional.pad(samples, (0, time - samples.shape[-1]))


def _joined(stems: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stems added up as far as the other side has them in one."""
    stems = dict(stems)

    def join(name: str, parts: list[str]) -> None:
        if name in other and name not in stems and parts:
            stems[name] = torch.stack([stems.pop(part) for part in parts]).sum(0)

    join("vocals", [name for name in stems if name in _VOICES])
    join("accompaniment", [name for name in stems if name not in _BANDLESS])
    if "other" in other:
        apart = [name for name in stems if name not in (*_BANDLESS, *other)]
        if apart and "accompaniment" not in apart:
            parts = apart + ["other"] * ("other" in stems)
            stems["other"] = torch.stack([stems.pop(part) for part in parts]).sum(0)
    return stems


def _named(side: dict[str, Tensor], first: list[str], rate: int) -> Stems:
    return Stems({name: Audio(side[name], rate) for name in [*first, *(name for name in side if name not in first)]})


def _cut(samples: Tensor, size: int, hop: int) -> list[Tensor]:
    """Windows that fit whole."""
    return [samples[:, start : start + size] for start in range(0, samples.shape[-1] - size + 1, max(1, hop))]


def _level(samples: Tensor) -> float:
    return samples.double().square().mean().sqrt().item() if samples.numel() else 0.0


def _median(values: Sequence[float]) -> float:
    return median(values) if values else math.nan


def _db(signal: Tensor, noise: Tensor) -> float:
    return 10 * (signal / noise).log10().item()
