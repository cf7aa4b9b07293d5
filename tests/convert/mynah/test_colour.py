import math

import torch

from mynah.convert.mynah.colour import bands, between, equalised, equaliser, long_term
from mynah.core.types import Audio
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.loudness import Loudness
from mynah.nets.source_filter.decoder import Decoder, DecoderConfig


def sung(brightness: float) -> Audio:
    """Two seconds at 200 Hz whose harmonics fall by `brightness` dB an octave."""
    time = torch.arange(64_000) / 32_000
    wave = torch.zeros(64_000)
    for harmonic in range(1, 60):
        wave += 10 ** (brightness * math.log2(harmonic) / 20) * torch.cos(2 * math.pi * 200 * harmonic * time)
    return Audio(0.2 * wave[None] / wave.abs().max(), 32_000)


def nets() -> tuple[Decoder, ContentStudent]:
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(channels=8, dilations=(1,))).eval().requires_grad_(False)
    return decoder, ContentStudent(ContentConfig(channels=8, dilations=(1,), ahead=(1,))).eval().requires_grad_(False)


def test_bands_average() -> None:
    flat = torch.full((1, 641, 5), 2.0)
    level = long_term(flat, bands(32_000, 1280), torch.ones(1, 5))
    torch.testing.assert_close(level, torch.full_like(level, math.log(2)), atol=1e-4, rtol=0)


def test_a_curve_raises_harmonics_and_noise_by_as_much_and_leaves_the_phase() -> None:
    decoder, _ = nets()
    out = torch.zeros(1, 3, 641, 4)
    before, after = (decoder.filters(each) for each in (out, equalised(out, torch.full((641,), 0.5))))
    torch.testing.assert_close(after[0].abs(), before[0].abs() * math.exp(0.5))
    torch.testing.assert_close(after[1], before[1] * math.exp(0.5))
    torch.testing.assert_close(after[0].angle(), before[0].angle())


def test_straight_lines_between_points() -> None:
    line = between(torch.tensor([0.0, 2.0, 0.0]), torch.tensor([2.0, 4.0, 8.0]), 10)
    assert line.tolist() == [0, 0, 0, 1, 2, 1.5, 1, 0.5, 0, 0]


def test_a_brighter_voice_gets_a_brighter_equaliser() -> None:
    decoder, student = nets()
    voice, slopes = torch.nn.functional.normalize(torch.randn(192), dim=0), []
    for brightness in (-3.0, -9.0):
        curve = equaliser([sung(brightness)], voice, decoder, student, Loudness())
        slopes.append((curve[160:320].mean() - curve[8:40].mean()).item())  # 4 to 8 kHz against 0.2 to 1 kHz
    assert slopes[0] > slopes[1] + 0.3


def test_clips_without_a_pitch_give_no_equaliser() -> None:
    decoder, student = nets()
    hiss = Audio(0.05 * torch.randn(1, 32_000), 32_000)
    assert (equaliser([hiss], torch.zeros(192), decoder, student, Loudness()) == 0).all()


def test_what_a_telephone_cut_off_is_not_taken_for_a_colour() -> None:
    decoder, student = nets()
    clear = sung(-3.0).samples + 1e-4 * torch.randn(1, 64_000)
    spectrum = torch.fft.rfft(clear)
    spectrum[:, 2 * 7000 :] = 0  # two seconds: half a hertz for each bin
    dull = Audio(torch.fft.irfft(spectrum, n=64_000), 32_000)
    curve = equaliser([dull], torch.zeros(192), decoder, student, Loudness())
    assert curve[300:].std() < 1e-6  # above 7.5 kHz the curve is flat, whatever the recording lacks there
