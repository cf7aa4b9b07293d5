"""The door to faster-whisper against the library called directly, and against our own Whisper on the same weights."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("faster_whisper", reason="the library is an extra: pip install 'mynah[faster-whisper]'")

from mynah.core.errors import BadAudio, BadCheckpoint, BadOption, MissingExtra, Offline
from mynah.core.types import Audio
from mynah.transcribe.faster_whisper import FasterWhisper, FasterWhisperOptions, asked_of_library, pieces
from mynah.transcribe.faster_whisper.folder import Vocabulary, write
from mynah.transcribe.whisper import Whisper, WhisperOptions
from mynah.transcribe.whisper.tokens import _bytes_of_letters, small_vocabulary, specials
from tests.transcribe import whisper_checkpoint as made

CONFIG = replace(made.CONFIG, text_context=448)
HEADS = ((1, 0), (1, 1))
UNGUARDED: dict[str, Any] = {"fallback": False, "log_probability": -10, "silence": 1}


@pytest.fixture(scope="module")
def ours() -> Whisper:
    system = Whisper(CONFIG, small_vocabulary(), HEADS)
    system.net.load_state_dict(made.state(CONFIG))
    return system


@pytest.fixture(scope="module")
def folder(ours: Whisper, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `ct2-transformers-converter` lays it out."""
    letters = {byte: letter for letter, byte in _bytes_of_letters().items()}
    tokens = ours.tokens
    vocabulary = Vocabulary((*(letters[byte] for byte in range(256)), ""), tuple(specials(tokens.end, tokens.size)))
    state = {name: value.numpy() for name, value in ours.net.state_dict().items()}
    return write(tmp_path_factory.mktemp("converted"), state, vocabulary, never=ours.banned, heads=HEADS)


@pytest.fixture(scope="module")
def fast(folder: Path) -> FasterWhisper:
    return FasterWhisper.load(str(folder))


@pytest.fixture(scope="module")
def song() -> Audio:
    return made.song(40.0)


