"""OpenAI's own client against a server of ours."""

from __future__ import annotations

import base64
import io
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest
import soundfile

from mynah.audio.files import read
from mynah.transcribe.whisper import Whisper, WhisperOptions
from tests.serve.tiny_systems import Small


@pytest.fixture
def client(server: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 0.5), (2.0, 0.25)])
def test_speech(client: openai.OpenAI, server: Any, speed: float, seconds: float) -> None:
    before = server.folders()
    answer = client.audio.speech.create(
        model="beep", input="hello", voice="kerstin", response_format="wav", speed=speed
    )
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert len(samples) / rate == pytest.approx(seconds, abs=0.001)
    server.wait(lambda: server.folders() == before)  # nothing is kept of what was answered


def test_speech_without_a_header(client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(model="speak/beep", input="hello", voice="kerstin", response_format="pcm")
    assert len(answer.content) == 2 * 24_000 // 2


STORY = "It was dark. Nobody came. The end."


@pytest.mark.parametrize("format", ["pcm", "mp3"])
def test_the_first_sentence_is_heard_while_the_others_are_made(
    client: openai.OpenAI, server: Any, tmp_path: Path, format: Any
) -> None:
    before, start, came = server.folders(), time.monotonic(), []
    with client.audio.speech.with_streaming_response.create(
        model="story", input=STORY, voice="kerstin", response_format=format,
        extra_body={"options": {"nap_seconds": 0.4}},
    ) as answer:  # fmt: skip
        for piece in answer.iter_bytes():
            came.append((time.monotonic() - start, piece))
    assert came[-1][0] - came[0][0] > 0.7  # two naps after the first sound
    whole = b"".join(piece for _, piece in came)
    assert (
        whole == client.audio.speech.create(model="story", input=STORY, voice="kerstin", response_format=format).content
    )
    if format != "pcm":
        (tmp_path / f"story.{format}").write_bytes(whole)
        assert read(tmp_path / f"story.{format}").seconds == pytest.approx(0.75, abs=0.15)
    server.wait(lambda: server.folders() == before)


def test_a_flac_is_whole(client: openai.OpenAI, tmp_path: Path) -> None:
    answer = client.audio.speech.create(model="story", input=STORY, voice="kerstin", response_format="flac")
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert len(samples) / rate == 0.75


def test_speech_as_events(client: openai.OpenAI) -> None:
    def events(**more: Any) -> list[dict[str, Any]]:
        answer = client.audio.speech.create(
            model="story", input=STORY, voice="kerstin", response_format="pcm", stream_format="sse", **more
        )
        return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]

    *deltas, last = events()
    whole = client.audio.speech.create(model="story", input=STORY, voice="kerstin", response_format="pcm").content
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == whole
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert (last["type"], last["usage"]["input_tokens"]) == ("speech.audio.done", len(STORY))
    *_, last = events(extra_body={"options": {"accident": True, "nap_seconds": 0.2}})
    assert last == {"type": "error", "error": {"message": "the teller has lost the thread", "code": "bad_audio"}}


def test_speech_that_breaks_off_is_not_taken_for_whole(client: openai.OpenAI, server: Any) -> None:
    before = server.folders()
    accident: dict[str, Any] = {"options": {"accident": True, "nap_seconds": 0.2}}
    with (
        pytest.raises((openai.APIError, httpx.RemoteProtocolError)),
        client.audio.speech.with_streaming_response.create(
            model="story", input=STORY, voice="kerstin", response_format="pcm", extra_body=accident
        ) as answer,
    ):
        answer.read()
    with pytest.raises(openai.BadRequestError, match="nothing to say"):  # known before the first sound: an answer
        client.audio.speech.create(model="story", input="?!", voice="kerstin")
    server.wait(lambda: server.folders() == before)


@pytest.mark.parametrize("heard", [False, True])
def test_whoever_hangs_up_cancels(client: openai.OpenAI, server: Any, heard: bool) -> None:
    def cancelled() -> int:
        jobs = server.client.get("/v1/jobs").json()["data"]
        return sum(job["kind"] == "speech" and job["status"] == "cancelled" for job in jobs)

    before = cancelled()
    nap: dict[str, Any] = {"options": {"nap_seconds": 1.0}}
    asked: dict[str, Any] = {"model": "story", "input": STORY, "voice": "kerstin", "response_format": "pcm"}
    if heard:
        with client.audio.speech.with_streaming_response.create(**asked, extra_body=nap) as answer:
            next(answer.iter_bytes())
    else:
        with pytest.raises(openai.APITimeoutError):
            client.audio.speech.create(**asked, extra_body=nap, timeout=0.5)
    server.wait(lambda: cancelled() > before)


def test_a_voice_that_the_speaker_lacks_is_converted(client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(model="story", input=STORY, voice="philipp", response_format="wav")
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert len(samples) / rate == pytest.approx(0.75, abs=0.001) and abs(samples).max() > 0.01


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


def test_who_does_it_and_with_which_weights_is_the_servers_to_say(own_server: Any, song: Path) -> None:
    server = own_server("--use", "transcribe=small", "--use", "speak=beep", "--weights", "small=in-a-drawer")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        told = client.audio.transcriptions.create(model="whisper-1", file=song).text
        assert told == client.audio.transcriptions.create(model="small", file=song).text
        assert told == Small.load("in-a-drawer").transcribe(read(song)).text != Small.load().transcribe(read(song)).text
        answer = client.audio.speech.create(model="tts-1", input="hello", voice="kerstin", response_format="pcm")
        assert len(answer.content) == 2 * 24_000 // 2


def test_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"convert/loud", "speak/beep"} <= names
    assert client.models.retrieve("speak/beep").id == "speak/beep"


def test_mistakes_are_told_in_its_shape(client: openai.OpenAI, song: Path) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'tts-9' can speak") as caught:
        client.audio.speech.create(model="tts-9", input="hello", voice="kerstin")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError, match="no voice"):
        client.audio.speech.create(model="default", input="hello", voice="/etc/passwd")
    with pytest.raises(openai.BadRequestError, match="speed"):
        client.audio.speech.create(model="beep", input="hello", voice="kerstin", speed=4.0)
    with pytest.raises(openai.BadRequestError, match="not a recording"):
        client.audio.transcriptions.create(model="default", file=("song.wav", b"GIF89a; no sound at all" * 99))
    with pytest.raises(openai.BadRequestError, match="no option 'temperature'"):
        client.audio.transcriptions.create(model="ear", file=song, temperature=0.5)
