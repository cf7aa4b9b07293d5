"""What is written down while a recipe trains: a log of plain lines and a TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.core.errors import MissingExtra
from mynah.core.types import Audio
from mynah.features.mel import LogMel, PowerSpectrum

# Dark blue over red to light yellow: the ends and three stops between, RGB from 0 to 1.
_COLOURS = ((0.0, 0.0, 0.1), (0.3, 0.05, 0.45), (0.8, 0.2, 0.3), (1.0, 0.6, 0.1), (1.0, 1.0, 0.8))


class Diary:
    """Appends to `folder/log.jsonl` and to the events in `folder/tensorboard`.

    Every line is one JSON object with a `step` and the `seconds` of training until then; the rest are averaged losses
    by name, or `measures` by name, or an `event` in words.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtra("tensorboard", "train") from error
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "log.jsonl").open("a", encoding="utf-8")
        writer: Any = SummaryWriter
        self._board = writer(str(folder / "tensorboard"))

    def _line(self, step: int, seconds: float, rest: dict[str, Any]) -> None:
        self._log.write(json.dumps({"step": step, "seconds": round(seconds, 1), **rest}) + "\n")
        self._log.flush()

    def losses(self, step: int, seconds: float, losses: dict[str, float], rates: dict[str, float]) -> None:
        """Averages since the last time, and the learning rate of each turn."""
        self._line(step, seconds, {name: _short(value) for name, value in losses.items()})
        for name, value in losses.items():
            self._board.add_scalar(f"loss/{name}", value, step)
        for turn, rate in rates.items():
            self._board.add_scalar(f"learning_rate/{turn}", rate, step)

    def measures(self, step: int, seconds: float, measures: dict[str, float]) -> None:
        """Figures on held-out material."""
        self._line(step, seconds, {"measures": {name: _short(value) for name, value in measures.items()}})
        for name, value in measures.items():
            self._board.add_scalar(f"measure/{name}", value, step)

    def event(self, step: int, seconds: float, text: str) -> None:
        """Something out of the ordinary."""
        self._line(step, seconds, {"event": text})
        self._board.add_text("event", text, step)

    def preview(self, step: int, audio: Audio) -> None:
        """Something to listen to, and its mel spectrogram."""
        mono = audio.samples.detach().float().cpu().mean(0, keepdim=True)
        self._board.add_audio("preview", mono.clamp(-1, 1), step, sample_rate=audio.rate)
        self._board.add_image("preview", picture(mono, audio.rate), step)
        self._board.flush()

    def close(self) -> None:
        """Nothing can be written afterwards."""
        self._log.close()
        self._board.close()


def picture(wave: Tensor, rate: int) -> Tensor:
    """Mel spectrogram of `[1, time]` as an image `[3, band, frame]` from 0 to 1, low bands at the bottom."""
    power = PowerSpectrum(1024, 512)(wave) / 6.5  # as loud as the 400 points that the mel scale's floor is meant for
    mel = LogMel(rate, 1024, 100)(power)[0].flip(0)
    mel = (mel - mel.amin()) / (mel.amax() - mel.amin()).clamp(min=1e-6)
    colours = torch.tensor(_COLOURS)
    place = mel * (len(colours) - 1)
    below = place.long().clamp(max=len(colours) - 2)
    return torch.lerp(colours[below], colours[below + 1], (place - below)[..., None]).permute(2, 0, 1)


def _short(value: float) -> float:
    """Five digits that matter, so that a log can be read and kept."""
    return float(f"{value:.5g}")
