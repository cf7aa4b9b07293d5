"""OpenAI's own client against a server of ours."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import soundfile

from mynah.audio.files import read
from mynah.transcribe.whisper import Whisper, WhisperOptions


@pytest.fixture
def client(server: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 0.5), (2.0, 0.25)])
def test_speech(client: openai.OpenAI, server: Any, speed: float, seconds: float) -> None:
    before = server.folders()
    answer = client.audio.speech.create(
        model="default", input="hello", voice="kerstin", response_format="wav", speed=speed
    )
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert len(samples) / rate == pytest.approx(seconds, abs=0.001)
    server.wait(lambda: server.folders() == before)  # nothing is kept of what was answered


def test_speech_without_a_header(client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(model="speak/beep", input="hello", voice="kerstin", response_format="pcm")
    assert len(answer.content) == 2 * 24_000 // 2


def test_transcriptions(client: openai.OpenAI, song: Path) -> None:
    assert client.audio.transcriptions.create(model="ear", file=song).text == "la la"
    told = client.audio.transcriptions.create(
        model="ear", file=song, response_format="verbose_json", language="fr", timestamp_granularities=["segment"]
    )
    assert (told.language, told.duration, [line.end for line in told.segments or []]) == ("fr", 1.0, [0.5, 1.0])
    subtitles = client.audio.transcriptions.create(model="ear", file=song, response_format="srt")
    assert "00:00:00,500 --> 00:00:01,000\nla" in str(subtitles)
    assert str(client.audio.transcriptions.create(model="ear", file=song, response_format="vtt")).startswith("WEBVTT")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of OpenAI's client; the door is still there
def test_translations(client: openai.OpenAI, song: Path) -> None:
    assert client.audio.translations.create(model="default", file=song).text == "the the"


def test_a_whisper_answers_with_words(client: openai.OpenAI, song: Path) -> None:
    expected = Whisper.tiny().transcribe(read(song), WhisperOptions(language="de", words=True))
    assert expected.lines[0].words
    told = client.audio.transcriptions.create(
        model="small", file=song, language="de", prompt="", temperature=0.0, response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )  # fmt: skip
    assert (told.text, told.language) == (expected.text, "de")
    [first, *_] = expected.lines
    assert told.segments and told.words
    assert (told.segments[0].start, told.segments[0].end) == pytest.approx((first.start_seconds, first.end_seconds))
    assert told.segments[0].avg_logprob == pytest.approx(math.log(first.confidence or 0), abs=1e-4)
    assert [word.word for word in told.words] == [word.text for line in expected.lines for word in line.words]
    assert told.words[0].end == pytest.approx(first.words[0].end_seconds)
    subtitles = str(client.audio.transcriptions.create(model="small", file=song, response_format="vtt"))
    assert subtitles.startswith("WEBVTT\n\n00:00:")
    with pytest.raises(openai.BadRequestError, match="know no 'tlh'"):
        client.audio.transcriptions.create(model="small", file=song, language="tlh")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of OpenAI's client; the door is still there
def test_whoever_writes_down_may_translate_too(client: openai.OpenAI, song: Path) -> None:
    expected = Whisper.tiny().translate(read(song))
    assert client.audio.translations.create(model="small", file=song).text == expected.text
    with pytest.raises(openai.NotFoundError, match="no model 'ear' can translate"):
        client.audio.translations.create(model="ear", file=song)


def test_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"convert/loud", "speak/beep"} <= names
    assert client.models.retrieve("speak/beep").id == "speak/beep"


def test_mistakes_are_told_in_its_shape(client: openai.OpenAI, song: Path) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'tts-1' can speak") as caught:
        client.audio.speech.create(model="tts-1", input="hello", voice="kerstin")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError, match="no voice"):
        client.audio.speech.create(model="default", input="hello", voice="/etc/passwd")
    with pytest.raises(openai.BadRequestError, match="speed"):
        client.audio.speech.create(model="default", input="hello", voice="kerstin", speed=4.0)
    with pytest.raises(openai.BadRequestError, match="not a recording"):
        client.audio.transcriptions.create(model="default", file=("song.wav", b"GIF89a; no sound at all" * 99))
    with pytest.raises(openai.BadRequestError, match="no option 'temperature'"):
        client.audio.transcriptions.create(model="ear", file=song, temperature=0.5)
