"""Tacotron 2 as a speaker: texts of all kinds, files of all kinds, and voices that bring one."""

from __future__ import annotations

import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import outline
from mynah.core.errors import BadCheckpoint, BadOption, BadText, BadVoice
from mynah.core.types import Audio, Voice
from mynah.speak.tacotron2 import LONGEST, RanOn, Tacotron2, Tacotron2Options
from mynah.speak.tacotron2.published import FORMAT
from mynah.speak.tacotron2.symbols import SYMBOLS, numbers_of, tied
from mynah.text.sentences import sentences


@pytest.fixture(scope="module")
def tiny() -> Tacotron2:
    return Tacotron2.tiny()


def said(system: Tacotron2, text: str, **options: Any) -> Audio:
    return system.speak(text, system.own, Tacotron2Options.of(**options))


def test_sentences_are_said_one_by_one_with_pauses_between(tiny: Tacotron2) -> None:
    pieces = list(tiny.utterances("One. Two! Three?", tiny.own))
    assert len(pieces) == 3
    pause = round(0.25 * FORMAT.rate)
    assert all(not piece.samples[:, -pause:].any() for piece in pieces[:-1])
    assert pieces[-1].samples[:, -pause:].any()
    whole = said(tiny, "One. Two! Three?")
    assert whole.samples.equal(torch.cat([piece.samples for piece in pieces], 1))
    without = said(tiny, "One. Two! Three?", pause_seconds=0)
    assert whole.samples.shape[1] - without.samples.shape[1] == 2 * pause


def test_sentences_said_together_sound_as_one_by_one(tiny: Tacotron2) -> None:
    text = "One. And another one, which is longer! Three?"
    alone, together = (said(tiny, text, batch=batch) for batch in (1, 3))
    torch.testing.assert_close(together.samples, alone.samples, atol=1e-3, rtol=0)


def test_speed_is_how_fast_and_a_seed_is_how_it_falls(tiny: Tacotron2) -> None:
    options = {"gate": 1.0, "steps": 60}
    with pytest.warns(RanOn):
        usual, quick = said(tiny, "Hello", **options), said(tiny, "Hello", speed=2.0, **options)
        other = said(tiny, "Hello", seed=1, **options)
    assert usual.samples.shape[1] == 60 * FORMAT.hop
    assert quick.samples.shape[1] == 30 * FORMAT.hop
    assert not other.samples.equal(usual.samples)


def test_what_does_not_end_is_cut_off_and_told(tiny: Tacotron2) -> None:
    with pytest.warns(RanOn, match=r"'Well, then\.' did not end by itself and was cut off after 7 frames"):
        cut = said(tiny, "Well, then.", gate=1.0, steps=7)
    assert cut.samples.shape[1] == 7 * FORMAT.hop


@pytest.mark.parametrize("text", ["", "  ", "!?", "\N{GRINNING FACE}", "\x00\x1b"])
def test_nothing_to_say_is_refused_before_the_first_sentence(tiny: Tacotron2, text: str) -> None:
    with pytest.raises(BadText, match="nothing to say"):
        tiny.utterances(text, tiny.own)


@pytest.mark.parametrize(
    "text", ["a\x00b\N{GRINNING FACE} c", "Привет, 世界!", "1,000,000 in 1999", "{HH AY1}", "é" * 50]
)
def test_texts_of_all_kinds_are_said(tiny: Tacotron2, text: str) -> None:
    assert said(tiny, text).samples.isfinite().all()


def test_sounds_between_braces_are_not_torn_apart() -> None:
    sounds = "HH AH0 L OW1 " * 12
    parts = sentences(tied(f"{'word ' * 20}{{{sounds}}} {'word ' * 20}"), LONGEST)
    assert len(parts) > 1
    assert sum(numbers_of(part).count(SYMBOLS.index("@OW1")) for part in parts) == 12


def test_a_very_long_text_begins_at_once(tiny: Tacotron2) -> None:
    begun = list(islice(tiny.utterances("word " * 20_000, tiny.own), 2))
    assert all(piece.samples.isfinite().all() for piece in begun)


def test_files_of_all_kinds_say_the_same(tiny: Tacotron2, tmp_path: Path) -> None:
    wanted = said(tiny, "Good morning.").samples
    state = tiny.nets["net"].state_dict()
    torch.save({"state_dict": state, "iteration": 3}, tmp_path / "a.pt")
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "b.pt")
    torch.save(state, tmp_path / "c.pt")
    for name in ("a.pt", "b.pt", "c.pt"):
        system = Tacotron2.load(str(tmp_path / name))
        assert said(system, "Good morning.").samples.equal(wanted)
        assert system.own.name == name[0]
    files = {tmp_path / "a.pt": outline(tmp_path / "a.pt")}
    assert Tacotron2.recognises(files)
    (tmp_path / "home").mkdir()
    adopted = Tacotron2.adopt(files, tmp_path / "home")
    voice = Voice("ann", (0.0, 0.0), system="speak/tacotron2", weights=adopted.weights)
    without = Tacotron2.load()
    assert without.gives(voice)
    assert without.speak("Good morning.", voice).samples.equal(wanted)


def test_what_is_no_model_is_refused(tiny: Tacotron2, tmp_path: Path) -> None:
    state = dict(tiny.nets["net"].state_dict())

    def refused(change: dict[str, Tensor | None], match: str) -> None:
        changed = {name: value for name, value in (state | change).items() if value is not None}
        torch.save({"state_dict": changed}, tmp_path / "x.pt")
        with pytest.raises(BadCheckpoint, match=match):
            Tacotron2.load(str(tmp_path / "x.pt"))

    refused({"embedding.weight": None}, r"no embedding\.weight")
    refused({"extra.weight": torch.zeros(1)}, r"1 surplus \(extra\.weight\)")
    refused({"postnet.convolutions.1.1.bias": torch.full((80,), torch.nan)}, "not numbers")
    refused({"decoder.linear_projection.linear_layer.weight": torch.zeros(160, 16)}, "only one frame for each step")
    refused({"encoder.lstm.bias_hh_l0": torch.zeros(7)}, "another shape")
    with pytest.raises(BadOption, match="no-such"):
        Tacotron2.load("no-such")
    assert not Tacotron2.recognises({tmp_path / "x.pt": {"state_dict": {"embedding.weight": torch.zeros(3, 3)}}})


def test_voices_that_it_cannot_give_are_refused(tiny: Tacotron2) -> None:
    assert not tiny.gives(Voice("kerstin", (0.0, 0.0)))
    with pytest.raises(BadVoice, match="cannot give the voice 'kerstin'"):
        tiny.speak("Hello", Voice("kerstin", (0.0, 0.0)))
    empty = Tacotron2.load()
    with pytest.raises(BadVoice, match="comes without weights: name a file"):
        empty.speak("Hello", empty.own)


def test_a_vocoder_that_is_none_is_refused_before_the_first_sentence(tiny: Tacotron2) -> None:
    with pytest.raises(BadOption, match="no vocoder 'nothing'"):
        tiny.utterances("Hello", tiny.own, Tacotron2Options(vocoder="nothing"))


def test_it_says_the_same_again_whatever_the_state_of_the_process(tiny: Tacotron2) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.manual_seed(1)
        first = said(tiny, "Good morning.")
        torch.manual_seed(2)
        assert said(tiny, "Good morning.").samples.equal(first.samples)
