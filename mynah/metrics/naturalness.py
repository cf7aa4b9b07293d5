"""DNSMOS: the opinion that a hundred listeners would have of a recording, as a net guesses it.

Made for speech that came through noise suppression, so a figure for singing means something only beside that of its
source. Paper: Reddy, Gopal, Cutler, arXiv 2110.01763 (P.835). Parameters: from the package `speechmos`, whose import
needs libraries that it does not ask for, so its net is read from where it lies and run here.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mynah.audio.resample import resample
from mynah.core.errors import BadAudio, MissingExtra
from mynah.core.types import Audio

RATE = 16_000
WINDOW = 144_160  # samples: 9.01 s
STEP = 16_000  # samples from one window to the next
# Polynomials from the net's outputs to the scale of opinions, highest power first: microsoft/DNS-Challenge, MIT.
_SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
_BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)


@dataclass(frozen=True)
class Opinion:
    """Mean opinion scores, 1 (bad) to 5 (excellent): of the voice, of what lies behind it, and of both together."""

    signal: float
    background: float
    overall: float


def opinion(audio: Audio) -> Opinion:
    """What listeners would say, averaged over windows of 9 s, one a second; shorter recordings are doubled to fill one.

    Raises:
        MissingExtra: The package `speechmos` is not installed.
        BadAudio: Empty, or not finite.
    """
    net = _net(model_file())
    mono = resample(Audio(audio.samples.mean(0, keepdim=True), audio.rate), RATE).samples[0]
    if not mono.numel():
        raise BadAudio("the recording is empty: nobody has an opinion of it")
    if not mono.isfinite().all():
        raise BadAudio("the recording contains NaN or infinity; export it again")
    mono = mono.clamp(-1, 1)
    while len(mono) < WINDOW:
        mono = torch.cat([mono, mono])
    count = int(len(mono) // RATE - WINDOW / RATE) + 1
    windows = mono.unfold(0, WINDOW, STEP)[:count]
    raw = [net.run(None, {"input_1": window[None].numpy()})[0][0] for window in windows]
    signal, background, overall = np.stack(raw).astype(np.float64).T
    return Opinion(
        signal=float(np.polyval(_SIGNAL, signal).mean()),
        background=float(np.polyval(_BACKGROUND, background).mean()),
        overall=float(np.polyval(_OVERALL, overall).mean()),
    )


def model_file() -> Path:
    """Where the net lies.

    Raises:
        MissingExtra: The package `speechmos` is not installed.
    """
    found = importlib.util.find_spec("speechmos")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "dnsmos_models" / "sig_bak_ovr.onnx"
        if path.is_file():
            return path
    raise MissingExtra("speechmos", "naturalness")


@lru_cache(maxsize=1)
def _net(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
