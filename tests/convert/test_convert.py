import subprocess
import sys
from typing import Self

import pytest
import torch

import mynah.convert
from mynah.convert.hum import Hum, HumOptions
from mynah.core import errors
from mynah.core.types import Audio, Contour, Voice

NOTE = Audio(0.3 * torch.sin(torch.arange(8_000) * 0.1)[None], rate=16_000)
ANYBODY = Voice("anybody", range_hz=(80.0, 800.0))


def test_the_folder_can_be_called() -> None:
    result = mynah.convert(NOTE, ANYBODY, system="hum", transpose=-5)
    assert result.samples.shape == NOTE.samples.shape
    torch.testing.assert_close(result.samples, mynah.convert.convert(NOTE, ANYBODY, system="hum", transpose=-5).samples)


def test_a_system_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    @classmethod
    def load(cls: type[Hum], weights: str = "default", *, device: str = "cpu") -> Self:
        loaded.append(weights)
        return cls.tiny()

    monkeypatch.setattr(Hum, "load", load)
    mynah.convert.loaded.cache_clear()
    for _ in range(3):
        mynah.convert(NOTE, ANYBODY, system="hum")
    mynah.convert.loaded.cache_clear()
    assert loaded == ["default"]


def test_each_bad_option_has_its_line() -> None:
    with pytest.raises(errors.BadOption) as caught:
        mynah.convert(NOTE, ANYBODY, system="hum", transpose=40, volume=3)
    first, second = str(caught.value).splitlines()
    assert "transpose" in first
    assert "24" in first
    assert "'volume'" in second
    assert "transpose" in second


def test_a_melody_corrected_by_hand_is_sung() -> None:
    a4 = Contour(torch.full((50,), 440.0), hop_seconds=0.01, unit="Hz")
    result = mynah.convert(NOTE, ANYBODY, system="hum", melody=a4)
    assert torch.fft.rfft(result.samples[0]).abs().argmax().item() == 220  # half a second, so bins are 2 Hz


def test_a_melody_is_refused_by_a_system_that_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(self: Hum, source: Audio, voice: Voice, options: HumOptions) -> Audio:
        return source

    monkeypatch.setattr(Hum, "convert", convert)
    with pytest.raises(errors.BadOption, match="leave `melody` away"):
        mynah.convert(NOTE, ANYBODY, system="hum", melody=Contour(torch.ones(50), 0.01, "Hz"))


def test_an_unknown_system_is_named_with_those_that_exist() -> None:
    with pytest.raises(errors.UnknownSystem, match="convert/hum"):
        mynah.convert(NOTE, ANYBODY, system="hmu")


def test_a_voice_of_another_system_is_refused() -> None:
    theirs = Voice("theirs", range_hz=(80.0, 800.0), system="convert/other")
    with pytest.raises(errors.BadVoice, match="convert/other"):
        mynah.convert(NOTE, theirs, system="hum")


def test_importing_the_folder_loads_no_torch() -> None:
    heard = "import sys, mynah.convert; print(callable(mynah.convert), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", heard], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
