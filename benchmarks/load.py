"""How a server bears a crowd: fair order, memory, a killed worker, malformed requests; how soon one hears something.

    python benchmarks/load.py [--clients 100] [--malformed 1000] [--minutes 4] [--no-songs]

It starts `mynah serve` in a folder of its own. Clients are addresses of this machine (127.0.0.2 and up, so Linux only),
each asks for three conversions of a second, one greedy client asked for twenty before them; a client that is told to
come again later does. A worker is killed (kill -9) in the middle of a job. Before all that, songs: how long from the
request to the preview, and to the whole, and how much of a processor that took, which a busy machine changes little.
Speech is streamed: how long to the first sound of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx

EXAMPLES = Path(__file__).parent.parent / "examples"
GREEDY, EACH = 20, 3


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--malformed", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=4.0, help="of the longer song")
    parser.add_argument("--songs", action=argparse.BooleanOptionalAction, default=True, help="measure covers, too")
    arguments = parser.parse_args()
    print(f"mynah serve, one worker, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        command = [sys.executable, "-m", "mynah", "serve", "--port", "0", "--rate", "1000000", "--queue-size", "100"]
        environment = {**os.environ, "MYNAH_HOME": str(home)}
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert server.stdout
            url = server.stdout.readline().split()[-1]
            if arguments.songs:
                _tell(_songs(url, server.pid, arguments.minutes, Path(folder)))
            _tell(_spoken(url))
            _tell(_nonsense(url, arguments.malformed))
            _tell(_killed(url, server.pid, home))
            _tell(_crowd(url, server.pid, arguments.clients))
        finally:
            server.terminate()
            server.wait()


def _tell(rows: list[tuple[str, str]]) -> None:
    for what, measured in rows:
        print(f"{what}: {measured}", flush=True)


def _clip(folder: Path) -> bytes:
    import mynah

    voice = mynah.read(EXAMPLES / "voice.ogg", mono=True)
    path = mynah.write(mynah.Audio(voice.samples[:, : voice.rate], voice.rate), folder / "clip.wav")
    return path.read_bytes()


def _spoken(url: str) -> list[tuple[str, str]]:
    """How long until the first sound of a streamed text arrives."""
    text = "Guten Morgen. Das hier ist ein Text mit drei Sätzen. Der letzte davon ist etwas länger als die anderen."
    what = {"model": "tts-1", "voice": "kerstin", "input": text, "response_format": "pcm"}
    rows = []
    with httpx.Client(base_url=url, timeout=120) as client:
        for name in ("first", "again", "and again"):
            start = time.perf_counter()
            with client.stream("POST", "/v1/audio/speech", json=what) as answer:
                answer.raise_for_status()
                heard, sound = None, 0
                for piece in answer.iter_bytes():
                    heard = heard or time.perf_counter() - start
                    sound += len(piece)
            whole = time.perf_counter() - start
            rows.append(
                (f"speech, {name}", f"heard after {heard:.2f} s, all {sound / 2 / 24_000:.1f} s after {whole:.2f} s")
            )
    return rows


def _crowd(url: str, pid: int, clients: int) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        clip = _clip(Path(folder))
    before = _memory(pid)
    start = time.perf_counter()
    told_to_wait, peak = asyncio.run(_all_ask(url, pid, clients, clip))
    wall = time.perf_counter() - start
    with httpx.Client(base_url=url, timeout=60) as client:
        jobs = _jobs(client)
    completed = [job for job in jobs if job["status"] == "completed" and job["label"] in ("greedy", "client")]
    asked = clients * EACH + GREEDY
    greedy = sorted(job["finished_at"] for job in completed if job["label"] == "greedy")
    others = sorted(job["finished_at"] for job in completed if job["label"] != "greedy")
    before_last = sum(at < greedy[-1] for at in others)
    first_round = sum(at < others[min(len(others), clients) - 1] for at in greedy)
    return [
        (f"{clients} clients ask for {EACH} jobs each, one for {GREEDY}", f"{len(completed)} of {asked} done"),
        ("time, and times that somebody was told to come again", f"{wall:.0f} s, {told_to_wait}"),
        ("server's memory before, and at most", f"{before:.0f} MB, {peak:.0f} MB"),
        (f"of the greedy one's {GREEDY}, done before {clients} of the others'", str(first_round)),
        ("jobs of others done before the greedy one's last", f"{before_last} of {len(others)}"),
    ]


async def _all_ask(url: str, pid: int, clients: int, clip: bytes) -> tuple[int, float]:
    refused, peak = 0, _memory(pid)

    async def client(number: int, times: int, label: str) -> None:
        nonlocal refused, peak
        transport = httpx.AsyncHTTPTransport(local_address=f"127.0.{1 + number // 250}.{2 + number % 250}")
        async with httpx.AsyncClient(base_url=url, transport=transport, timeout=300) as http:
            ids = []
            while len(ids) < times:
                answer = await http.post(
                    "/v1/audio/conversions", files={"file": (f"{label}.wav", clip)}, data={"voice": "kerstin"}
                )
                if answer.status_code == 429:
                    refused += 1
                    await asyncio.sleep(float(answer.headers["retry-after"]) * random.uniform(0.5, 1.5))
                    continue
                ids.append(answer.raise_for_status().json()["id"])
            for id in ids:
                while (await http.get(f"/v1/jobs/{id}")).json()["status"] not in ("completed", "failed", "cancelled"):
                    peak = max(peak, _memory(pid))
                    await asyncio.sleep(1.0)

    greedy = asyncio.create_task(client(0, GREEDY, "greedy"))
    await asyncio.sleep(1.0)
    await asyncio.gather(greedy, *(client(1 + number, EACH, "client") for number in range(clients)))
    return refused, peak


def _killed(url: str, pid: int, home: Path) -> list[tuple[str, str]]:
    with httpx.Client(base_url=url, timeout=60) as client:
        files = {"file": ("voice.ogg", (EXAMPLES / "voice.ogg").read_bytes())}
        id = client.post("/v1/audio/conversions", files=files, data={"voice": "kerstin"}).json()["id"]
        _until(client, id, "in_progress")
        for worker in _children(pid):
            os.kill(worker, signal.SIGKILL)
        start = time.perf_counter()
        job = _until(client, id, "completed", "failed")
        known = {each["id"] for each in _jobs(client)}
    orphans = {folder.name for folder in (home / "jobs" / "files").iterdir()} - known
    told = (
        f"{job['status']} by worker {job['tries']}, {time.perf_counter() - start:.0f} s later; {len(orphans)} orphans"
    )
    return [("kill -9 of the worker in the middle of a job", told)]


def _jobs(client: httpx.Client) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = []
    while True:
        after = jobs[-1]["id"] if jobs else ""
        page = client.get("/v1/jobs", params={"limit": 100, "after": after}).json()
        jobs += page["data"]
        if not page["has_more"]:
            return jobs


def _nonsense(url: str, count: int) -> list[tuple[str, str]]:
    """Requests of chance: wrong paths, methods, bodies, forms, types, hosts."""
    chance = random.Random(0)
    paths = ["/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/conversions", "/v1/audio/covers", "/v1/voices"]
    paths += ["/v1/audio/separations", "/v1/voices/imports", "/v1/jobs", "/v1/jobs/x", "/v1/models/x", "/%00", "/v1/x"]
    kinds = ["application/json", "multipart/form-data; boundary=b", "multipart/form-data", "text/plain", "\x7f", ""]
    statuses: dict[int, int] = {}
    bad = 0
    start = time.perf_counter()
    with httpx.Client(base_url=url, timeout=60) as client:
        for _ in range(count):
            part = f'--b\r\nContent-Disposition: form-data; name="{chance.choice(["file", "voice", "x"])}"'
            part += chance.choice(['; filename="a"', ""]) + "\r\n\r\n"
            bodies = [b"", b"{", b"[" * 5000, b'{"input": 1}', chance.randbytes(200), part.encode()]
            body = chance.choice(bodies) + chance.choice([b"", chance.randbytes(50), b"\r\n--b--\r\n"])
            method = chance.choice(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "X"])
            headers = {"Content-Type": chance.choice(kinds)}
            answer = client.request(method, chance.choice(paths), content=body, headers=headers)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            typed = method == "HEAD" or answer.status_code < 400 or bool(answer.json()["error"]["message"])
            untyped_5xx = answer.status_code >= 500 and method != "HEAD" and not answer.json()["error"]["code"]
            bad += "Traceback" in answer.text or not typed or untyped_5xx or answer.status_code == 500
    told = ", ".join(f"{status}: {times}" for status, times in sorted(statuses.items()))
    wall = time.perf_counter() - start
    return [(f"{count} malformed requests in {wall:.0f} s", f"{bad} without a typed cause ({told})")]


def _songs(url: str, pid: int, minutes: float, folder: Path) -> list[tuple[str, str]]:
    from cover import _song  # the benchmark beside this one

    rows = []
    with httpx.Client(base_url=url, timeout=600) as client:
        for seconds in (60 * minutes, 0.0):
            song = _song(seconds, folder / "song.flac") if seconds else EXAMPLES / "song.ogg"
            for voice, what in (("kerstin", "right after the start" if seconds else "first"), ("philipp", "again")):
                form = {"voice": voice, "vocal_db": "1" if seconds else "0"}
                start, before = time.perf_counter(), _processor(pid)
                files = {"file": (song.name, song.read_bytes())}
                id = client.post("/v1/audio/covers", files=files, data=form).raise_for_status().json()["id"]
                heard = ""
                while (job := client.get(f"/v1/jobs/{id}").json())["status"] in ("queued", "in_progress"):
                    if not heard and job["preview"]:
                        client.get(job["preview"]).raise_for_status()
                        heard = f"{time.perf_counter() - start:.1f} s ({_processor(pid) - before:.1f} s of a processor)"
                    time.sleep(0.05)
                wall, used = time.perf_counter() - start, _processor(pid) - before
                name = f"cover of {f'a song of {minutes:g} min' if seconds else 'the demo song'}, {what}"
                told = f"heard after {heard}, " if heard else "no preview (shorter than 20 s), "
                told += f"whole after {wall:.1f} s ({used:.1f} s of a processor)"
                rows.append((name, told + (f" {job['error']}" if job["error"] else "")))
    return rows


def _until(client: httpx.Client, id: str, *statuses: str) -> dict[str, Any]:
    while (job := client.get(f"/v1/jobs/{id}").json())["status"] not in statuses:
        time.sleep(0.02)
    return job


def _memory(pid: int) -> float:
    """Of a process, in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def _processor(pid: int) -> float:
    """Seconds of a processor that a server and its workers have used."""
    ticks = 0
    for each in (pid, *_children(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


if __name__ == "__main__":
    main()
