import math

import torch

from mynah.nets.source_filter.decoder import Decoder, DecoderConfig, held, pulses

RATE = 32_000


def comb(hz: float, seconds: float = 1.0) -> torch.Tensor:
    pitch = torch.full((1, int(seconds * RATE)), hz)
    return pulses((pitch.double() / RATE).cumsum(-1), pitch, RATE)[0]


def test_every_harmonic_is_equally_strong_and_nothing_lies_between() -> None:
    spectrum = torch.fft.rfft(comb(200.0)).abs()  # one second, so bins are Hz
    harmonics = spectrum[200:15_801:200]
    assert harmonics.std() / harmonics.mean() < 1e-3
    between = spectrum.clone()
    between[::200] = 0
    assert between.max() < 1e-3 * harmonics.mean()


def test_the_comb_has_the_power_of_white_noise_at_every_pitch() -> None:
    for hz in (82.4, 440.0, 1046.5):
        assert abs(comb(hz).square().mean().item() - 1) < 0.02


def test_a_glide_has_no_clicks() -> None:
    pitch = torch.linspace(200, 400, RATE)[None]
    wave = pulses((pitch.double() / RATE).cumsum(-1), pitch, RATE)[0]
    # Every harmonic comes in faded, so the second half's crest is no higher than a steady tone's.
    assert wave.abs().max() < 1.05 * comb(200.0).abs().max()


def test_unvoiced_is_silent() -> None:
    assert pulses(torch.rand(1, 100), torch.zeros(1, 100), RATE).abs().max() == 0


def test_pitch_glides_between_frames_and_is_held_at_the_edges() -> None:
    line = held(torch.tensor([[0.0, 100.0, 200.0, 0.0]]), 4)[0]
    assert line.tolist() == [0, 0, 100, 100, 100, 125, 150, 175, 200, 200, 0, 0, 0, 0, 0, 0]


def test_analysis_and_synthesis_cancel() -> None:
    decoder = Decoder(DecoderConfig(channels=8, dilations=(1,)))
    wave = torch.randn(1, 320 * 40)
    again = decoder.overlap_add(decoder.spectrum(wave))
    torch.testing.assert_close(again[:, 1280:-1280], wave[:, 1280:-1280], atol=1e-5, rtol=1e-4)


def test_size_is_within_the_budget() -> None:
    assert sum(parameter.numel() for parameter in Decoder().parameters()) < 12e6 - 2.5e6 - 1.2e6


def test_the_pitch_of_the_result_is_the_pitch_that_was_asked_for() -> None:
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(channels=8, dilations=(1,))).eval()
    pitch = torch.full((1, 100), 440.0)
    out = decoder(torch.zeros(1, 64, 50), pitch, torch.zeros(1, 100), torch.randn(1, 192))
    out[:, 1] = 0  # no phase: the filters of a random net are not smooth in time
    wave = decoder.sing(out, decoder.excite(pitch, torch.zeros(1)), torch.zeros(1, RATE))
    spectrum = torch.fft.rfft(wave[0]).abs()
    assert math.isclose(spectrum[400:480].argmax().item() + 400, 440, abs_tol=1)
