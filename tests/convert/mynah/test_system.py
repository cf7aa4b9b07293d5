import math
from pathlib import Path

import pytest
import torch

from mynah.audio.files import read, write
from mynah.convert.mynah import Mynah, MynahOptions
from mynah.core.errors import BadAudio, BadOption, BadVoice
from mynah.core.types import Audio, Contour, Voice
from mynah.features import speaker
from mynah.features.pitch import pitch


def sung(hz: float = 220.0, seconds: float = 1.0, rate: int = 32_000) -> Audio:
    time = torch.arange(int(seconds * rate)) / rate
    wave = sum(torch.sin(2 * math.pi * hz * k * time) / k for k in range(1, 11))
    return Audio(0.2 * wave[None], rate)


def somebody(low: float = 100.0, high: float = 400.0, seed: int = 0) -> Voice:
    vector = torch.randn(192, generator=torch.Generator().manual_seed(seed))
    return Voice("somebody", (low, high), embedding=vector / vector.norm(), encoder=speaker.ENCODER)


@pytest.fixture(scope="module")
def system() -> Mynah:
    return Mynah.tiny()


def fundamental(sound: Audio) -> float:
    """Hz of the lowest strong peak of a second of sound; robust for a random net, whose timbre is anything."""
    contour = pitch(sound)
    return contour.values[30:70].nanmedian().item()


@pytest.mark.parametrize("seconds", [0.005, 0.02, 0.333, 1.0])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_rate_and_length_are_kept(system: Mynah, seconds: float, rate: int) -> None:
    source = sung(seconds=seconds, rate=rate)
    result = system.convert(source, somebody())
    assert result.samples.shape == (1, source.samples.shape[1]) and result.rate == rate


def test_the_melody_is_sung_where_it_was_asked_for(system: Mynah) -> None:
    plain = system.convert(sung(220), somebody(), MynahOptions(transpose=0.0))
    higher = system.convert(sung(220), somebody(), MynahOptions(transpose=7.0))
    ratio = fundamental(higher) / fundamental(plain)
    assert abs(12 * math.log2(ratio) - 7) < 0.3


def test_auto_brings_the_song_to_the_voice(system: Mynah) -> None:
    low, fit = somebody(70.0, 160.0), MynahOptions(auto_step="semitone")
    octave = system.convert(sung(440), low)
    assert torch.equal(octave.samples, system.convert(sung(440), low, MynahOptions(transpose=-24.0)).samples)
    assert torch.equal(
        system.convert(sung(440), low, fit).samples,
        system.convert(sung(440), low, MynahOptions(transpose=-25.0)).samples,
    )


def test_a_corrected_melody_is_taken_instead_of_the_heard_one(system: Mynah) -> None:
    by_hand = Contour(torch.full((100,), 330.0), 0.01, "Hz")
    result = system.convert(sung(220), somebody(), MynahOptions(transpose=0.0), melody=by_hand)
    assert abs(1200 * math.log2(fundamental(result) / 330)) < 15


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(system: Mynah) -> None:
    first, again = (system.convert(sung(), somebody(), MynahOptions(seed=4)) for _ in range(2))
    assert torch.equal(first.samples, again.samples)
    assert not torch.equal(first.samples, system.convert(sung(), somebody(), MynahOptions(seed=5)).samples)


def test_another_voice_sounds_different(system: Mynah) -> None:
    one, other = (system.convert(sung(), somebody(seed=seed)) for seed in (0, 1))
    assert (one.samples - other.samples).abs().max() > 1e-3


def test_clips_do_as_well_as_an_embedding(system: Mynah) -> None:
    clip = sung(150.0, 2.0)
    by_clips = system.convert(
        sung(), Voice("new", (100.0, 400.0), clips=(clip,)), MynahOptions(retrieval=0.0, colour=0.0)
    )
    vector = system.encoder.embed([clip])
    known = Voice("new", (100.0, 400.0), embedding=vector, encoder=speaker.ENCODER)
    assert torch.equal(by_clips.samples, system.convert(sung(), known, MynahOptions(retrieval=0.0)).samples)


def test_a_voice_without_anything_is_refused(system: Mynah) -> None:
    with pytest.raises(BadVoice, match="enrol"):
        system.convert(sung(), Voice("nobody", (100.0, 400.0)))


def test_protect_1_keeps_what_is_unvoiced_to_the_sample(system: Mynah) -> None:
    hiss = Audio(0.05 * torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0)), 32_000)
    kept = system.convert(hiss, somebody(), MynahOptions(protect=1.0, transpose=0.0))
    torch.testing.assert_close(kept.samples[:, 2000:-2000], hiss.samples[:, 2000:-2000], atol=1e-4, rtol=0)
    gone = system.convert(hiss, somebody(), MynahOptions(protect=0.0, transpose=0.0))
    assert (gone.samples - hiss.samples).abs().max() > 0.01