def test_it_says_what_our_whisper_says(ours: Whisper, fast: FasterWhisper, song: Audio) -> None:
    a = ours.transcribe(song, WhisperOptions(hush_db=-120, **UNGUARDED))
    b = fast.transcribe(song, FasterWhisperOptions(beam=1, **UNGUARDED))
    assert (a.language, a.text, a.seconds) == (b.language, b.text, b.seconds) == ("pt", a.text, 40.0)
    for native, line in zip(a.lines, b.lines, strict=True):
        assert line.text == native.text
        assert (line.start_seconds, line.end_seconds) == pytest.approx((native.start_seconds, native.end_seconds))
        assert (line.confidence, line.silence) == pytest.approx((native.confidence, native.silence), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam": 2, "patience": 2.0, "length": 0.5, "no_repeat": 3, "repetition": 1.1, "follow": True},
        {
            "words": True,
            "language": "de",
            "prompt": "Hallo",
            "hotwords": "Mynah",
            "temperature": 0.2,
            "fallback": False,
        },
        {"speech": True},
        {"batch": 4, "speech": True, "languages": True},
    ],
    ids=lambda options: "-".join(options) or "none",
)
@pytest.mark.parametrize("task", ["transcribe", "translate"])
def test_it_says_what_the_library_says(folder: Path, song: Audio, options: dict[str, Any], task: str) -> None:
    import ctranslate2
    import faster_whisper

    chosen = FasterWhisperOptions(**{"log_probability": -10, "silence": 1, "compression": 10, **options})
    told = getattr(FasterWhisper.load(str(folder)), task)(song, chosen)
    engine: Any = faster_whisper.WhisperModel(str(folder), device="cpu")
    ctranslate2.set_random_seed(0)
    settings: dict[str, Any] = {
        "task": task, "language": chosen.language or None, "beam_size": chosen.beam, "patience": chosen.patience,
        "length_penalty": chosen.length, "no_repeat_ngram_size": chosen.no_repeat, "hotwords": chosen.hotwords or None,
        "repetition_penalty": chosen.repetition, "condition_on_previous_text": chosen.follow,
        "word_timestamps": chosen.words, "initial_prompt": chosen.prompt or None, "vad_filter": chosen.speech,
        "temperature": [0.2] if options.get("temperature") else [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        "compression_ratio_threshold": 10, "log_prob_threshold": -10, "no_speech_threshold": 1,
        "multilingual": chosen.languages,
    }  # fmt: skip
    if chosen.batch > 1:
        engine = faster_whisper.BatchedInferencePipeline(engine)
        settings |= {"batch_size": chosen.batch, "without_timestamps": False}
    segments, about = engine.transcribe(song.samples[0].numpy(), **settings)
    expected = [segment for segment in segments if segment.text.strip() and segment.start < min(segment.end, 40.0)]
    assert told.language == ("en" if task == "translate" else about.language)
    assert bool(expected) != chosen.speech  # nobody speaks in a song of sines
    for line, segment in zip(told.lines, expected, strict=True):
        assert line.text == segment.text.strip()
        assert (line.start_seconds, line.end_seconds) == (segment.start, min(segment.end, 40.0))
        assert line.confidence == math.exp(segment.avg_logprob)
        words = [(word.word.strip(), word.start) for word in segment.words or () if word.word.strip()]
        assert [(word.text, word.start_seconds) for word in line.words] == words


def test_every_option_reaches_the_library() -> None:
    plain = asked_of_library(FasterWhisperOptions())
    for name, value in {
        "beam": 2, "tries": 2, "patience": 2.0, "length": 2.0, "repetition": 1.5, "no_repeat": 2, "temperature": 0.5,
        "compression": 2.0, "log_probability": -2.0, "silence": 0.5, "follow": True, "prompt": "x", "hotwords": "y",
        "words": True, "languages": True, "speech": True, "fallback": False,
    }.items():  # fmt: skip
        changed = asked_of_library(FasterWhisperOptions(**{name: value}))
        assert sum(plain[key] != changed[key] for key in plain) == 1, name


def test_windows_at_once_lose_nothing(fast: FasterWhisper, song: Audio) -> None:
    both = Audio(song.samples.repeat(1, 2), 16_000)
    told = [fast.transcribe(both, FasterWhisperOptions(language="en", batch=batch)) for batch in (2, 8)]
    few, many = ([(line.text, line.start_seconds, line.end_seconds) for line in each.lines] for each in told)
    assert few == many
    assert told[0].lines[-1].start_seconds > 50
    cut = pieces(both.samples[0].numpy())
    assert cut[0][0] == 0 and cut[-1][1] == 80.0
    assert all(left[1] == right[0] for left, right in pairwise(cut))
    assert all(20 <= end - begin <= 30 for begin, end in cut[:-1])


def test_a_seed_is_a_seed_in_the_same_engine(fast: FasterWhisper) -> None:
    bold = {"language": "en", "temperature": 1.0, "log_probability": -10, "compression": 10, "silence": 1}
    first = fast.transcribe(made.song(2.0), FasterWhisperOptions(**bold))
    assert first.lines
    assert fast.transcribe(made.song(2.0), FasterWhisperOptions(**bold)) == first
    others = [fast.transcribe(made.song(2.0), FasterWhisperOptions(seed=seed, **bold)) for seed in (1, 2, 3)]
    assert any(other != first for other in others)


def test_other_numbers_say_nearly_the_same(fast: FasterWhisper, song: Audio) -> None:
    exact = fast.transcribe(song, FasterWhisperOptions(language="en", beam=1, **UNGUARDED))
    small = fast.transcribe(song, FasterWhisperOptions(language="en", beam=1, precision="int8", **UNGUARDED))
    assert fast._engine.model.compute_type.startswith("int8")
    assert small.lines[0].silence != exact.lines[0].silence
    assert small.lines[0].silence == pytest.approx(exact.lines[0].silence, rel=0.2)
    with pytest.raises(BadOption, match="precision"):
        fast.transcribe(song, FasterWhisperOptions(precision="int8_float16"))
    assert fast.transcribe(song, FasterWhisperOptions(language="en", beam=1, **UNGUARDED)) == exact


def test_progress_is_told(fast: FasterWhisper, song: Audio) -> None:
    told: list[float] = []
    fast.transcribe(song, FasterWhisperOptions(language="en", **UNGUARDED), progress=told.append)
    assert told and told == sorted(told) and told[-1] <= 1


def test_what_cannot_be_heard_is_refused(fast: FasterWhisper) -> None:
    with pytest.raises(BadAudio, match="empty"):
        fast.transcribe(Audio(torch.zeros(1, 0), 16_000))
    with pytest.raises(BadAudio, match="NaN"):
        fast.transcribe(Audio(torch.full((1, 16_000), torch.nan), 16_000))
    with pytest.raises(BadOption, match="no 'tlh'"):
        fast.transcribe(made.song(1.0), FasterWhisperOptions(language="tlh"))


def test_what_is_no_such_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"has no model\.bin; convert with"):
        FasterWhisper.load(str(tmp_path))
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:5000])
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        FasterWhisper.load(str(tmp_path))
    with pytest.raises(BadOption, match=r"runs on cpu and cuda, not on mps"):
        FasterWhisper.load(str(folder), device="mps")
    with pytest.raises(BadOption, match=r"no weights 'large-v9': a folder .* turbo"):
        FasterWhisper.load("large-v9")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> Iterator[list[str]]:
    """A hub with one model on it, and what was fetched from it."""
    from mynah.catalog import download

    fetched: list[str] = []

    def files(repository: str, revision: str | None = None) -> dict[str, int]:
        if repository not in ("Systran/faster-whisper-small", "ann/nothing"):
            raise download.Unreachable("no such repository")
        found = {file.name: file.stat().st_size for file in folder.iterdir()}
        return {"README.md": 9, **(found if repository != "ann/nothing" else {})}

    def one(place: str, half: Path, progress: Any = None) -> None:
        fetched.append(place)
        half.write_bytes((folder / Path(place.partition("@")[0]).name).read_bytes())

    monkeypatch.setattr(download, "hub_files", files)
    monkeypatch.setattr(download, "from_hub", one)
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path / "home"))
    yield fetched


def test_models_come_from_the_hub_once(hub: list[str], song: Audio) -> None:
    for name in ("default", "small", "Systran/faster-whisper-small"):
        assert FasterWhisper.load(name).transcribe(song, FasterWhisperOptions(beam=1, **UNGUARDED)).lines
    assert sorted(hub)[0] == "Systran/faster-whisper-small/config.json"
    assert len(hub) == len(set(hub)) and not any("README" in place for place in hub)
    FasterWhisper.load("hub:Systran/faster-whisper-small@v1")
    assert "Systran/faster-whisper-small/model.bin@v1" in hub
    with pytest.raises(Offline, match=r"cannot fetch bo/model .* put them into .*bo--model"):
        FasterWhisper.load("bo/model")
    with pytest.raises(BadCheckpoint, match="it is no such model"):
        FasterWhisper.load("ann/nothing")


def test_its_absence_names_the_extra(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setitem(sys.modules, "faster_whisper.utils", None)
    for weights in (str(folder), "small"):
        with pytest.raises(MissingExtra, match=r"pip install 'mynah\[faster-whisper\]'"):
            FasterWhisper.load(weights)
