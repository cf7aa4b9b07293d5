"""Whisper against openai/whisper and transformers, run once on the same made-up weights."""

from __future__ import annotations

import importlib.util
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.core.errors import BadAudio, BadCheckpoint, BadOption, Offline
from mynah.core.types import Audio
from mynah.transcribe.whisper import CannotTranslate, Whisper, WhisperOptions
from mynah.transcribe.whisper.beams import searched
from mynah.transcribe.whisper.decode import Rules, language, lines
from mynah.transcribe.whisper.longform import Guards, Listener
from mynah.transcribe.whisper.tokens import Tokens, small_vocabulary
from mynah.transcribe.whisper.words import words

_spec = importlib.util.spec_from_file_location("whisper_checkpoint", Path(__file__).with_name("whisper_checkpoint.py"))
assert _spec and _spec.loader
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)

UNGUARDED: dict[str, Any] = {"fallback": False, "log_probability": -10, "silence": 1, "hush_db": -120}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.original(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="module")
def ours(original: Path) -> Whisper:
    return Whisper.load(str(original))


@pytest.fixture(scope="module")
def song() -> Audio:
    return made.song(40.0)


def listener(ours: Whisper, sound: Audio, **guards: Any) -> Listener:
    return Listener(
        ours.net, ours.tokens, ours.heads, sound.samples[0],
        banned=ours.banned, task=ours.tokens.transcribe, language="en", guards=Guards(**guards),
    )  # fmt: skip


@torch.inference_mode()
def test_nets_say_what_the_original_says(ours: Whisper, song: Audio) -> None:
    frames = listener(ours, song).frames([(0, 1500)])
    # From openai/whisper 20250625: its encoder, its decoder, its detect_language.
    heard = frames[0, [0, 700, 1499], [3, 64, 127]]
    torch.testing.assert_close(heard, torch.tensor([0.1876724, 0.0372043, -0.1007034]), atol=2e-6, rtol=0)
    start = torch.tensor([[ours.tokens.start, 72, 105, ours.tokens.first_time + 3]])
    logits, _ = ours.net.decoder(start, ours.net.decoder.memory(frames))
    expected = torch.tensor([-2.3551674, 0.3827950, -0.9672725])
    torch.testing.assert_close(logits[0, [0, 1, 3], [5, 300, 1800]], expected, atol=2e-5, rtol=0)
    [odds] = language(ours.net, ours.tokens, frames)
    assert max(odds, key=lambda name: odds[name]) == "pt"
    assert odds["pt"] == pytest.approx(0.1101719, abs=1e-5)
    memory = ours.net.decoder.memory(frames)
    steps = torch.cat([ours.net.decoder(start[:, at : at + 1], memory)[0] for at in range(4)], 1)
    torch.testing.assert_close(steps, logits, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("follow", "expected"),
    [
        (False, [(0.16, 18.76, -0.0706516), (18.92, 37.52, -0.0774626), (38.24, 40.0, -0.0773631)]),
        (True, [(0.16, 18.76, -0.0706516), (19.48, 37.52, -0.0652364), (38.24, 40.0, -0.0659251)]),
    ],
)
def test_long_recordings_give_the_lines_of_the_original(
    ours: Whisper, song: Audio, follow: bool, expected: list[tuple[float, float, float]]
) -> None:
    told = ours.transcribe(song, WhisperOptions(follow=follow, **UNGUARDED))
    assert told.language == "pt"  # found out
    # From its transcribe() with temperature=0; where it ends a line after the recording, ours ends with it.
    got = [(line.start_seconds, line.end_seconds, torch.tensor(line.confidence).log().item()) for line in told.lines]
    for line, wanted in zip(got, expected, strict=True):
        assert line == pytest.approx(wanted, abs=1e-4)
    assert told.lines[0].silence == pytest.approx(7.2586727e-7, rel=1e-4)


