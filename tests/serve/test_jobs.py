"""The life of a job, over HTTP."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from mynah.serve.progress import STREAMS
from tests.serve.conftest import events


def test_a_conversion_from_beginning_to_end(server: Any, song: Path) -> None:
    job = server.ask("conversions", song, voice="kerstin", model="loud", gain="2", nap_seconds="1")
    seen: list[dict[str, Any]] = []
    events(server, job["id"], seen).join()
    assert seen[-1]["status"] == "completed"
    fractions = [step["fraction"] for state in seen for step in state["steps"] if step["name"] == "convert"]
    assert len(fractions) > 2
    assert fractions == sorted(fractions)
    assert [each["name"] for each in seen[-1]["results"]] == ["converted"]
    answer = server.client.get(seen[-1]["results"][0]["url"])
    assert "my%20song-converted.wav" in answer.headers["content-disposition"]
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert (len(samples), rate) == (16_000, 16_000)
    original, _ = soundfile.read(song)
    assert samples == pytest.approx(2 * original, abs=1e-4)
    part = server.client.get(seen[-1]["results"][0]["url"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert server.client.get("/v1/jobs?limit=1").json()["data"][0]["id"] == job["id"]
    assert server.client.delete(f"/v1/jobs/{job['id']}").json()["deleted"]
    assert job["id"] not in server.folders()
    assert server.client.get(f"/v1/jobs/{job['id']}").status_code == 404


def test_nobody_listens_to_more_streams_than_they_may(server: Any, song: Path) -> None:
    job = server.ask("conversions", song, voice="kerstin", model="loud", nap_seconds="30")
    seen: list[list[dict[str, Any]]] = [[] for _ in range(STREAMS)]
    threads = [events(server, job["id"], each) for each in seen]
    server.wait(lambda: all(seen))
    refused = server.client.get(f"/v1/jobs/{job['id']}/events")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    server.client.post(f"/v1/jobs/{job['id']}/cancel")
    for thread in threads:
        thread.join()
    assert all(each[-1]["status"] == "cancelled" for each in seen)
    assert server.client.get(f"/v1/jobs/{job['id']}/events").status_code == 200


def test_options_as_json_are_options_as_fields(server: Any, song: Path) -> None:
    job = server.ask(
        "conversions", song, voice="kerstin", model="loud", options='{"gain": 0.5}', response_format="flac"
    )
    done = server.until(job["id"], "completed")
    assert done["request"]["options"] == {"gain": 0.5}
    samples, _ = soundfile.read(io.BytesIO(server.client.get(done["results"][0]["url"]).content))
    assert abs(samples).max() == pytest.approx(0.5 * abs(soundfile.read(song)[0]).max(), abs=1e-3)


def test_a_separation(server: Any, song: Path) -> None:
    job = server.ask("separations", song, model="centre")
    done = server.until(job["id"], "completed")
    assert [each["name"] for each in done["results"]] == ["vocals", "accompaniment"]
    stems = [soundfile.read(io.BytesIO(server.client.get(each["url"]).content))[0] for each in done["results"]]
    assert sum(stems) == pytest.approx(soundfile.read(song)[0], abs=1e-4)
    assert server.client.get(f"/v1/jobs/{job['id']}/result?name=../../jobs").status_code == 404


def test_a_cover(server: Any, song: Path) -> None:
    job = server.ask(
        "covers", song, voice="kerstin:0.5,philipp:0.5", separator="centre", converter="loud", transpose="0",
        convert_gain="2", options='{"convert": {"nap_seconds": 0.1}, "reverb": 0}',
    )  # fmt: skip
    done = server.until(job["id"], "completed", "failed")
    assert done["error"] is None
    assert done["request"]["convert"] == {"gain": 2.0, "nap_seconds": 0.1}
    assert [step["name"] for step in done["steps"]][:2] == ["separate", "transpose"]
    assert done["about"]["semitones"] == 0
    assert len(server.client.get(f"/v1/jobs/{job['id']}/result").content) > 16_000


def test_a_long_recording_has_a_preview_before_its_end(server: Any, tmp_path: Path) -> None:
    import torch

    from mynah.audio.files import write
    from mynah.core.types import Audio

    wave = 0.2 * torch.sin(torch.arange(25 * 8000) * 0.2)[None]
    wave[:, : 4 * 8000] = 0  # nobody sings yet
    job = server.ask(
        "conversions", write(Audio(wave, 8000), tmp_path / "long.wav"), voice="kerstin", model="loud", nap_seconds="3"
    )
    seen: list[dict[str, Any]] = []
    events(server, job["id"], seen).join()
    early = next(state for state in seen if state["preview"])
    assert early["status"] == "in_progress"
    samples, rate = soundfile.read(io.BytesIO(server.client.get(early["preview"]).content))
    assert len(samples) / rate == pytest.approx(10.0)
    assert abs(samples[:3600]).max() == 0  # half a second before it begins
    assert abs(samples[5000:]).max() > 0.1


def test_a_running_job_is_cancelled_and_leaves_nothing(server: Any, song: Path) -> None:
    job = server.ask("conversions", song, voice="kerstin", model="loud", nap_seconds="600")
    waiting = server.ask("conversions", song, voice="kerstin", model="loud")
    server.until(job["id"], "in_progress")
    assert server.client.delete(f"/v1/jobs/{job['id']}").status_code == 409
    for each in (waiting, job):
        server.client.post(f"/v1/jobs/{each['id']}/cancel").raise_for_status()
        assert server.until(each["id"], "cancelled")["error"] is None
        assert each["id"] not in server.folders()


@pytest.mark.parametrize(
    ("accident", "kind", "message"),
    [("mistake", "BadAudio", "source-0: nobody sings in it"), ("bug", "Bug", "a bug in mynah (RuntimeError); ")],
)
def test_what_goes_wrong_is_one_line(server: Any, song: Path, accident: str, kind: str, message: str) -> None:
    job = server.ask("conversions", song, voice="kerstin", model="loud", accident=accident)
    failed = server.until(job["id"], "failed")
    assert failed["error"]["type"] == kind
    assert failed["error"]["message"].startswith(message)
    assert "secret-of-the-house" not in str(failed)
    assert job["id"] not in server.folders()


def test_jobs_outlive_a_killed_worker_and_a_killed_server(own_server: Callable[..., Any], song: Path) -> None:
    running = own_server()
    running_job = running.ask("conversions", song, voice="kerstin", model="loud", nap_seconds="8")
    waiting_job = running.ask("conversions", song, voice="kerstin", model="loud")
    running.until(running_job["id"], "in_progress")
    [worker] = running.workers()
    os.kill(worker, signal.SIGKILL)
    assert running.until(running_job["id"], "queued")["tries"] == 1
    assert running.until(running_job["id"], "in_progress", "completed")["tries"] == 2
    [next_worker] = running.workers()
    assert next_worker != worker
    orphan = running.home / "jobs" / "files" / ("0" * 32)
    orphan.mkdir()
    running.stop(signal.SIGKILL)
    running.start()
    assert not orphan.exists()
    for job in (running_job, waiting_job):
        assert running.until(job["id"], "completed")["error"] is None
    assert running.folders() == {running_job["id"], waiting_job["id"]}
