import torch
import torch.nn.functional as F

from mynah.convert.whisper_vits_svc.decoder import PIECE_FRAMES, Decoder
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig
from mynah.convert.whisper_vits_svc.snake import Snake, kaiser_sinc
from mynah.convert.whisper_vits_svc.source import Source
from mynah.nets.normed import folded
from mynah.nets.numbered import white

SMALL = DecoderConfig(channels=32, rates=(10, 8, 4), up_kernels=(20, 16, 8), kernels=(3, 5), dilations=(1, 3))


def plainly(snake: Snake, x: torch.Tensor) -> torch.Tensor:
    """Zeros between samples, a filter, the bend, the filter again, every second sample."""
    channels, taps = x.shape[1], snake.upsample.filter.expand(x.shape[1], 1, 12)
    padded = F.pad(x, (5, 5), mode="replicate")
    fast = 2 * F.conv_transpose1d(padded, taps, stride=2, groups=channels)[..., 15:-15]
    alpha, beta = (snake.act[name].exp()[:, None] for name in ("alpha", "beta"))
    fast = fast + (fast * alpha).sin().square() / (beta + 1e-9)
    return F.conv1d(F.pad(fast, (5, 6), mode="replicate"), taps, stride=2, groups=channels)


def test_the_activation_is_filters_and_a_bend() -> None:
    torch.manual_seed(0)
    snake = Snake(3)
    torch.nn.init.normal_(snake.act["alpha"])
    torch.nn.init.normal_(snake.act["beta"])
    for time in (1, 2, 15, 16, 17, 100):
        x = torch.randn(2, 3, time)
        wanted = plainly(snake, x)
        torch.testing.assert_close(snake(x), wanted, atol=2e-6, rtol=1e-5)
        with torch.inference_mode():
            torch.testing.assert_close(snake(x), wanted, atol=1e-5, rtol=1e-5)


def test_overtones_hardly_fold_back() -> None:
    # The bend of a tone at 0.3 of the rate has an overtone at 0.6, which would fold back to 0.4.
    snake = Snake(1)
    x = torch.cos(2 * torch.pi * 0.3 * torch.arange(4000))[None, None]
    with torch.inference_mode():
        careful, naive = snake(x)[0, 0], (x + x.sin().square())[0, 0]
    bin_of_the_ghost = round(0.4 * 3800)
    ghosts = [
        torch.fft.rfft(y[100:-100] * torch.hann_window(3800)).abs()[bin_of_the_ghost - 3 : bin_of_the_ghost + 4].max()
        for y in (careful, naive)
    ]
    assert ghosts[0] < 0.3 * ghosts[1]


def test_the_filter_passes_a_constant_and_stops_highs() -> None:
    taps = kaiser_sinc().flatten()
    assert abs(taps.sum() - 1) < 1e-6
    gain = torch.fft.rfft(taps, 1024).abs()
    assert gain[:80].min() > 0.95 and gain[400:].max() < 0.02
    assert torch.allclose(taps, taps.flip(0), atol=1e-7)


def test_the_source_is_the_same_wherever_it_begins() -> None:
    source = Source(32_000, 320)
    pitch = 200 + 50 * torch.rand(1, 40, generator=torch.Generator().manual_seed(0))
    pitch[:, 10:14] = 0
    noise, phases = torch.randn(1, 40 * 320), torch.rand(1, 11)
    whole = source(pitch, noise, phases=phases)
    later = source(pitch[:, 25:], noise[:, 25 * 320 :], turns=source.turns(pitch)[:, 25], phases=phases)
    torch.testing.assert_close(later, whole[..., 25 * 320 :], atol=1e-6, rtol=0)


def test_the_source_stays_on_pitch_for_an_hour() -> None:
    source = Source(32_000, 320)
    turns = source.turns(torch.full((1, 360_000), 440.0))[0, -1]
    assert abs(float(turns) - (440 * 0.01 * 359_999) % 1) < 1e-5


def test_decoding_in_pieces_is_decoding_the_whole() -> None:
    torch.manual_seed(0)
    decoder = folded(Decoder(8, 16, SMALL).eval())
    frames = 2 * PIECE_FRAMES + 17
    latent, voice = torch.randn(1, 8, frames), torch.randn(1, 16)
    source = 0.1 * torch.randn(1, 1, frames * SMALL.hop)
    whole = decoder(latent, source, voice)  # with gradients, and thus at once
    with torch.inference_mode():
        torch.testing.assert_close(decoder(latent, source, voice), whole, atol=1e-6, rtol=1e-5)


def test_it_looks_no_further_than_it_says() -> None:
    torch.manual_seed(0)
    decoder = folded(Decoder(8, 16, SMALL).eval())
    frames, voice = 120, torch.randn(1, 16)
    latent, source = torch.randn(1, 8, frames), 0.1 * torch.randn(1, 1, frames * SMALL.hop)
    other = latent.clone()
    other[..., 70:] = torch.randn(1, 8, 50)
    with torch.inference_mode():
        difference = (decoder(latent, source, voice) - decoder(other, source, voice))[0, 0].abs()
    touched = int((difference > 1e-7).nonzero()[0]) / SMALL.hop
    assert 70 - decoder.reach() <= touched < 70


def test_noise_belongs_to_its_place() -> None:
    whole = white(torch.arange(500), 4, seed=3)
    assert torch.equal(white(torch.arange(237, 401), 4, seed=3), whole[:, 237:401])
    assert not torch.equal(white(torch.arange(500), 4, seed=4), whole)
    assert abs(whole.std() - 1) < 0.05