@torch.inference_mode()
def test_words_begin_and_end_where_the_original_says(ours: Whisper, song: Audio) -> None:
    frames = listener(ours, song).frames([(0, 1500)])
    tokens = ours.tokens
    start = [tokens.start, tokens.languages["en"], tokens.transcribe]
    said = list(b" Hi there, it is 'so' late!")
    found = words(ours.net, tokens, ours.heads, frames, start, said, 1500, "en")
    assert [word.text for _, word in found] == [" Hi", " there,", " it", " is", " ", "'so'", " late!"]
    # From its find_alignment(); marks have no time of their own.
    times = [(0.0, 0.88), (0.88, 7.54), (7.98, 14.5), (14.5, 16.0), (16.0, 16.46), (16.46, 18.38), (18.38, 28.24)]
    for (_, word), (begin, end) in zip(found, times, strict=True):
        assert (word.start_seconds, word.end_seconds) == pytest.approx((begin, end), abs=1e-6)
    assert found[1][1].confidence == pytest.approx(1.4306314e-6, rel=1e-4)
    assert [number for part, _ in found for number in part] == said


def test_a_folder_of_hugging_face_gives_the_same(ours: Whisper, song: Audio, tmp_path: Path) -> None:
    theirs = Whisper.load(str(made.hugging_face(tmp_path)))
    for name, value in ours.net.state_dict().items():
        assert theirs.net.state_dict()[name].equal(value), name
    assert (theirs.heads, theirs.banned) == (ours.heads, ours.banned)
    options = WhisperOptions(words=True, **UNGUARDED)
    assert theirs.transcribe(song, options) == ours.transcribe(song, options)
    told = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.json").write_text(json.dumps(told["model"]["vocab"]))
    added = {token["content"]: token["id"] for token in told["added_tokens"]}
    (tmp_path / "added_tokens.json").write_text(json.dumps(added))
    assert Whisper.load(str(tmp_path)).tokens.size == ours.tokens.size


def test_what_is_no_whisper_is_refused(original: Path, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"no config\.json"):
        Whisper.load(str(tmp_path))
    with pytest.raises(BadOption, match="no weights"):
        Whisper.load("large-v9")
    loaded = torch.load(original)
    for change, complaint in (
        ({"dims": {**made.DIMS, "n_mels": 10**9}}, "its bands is 1000000000"),
        ({"dims": {**made.DIMS, "n_audio_head": 4}}, "heads of 64"),
        ({"dims": {**made.DIMS, "n_text_layer": 3}}, "missing"),
        ({"model_state_dict": None}, "no checkpoint of openai/whisper"),
    ):
        torch.save({**loaded, **change}, original.with_name("wrong.pt"))
        with pytest.raises(BadCheckpoint, match=complaint):
            Whisper.load(str(original.with_name("wrong.pt")))
    made.hugging_face(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {}}, "added_tokens": []}')
    with pytest.raises(BadCheckpoint, match="no Whisper's"):
        Whisper.load(str(tmp_path))


def test_published_weights_are_named_where_they_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.catalog import download

    def broken(*_: Any) -> None:
        raise download.Unreachable("no network")

    monkeypatch.setattr(download, "from_web", broken)
    with pytest.raises(Offline, match=r"large-v3-turbo\.pt .* put it at"):
        Whisper.load("large-v3-turbo")


def test_windows_heard_together_say_what_they_say_alone(ours: Whisper, song: Audio) -> None:
    both = Audio(song.samples.repeat(1, 2), 16_000)
    few, many = (ours.transcribe(both, WhisperOptions(language="en", batch=batch, **UNGUARDED)) for batch in (2, 8))
    assert [line.text for line in few.lines] == [line.text for line in many.lines]
    assert [line.start_seconds for line in few.lines] == [line.start_seconds for line in many.lines]
    assert few.lines[-1].end_seconds > 60  # the end was heard as well
    pieces = list(listener(ours, both).pieces())
    assert pieces[0][0] == 0 and pieces[-1][1] == 4000
    assert all(left[1] == right[0] for left, right in pairwise(pieces))
    assert all(20 * 50 <= end - begin <= 1500 for begin, end in pieces[:-1])


