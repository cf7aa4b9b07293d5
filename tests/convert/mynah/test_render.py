import importlib

import torch
from pytest import MonkeyPatch

from mynah.convert.mynah.blend import Consonants
from mynah.convert.mynah.hear import hear
from mynah.core.types import Audio, Contour
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.loudness import Loudness
from mynah.nets.source_filter.decoder import Decoder, DecoderConfig
from mynah.nets.source_filter.render import Heard, noise, render, start_turns

# The package has functions of these names, too.
hearing = importlib.import_module("mynah.convert.mynah.hear")
rendering = importlib.import_module("mynah.nets.source_filter.render")


def decoder() -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig(channels=8)).eval().requires_grad_(False)


def heard(frames: int) -> Heard:
    dice = torch.Generator().manual_seed(1)
    pitch = 150 + 50 * torch.rand(frames, generator=dice)
    pitch[torch.rand(frames, generator=dice) < 0.2] = torch.nan
    content = torch.randn(64, frames // 2, generator=dice)
    return Heard(content, pitch, -20 * torch.rand(frames, generator=dice), frames / 100)


def test_pieces_join_without_a_seam(monkeypatch: MonkeyPatch) -> None:
    net, song, voice = decoder(), heard(1500), torch.nn.functional.normalize(torch.randn(192), dim=0)
    monkeypatch.setattr(rendering, "FRAMES", 10_000)
    whole = torch.cat(list(render(net, song, voice, seed=3)))
    monkeypatch.setattr(rendering, "FRAMES", 400)
    pieces = list(render(net, song, voice, seed=3))
    assert [len(piece) for piece in pieces] == [128_000, 128_000, 128_000, 96_000]
    torch.testing.assert_close(torch.cat(pieces), whole, atol=2e-5 * whole.abs().max().item(), rtol=1e-3)


def test_consonants_come_through_in_pieces_as_in_one(monkeypatch: MonkeyPatch) -> None:
    net, song, voice = decoder(), heard(900), torch.zeros(192)
    song.pitch[200:260] = torch.nan
    own = torch.randn(1, 900 * 320)

    def sung(frames: int, block: int) -> torch.Tensor:
        monkeypatch.setattr(rendering, "FRAMES", frames)
        blocks = [Audio(piece, 32_000) for piece in own.split(block, dim=1)]
        return torch.cat(list(render(net, song, voice, 0, blend=Consonants(blocks, song.pitch, net, 1.0))))

    whole = sung(10_000, 10**6)
    torch.testing.assert_close(sung(300, 7_777), whole, atol=2e-4, rtol=1e-3)
    # In the middle of the gap the source's own samples come out.
    middle = slice(210 * 320, 250 * 320)
    torch.testing.assert_close(whole[middle], own[0, middle], atol=1e-4, rtol=1e-3)


def test_phase_runs_on_over_an_hour() -> None:
    turns = start_turns(torch.full((360_001,), 440.0), 320, 32_000)
    assert abs((turns[-1] + 0.5) % 1 - 0.5) < 1e-4  # 440 whole turns in every second


def test_noise_depends_on_the_place_alone() -> None:
    whole = noise(0, 1000, 4, seed=5)
    torch.testing.assert_close(noise(333, 250, 4, seed=5), whole[333 * 4 : 583 * 4])
    assert (noise(333, 250, 4, seed=6) != whole[333 * 4 : 583 * 4]).any()


def test_hearing_in_blocks_is_hearing_the_whole(monkeypatch: MonkeyPatch) -> None:
    torch.manual_seed(0)
    student, loudness = ContentStudent(ContentConfig(channels=8)).eval().requires_grad_(False), Loudness()
    wave = 0.1 * torch.randn(1, 16_000 * 7 + 123)
    melody = Contour(torch.full((702,), 200.0), 0.01, "Hz")
    whole = hear([Audio(wave, 16_000)], melody, student, loudness)
    assert len(whole.pitch) == len(whole.loudness) == 2 * whole.content.shape[1] == 702
    monkeypatch.setattr(hearing, "FRAMES", 50)
    pieces = hear((Audio(piece, 16_000) for piece in wave.split(4_321, dim=1)), melody, student, loudness)
    torch.testing.assert_close(pieces.content, whole.content, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(pieces.loudness, whole.loudness, atol=1e-3, rtol=0)
