"""How well a separator takes a held-out song apart, beside what needs no separator; and that memory stays flat.

    python benchmarks/stems.py --data FOLDER --song NAME [--system NAME ...]
    python benchmarks/stems.py --hours 1 [--system NAME ...]

FOLDER holds a folder for each song, with a recording for each stem: vocals, or lead and backing, and the rest. The mix
is their sum. "gain" is that of the SI-SDR over the mix, in windows of 12 s in which both vocals and accompaniment sound
(`mynah.metrics.stems.gains`); "SDR" is that of the MDX challenge, of the whole song. The ideal ratio mask knows the
stems: no mask of spectra does much better. Every separator runs in a process of its own, from file to files; its time
is that of the work without the loading, its memory that of the whole process.

With --hours, a song of a few minutes and one of so many hours are separated, both made up on the fly: flat memory means
that their lines show the same. The disk needs room for the stems, 1.3 GB for each of them and each hour.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mynah.audio.files import Writer, read, write
from mynah.audio.mixing import match_channels
from mynah.audio.resample import resample
from mynah.core.types import Audio, Stems
from mynah.metrics.stems import gains, mdx_sdr, paired
from mynah.separate import DEFAULT

NAMES = ("vocals", "accompaniment")
SHORT_MINUTES = 4.0
CHILD = """
import json, resource, sys, time
from pathlib import Path
begin = time.perf_counter()
from mynah.core.registry import find
from mynah.core.verbs import options_of
from mynah.separate import Two, separate_file
name, weights, device, options, song, folder = sys.argv[1:]
system = find(name)
engine = Two(system.load(weights, device=device))
chosen = options_of(system, "separate").of(**json.loads(options))
ready = time.perf_counter()
separate_file(Path(song), {stem: Path(folder, stem + ".wav") for stem in engine.stems}, engine, chosen, bits=32)
done = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"load": ready - begin, "separate": done - ready, "peak": peak}))
"""


def main() -> None:
    """Parse, separate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="songs in stems")
    parser.add_argument("--song", help="which of them")
    parser.add_argument("--system", action="append", metavar="NAME[:WEIGHTS]", help=f"who separates ({DEFAULT})")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the separators")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rate", type=int, default=44_100, help="of the mix, in Hz")
    parser.add_argument("--hours", type=float, help="measure memory on a made-up song of this length instead")
    parser.add_argument("--json", type=Path, help="write all figures there, window by window")
    arguments = parser.parse_args()
    options = json.dumps(dict(option.split("=", 1) for option in arguments.option))
    systems = arguments.system or [DEFAULT]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.hours is not None:
            long(systems, arguments.hours, arguments.device, options, Path(folder))
        elif arguments.data and arguments.song:
            found = scored(arguments, systems, options, Path(folder))
            if arguments.json:
                arguments.json.write_text(json.dumps(found, indent=1) + "\n")
        else:
            parser.error("say --data FOLDER --song NAME, or --hours HOURS")