@pytest.mark.parametrize(
    ("lean", "scale", "width", "patience", "numbers", "log_probability"),
    [
        (0.0, 0.12, 3, 1.0, [373, 245, 1303, 1303], -3.7932423),
        (0.0, 0.12, 5, 2.0, [373, 245, 1303, 1303], -3.8961510),
        (4.0, 0.12, 3, 1.0, [373], -2.7255998),
        (4.0, 0.12, 5, 2.0, [401, 12, 747, 747], -3.4367065),
        (7.0, 0.50, 3, 1.0, [373, 245, 1303, 1303], -1.2567079),
        (7.0, 0.50, 5, 1.0, [373], -1.5436678),
        (7.0, 0.12, 4, 0.5, [385, 12], -1.5054435),
    ],
)
@torch.inference_mode()
def test_a_beam_finds_what_that_of_the_original_finds(
    song: Audio, lean: float, scale: float, width: int, patience: float, numbers: list[int], log_probability: float
) -> None:
    """From openai/whisper's DecodingTask; `lean` toward the end of the text and `scale` make weights that waver."""
    tokens, state = small_vocabulary(), made.state()
    state["decoder.token_embedding.weight"] *= scale
    end = state["decoder.token_embedding.weight"][tokens.end]
    state["decoder.ln.bias"] += lean * end / (end @ end)
    wavering = Whisper(made.CONFIG, tokens, ((1, 0), (1, 1)))
    wavering.net.load_state_dict(state)
    heard = listener(wavering, song)
    start = torch.tensor([heard.start]).expand(2, -1)
    frames = heard.frames([(0, 1500), (500, 2000)])
    found, other = searched(wavering.net, heard.rules, frames, start, width=width, patience=patience)
    assert list(found.numbers[:4]) == numbers
    assert found.log_probability == pytest.approx(log_probability, abs=2e-6)
    [alone] = searched(wavering.net, heard.rules, frames[1:], start[1:], width=width, patience=patience)
    assert (alone.numbers, alone.log_probability) == (other.numbers, pytest.approx(other.log_probability, abs=1e-5))


def test_a_beam_is_asked_for_by_an_option(ours: Whisper, monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.transcribe.whisper import longform

    asked: list[tuple[int, float]] = []

    def watched(*args: Any, width: int, patience: float) -> Any:
        asked.append((width, patience))
        return searched(*args, width=width, patience=patience)

    monkeypatch.setattr(longform, "searched", watched)
    sound, knobs = made.song(2.0), {"language": "en", **UNGUARDED}
    plain = ours.transcribe(sound, WhisperOptions(**knobs))
    assert not asked
    assert ours.transcribe(sound, WhisperOptions(beam=2, patience=1.5, **knobs)).text == plain.text
    ours.transcribe(sound, WhisperOptions(beam=3, batch=2, **knobs))
    assert asked == [(2, 1.5), (3, 1.0)]
    ours.transcribe(sound, WhisperOptions(beam=3, temperature=0.5, tries=1, **knobs))  # dice need no beam
    assert len(asked) == 2


def test_a_model_comes_from_the_hub_by_its_id(ours: Whisper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mynah.catalog import download

    (tmp_path / "there").mkdir()
    folder, fetched = made.hugging_face(tmp_path / "there"), list[str]()
    files = {file.name: file.stat().st_size for file in folder.iterdir()} | {"pytorch_model.bin": 1, "README.md": 1}

    def one(place: str, half: Path, progress: Any = None) -> None:
        fetched.append(place)
        half.write_bytes((folder / half.name).read_bytes())

    monkeypatch.setattr(download, "hub_files", lambda repository, revision=None: files)
    monkeypatch.setattr(download, "from_hub", one)
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path / "home"))
    for _ in range(2):
        theirs = Whisper.load("openai/whisper-song")
        assert theirs.net.decoder.ln.weight.equal(ours.net.decoder.ln.weight)
    assert sorted(fetched) == [f"openai/whisper-song/{file.name}" for file in sorted(folder.iterdir())]


