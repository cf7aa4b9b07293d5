"""What the README says is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mynah
from mynah.core.types import Audio

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def sung(hz: float, seconds: float, rate: int = 24_000) -> Audio:
    t = torch.arange(int(seconds * rate)) / rate
    wave = torch.stack([torch.sin(2 * torch.pi * hz * k * t) / k for k in range(1, 11)]).sum(0)
    return Audio(0.2 * wave[None], rate)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    mynah.write(sung(150, 6.0), "me.wav")
    mynah.write(sung(300, 1.5), "take.wav")
    mynah.write(sung(300, 4.0), "song.mp3")
    exec(compile(example, "README.md", "exec"), {})
    assert mynah.read("take-me.wav").seconds == pytest.approx(1.5, abs=0.001)
    assert mynah.read("song-me.mp3").seconds == pytest.approx(4.0, abs=0.1)


def test_every_command_exists() -> None:
    shown = re.findall(r"`[^`\n]+`|^    .*$", re.sub(r"```.*?```", "", README, flags=re.DOTALL), re.MULTILINE)
    told = set(re.findall(r"\bmynah ([a-z]+)\b", "\n".join(shown)))
    assert told >= {"cover", "separate", "convert", "enrol", "voices", "train", "systems", "evaluate", "doctor", "demo"}
    listed = subprocess.run(
        [sys.executable, "-m", "mynah", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert told <= set(re.findall(r"\b[a-z]+\b", listed))


def test_every_option_exists() -> None:
    told = set(re.findall(r"--[a-z-]+", README.partition("### What can be turned")[2].partition("## Installing")[0]))
    helped = [sys.executable, "-m", "mynah", "convert", "--help"]
    listed = subprocess.run(helped, capture_output=True, text=True, check=True).stdout
    assert told - {"--help"} <= set(re.findall(r"--[a-z-]+", listed))


def test_every_file_and_target_exists() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) <= targets


def test_every_shipped_voice_is_named_with_its_licence() -> None:
    for voice in (ROOT / "mynah" / "voices" / "shipped").glob("*.safetensors"):
        assert re.search(rf"^\| {re.escape(voice.stem)} \|.*\|.*\S.*\|$", README, re.MULTILINE), voice.stem
