"""The generator for whoever only listens is the generator, however tiles and blocks are cut."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.audio.files import read, write
from mynah.convert.ucd_svc import UcdSvc, UcdSvcOptions
from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.sizes import GeneratorConfig, config
from mynah.convert.ucd_svc.swift import Swift
from mynah.core.types import Audio, Voice
from mynah.nets.normed import folded

SIZES = config(window=512, voice=8, layers=12, stacks=2, residual=12, gates=16, skip=10).generator
LOUD = 0.02  # how loud the drawn nets are at least, so that being alike means something


def drawn(sizes: GeneratorConfig = SIZES) -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Generator(sizes)
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.1)
            elif name.endswith("weight_g"):
                parameter.data.mul_(2)
        net.last_conv_layers[3].get_parameter("weight_g").data.mul_(10)
        for parameter in net.upsample_net.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return net.eval().requires_grad_(False)


def given(frames: int) -> tuple[Tensor, Tensor, Tensor]:
    dice = torch.Generator().manual_seed(1)
    voice = torch.nn.functional.normalize(torch.randn(8, generator=dice), dim=0)
    return torch.randn(64 * frames, generator=dice), torch.randn(65, frames, generator=dice), voice


def pushed(work: Swift, excitation: Tensor, told: Tensor, frames: int) -> Tensor:
    blocks = zip(excitation.split(64 * frames), told.split(frames, -1), strict=True)
    return torch.cat([*(work.push(*block) for block in blocks), work.flush()])


@pytest.mark.parametrize("frames", [1, 3, 9, 40, 141])
@pytest.mark.parametrize("tile", [64, 200, 1024])
def test_it_makes_what_the_generator_makes(frames: int, tile: int) -> None:
    net, (excitation, told, voice) = drawn(), given(frames)
    whole = net(excitation[None, None], told[None], voice[None])[0, 0]
    assert whole.std() > LOUD
    for block in (7, 1000):
        torch.testing.assert_close(pushed(Swift(net, voice, tile), excitation, told, block), whole, atol=2e-5, rtol=0)
    torch.testing.assert_close(
        pushed(Swift(folded(drawn()), voice, tile), excitation, told, 1000), whole, atol=2e-5, rtol=0
    )


def test_at_full_size_too_and_without_voices() -> None:
    sizes = GeneratorConfig(voice=0)
    net, (excitation, told, _) = drawn(sizes), given(60)
    whole = net(excitation[None, None], told[None])[0, 0]
    assert whole.std() > LOUD
    torch.testing.assert_close(pushed(Swift(net), excitation, told, 25), whole, atol=1e-4, rtol=0)


def test_it_keeps_no_more_for_a_longer_song() -> None:
    net, (excitation, told, voice) = drawn(), given(100)
    work = Swift(net, voice)
    kept = []
    for _ in range(12):
        work.push(excitation, told)
        kept.append(sum(value.numel() for value in vars(work).values() if isinstance(value, Tensor)))
    assert max(kept[6:]) <= max(kept[:6])


def test_files_are_sung_as_recordings_are(tmp_path: Path) -> None:
    system, voice, options = UcdSvc.tiny(), Voice("anna", (0.0, 0.0)), UcdSvcOptions(transpose=2.0)
    time = torch.arange(23 * 22_050) / 22_050  # longer than what is heard at a time, and no whole number of frames
    wave = 0.2 * torch.stack([torch.sin(6.2832 * 190 * k * time) / k for k in range(1, 8)]).sum(0)
    song = Audio(wave[None, :-101], 22_050)
    write(song, tmp_path / "song.wav", bits=32)
    told: list[float] = []
    melody = system.convert_file(
        tmp_path / "song.wav", voice, options, tmp_path / "out.wav", bits=32, progress=told.append
    )
    made, wanted = read(tmp_path / "out.wav"), system.convert(song, voice, options)
    assert (made.rate, made.samples.shape) == (22_050, song.samples.shape)
    torch.testing.assert_close(made.samples, wanted.samples, atol=1e-5, rtol=0)
    assert wanted.samples.abs().max() > 1e-3
    assert told[-1] == pytest.approx(1.0, abs=0.01)
    assert float(melody.values[500]) == pytest.approx(190, abs=2)
