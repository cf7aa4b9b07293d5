"""How fast faster-whisper is through our door and called directly, printed as a table.

    python benchmarks/transcribe.py [--seconds 60] [--turns 3] [--threads 2] [--weights FOLDER] [--native]

Without weights a model of the size of Whisper's `tiny` is made, which knows nothing and writes as much as it
may in every window, so all do the same work, and their texts have to be the same. All are in one process and take
turns, because a busy machine is busy with all; the best turn counts. "CPU" is what the processors worked,
which says more where others use them too. Beam 1, no second hearing, language given: equal terms.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from mynah.core.types import Audio
from mynah.transcribe.faster_whisper import FasterWhisper, FasterWhisperOptions
from mynah.transcribe.faster_whisper.folder import Vocabulary, write
from mynah.transcribe.whisper import Whisper, WhisperOptions
from mynah.transcribe.whisper.net import Config
from mynah.transcribe.whisper.tokens import small_vocabulary, specials

EVEN: dict[str, Any] = {"language": "en", "fallback": False, "silence": 1.0, "beam": 1}


def made(folder: Path) -> Whisper:
    """Our own Whisper with random weights, written for CTranslate2 as well."""
    tokens = small_vocabulary()
    config = Config(vocabulary=tokens.size)
    system = Whisper(config, tokens, ((3, 0),))
    torch.manual_seed(0)
    for weight in system.net.parameters():
        weight.data.copy_(torch.randn(weight.shape) * (0.8 / weight.shape[-1] ** 0.5 if weight.ndim > 1 else 0.1))
    # Text is always likeliest, and of the times the first: so every window is full, and none is heard twice.
    decoder, likely = system.net.decoder, torch.full((tokens.size,), -1.0)
    likely[: tokens.end] = likely[tokens.first_time] = 1.0
    decoder.ln.weight.data.fill_(0.2)
    decoder.ln.bias.data.zero_()[0] = 10.0
    decoder.token_embedding.weight.data[:, 0] = likely
    own = Vocabulary.of_bytes()
    in_order = sorted(own.pieces[:256], key=lambda letter: _byte(letter))
    vocabulary = dataclasses.replace(own, pieces=(*in_order, ""), specials=tuple(specials(tokens.end, tokens.size)))
    state = {name: value.numpy() for name, value in system.net.state_dict().items()}
    write(folder, state, vocabulary, never=system.banned)
    return system


def _byte(letter: str) -> int:
    """GPT-2 shows bytes that cannot be seen as letters from 256 on, in their order."""
    unseen = [byte for byte in range(256) if not (33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255)]
    return unseen[ord(letter) - 256] if ord(letter) > 255 else ord(letter)


def song(seconds: float) -> Audio:
    t = torch.arange(round(16_000 * seconds), dtype=torch.float64) / 16_000
    wave = 0.3 * torch.sin(2 * torch.pi * 220 * t + 3 * torch.sin(7 * t)) * (0.5 + 0.5 * torch.sin(3 * t))
    return Audio(wave.float()[None], 16_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--native", action="store_true", help="our own Whisper as well, with the same made-up weights")
    args = parser.parse_args()
    from faster_whisper import WhisperModel

    torch.set_num_threads(args.threads)
    sound = song(args.seconds)
    with tempfile.TemporaryDirectory() as place:
        folder = args.weights or Path(place)
        native = None if args.weights else made(folder)
        engine: Any = WhisperModel(str(folder), device="cpu", cpu_threads=args.threads)
        door = FasterWhisper.load(str(folder))
        options = FasterWhisperOptions(threads=args.threads, log_probability=-10, **EVEN)
        samples = sound.samples[0].numpy()

        def direct() -> str:
            segments, _ = engine.transcribe(
                samples, language="en", beam_size=1, temperature=0.0, condition_on_previous_text=False,
                log_prob_threshold=-10, no_speech_threshold=1.0,
            )  # fmt: skip
            return " ".join(segment.text.strip() for segment in segments)

        who: dict[str, Callable[[], str]] = {
            "faster-whisper, called directly": direct,
            "faster-whisper, through our door": lambda: door.transcribe(sound, options).text,
        }
        if native is not None and args.native:
            own = WhisperOptions(log_probability=-10, hush_db=-120, **EVEN)
            who["our own Whisper"] = lambda: native.transcribe(sound, own).text
        best = {name: (float("inf"), float("inf")) for name in who}
        for turn in range(args.turns + 1):  # the first warms up
            for name, listen in who.items():
                begin, worked = time.perf_counter(), time.process_time()
                listen()
                took = time.perf_counter() - begin, time.process_time() - worked
                if turn:
                    best[name] = tuple(map(min, best[name], took))  # type: ignore[assignment]
        if who["faster-whisper, called directly"]() != who["faster-whisper, through our door"]():
            raise SystemExit("the door and the library do not say the same")
    table = Table("who", "seconds", "CPU seconds", "real-time factor")
    for name, (wall, cpu) in best.items():
        table.add_row(name, f"{wall:.2f}", f"{cpu:.2f}", f"{wall / args.seconds:.3f}")
    console = Console()
    console.print(table)
    walls = [wall for wall, _ in best.values()]
    console.print(f"our door takes {walls[1] / walls[0]:.3f} times as long as the library ({args.threads} threads)")


if __name__ == "__main__":
    main()
