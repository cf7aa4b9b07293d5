import json
import math
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.audio.files import write
from mynah.catalog.checkpoint import to_safetensors
from mynah.core.errors import BadCheckpoint, BadOption, BadVoice, NoSpace, UnknownVoice
from mynah.core.types import Terms, Voice
from mynah.voices import library, store
from mynah.voices.ears import Ears
from mynah.voices.sheet import fit_name


@pytest.fixture(autouse=True)
def listening(ears: Ears) -> Ears:
    return ears


def ship(name: str, tmp_path: Path, **others: Any) -> None:
    """Put a voice where the shipped ones are."""
    vector = torch.nn.functional.normalize(torch.arange(1.0, 9.0), dim=0)
    fields = {"range_hz": (100.0, 300.0), "embedding": vector, "encoder": "fake-1", "bank": torch.randn(50, 8)} | others
    voice = Voice(name, **fields)
    store.write_shipped(voice, store.sheet_for(voice, "shipped", 60.0), tmp_path / "shipped" / f"{name}.safetensors")


def test_what_was_enrolled_is_found(sounds: Any) -> None:
    made = library.enrol([sounds.sung()], "me", terms=Terms("CC0-1.0", "Me, at home"))
    found = library.find("me")
    assert found.name == "me" and found.range_hz == made.range_hz and found.encoder == "fake-1"
    assert found.terms == Terms("CC0-1.0", "Me, at home") and found.system == "" and found.weights is None
    assert (
        found.embedding is not None and made.embedding is not None and found.bank is not None and made.bank is not None
    )
    assert torch.equal(found.embedding, made.embedding) and torch.equal(found.bank, made.bank)
    assert found.bank.dtype == torch.float32 and float(found.embedding.norm()) == pytest.approx(1, abs=1e-6)
    [clip] = found.clips
    assert clip.rate == 32_000 and torch.allclose(clip.samples, made.clips[0].samples, atol=2**-15)
    assert library.find("me", clips=False).clips == () and library.find("ME ").name == "me"


def test_the_folder_is_as_documented(sounds: Any, shelf: Path) -> None:
    library.enrol([sounds.sung()], "me")
    assert library.path("me") == shelf / "me"
    assert sorted(p.relative_to(shelf).as_posix() for p in shelf.rglob("*") if p.is_file() and p.name != ".lock") == [
        "me/clips/0000.flac", "me/voice.json", "me/voice.safetensors",
    ]  # fmt: skip
    assert json.loads((shelf / "me" / "voice.json").read_text())["name"] == "me"


def test_the_same_recording_gives_the_same_bytes(sounds: Any, shelf: Path) -> None:
    for name in ("one", "two"):
        library.enrol([sounds.sung()], name)
    for part in ("voice.safetensors", "clips/0000.flac"):
        assert (shelf / "one" / part).read_bytes() == (shelf / "two" / part).read_bytes()


def test_a_name_is_taken_once(sounds: Any) -> None:
    library.enrol([sounds.sung(220)], "me")
    for name in ("me", "ME", "Me"):
        with pytest.raises(BadVoice, match="already a voice 'me'"):
            library.enrol([sounds.sung(330)], name)
    again = library.enrol([sounds.sung(330)], "Me", replace=True)
    assert [voice.name for voice in library.names()] == ["Me"] and library.find("me").range_hz == again.range_hz


@pytest.mark.parametrize(
    "name",
    [
        "", " ", ".", "..", "../me", "a/b", "a\\b", "/etc", "-x", "a.b", "a:b", "a,b", "con", "COM1", "me ", "a\nb",
        "a\0", "x" * 65, ".hidden", "a*", "~", "👻",
    ],
)  # fmt: skip
def test_names_that_are_none(name: str, sounds: Any, shelf: Path) -> None:
    with pytest.raises(BadOption, match="no voice can be called"):
        library.enrol([sounds.sung()], name)
    assert not shelf.exists()


def test_names_that_are_fine() -> None:
    for name in ("me", "Grandma 2", "a-b_c", "7", "Zoë", "声"):
        assert fit_name(name) == name
    assert fit_name("Zoe\u0308") == "Zo\u00eb"


