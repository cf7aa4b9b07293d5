import torch

from mynah.convert.whisper_vits_svc.earfiles import trimmed
from mynah.convert.whisper_vits_svc.hear import OwnEars, listened
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.hubert import Hubert, HubertConfig
from mynah.features.speaker import SpeakerConfig, VoiceEncoder
from mynah.features.whisper import WhisperConfig, WhisperEncoder


def test_the_last_quarter_of_whisper_is_left_out() -> None:
    torch.manual_seed(0)
    whole = WhisperEncoder(WhisperConfig(size=64, layers=8, context=800)).eval()
    checkpoint = {"dims": {}, "model_state_dict": {f"encoder.{name}": x for name, x in whole.state_dict().items()}}
    short = trimmed(checkpoint | {"decoder": None}, "a file")
    assert len(short.blocks) == 6
    mel = torch.randn(1, 80, 40)
    wanted = torch.nn.functional.gelu(whole.conv2(torch.nn.functional.gelu(whole.conv1(mel)))).transpose(1, 2)
    wanted = wanted + whole.positional_embedding[:20]
    for block in whole.blocks[:6]:
        wanted = block(wanted)
    torch.testing.assert_close(short(mel), whole.ln_post(wanted))


def test_both_features_have_a_frame_for_every_20_ms() -> None:
    torch.manual_seed(0)
    words = WhisperEncoder(WhisperConfig(size=64, layers=1)).eval()
    sounds = Hubert(HubertConfig(8, 64, 1, 1, 16, 16, 4, 5, 3)).eval()
    with torch.inference_mode():
        for samples, frames in ((1, 1), (320, 1), (321, 2), (16_000, 50)):
            heard = listened(words, sounds, 0.1 * torch.randn(samples))
            assert heard.shape == (64 + 5, frames)
            assert heard.isfinite().all()


def test_a_recording_in_pieces_is_heard_as_a_whole() -> None:
    torch.manual_seed(0)
    small = ContentStudent(ContentConfig(channels=8, dilations=(1,), ahead=(1,))).eval()
    ears = OwnEars(small, VoiceEncoder(SpeakerConfig(channels=8, dilations=(1,))).eval())
    wave = 0.1 * torch.randn(45 * 16_000 + 7)
    with torch.inference_mode():
        pieces = torch.cat(list(ears.frames(wave.split(10_007))), -1)
        whole = torch.cat(list(ears.frames([wave])), -1)
    assert torch.equal(pieces, whole) and whole.shape == (64, 45 * 50 + 1)