def scored(arguments: argparse.Namespace, systems: list[str], options: str, folder: Path) -> dict[str, object]:
    """One row for each way to separate; the figures of every window by row and stem."""
    true = song(arguments.data / arguments.song, arguments.rate)
    voice, band = (true[name].samples for name in NAMES)
    mix, rate = voice + band, arguments.rate
    place = write(Audio(mix, rate), folder / "mix.wav", bits=32, peak_db=None)
    seconds = mix.shape[-1] / rate
    table = Table(title=f"{arguments.song}, {seconds:.0f} s of {rate} Hz, gains in dB")
    figures = [f"{name}\n{what}" for name in NAMES for what in ("gain", "worst", "SDR")]
    for column in ("", *figures, "of real\ntime", "peak\nmemory"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    found: dict[str, object] = {}

    def add(label: str, vocals: Tensor, rest: Tensor, *costs: str) -> None:
        row, windows = [], {}
        for name, estimate in zip(NAMES, (vocals, rest), strict=True):
            better = gains(true[name].samples, estimate, mix, rate)
            values = list(better.values()) or [math.nan]
            sdr = mdx_sdr(true[name].samples, estimate)
            row += [f"{figure:z.2f}" for figure in (median(values), min(values), sdr)]
            windows[name] = {str(start): gain if math.isfinite(gain) else None for start, gain in better.items()}
        table.add_row(label, *row, *costs)
        found[label] = windows

    for label, trivial in BASELINES.items():
        vocals = trivial(mix, rate)
        add(label, vocals, mix - vocals)
    add("half of the mix", mix / 2, mix / 2)
    table.add_section()
    for name in systems:
        cost = separated(name, arguments.device, options, place, folder)
        stems = [read(folder / f"{stem}.wav").samples for stem in NAMES]
        system, _, weights = name.partition(":")
        label = f"{system} ({Path(weights).stem})" if weights else system
        add(label, *stems, f"{cost['separate'] / seconds:.3f}", f"{cost['peak'] / 1e6:.0f} MB")
    table.add_section()
    ideal = ratio_mask(voice, band, mix)
    add("ideal ratio mask", ideal, mix - ideal)
    Console(width=max(130, Console().width)).print(table)
    counted = len(next(iter(found.values()))["vocals"])  # type: ignore[index]
    print(f"{counted} windows in which both sound; torch uses {torch.get_num_threads()} threads here")
    return found


def song(folder: Path, rate: int) -> Stems:
    """Vocals and accompaniment, stereo."""
    stems = Stems()
    for path in sorted(folder.iterdir()):
        if path.stem not in ("mix", "mixture"):
            stems[path.stem] = resample(match_channels(read(path), 2), rate)
    pattern = next(iter(stems.values()))
    true, _ = paired(stems, Stems(dict.fromkeys(NAMES, pattern)))
    return true


def half_band(mix: Tensor, rate: int) -> Tensor:
    """What lies between 200 and 4000 Hz."""
    spectrum = torch.fft.rfft(mix)
    hz = torch.linspace(0, rate / 2, spectrum.shape[-1])
    return torch.fft.irfft(spectrum * ((hz > 200) & (hz < 4000)), mix.shape[-1])


def middle(mix: Tensor, rate: int) -> Tensor:
    """What both sides share."""
    return mix.mean(0, keepdim=True).expand_as(mix)


# What takes the vocals out without having learnt anything; the accompaniment is the rest.
BASELINES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "silence": lambda mix, rate: torch.zeros_like(mix),
    "200 to 4000 Hz": half_band,
    "middle": middle,
    "middle, 200 to 4000 Hz": lambda mix, rate: half_band(middle(mix, rate), rate),
}


def ratio_mask(voice: Tensor, band: Tensor, mix: Tensor, *, size: int = 4096) -> Tensor:
    """The vocals by a mask that was told the power of both stems in every bin."""
    window = torch.hann_window(size)
    spectra = [torch.stft(each, size, size // 4, window=window, return_complex=True) for each in (voice, band, mix)]
    powers = [spectrum.abs().square() for spectrum in spectra[:2]]
    masked = spectra[2] * powers[0] / (powers[0] + powers[1]).clamp(min=1e-12)
    return torch.istft(masked, size, size // 4, window=window, length=mix.shape[-1])


def separated(name: str, device: str, options: str, mix: Path, folder: Path) -> dict[str, float]:
    """Take a song apart in another process; what it cost."""
    system, _, weights = name.partition(":")
    full = system if "/" in system else f"separate/{system}"
    command = [sys.executable, "-c", CHILD, full, weights or "default", device, options, str(mix), str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} could not separate")
    cost: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return cost


def long(systems: list[str], hours: float, device: str, options: str, folder: Path) -> None:
    """One row for each separator and length."""
    table = Table("", "length", "load", "separate", "of real time", "peak memory", title="stereo, 44.1 kHz")
    for name in systems:
        for minutes in (SHORT_MINUTES, 60 * hours):
            mix = made_up(60 * minutes, folder / "mix.wav")
            cost = separated(name, device, options, mix, folder)
            figures = f"{cost['load']:.1f} s", f"{cost['separate']:.1f} s", f"{cost['separate'] / minutes / 60:.3f}"
            table.add_row(name, f"{minutes:g} min", *figures, f"{cost['peak'] / 1e6:.0f} MB")
    Console().print(table)


def made_up(seconds: float, path: Path, rate: int = 44_100) -> Path:
    """Notes over noise that swells and fades, a new note every second."""
    chance = torch.Generator().manual_seed(0)
    t = torch.arange(rate) / rate
    with Writer(path, rate, 2, bits=16) as writer:
        for second in range(math.ceil(seconds)):
            hz = 110 * 2 ** (torch.randint(36, (1,), generator=chance).item() / 12)
            note = sum(torch.sin(2 * math.pi * hz * k * t) / k for k in range(1, 9)) * (1 - t) / 8
            noise = 0.05 * (1 + math.sin(second / 7)) * torch.randn(2, rate, generator=chance)
            writer.push(Audio((note + noise)[:, : round(min(1.0, seconds - second) * rate)], rate))
    return path


if __name__ == "__main__":
    main()