def test_a_failed_enrolment_leaves_nothing(sounds: Any, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.enrol([sounds.sung()], "me")
    before = sorted(shelf.rglob("*"))
    for error in (OSError(28, "No space left"), KeyboardInterrupt(), RuntimeError("bug")):

        def fail(*_: Any, error: BaseException = error) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr("mynah.catalog.checkpoint.to_safetensors", fail)
            with pytest.raises((NoSpace, KeyboardInterrupt, RuntimeError)):
                library.enrol([sounds.sung()], "me", replace=True)
            with pytest.raises((NoSpace, KeyboardInterrupt, RuntimeError)):
                library.enrol([sounds.sung()], "you")
        assert sorted(shelf.rglob("*")) == before and library.find("me").name == "me"


def test_what_a_killed_run_left_is_swept(sounds: Any, shelf: Path) -> None:
    import os

    old, young = shelf / ".making-old", shelf / ".making-young"
    for folder in (old, young):
        (folder / "clips").mkdir(parents=True)
    os.utime(old, (0, 0))
    library.enrol([sounds.sung()], "me")
    assert not old.exists() and young.exists()
    assert [voice.name for voice in library.names()] == ["me"]


def test_two_at_once(sounds: Any) -> None:
    problems: list[Exception] = []

    def enrol(name: str) -> None:
        try:
            library.enrol([sounds.sung()], name)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=enrol, args=(name,)) for name in ("anna", "ben", "cleo")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and [voice.name for voice in library.names()] == ["anna", "ben", "cleo"]


