from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch

from mynah.metrics import speed


def test_time_is_told_and_the_result_kept() -> None:
    result, cost = speed.measured(lambda: time.sleep(0.05) or 42)
    assert result == 42
    assert 0.05 <= cost.seconds < 2
    assert cost.real_time_factor(0.5) == pytest.approx(2 * cost.seconds)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak of the whole process is all there is")
def test_memory_is_that_of_the_job() -> None:
    _, large = speed.measured(lambda: torch.ones(60_000_000).sum().item())
    _, small = speed.measured(lambda: torch.ones(10).sum().item())
    assert large.peak_bytes is not None
    assert small.peak_bytes is not None
    assert large.peak_bytes - small.peak_bytes > 180e6


def test_a_program_is_measured_from_outside() -> None:
    large = speed.command([sys.executable, "-c", "x = bytearray(120_000_000)"])
    small = speed.command([sys.executable, "-c", "print('much' * 50_000)"])
    assert large.peak_bytes is not None
    assert small.peak_bytes is not None
    assert large.peak_bytes - small.peak_bytes > 100e6
    assert small.seconds > 0


def test_a_program_that_fails_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        speed.command([sys.executable, "-c", "import sys; sys.exit('no space')"])
    assert b"no space" in caught.value.stderr
