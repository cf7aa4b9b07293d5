"""`mynah evaluate`, with a listener for the melody alone; and of stems."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.audio.files import read, write
from mynah.core.types import Audio
from mynah.metrics.evaluate import Listeners

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def musician(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"speaker": "away", "words": "away", "opinion": "away"}
    monkeypatch.setattr("mynah.metrics.evaluate.listeners", lambda **settings: Listeners(absent=absent))


def value(report: Any, name: str) -> Any:
    return {figure["name"]: figure["value"] for figure in report["figures"]}[name]


def test_every_figure_is_there_or_why_it_is_not(run: Run, loud: str, song: Path) -> None:
    done = run("evaluate", song, "--voice", "ann", "--system", loud)
    assert done.code == 0, done.err
    for figure in ("median pitch error", "voiced/unvoiced F1", "real-time factor", "speaker similarity"):
        assert figure in done.out
    assert "away" in done.err


def test_options_are_those_of_the_system(run: Run, loud: str, song: Path) -> None:
    report = run("evaluate", song, "--voice", "ann", "--system", loud, "--gain", 2, "--flip-sign", "--json").json
    assert value(report, "median pitch error") < 2
    assert report["title"] == "convert/loud as ann"


def test_a_report_and_a_picture_are_written(run: Run, loud: str, song: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    places = "--out", tmp_path / "report.json", "--picture", tmp_path / "song.png"
    assert run("evaluate", song, "--voice", "ann", "--system", loud, *places).code == 0
    assert json.loads((tmp_path / "report.json").read_text())["sources"][0]["name"] == str(song)
    assert (tmp_path / "song.png").read_bytes().startswith(b"\x89PNG")


def test_a_result_of_anything_else_can_be_measured(
    run: Run, loud: str, song: Path, tmp_path: Path, sung: Callable[..., Path]
) -> None:
    fifth = sung(tmp_path / "fifth.wav", hz=330.0)
    report = run("evaluate", song, "--result", fifth, "--voice", "ann", "--system", loud, "--json").json
    assert value(report, "transposed") == pytest.approx(7.02, abs=0.1)
    assert "real-time factor" not in {figure["name"] for figure in report["figures"]}
    other = sung(tmp_path / "other.wav")
    assert run("evaluate", song, other, "--result", fifth, "--voice", "ann", "--system", loud).code == 2


# Stems


@pytest.fixture
def stems(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of estimates and references: a tenth of each stem is in the other."""
    voice, band = torch.randn(2, 1, 16_000, generator=torch.Generator().manual_seed(0)) / 10
    for folder, sounds in {
        "references": {"lead": 0.75 * voice, "backing": 0.25 * voice, "drums": band},
        "estimates": {"vocals": voice + 0.1 * band, "accompaniment": band + 0.1 * voice},
    }.items():
        for name, samples in sounds.items():
            write(Audio(samples, 8000), tmp_path / folder / f"{name}.wav")
    return tmp_path / "estimates", tmp_path / "references"


def test_stems_are_compared(run: Run, stems: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("evaluate", "--stems", stems[0], "--reference", stems[1], "--out", tmp_path / "report.json")
    assert done.code == 0, done.err
    head, *rows = done.out.splitlines()
    assert head.split() == ["figure", "vocals", "accompaniment"]
    assert {row.rpartition("dB")[0].split("  ")[0] for row in rows} >= {"SI-SDR", "SIR (BSSEval 4)"}
    report = run("evaluate", f"--stems={stems[0]}", "--reference", stems[1], "--json").json["stems"]
    assert value(report["vocals"], "SI-SDR") == pytest.approx(20, abs=0.2)
    assert value(report["accompaniment"], "SI-SDR gain, median window") == pytest.approx(20, abs=0.3)
    assert json.loads((tmp_path / "report.json").read_text())["stems"] == report


def test_a_mixture_among_the_stems_is_the_mix_unless_another_is_given(
    run: Run, stems: tuple[Path, Path], tmp_path: Path
) -> None:
    command = "evaluate", "--stems", stems[0], "--reference", stems[1], "--json"
    plain = value(run(*command).json["stems"]["vocals"], "SI-SDR of the mix")
    voice, band = read(stems[0] / "vocals.wav").samples, read(stems[1] / "drums.wav").samples
    write(Audio(voice + 2 * band, 8000), stems[1] / "mixture.wav")
    louder = value(run(*command).json["stems"]["vocals"], "SI-SDR of the mix")
    assert louder == pytest.approx(plain - 6.4, abs=0.3)
    mix = write(Audio(voice + band, 8000), tmp_path / "song.wav")
    assert value(run(*command, "--mix", mix).json["stems"]["vocals"], "SI-SDR of the mix") > louder + 5


def test_an_estimate_without_a_reference_is_mentioned(run: Run, stems: tuple[Path, Path]) -> None:
    (stems[0] / "accompaniment.wav").rename(stems[0] / "drums.wav")
    write(read(stems[1] / "drums.wav"), stems[0] / "bass.wav")
    done = run("evaluate", "--stems", stems[0], "--reference", stems[1], "--json")
    assert sorted(done.json["stems"]) == ["drums", "vocals"]
    assert "no reference: bass" in done.err


def test_bad_stems_are_one_line(run: Run, stems: tuple[Path, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "letter.txt").touch()
    odd = tmp_path / "odd"
    write(Audio(torch.ones(1, 16_000), 8000), odd / "guitar.wav")
    short = tmp_path / "short"
    write(Audio(torch.ones(1, 8000), 8000), short / "vocals.wav")
    twice = tmp_path / "twice"
    for suffix in ("wav", "flac"):
        write(Audio(torch.ones(1, 16_000), 8000), twice / f"vocals.{suffix}")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "vocals.wav").write_bytes(b"no recording")
    for folder, words in {
        tmp_path / "missing": "not a folder",
        empty: "no stems",
        odd: "no stem is on both sides",
        short: "1.00 s long",
        twice: "same stem",
        broken: "broken/vocals.wav",
    }.items():
        done = run("evaluate", "--stems", folder, "--reference", stems[1])
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert words in done.err.replace("\\", "/")
    for flags in (
        ("--stems", stems[0]),
        ("--stems", stems[0], "--reference", stems[1], "--mix", "missing.wav"),
        ("--stems", stems[0], "--reference", stems[1], "--voice", "ann"),
    ):
        done = run("evaluate", *flags)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
