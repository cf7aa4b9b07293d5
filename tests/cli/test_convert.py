"""`mynah convert`, with a converter that multiplies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch

from mynah.audio.files import probe, read
from mynah.core.types import Audio, Voice

Run = Callable[..., Any]


def test_the_result_lies_beside_the_recording_and_is_named_after_the_voice(run: Run, loud: str, song: Path) -> None:
    done = run("convert", song, "--voice", "ann", "--system", loud, "--gain", 2)
    assert done.code == 0
    torch.testing.assert_close(read(song.with_name("song-ann.wav")).samples, 2 * read(song).samples, atol=1e-6, rtol=0)
    assert done.out == ""


def test_machines_get_json_and_nothing_else(run: Run, loud: str, song: Path) -> None:
    done = run("convert", song, "--voice", "ann", "--system", loud, "--json")
    [converted] = done.json["converted"]
    assert converted["out"] == str(song.with_name("song-ann.wav"))
    assert converted["seconds"] == pytest.approx(0.5)
    assert done.json["failed"] == []
    assert done.err == ""


def test_flags_may_stand_before_the_command(run: Run, loud: str, song: Path) -> None:
    assert run("--json", "convert", song, "--voice", "ann", "--system", loud).json["voice"] == "ann"


def test_quiet_says_nothing_when_all_is_well(run: Run, loud: str, song: Path) -> None:
    done = run("convert", song, "--voice", "ann", "--system", loud, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_result_that_exists_is_kept_unless_forced(run: Run, loud: str, song: Path) -> None:
    arguments = ("convert", song, "--voice", "ann", "--system", loud)
    run(*arguments)
    before = song.with_name("song-ann.wav").read_bytes()
    refused = run(*arguments, "--gain", 3)
    assert refused.code == 2
    assert "--force" in refused.err
    assert song.with_name("song-ann.wav").read_bytes() == before
    assert run(*arguments, "--gain", 3, "--force").code == 0
    assert song.with_name("song-ann.wav").read_bytes() != before


def test_the_recording_itself_is_never_overwritten(run: Run, loud: str, song: Path) -> None:
    before = song.read_bytes()
    refused = run("convert", song, "--voice", "ann", "--system", loud, "--out", song, "--force")
    assert refused.code == 2
    assert song.read_bytes() == before


def test_format_rate_and_bits_are_what_was_asked_for(run: Run, loud: str, song: Path) -> None:
    run("convert", song, "--voice", "ann", "--system", loud, "--format", "flac", "--rate", 16_000, "--bits", 16)
    info = probe(song.with_name("song-ann.flac"))
    assert (info.format, info.rate, info.seconds) == ("flac", 16_000, 0.5)


def test_a_folder_is_walked_and_its_tree_kept(run: Run, loud: str, tmp_path: Path, sung: Callable[..., Path]) -> None:
    for name in ("a.wav", "deep/b.flac"):
        (tmp_path / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        sung(tmp_path / "album" / name)
    (tmp_path / "album" / "cover.jpg").write_bytes(b"a picture")
    (tmp_path / "album" / ".hidden.wav").write_bytes(b"of the system")
    assert run("convert", tmp_path / "album", "--voice", "ann", "--system", loud).code == 0
    results = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "album-ann").rglob("*.*"))
    assert results == [str(Path("album-ann/a-ann.wav")), str(Path("album-ann/deep/b-ann.wav"))]


def test_one_bad_recording_does_not_stop_the_others(run: Run, loud: str, song: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not a recording at all")
    done = run("convert", bad, tmp_path / "missing.wav", song, "--voice", "ann", "--system", loud, "--json")
    assert done.code == 2
    assert [failed["source"] for failed in done.json["failed"]] == [str(bad), str(tmp_path / "missing.wav")]
    assert [converted["source"] for converted in done.json["converted"]] == [str(song)]
    assert len(done.err.splitlines()) == 3
    assert not list(tmp_path.glob("*bad-ann*"))


def test_two_results_of_one_name_are_refused_before_the_work(
    run: Run, loud: str, song: Path, tmp_path: Path, sung: Callable[..., Path]
) -> None:
    (tmp_path / "other").mkdir()
    twin = sung(tmp_path / "other" / "song.wav")
    refused = run("convert", song, twin, "--voice", "ann", "--system", loud, "--out", tmp_path / "results")
    assert refused.code == 2
    assert not (tmp_path / "results").exists()


def test_one_file_cannot_hold_two_results(
    run: Run, loud: str, song: Path, tmp_path: Path, sung: Callable[..., Path]
) -> None:
    other = sung(tmp_path / "other.wav")
    refused = run("convert", song, other, "--voice", "ann", "--system", loud, "--out", tmp_path / "both.wav")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--gain", "5"),
        ("--gain", "loud"),
        ("--colour", "pink"),
        ("--transpose", "up"),
        ("--no-such-flag",),
        ("--bits", "12"),
        ("--rate", "fast"),
        ("--device", "abacus"),
        ("--system", "no_such_system"),
        ("--voice", "nobody"),
        ("--out", "a.flac", "--format", "wav"),
        ("--pitch", "no_such.csv"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run: Run, loud: str, song: Path, wrong: tuple[str, ...]) -> None:
    done = run("convert", song, "--voice", "ann", "--system", loud, *wrong)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("mynah: ")
    assert list(song.parent.iterdir()) == [song]


def test_debug_shows_where_a_mistake_was_found(run: Run, loud: str, song: Path) -> None:
    assert "Traceback" in run("convert", song, "--voice", "nobody", "--system", loud, "--debug").err


def test_a_bug_keeps_its_traceback_and_has_its_own_exit_code(
    run: Run, loud: str, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **settings: object) -> None:
        raise ZeroDivisionError("by nobody's fault but ours")

    monkeypatch.setattr("mynah.audio.files.write", broken)
    done = run("convert", song, "--voice", "ann", "--system", loud)
    assert done.code == 1
    assert "Traceback" in done.err


def test_ctrl_c_is_one_line_and_130(run: Run, loud: str, song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mynah.audio.files.write", interrupted)
    done = run("convert", song, "--voice", "ann", "--system", loud)
    assert (done.code, len(done.err.splitlines())) == (130, 1)
    assert list(song.parent.iterdir()) == [song]


def test_help_lists_the_flags_of_the_system_that_is_asked_for(run: Run, loud: str) -> None:
    with_flags = run("convert", "--system", loud, "--help")
    assert with_flags.code == 0
    for word in (
        "--gain",
        "--no-flip-sign",
        "{dark,bright}",
        "0 to 4 times",
        "Make it louder, in 100 %.",
        "default auto",
    ):
        assert word in with_flags.out
    assert "--gain" not in run("convert", "--system", "hum", "--help").out


def test_a_melody_is_saved_edited_and_given_back(run: Run, loud: str, song: Path, tmp_path: Path) -> None:
    csv = tmp_path / "song.csv"
    assert run("convert", song, "--voice", "ann", "--system", loud, "--save-pitch", csv).code == 0
    assert csv.read_text().count("\n") > 10
    done = run("convert", song, "--voice", "ann", "--system", loud, "--pitch", csv, "--force")
    assert done.code == 0
    assert read(song.with_name("song-ann.wav")).samples.abs().max() == 0  # what Loud does to a given melody


def test_a_system_that_takes_no_melody_says_so(
    run: Run, loud: str, loud_system: type[Any], song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv = tmp_path / "song.csv"
    run("convert", song, "--voice", "ann", "--system", loud, "--save-pitch", csv)
    options = get_type_hints(loud_system.convert)["options"]

    def convert(self: Any, source: Audio, voice: Voice, options: Any = None) -> Audio:
        return source

    convert.__annotations__["options"] = options
    monkeypatch.setattr(loud_system, "convert", convert)
    refused = run("convert", song, "--voice", "ann", "--system", loud, "--pitch", csv, "--force")
    assert refused.code == 2
    assert "--pitch" in refused.err


def test_a_system_that_works_from_file_to_file_does(
    run: Run, loud: str, loud_system: type[Any], song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def convert_file(
        self: Any,
        source: Path,
        voice: Any,
        options: Any,
        out: Path,
        *,
        rate: Any,
        bits: Any,
        melody: Any,
        progress: Any,
    ) -> None:
        progress(0.5)
        seen.update(source=source, out=out, rate=rate, bits=bits, gain=options.gain)
        Path(out).write_bytes(b"done")

    monkeypatch.setattr(loud_system, "convert_file", convert_file, raising=False)
    done = run("convert", song, "--voice", "ann", "--system", loud, "--bits", 16, "--gain", 2)
    assert done.code == 0
    assert seen == {"source": song, "out": song.with_name("song-ann.wav"), "rate": None, "bits": 16, "gain": 2.0}


class Echo:
    """A stream that looks a tenth of a second ahead, and gives back what came."""

    latency = 0.1

    def __init__(self) -> None:
        self.blocks: list[int] = []

    def push(self, block: Audio) -> Audio:
        self.blocks.append(block.samples.shape[-1])
        return block

    def flush(self) -> Audio:
        return Audio(torch.zeros(1, 0), 8000)


def test_a_stream_is_fed_in_blocks_and_says_how_far_it_looks_ahead(
    run: Run, loud: str, loud_system: type[Any], song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = Echo()

    def stream(self: Any, voice: Voice, options: Any = None, *, rate: int) -> Echo:
        assert (rate, options.gain) == (8000, 2.0)
        return echo

    monkeypatch.setattr(loud_system, "stream", stream, raising=False)
    done = run("convert", song, "--voice", "ann", "--system", loud, "--gain", 2, "--stream", 5)
    assert done.code == 0
    assert "in blocks of 5 ms, looking 100 ms ahead" in done.err
    assert set(echo.blocks) == {40}
    assert read(song.with_name("song-ann.wav")).samples.equal(read(song).samples)
    told = run("convert", song, "--voice", "ann", "--system", loud, "--gain", 2, "--force", "--json", "--stream").json
    assert told["converted"][0]["look_ahead_seconds"] == 0.1


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ((), "needs a whole recording"),
        (("0",), "0.1 to 60000"),
        (("20", "--rate", "16000"), "--rate and --stream"),
        (("20", "--save-pitch", "song.csv"), "--save-pitch and --stream"),
    ],
)
def test_a_stream_that_cannot_be_is_refused(run: Run, loud: str, song: Path, flags: tuple[str, ...], why: str) -> None:
    refused = run("convert", song, "--voice", "ann", "--system", loud, "--stream", *flags)
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert why in refused.err
    assert list(song.parent.iterdir()) == [song]