def test_a_race_for_one_name_has_one_winner(sounds: Any, shelf: Path) -> None:
    problems: list[Exception] = []
    # All are past the early look at the name before the first one finishes.
    ready = threading.Barrier(4)

    def enrol(name: str, hz: float) -> None:
        try:
            voice = library._heard([sounds.sung(hz)], name, Terms(), None, None)
            with store.shelved(name, replace=False) as folder:
                store.write_voice(voice, store.sheet_for(voice, "enrolled", voice.seconds), folder)
                ready.wait()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=enrol, args=(n, 200 + 50 * i)) for i, n in enumerate(("me", "Me", "me", "ME"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(problems) == 3 and all(isinstance(error, BadVoice) and "already" in str(error) for error in problems)
    [winner] = library.names()
    assert len(library.find(winner.name).clips) == 1 and [p.name for p in shelf.iterdir() if p.is_dir()] == [
        winner.name
    ]


def test_recordings_are_heard_on_the_fly(sounds: Any, tmp_path: Path, shelf: Path) -> None:
    song = write(sounds.sung(), tmp_path / "My song.wav")
    voice = library.find(str(song))
    assert voice.name == "My song" and voice.embedding is not None and voice.clips and not shelf.exists()
    assert library.find(song).range_hz == voice.range_hz
    write(sounds.sung(330), tmp_path / "folder" / "a.wav")
    assert library.find(tmp_path / "folder").range_hz[0] > 300


def test_names_come_before_files(sounds: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(sounds.sung(330), Path("me.wav")).rename("me")
    library.enrol([sounds.sung(220)], "me")
    assert library.find("me").range_hz[1] < 250 and library.find("./me").range_hz[0] > 300


def test_own_voices_come_before_shipped_ones(sounds: Any, tmp_path: Path) -> None:
    ship("anna", tmp_path)
    ship("ben", tmp_path, terms=Terms("CC-BY-4.0", "Ben"))
    assert library.find("anna").range_hz == (100, 300) and library.find("Ben").terms.attribution == "Ben"
    library.enrol([sounds.sung()], "Anna")
    assert library.find("anna").clips
    assert [(voice.name, voice.kind) for voice in library.names()] == [("Anna", "enrolled"), ("ben", "shipped")]
    library.remove("anna")
    assert library.find("anna").range_hz == (100, 300)


def test_unknown_names_get_suggestions(sounds: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownVoice, match="enrol one"):
        library.find("anna")
    ship("anna", tmp_path)
    library.enrol([sounds.sung()], "Grandma")
    with pytest.raises(UnknownVoice, match="did you mean 'anna'"):
        library.find("ana")
    with pytest.raises(UnknownVoice, match="did you mean 'Grandma'"):
        library.find("grandpa")
    with pytest.raises(UnknownVoice, match="there are Grandma, anna"):
        library.find("xyz.wav")
    for function in (library.describe, library.path, library.remove):
        with pytest.raises(UnknownVoice):
            function("xyz")
    with pytest.raises(UnknownVoice):
        library.find("")


def test_mixtures_lie_between(sounds: Any, tmp_path: Path) -> None:
    dull = library.enrol([sounds.sung(110, ratio=0.1)], "dull", terms=Terms("CC0-1.0", "Dull"))
    bright = library.enrol([sounds.sung(440, ratio=0.8)], "bright", terms=Terms("CC-BY-4.0", "Bright"))
    half = library.find("dull:0.5,bright:0.5")
    assert half.embedding is not None and dull.embedding is not None and bright.embedding is not None
    assert float(half.embedding.norm()) == pytest.approx(1, abs=1e-6)
    assert float(half.embedding @ dull.embedding) == pytest.approx(float(half.embedding @ bright.embedding), abs=1e-5)
    assert half.range_hz[0] == pytest.approx(math.sqrt(dull.range_hz[0] * bright.range_hz[0]))
    assert half.terms == Terms("CC0-1.0 AND CC-BY-4.0", "Dull; Bright") and half.clips == ()
    mostly = library.find(" bright:6 , dull:2")
    assert mostly.embedding is not None and mostly.bank is not None and bright.bank is not None
    assert mostly.embedding @ bright.embedding > mostly.embedding @ dull.embedding
    share = (torch.cdist(mostly.bank, bright.bank).amin(1) < 1e-6).float().mean()
    assert float(share) == pytest.approx(0.75, abs=0.01)
    assert mostly.name == "bright:0.75,dull:0.25" and library.find(mostly.name).range_hz == mostly.range_hz
    alone = library.find("dull:1")
    assert alone.embedding is not None and torch.allclose(alone.embedding, dull.embedding)
    same = library.find("dull,dull,bright:0")
    assert same.embedding is not None and torch.allclose(same.embedding, dull.embedding)


def test_mixtures_of_private_voices_stay_private(sounds: Any) -> None:
    library.enrol([sounds.sung(110)], "mine")
    library.enrol([sounds.sung(220)], "free", terms=Terms("CC0-1.0", "Free"))
    assert library.find("mine,free").terms == Terms("CC0-1.0 AND LicenseRef-Private", "Free")
    library.save(library.find("mine,free"), "both")
    assert library.find("both,free").terms.license == "CC0-1.0 AND LicenseRef-Private"
    assert library.find("mine:1,mine:1").terms.license == ""


@pytest.mark.parametrize(
    "spec", ["a:x,b:1", "a:-1,b:2", "a:nan,b:1", "a:inf,b:1", "a:0,b:0", ",", ":1", "a:1,,b:1", "a:1,:1"]
)
def test_mixtures_with_bad_weights(spec: str, tmp_path: Path) -> None:
    ship("a", tmp_path)
    ship("b", tmp_path)
    with pytest.raises(BadOption, match="mixture"):
        library.find(spec)


def test_what_cannot_be_mixed(tmp_path: Path) -> None:
    vector = torch.nn.functional.normalize(torch.arange(1.0, 9.0), dim=0)
    ship("a", tmp_path)
    ship("opposite", tmp_path, embedding=-vector)
    ship("bare", tmp_path, embedding=None)
    ship("rvc", tmp_path, system="convert/rvc")
    ship("sovits", tmp_path, system="convert/so_vits_svc")
    for spec, why in (
        ("a,opposite", "opposites"),
        ("a,bare", "no vector"),
        ("rvc,sovits", "different systems"),
        ("a,absent", "absent"),
    ):
        with pytest.raises((BadVoice, UnknownVoice), match=why):
            library.find(spec)
    assert library.find("a,rvc").system == "convert/rvc"
    from mynah.voices.mixture import mix

    other = Voice("other", (100, 200), embedding=vector, encoder="other")
    with pytest.raises(BadVoice, match="different encoders"):
        mix([(library.find("a"), 0.5), (other, 0.5)])


def test_mixtures_can_be_kept(sounds: Any) -> None:
    library.enrol([sounds.sung(110)], "low", terms=Terms("CC0-1.0", "Low"))
    library.enrol([sounds.sung(440)], "high")
    mixed = library.find("low:0.3,high:0.7")
    kept = library.save(mixed, "middle")
    found = library.find("middle")
    assert kept.name == found.name == "middle" and found.range_hz == mixed.range_hz and found.terms == mixed.terms
    assert found.embedding is not None and mixed.embedding is not None and torch.equal(found.embedding, mixed.embedding)
    assert library.describe("middle").kind == "mixture"
    with pytest.raises(BadVoice, match="already"):
        library.save(mixed, "Low")
    with pytest.raises(BadVoice, match="empty"):
        library.save(Voice("nobody", (80, 800)), "nobody")


def test_the_list_needs_no_torch(sounds: Any, tmp_path: Path) -> None:
    library.enrol([sounds.sung()], "me", terms=Terms("CC0-1.0", "Me"))
    me = library.describe("me")
    assert me.kind == "enrolled" and me.license == "CC0-1.0" and me.seconds == pytest.approx(4, abs=0.1)
    assert me.advice and 200 < me.range_hz[0] < me.range_hz[1] < 240
    code = "import sys; from mynah.voices import library; print(library.names()); assert 'torch' not in sys.modules"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'me'" in listed.stdout


def test_damaged_voices_are_listed_as_such(sounds: Any, shelf: Path, tmp_path: Path) -> None:
    for name in ("text", "vectors", "gone", "fine"):
        library.enrol([sounds.sung()], name)
    (shelf / "text" / "voice.json").write_text('{"name": 3}')
    (shelf / "gone" / "voice.json").unlink()
    content = (shelf / "vectors" / "voice.safetensors").read_bytes()
    (shelf / "vectors" / "voice.safetensors").write_bytes(content[:-1])
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "bad.safetensors").write_bytes(b"bad")
    kinds = {voice.name: voice.kind for voice in library.names()}
    assert kinds == {"fine": "enrolled", "gone": "damaged", "text": "damaged", "vectors": "enrolled", "bad": "damaged"}
    for name in ("text", "vectors", "gone", "bad"):
        with pytest.raises(BadVoice):
            library.find(name)
    assert library.find("fine").clips


@pytest.mark.parametrize(
    "state",
    [
        {"embedding": torch.full((8,), torch.nan)}, {"embedding": torch.ones(8)}, {"embedding": torch.ones(1, 1)},
        {"embedding": torch.ones(1, dtype=torch.int64)}, {"bank": torch.ones(3)},
        {"bank": torch.full((2, 2), torch.inf)}, {"surprise": torch.ones(1)}, {"embedding": torch.ones(0)},
    ],
)  # fmt: skip
def test_vectors_that_are_none(state: dict[str, torch.Tensor], sounds: Any, shelf: Path) -> None:
    library.enrol([sounds.sung()], "me")
    to_safetensors(state, shelf / "me" / "voice.safetensors")
    with pytest.raises(BadVoice, match="damaged"):
        library.find("me")


def test_shipped_voices_cannot_be_removed(tmp_path: Path, sounds: Any, shelf: Path) -> None:
    ship("anna", tmp_path)
    with pytest.raises(BadOption, match="comes with the package"):
        library.remove("anna")
    library.enrol([sounds.sung()], "me")
    library.remove("ME")
    assert not [p for p in shelf.iterdir() if p.is_dir()] and library.path("anna").name == "anna.safetensors"


def test_parameters_of_ones_own(sounds: Any, tmp_path: Path) -> None:
    library.enrol([sounds.sung()], "me")
    trained = to_safetensors({"scale": torch.ones(3)}, tmp_path / "tuned.safetensors")
    voice = library.attach("me", trained)
    assert (
        voice.weights == library.path("me") / "weights.safetensors"
        and voice.weights.read_bytes() == trained.read_bytes()
    )
    assert library.find("me").weights == voice.weights and library.describe("me").kind == "trained"
    copy = library.save(library.find("me"), "copy")
    assert copy.weights == library.path("copy") / "weights.safetensors" and copy.weights.exists()
    assert library.find("me:1").weights is None
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    with pytest.raises(BadCheckpoint):
        library.attach("me", tmp_path / "bad.safetensors")
    ship("anna", tmp_path)
    with pytest.raises(BadOption):
        library.attach("anna", trained)


def test_another_encoder_hears_again(sounds: Any, shelf: Path, ears: Ears) -> None:
    library.enrol([sounds.sung()], "me")
    before = library.find("me")
    newer = Ears(ears.pitch, lambda clips: -ears.embed(clips), lambda clip: ears.frames(clip)[:, :4], "fake-2")
    again = library.find("me", ears=newer, clips=False)
    assert again.encoder == "fake-2" and again.clips == () and again.embedding is not None and again.bank is not None
    assert before.embedding is not None and torch.allclose(again.embedding, -before.embedding, atol=1e-3)
    assert again.bank.shape[1] == 4
    stored = store.read_voice(shelf / "me")
    assert (
        stored.encoder == "fake-2" and stored.embedding is not None and torch.equal(stored.embedding, again.embedding)
    )
    assert len(stored.clips) == 1 and stored.range_hz == before.range_hz


def test_another_encoder_and_nothing_to_hear(sounds: Any, tmp_path: Path, ears: Ears) -> None:
    ship("anna", tmp_path, encoder="fake-0")
    library.save(Voice("x", (100, 200), embedding=torch.ones(1), encoder="fake-0"), "mixed")
    for name in ("anna", "mixed", "anna,mixed"):
        with pytest.raises(BadVoice, match="'fake-0', not by 'fake-1'"):
            library.find(name)
