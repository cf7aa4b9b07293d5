"""A long mix in segments: what the package makes of it, whatever the pieces, and in flat memory."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.core.errors import BadOption
from mynah.core.types import Audio
from mynah.separate.demucs import Config, Demucs, DemucsOptions, Net
from mynah.separate.demucs.overlap import spread


@pytest.fixture
def system(bench: Any, tmp_path: Path) -> Demucs:
    return Demucs.load(str(bench.packed(bench.net("transformer"), tmp_path / "net.th")))


@pytest.mark.parametrize("kind", ["time", "hybrid", "transformer"])
def test_twenty_seconds_as_the_package_does_them(kind: str, bench: Any, tmp_path: Path) -> None:
    net = bench.net(kind)
    system = Demucs.load(str(bench.packed(net, tmp_path / "net.th")))
    mix = bench.noise(20)
    wanted = bench.theirs(bench.halved(net), mix)
    assert wanted.std() > 0.05  # or the tolerance would mean nothing
    torch.testing.assert_close(bench.ours(system, mix), wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("seconds", "options"),
    [(1.9, {"overlap": 0.8}), (1.9, {"overlap": 0.0}), (1.9, {"segment": 0.3}), (0.13, {}), (0.13, {"segment": 0.3})],
)
def test_other_overlaps_segments_and_lengths(
    seconds: float, options: dict[str, Any], bench: Any, system: Demucs
) -> None:
    mix = bench.noise(seconds)
    wanted = bench.theirs(system.nets[0].net, mix, **options)
    torch.testing.assert_close(bench.ours(system, mix, **options), wanted, atol=1e-4, rtol=0)


def test_a_seed_moves_the_passes_as_it_moves_those_of_the_package(bench: Any, tmp_path: Path) -> None:
    net = bench.net("hybrid")
    system = Demucs.load(str(bench.packed(net, tmp_path / "net.th")))
    mix = bench.noise(2.3)
    random.seed(5)
    wanted = bench.theirs(bench.halved(net), mix, shifts=3)
    ours = bench.ours(system, mix, shifts=3, seed=5)
    torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=0)
    assert ours.equal(bench.ours(system, mix, shifts=3, seed=5))
    assert not ours.equal(bench.ours(system, mix, shifts=3, seed=6))


@pytest.mark.parametrize("options", [{}, {"overlap": 0.6}, {"shifts": 2}])
def test_the_first_versions_hear_what_is_around_a_segment(options: dict[str, Any], bench: Any) -> None:
    """Their convolutions lose the ends of what they hear, so that they are given more than they answer for."""
    net = bench.net("waveform", resample=True)
    system = Demucs(Config((Net("waveform", {**bench.settings("waveform"), "resample": True}),)))
    system.nets[0].net.load_state_dict(net.state_dict())
    mix = bench.noise(3.2)
    random.seed(0)
    wanted = bench.theirs(net, mix, **options)
    assert wanted.std() > 0.05
    torch.testing.assert_close(bench.ours(system, mix, **options), wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("options", [{}, {"shifts": 2, "overlap": 0.6}])
def test_how_the_mix_arrives_makes_no_difference(options: dict[str, Any], bench: Any, system: Demucs) -> None:
    mix = bench.noise(2.2)
    chosen = DemucsOptions.of(**options)
    whole = torch.cat(list(system.apart(lambda: iter((mix,)), chosen)), -1)
    for size in (700, 4001):
        pieces = torch.cat(list(system.apart(lambda size=size: iter(mix.split(size, -1)), chosen)), -1)
        torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)
    assert whole.shape[-1] == mix.shape[-1]


@pytest.mark.parametrize("options", [{}, {"shifts": 2}, {"segment": 0.3, "overlap": 0.7}])
def test_no_more_is_kept_of_a_long_mix_than_of_a_short_one(options: dict[str, Any], bench: Any, system: Demucs) -> None:
    """Between what was read and what was given away never lie more than two segments and the moves."""
    read, given, most = 0, 0, 0

    def pieces() -> Iterator[Tensor]:
        nonlocal read
        read = 0
        for seed in range(30):
            read += bench.rate // 4
            yield bench.noise(0.25, seed)

    sizes = []
    for part in system.apart(pieces, DemucsOptions.of(**options)):
        most = max(most, read - given)
        given += part.shape[-1]
        sizes.append(part.shape[-1])
    assert given == read == 30 * bench.rate // 4
    assert max(sizes) <= bench.rate
    assert most <= 2 * bench.rate


def test_a_transformer_hears_no_more_than_it_was_trained_on(bench: Any, system: Demucs) -> None:
    with pytest.raises(BadOption, match=r"0\.5 s at once"):
        bench.ours(system, bench.noise(1), segment=2)


def test_mean_and_deviation_do_not_depend_on_the_pieces() -> None:
    mix = 3 + torch.randn(2, 10_000, generator=torch.Generator().manual_seed(0))
    mono = mix.mean(0).double()
    for size in (10_000, 333):
        mean, deviation = spread(mix.split(size, -1))
        assert mean == pytest.approx(mono.mean().item(), abs=1e-9)
        assert deviation == pytest.approx(mono.std().item() + 1e-8, abs=1e-9)


def test_silence_and_mono_and_other_rates_come_out_whole(bench: Any, system: Demucs) -> None:
    silence = system.separate(Audio(torch.zeros(2, 3000), bench.rate))
    assert all(stem.samples.abs().max() < 1e-6 for stem in silence.values())
    mono = system.separate(Audio(bench.noise(0.4)[:1], 11_025))
    assert {stem.samples.shape for stem in mono.values()} == {(1, 3200)}
    one = system.separate(Audio(torch.ones(2, 1), bench.rate))
    assert {stem.samples.shape for stem in one.values()} == {(2, 1)}
