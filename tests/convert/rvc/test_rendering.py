import math

import pytest
import torch

from mynah.audio.chunks import map_chunks
from mynah.convert.rvc.net import Singer
from mynah.convert.rvc.rendering import protected, render
from mynah.convert.rvc.sizes import DecoderConfig, NetConfig
from mynah.features.loudness import levelled, near, powers
from mynah.features.retrieval import drawn
from mynah.nets.normed import folded
from mynah.nets.nsf import Source
from mynah.nets.numbered import white
from mynah.nets.streams import flat

DECODER = DecoderConfig(16_000, 32, (5, 4, 4, 2), (9, 8, 8, 4), (3, 7), ((1, 3), (1, 3)))


@torch.inference_mode()
def test_no_seam_is_heard_between_stretches() -> None:
    torch.manual_seed(0)
    net = NetConfig(words=4, latent=4, hidden=8, filters=8, heads=1, layers=1, voices=1, condition=4, decoder=DECODER)
    singer = folded(Singer(net).eval())
    # More than one stretch of the decoder, within one window of the prior.
    words, pitch = torch.randn(4, 700), torch.full((700,), 220.0)
    pitch[100:140] = 0
    voice = singer.emb_g.weight[0]
    stretches = torch.cat(list(render(singer, words.split(77, -1), pitch, voice, 3, 0.6)))
    number = torch.arange(700)
    latent = singer.latent(words[None], pitch[None], voice[None], 0.6 * white(number, 4, 3)[None])
    source = singer.dec.m_source(pitch[None], white(number, DECODER.hop, 4).T.reshape(1, -1))
    torch.testing.assert_close(stretches, singer.dec(latent, voice[None], source)[0, 0], atol=1e-5, rtol=0)


def test_the_source_is_at_pitch_after_an_hour() -> None:
    source = Source(16_000, 160)
    with torch.no_grad():
        source.l_linear.weight.fill_(1.0)
        source.l_linear.bias.zero_()
        frames = 360_000
        turns = source.turns(torch.full((1, frames), 440.1))[:, -10:]
        wave = source(torch.full((1, 10), 440.1), torch.zeros(1, 1600), turns)[0, 0]
    when = (torch.arange(1, 1601, dtype=torch.float64) + (frames - 10) * 160) / 16_000
    # What counts is the pitch that float32 can store.
    exact = float(torch.tensor(440.1))
    wanted = torch.tanh(0.1 * torch.sin(2 * math.pi * (exact * when).remainder(1.0)))
    torch.testing.assert_close(wave.double(), wanted, atol=1e-5, rtol=0)


def test_retrieval_stays_finite_where_a_frame_is_in_the_bank() -> None:
    bank = torch.randn(20, 5)
    moved = drawn(bank, bank, 1.0)
    torch.testing.assert_close(moved, bank, atol=1e-4, rtol=0)
    assert drawn(bank, bank + 3, 0.0).equal(bank)


def test_retrieval_weighs_eight_by_inverse_square_distance() -> None:
    torch.manual_seed(0)
    frames, bank = torch.randn(3, 5), torch.randn(30, 5)
    distance = (frames[:, None] - bank).square().sum(2)
    score, place = distance.topk(8, largest=False)
    weight = (1 / score).square()
    wanted = (bank[place] * (weight / weight.sum(1, keepdim=True))[..., None]).sum(1)
    torch.testing.assert_close(drawn(frames, bank, 0.75, 8), 0.75 * wanted + 0.25 * frames)


def test_protection_keeps_voiceless_frames_as_they_are() -> None:
    pitch = torch.tensor([200.0, 210.0, 200.0, 0.0, 0.0, 0.0, 0.0])
    share = protected(0.8, pitch, 1.0)
    assert isinstance(share, torch.Tensor)
    assert share[:, 0].tolist() == pytest.approx([0.8, 0.4, 0.0, 0.0])
    frames = torch.randn(4, 5)
    assert drawn(frames, torch.randn(9, 5), share)[2:].equal(frames[2:])
    assert protected(0.8, None, 1.0) == 0.8
    none = protected(0.8, pitch, 0.0)
    assert isinstance(none, torch.Tensor)
    assert none[:, 0].tolist() == pytest.approx([0.8] * 4)


def test_the_envelope_of_the_source_is_taken_over() -> None:
    swell = torch.linspace(0.1, 1.0, 64_000)
    source = swell * torch.sin(torch.arange(64_000) * 0.1)
    even = (0.3 * torch.sin(torch.arange(128_000) * 0.08)).view(-1, 320).T
    wholly = flat(levelled(even, powers(source, 160), 1.0, near(100)))
    for second in (1, 2):
        ours, theirs = wholly[32_000 * second : 32_000 * (second + 1)], source[16_000 * second : 16_000 * (second + 1)]
        assert ours.square().mean().sqrt() == pytest.approx(theirs.square().mean().sqrt().item(), rel=0.02)
    assert levelled(even, powers(source, 160), 0.0, near(100)).equal(even)


def test_the_envelope_in_pieces_is_the_envelope_at_once() -> None:
    dice = torch.Generator().manual_seed(0)
    frames, power = torch.rand(320, 400, generator=dice), torch.rand(1, 400, generator=dice)

    def evened(rows: torch.Tensor) -> torch.Tensor:
        return levelled(rows[:320], rows[320], 0.7, near(100))

    rows = torch.cat([frames, power])
    around = near(100) + 1
    pieces = torch.cat(list(map_chunks(evened, rows.split(33, 1), chunk=40, left=around, right=around)), 1)
    torch.testing.assert_close(pieces, evened(rows), atol=1e-5, rtol=0)
