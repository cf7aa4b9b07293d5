"""How fast Tacotron 2 and ForwardTacotron are: full sizes, random weights, seconds of a core for a second of speech.

    python benchmarks/tacotron.py [--threads 1] [--symbols 100] [--frames 400] [--rounds 3]

Random weights never end a sentence, so that each is told how long it is. Seconds of a core count what the process
itself computed, which a busy machine changes less than the time that passed. Griffin-Lim is beside them, because it
takes its time, too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Generator

from mynah.speak.forward_tacotron import net as forward
from mynah.speak.tacotron2 import net as tacotron2
from mynah.speak.tacotron2.published import FORMAT
from mynah.vocode import vocoder


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--symbols", type=int, default=100, help="of a sentence")
    parser.add_argument("--frames", type=int, default=400, help="of a sentence")
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    taught, whole = tacotron2.Net().eval(), forward.Net().eval()
    with torch.no_grad():
        whole.dur_pred.lin.bias.fill_(args.frames / args.symbols)
        whole.dur_pred.lin.weight.zero_()
    symbols = torch.randint(1, 120, (8, args.symbols))

    def together(count: int) -> Callable[[], int]:
        def say() -> int:
            lengths = torch.full((count,), args.symbols)
            dice = [Generator().manual_seed(number) for number in range(count)]
            return int(taught.speak(symbols[:count], lengths, dice, gate=1.0, longest=args.frames).lengths.sum())

        return say

    mel, griffin = torch.randn(1, FORMAT.bands, args.frames) - 5, vocoder("griffin_lim", FORMAT)
    ways: dict[str, Callable[[], int]] = {
        "Tacotron 2, one sentence": together(1),
        "Tacotron 2, 8 sentences together": together(8),
        "ForwardTacotron": lambda: whole.speak(symbols[:1]).mel.shape[-1],
        "Griffin-Lim": lambda: griffin.wave(mel).shape[-1] // FORMAT.hop,
    }
    table = Table("", "of real time", "seconds of a core for a second")
    for name, say in ways.items():
        best = [float("inf")] * 2
        for _ in range(args.rounds):
            begun, used = time.perf_counter(), time.process_time()
            seconds = say() * FORMAT.hop / FORMAT.rate
            took = (time.perf_counter() - begun) / seconds, (time.process_time() - used) / seconds
            best = [min(pair) for pair in zip(best, took, strict=True)]
        table.add_row(name, *(f"{value:.3f}" for value in best))
    Console().print(table)


if __name__ == "__main__":
    main()