def test_retrieval_gives_the_targets_own_frames(system: Mynah) -> None:
    bank = torch.nn.functional.layer_norm(torch.randn(50, 64), (64,))
    voice = Voice("bank", (100.0, 400.0), bank=bank)
    words = bank[[7, 9]].T  # a frame that the target said just so
    found = system._like_the_target(words, voice, neighbours=1)
    torch.testing.assert_close(found, words, atol=1e-3, rtol=0)


def test_formants_move_up_by_the_semitones_asked_for() -> None:
    from mynah.nets.source_filter.render import shifted

    out = torch.zeros(1, 3, 641, 1)
    out[:, :, 100] = 1.0
    assert shifted(out, 12.0)[0, 0, :, 0].argmax() == 200


def test_breath_is_turned_down_under_notes_and_nowhere_else() -> None:
    from mynah.nets.source_filter.decoder import Decoder, DecoderConfig
    from mynah.nets.source_filter.render import breathing

    decoder = Decoder(DecoderConfig(channels=8, dilations=(1,)))
    out, pitch = torch.zeros(1, 3, 641, 6), torch.tensor([[200.0, 200.0, 200.0, 0.0, 0.0, 0.0]])
    before, after = decoder.filters(out), decoder.filters(breathing(out, pitch, -20.0))
    torch.testing.assert_close(after[0], before[0])
    ratio = (after[1] / before[1])[0, 0]
    torch.testing.assert_close(ratio, torch.tensor([0.1, 0.1, 1.0, 1.0, 1.0, 1.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "samples", "error"),
    [
        ("empty", torch.zeros(1, 0), BadAudio),
        ("nan", torch.full((1, 100), torch.nan), BadAudio),
        ("infinite", torch.full((1, 100), torch.inf), BadAudio),
    ],
)
def test_what_cannot_be_converted(system: Mynah, name: str, samples: torch.Tensor, error: type[Exception]) -> None:
    with pytest.raises(error):
        system.convert(Audio(samples, 32_000), somebody())


def test_silence_twelve_channels_and_high_rates_are_fine(system: Mynah) -> None:
    for source in (
        Audio(torch.zeros(1, 16_000), 16_000),
        Audio(0.1 * torch.randn(12, 4800), 48_000),
        Audio(0.1 * torch.randn(1, 19_200), 192_000),
    ):
        assert system.convert(source, somebody()).samples.isfinite().all()


def test_a_scale_that_does_not_exist_is_told(system: Mynah) -> None:
    with pytest.raises(BadOption, match="scale"):
        system.convert(sung(), somebody(), MynahOptions(tune=1.0, scale="Z flat"))


def test_file_to_file_equals_in_memory(system: Mynah, tmp_path: Path) -> None:
    source = write(sung(220, 3.0, 44_100), tmp_path / "song.wav", bits=32)
    options, told = MynahOptions(protect=0.5), list[float]()
    melody = system.convert_file(source, somebody(), options, tmp_path / "out.wav", bits=32, progress=told.append)
    inside = system.convert(read(source), somebody(), options)
    outside = read(tmp_path / "out.wav")
    assert outside.samples.shape == inside.samples.shape and outside.rate == 44_100
    scale = outside.samples.abs().max() / inside.samples.abs().max()  # writing never clips
    torch.testing.assert_close(outside.samples, inside.samples * scale, atol=2e-4, rtol=0)
    assert told == sorted(told) and told[-1] == 1.0
    assert abs(melody.values.nanmedian().item() - 220) < 2


def test_a_low_rate_source_comes_out_at_the_full_rate(system: Mynah, tmp_path: Path) -> None:
    source = write(sung(220, 0.5, 8_000), tmp_path / "phone.wav")
    system.convert_file(source, somebody(), MynahOptions(), tmp_path / "out.wav")
    result = read(tmp_path / "out.wav")
    assert result.rate == 32_000 and result.samples.shape[1] == 16_000


def test_training_for_one_voice_brings_the_result_nearer_to_it(tmp_path: Path) -> None:
    from dataclasses import replace

    torch.manual_seed(0)
    system, clip = Mynah.tiny(), sung(200.0, 3.0)
    voice = Voice("mine", (100.0, 400.0), clips=(clip,))
    recipe = system.adapt(voice)
    recipe.clips = 2  # type: ignore[attr-defined]
    descent = torch.optim.AdamW(recipe.parameters("net"), 2e-2)
    first = last = 0.0
    for step in range(40):
        descent.zero_grad()
        loss = sum(recipe.losses("net", recipe.batch(step)).values())
        assert isinstance(loss, torch.Tensor)
        loss.backward()
        descent.step()
        first, last = first or loss.item(), loss.item()
    assert last < 0.96 * first
    [path] = recipe.export(str(tmp_path))
    tuned = system.convert(clip, replace(voice, weights=Path(path)))
    assert (tuned.samples - system.convert(clip, voice).samples).abs().max() > 1e-3
    assert torch.equal(
        next(system.decoder.parameters()), next(Mynah.tiny().decoder.parameters())
    )  # others stay as they are
