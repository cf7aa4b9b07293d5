import pytest
import torch

from mynah.core.errors import BadVoice
from mynah.core.types import Audio
from mynah.features.speaker import SpeakerConfig, VoiceEncoder


@pytest.fixture
def encoder() -> VoiceEncoder:
    torch.manual_seed(0)
    return VoiceEncoder(SpeakerConfig(channels=16, dilations=(1,))).eval()


def clips(*seconds: float) -> list[Audio]:
    return [Audio(0.1 * torch.randn(1, int(length * 16_000)), 16_000) for length in seconds]


def test_a_voice_has_unit_length_and_no_order(encoder: VoiceEncoder) -> None:
    several = clips(0.5, 1.0, 2.0)
    vector = encoder.embed(several)
    assert abs(vector.norm().item() - 1) < 1e-5
    torch.testing.assert_close(encoder.embed(several[::-1]), vector)


def test_the_level_of_the_recording_does_not_matter(encoder: VoiceEncoder) -> None:
    [clip] = clips(1.0)
    torch.testing.assert_close(
        encoder.embed([Audio(clip.samples / 3, clip.rate)]), encoder.embed([clip]), atol=1e-3, rtol=0
    )


def test_rate_does_not_matter(encoder: VoiceEncoder) -> None:
    from mynah.audio.resample import resample

    [clip] = clips(1.0)
    assert encoder.embed([resample(clip, 48_000)]) @ encoder.embed([clip]) > 0.99


def test_nothing_to_learn_from_is_an_error(encoder: VoiceEncoder) -> None:
    with pytest.raises(BadVoice, match="longer"):
        encoder.embed(clips(0.05))
