"""ForwardTacotron as a speaker: texts of all kinds, files of all kinds, and voices that bring one."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.catalog.checkpoint import outline
from mynah.core.errors import BadCheckpoint, BadOption, BadText, BadVoice
from mynah.core.types import Audio, Voice
from mynah.speak.forward_tacotron import ForwardTacotron, ForwardTacotronOptions
from mynah.speak.forward_tacotron.net import Config, Net, SeriesConfig
from mynah.speak.forward_tacotron.published import FORMAT, read
from mynah.speak.forward_tacotron.symbols import Front

SMALL = SeriesConfig(6, 4)


@pytest.fixture(scope="module")
def tiny() -> ForwardTacotron:
    return ForwardTacotron.tiny()


def said(system: ForwardTacotron, text: str, **options: Any) -> Audio:
    return system.speak(text, system.own, ForwardTacotronOptions.of(**options))


def earlier(layout: str, **change: Any) -> Net:
    config = Config(
        layout=layout, symbols=127, size=6, duration=SMALL, pitch=SMALL, pitch_size=3, prenet=6, prenet_kernels=2,
        prenet_highways=1, prenet_bridge=False, units=6, postnet=6, postnet_kernels=2, postnet_highways=1, **change,
    )  # type: ignore[arg-type]  # fmt: skip
    net = Net(config).eval().requires_grad_(False)
    net.dur_pred.lin.bias.fill_(2.0)
    return net


def test_sentences_are_said_one_by_one_with_pauses_between(tiny: ForwardTacotron) -> None:
    pieces = list(tiny.utterances("One. Two! Three?", tiny.own))
    assert len(pieces) == 3
    assert said(tiny, "One. Two! Three?").samples.equal(torch.cat([piece.samples for piece in pieces], 1))
    pause = round(0.25 * FORMAT.rate)
    assert all(not piece.samples[:, -pause:].any() for piece in pieces[:-1])
    assert pieces[-1].samples[:, -pause:].any()


def test_knobs_do_what_they_say(tiny: ForwardTacotron) -> None:
    usual = said(tiny, "hello there")
    assert said(tiny, "hello there", speed=0.5).seconds == pytest.approx(2 * usual.seconds, rel=0.15)
    for changed in ({"liveliness": 2.0}, {"height": 1.0}, {"energy": 0.0}, {"seed": 1}):
        other = said(tiny, "hello there", **changed)
        assert other.samples.shape == usual.samples.shape
        assert not other.samples.equal(usual.samples)


def test_a_knob_that_a_model_does_not_have_is_refused(tmp_path: Path) -> None:
    for layout, options in (("plain", {"height": 1.0}), ("plain", {"energy": 2.0}), ("pitch", {"energy": 2.0})):
        torch.save(earlier(layout).state_dict(), tmp_path / "old.pyt")
        system = ForwardTacotron.load(str(tmp_path / "old.pyt"))
        with pytest.raises(BadOption, match="these weights tell no"):
            said(system, "Hello", **options)


@pytest.mark.parametrize("text", ["", "  ", "!?", "\N{GRINNING FACE}", "\x00\x1b"])
def test_nothing_to_say_is_refused_before_the_first_sentence(tiny: ForwardTacotron, text: str) -> None:
    with pytest.raises(BadText, match="nothing to say"):
        tiny.utterances(text, tiny.own)


@pytest.mark.parametrize("text", ["a\x00b\N{GRINNING FACE} c", "Привет, 世界!", "1,000,000 in 1999", "é" * 50, "a"])
def test_texts_of_all_kinds_are_said(tiny: ForwardTacotron, text: str) -> None:
    assert said(tiny, text).samples.isfinite().all()


def test_a_very_long_text_begins_at_once(tiny: ForwardTacotron) -> None:
    begun = list(islice(tiny.utterances("word " * 20_000, tiny.own), 2))
    assert all(piece.samples.isfinite().all() for piece in begun)


def test_texts_are_told_in_sounds(tmp_path: Path) -> None:
    torch.save(earlier("pitch").state_dict(), tmp_path / "forward_46K.pyt")
    system = ForwardTacotron.load(str(tmp_path / "forward_46K.pyt"))
    assert system.config is not None
    assert (system.own.name, system.config.front) == ("forward_46K", Front("earlier"))
    assert said(system, "Hello, world.").samples.isfinite().all()


def test_files_of_all_kinds_say_the_same(tiny: ForwardTacotron, tmp_path: Path) -> None:
    wanted = said(tiny, "good morning").samples
    net = tiny.nets["net"]
    settings = {
        "forward_tacotron": {"model": {"pitch_strength": 1.0, "energy_strength": 1}},
        "preprocessing": {"language": "en-us", "cleaner_name": "english_cleaners", "use_phonemes": False},
    }
    torch.save({"model": net.state_dict(), "optim": {}, "config": settings}, tmp_path / "forward_step90k.pt")
    system = ForwardTacotron.load(str(tmp_path / "forward_step90k.pt"))
    assert said(system, "good morning").samples.equal(wanted)
    files = {tmp_path / "forward_step90k.pt": outline(tmp_path / "forward_step90k.pt")}
    assert ForwardTacotron.recognises(files)
    (tmp_path / "home").mkdir()
    adopted = ForwardTacotron.adopt(files, tmp_path / "home")
    voice = Voice("ann", (0.0, 0.0), system="speak/forward_tacotron", weights=adopted.weights)
    assert ForwardTacotron.load().speak("good morning", voice).samples.equal(wanted)


def test_settings_come_from_the_file_and_survive(tiny: ForwardTacotron, tmp_path: Path) -> None:
    settings = {
        "forward_tacotron": {"model": {"pitch_strength": 0.5}},
        "preprocessing": {"language": "de", "cleaner_name": "no_cleaners"},
    }
    torch.save({"model": tiny.nets["net"].state_dict(), "config": settings}, tmp_path / "de.pt")
    given, _ = read(tmp_path / "de.pt")
    assert given.front == Front("later", "de", "none") and given.pitch_strength == 0.5
    (tmp_path / "home").mkdir()
    voice = ForwardTacotron.adopt({tmp_path / "de.pt": outline(tmp_path / "de.pt")}, tmp_path / "home")
    assert voice.weights is not None
    assert read(voice.weights)[0] == given


def test_what_is_no_model_is_refused(tiny: ForwardTacotron, tmp_path: Path) -> None:
    state = dict(tiny.nets["net"].state_dict())

    def refused(change: dict[str, Tensor | None], match: str, config: Any = None) -> None:
        changed = {name: value for name, value in (state | change).items() if value is not None}
        torch.save({"model": changed, "config": config}, tmp_path / "x.pt")
        with pytest.raises(BadCheckpoint, match=match):
            ForwardTacotron.load(str(tmp_path / "x.pt"))

    refused({"embedding.weight": None}, r"no embedding\.weight")
    refused({"extra.weight": torch.zeros(1)}, r"1 surplus \(extra\.weight\)")
    refused({"lin.bias": torch.full((80,), torch.inf)}, "not numbers")
    refused({"embedding.weight": torch.zeros(99, 8)}, "reads 99 symbols")
    refused({"post_proj.weight": torch.zeros(80, 99)}, "another shape")
    refused({"speaker_emb.weight": torch.zeros(2, 2)}, "several speakers")
    refused({}, "prepared by 'french_cleaners'", {"preprocessing": {"cleaner_name": "french_cleaners"}})
    refused({}, "is no strength", {"forward_tacotron": {"model": {"pitch_strength": "much"}}})
    with pytest.raises(BadOption, match="no-such"):
        ForwardTacotron.load("no-such")


def test_voices_that_it_cannot_give_are_refused(tiny: ForwardTacotron) -> None:
    with pytest.raises(BadVoice, match="cannot give the voice 'kerstin'"):
        tiny.speak("Hello", Voice("kerstin", (0.0, 0.0)))
    empty = ForwardTacotron.load()
    with pytest.raises(BadVoice, match="comes without weights: name a file"):
        empty.speak("Hello", empty.own)