def test_pauses_are_not_listened_to(ours: Whisper) -> None:
    sound = made.song(6.0).samples
    quiet = Audio(torch.cat([torch.zeros(1, 16_000 * 35), sound, torch.zeros(1, 16_000 * 20)], 1), 16_000)
    heard = ours.transcribe(quiet, WhisperOptions(language="en", **{**UNGUARDED, "hush_db": -60}))
    assert heard.lines and all(line.start_seconds >= 34.6 for line in heard.lines)
    silence = ours.transcribe(Audio(torch.zeros(1, 16_000 * 40), 16_000))
    assert (silence.text, silence.lines, silence.seconds) == ("", (), 40.0)


def test_doubtful_windows_are_heard_again_more_boldly(ours: Whisper, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    from mynah.transcribe.whisper import longform

    real = longform.decoded

    def watched(*args: Any, temperature: float, **named: Any) -> Any:
        asked.append(temperature)
        return real(*args, temperature=temperature, **named)

    monkeypatch.setattr(longform, "decoded", watched)
    sound = made.song(2.0)
    knobs: dict[str, Any] = {"language": "en", "silence": 1, "tries": 2}
    ours.transcribe(sound, WhisperOptions(log_probability=-10, compression=10, **knobs))
    assert asked == [0.0]
    asked.clear()
    first = ours.transcribe(sound, WhisperOptions(log_probability=0, **knobs))
    assert asked == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ours.transcribe(sound, WhisperOptions(log_probability=0, **knobs)) == first  # a seed is a seed


def test_a_stretch_is_not_written_twice_if_asked() -> None:
    tokens = small_vocabulary()
    logits = torch.zeros(1, tokens.size)
    logits[0, 99], logits[0, 100] = 25.0, 20.0  # so that no time is due
    Rules(tokens, (), no_repeat=3).hold(logits, [[tokens.first_time, 97, 98, 99, 97, 98]])
    assert logits[0, 99] == -torch.inf and logits[0, 100] == 20
    logits = torch.zeros(1, tokens.size)
    Rules(tokens, ()).hold(logits, [[tokens.first_time, 97, 98, 99, 97, 98]])
    assert logits[0, tokens.first_time] == -torch.inf  # time never goes back


def test_nothing_of_a_last_window_is_lost() -> None:
    tokens = small_vocabulary()
    at = tokens.first_time
    said = [at, 97, at + 50, at + 50, 98]
    assert lines(tokens, said, 500) == ([[at, 97, at + 50]], 50)
    assert lines(tokens, said, 500, last=True) == ([[at, 97, at + 50], [at + 50, 98, at + 500]], 500)
    assert lines(tokens, [98], 500) == ([[at, 98, at + 500]], 500)


def test_what_cannot_be_heard_is_refused(ours: Whisper) -> None:
    with pytest.raises(BadAudio, match="empty"):
        ours.transcribe(Audio(torch.zeros(1, 0), 16_000))
    with pytest.raises(BadAudio, match="NaN"):
        ours.transcribe(Audio(torch.full((1, 16_000), torch.nan), 16_000))
    with pytest.raises(BadOption, match="no 'tlh'"):
        ours.transcribe(made.song(1.0), WhisperOptions(language="tlh"))


def test_the_turbo_says_that_it_cannot_translate(ours: Whisper) -> None:
    turbo = Whisper(ours.config, ours.tokens, ours.heads, name="large-v3-turbo.pt")
    turbo.net.load_state_dict(ours.net.state_dict())
    with pytest.warns(CannotTranslate, match="turbo"):
        assert turbo.translate(made.song(1.0), WhisperOptions(language="de", **UNGUARDED)).language == "en"


def test_english_models_have_no_languages() -> None:
    few = small_vocabulary()
    names = {name: number - 1 for name, number in _named(few).items()}
    english = Tokens(few.pieces[:256], names, few.size - 1)
    assert not english.multilingual and few.multilingual


def _named(tokens: Tokens) -> dict[str, int]:
    from mynah.transcribe.whisper.tokens import specials

    return specials(tokens.end, tokens.size)
