"""Voices: rows of the table, what lies between them, and rows fitted to new voices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mynah.audio import files
from mynah.cli.demo import SONG
from mynah.convert.ucd_svc import UcdSvc, UcdSvcOptions
from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.published import Model, read, write, write_row
from mynah.convert.ucd_svc.recipe.adapt import AdaptRecipe
from mynah.convert.ucd_svc.sizes import config
from mynah.convert.ucd_svc.table import VoiceTable, mixed
from mynah.core.errors import BadAudio, BadCheckpoint, BadOption, BadVoice
from mynah.core.types import Audio, Voice
from mynah.features import speaker
from mynah.features.pitch import pitch
from mynah.voices import library
from mynah.voices.mixture import mix


def note(hz: float = 200.0, seconds: float = 1.0, rate: int = 16_000) -> Audio:
    time = torch.arange(round(seconds * rate)) / rate
    return Audio(0.2 * sum((torch.sin(6.2832 * hz * k * time) / k for k in range(2, 8)), torch.zeros(1))[None], rate)


def named(name: str, **more: object) -> Voice:
    return Voice(name, (100.0, 400.0), **more)  # type: ignore[arg-type]


def test_rows_are_read_with_unit_length() -> None:
    table = VoiceTable(("a", "b"), 8)
    with torch.no_grad():
        table.rows.mul_(torch.tensor([[3.0], [0.1]]))
    assert table(torch.tensor([0, 1])).norm(dim=-1).tolist() == pytest.approx([1, 1])


def test_virtual_singers_lie_on_the_straight_line_between_two() -> None:
    first, second = F.normalize(torch.randn(2, 5, 8), dim=-1)
    share = torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0])
    between = mixed(first, second, share)
    ends = (first - second).norm(dim=-1)
    assert ((between - second).norm(dim=-1) + (between - first).norm(dim=-1)).allclose(ends, atol=1e-5)
    assert (between - second).norm(dim=-1).allclose(share * ends, atol=1e-5)


def test_singers_of_the_table_are_known_by_name() -> None:
    system = UcdSvc.tiny()
    source = note()
    anna, bert = (system.convert(source, named(name)) for name in ("anna", "bert"))
    assert anna.samples.shape == source.samples.shape
    assert (anna.samples - bert.samples).abs().max() > 1e-4
    with pytest.raises(BadVoice, match=r"anna, bert"):
        system.convert(source, named("carl"))


def test_a_name_is_not_enough_if_the_voice_is_another() -> None:
    system = UcdSvc.tiny()
    system.table.heard[0] = torch.eye(192)[0]
    own = named("anna", embedding=torch.eye(192)[0], encoder=speaker.ENCODER)
    assert system.row(own).equal(system.table.row("anna"))
    stranger = replace(own, embedding=torch.eye(192)[1])
    with pytest.raises(BadVoice, match="neither a row"):
        system.row(stranger)


def test_mixtures_are_convex_combinations_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.voices import library

    monkeypatch.setenv("MYNAH_HOME", str(tmp_path))
    vectors = F.normalize(torch.randn(2, 192, generator=torch.Generator().manual_seed(0)), dim=-1)
    voices = [
        named(name, embedding=vector, encoder=speaker.ENCODER)
        for name, vector in zip(("anna", "bert"), vectors, strict=True)
    ]
    for voice in voices:
        library.save(voice, voice.name)
    library.save(library.find("anna:0.4,bert:0.6"), "carla")
    carla = library.find("carla")
    assert carla.parts == (("anna", 0.4), ("bert", 0.6))
    system = UcdSvc.tiny()
    anna, bert = (system.table.row(name) for name in ("anna", "bert"))
    assert system.row(carla).allclose(0.4 * anna + 0.6 * bert)
    again = mix([(carla, 0.5), (voices[0], 0.5)])
    assert dict(again.parts) == pytest.approx({"anna": 0.7, "bert": 0.3})
    assert system.row(again).allclose(0.7 * anna + 0.3 * bert, atol=1e-6)


def test_a_row_is_fitted_while_the_net_is_frozen(tmp_path: Path) -> None:
    system = UcdSvc.tiny()
    voice = named("dora", clips=(note(180, 2.0), note(240, 2.0)))
    recipe = AdaptRecipe(voice, system.model, system.ear, steps=15)
    before = {name: value.clone() for name, value in recipe.generator.state_dict().items()}
    worse = recipe.measures()["score"]
    row = recipe.fit()
    assert recipe.measures()["score"] > worse
    assert float(row.norm()) == pytest.approx(1)
    assert all(value.equal(before[name]) for name, value in recipe.generator.state_dict().items())
    [file] = recipe.export(str(tmp_path))
    fitted = replace(voice, weights=Path(file))
    assert system.row(fitted).allclose(row, atol=1e-6)
    assert isinstance(system.adapt(fitted), AdaptRecipe)
    assert [system.adapt(voice).name, system.adapt(fitted).name] == ["row", "net"]


def test_then_the_net_may_be_tuned_as_well(tmp_path: Path) -> None:
    system = UcdSvc.tiny()
    voice = named("dora", clips=(note(180, 2.0),))
    recipe = AdaptRecipe(voice, system.model, system.ear, row=torch.eye(8)[0], net=True, steps=3)
    assert len(recipe.parameters("net")) > 10
    with torch.no_grad():
        for parameter in recipe.generator.parameters():
            parameter.mul_(1.1)
    tuned = replace(voice, weights=Path(recipe.export(str(tmp_path))[0]))
    kept = system.convert(note(), named("anna")).samples
    assert not system.convert(note(), tuned).samples.allclose(kept)
    assert system.convert(note(), named("anna")).samples.equal(kept)


def test_a_row_of_another_model_is_refused(tmp_path: Path) -> None:
    system = UcdSvc.tiny()
    other = Model(system.config, system.generator, VoiceTable(("x",), 8), "student")
    path = write_row(torch.eye(8)[0], other, tmp_path / "weights.safetensors")
    with pytest.raises(BadCheckpoint, match="another model"):
        system.row(named("dora", weights=path))


def test_a_model_survives_the_disk(tmp_path: Path) -> None:
    sizes = config(window=512, voice=8, layers=4, stacks=1, residual=8, gates=16, skip=8)
    model = Model(sizes, Generator(sizes.generator), VoiceTable(("anna", "bö"), 8), "student-1", 7)
    back = read(write(model, tmp_path / "model.safetensors"))
    assert (back.config, back.table.names, back.ear, back.step) == (sizes, ("anna", "bö"), "student-1", 7)
    assert back.fingerprint == model.fingerprint
    for name, value in model.generator.state_dict().items():
        assert back.generator.state_dict()[name].equal(value)
    with pytest.raises(BadCheckpoint, match="no model of"):
        read(write_row(torch.zeros(8), model, tmp_path / "row.safetensors"))


def test_what_cannot_be_converted_is_told() -> None:
    system = UcdSvc.tiny()
    with pytest.raises(BadAudio, match="empty"):
        system.convert(Audio(torch.zeros(1, 0), 16_000), named("anna"))
    with pytest.raises(BadAudio, match="not numbers"):
        system.convert(Audio(torch.full((1, 100), torch.nan), 16_000), named("anna"))
    with pytest.raises(BadVoice, match="second or more"):
        system.convert(note(), named("dora", clips=(note(seconds=0.2),)))
    with pytest.raises(BadOption, match="no teacher"):
        UcdSvc.course(Path(), Path(), teacher="x")


def test_melodies_move_into_the_range_of_the_target() -> None:
    from mynah.convert.ucd_svc import _moved

    hz = torch.full((50,), 100.0)
    assert _moved(hz, Voice("high", (200.0, 400.0)), UcdSvcOptions())[0] in (200.0, 400.0)
    assert _moved(hz, Voice("high", (200.0, 400.0)), UcdSvcOptions(transpose=0.0))[0] == 100.0
    assert UcdSvc.tiny().ear.size == 64


def test_the_shipped_model_sings_with_its_three_voices() -> None:
    system, source = UcdSvc.load(), note(seconds=1.5)
    assert system.table.names == ("kerstin", "philipp", "pjs")
    made = [system.convert(source, Voice(name, (0.0, 0.0))) for name in system.table.names]
    for audio in made:
        hz = pitch(audio).values[30:120]
        assert (1200 * (hz / 200).log2()).abs().nanmedian() < 20
        assert hz.isfinite().float().mean() > 0.8
    assert (made[0].samples - made[1].samples).abs().max() > 0.02


def test_a_song_comes_nearer_to_whom_it_is_sung_as_than_to_the_others() -> None:
    song = files.read(SONG / "voice.ogg", mono=True)
    song = Audio(song.samples[:, : 8 * song.rate], song.rate)
    ear, system = speaker.load(), UcdSvc.load()
    voices = {name: library.find(name).embedding for name in ("kerstin", "philipp", "pjs")}
    before = ear.embed([song])
    for name, own in voices.items():
        assert own is not None
        sung = ear.embed([system.convert(song, library.find(name))])
        near = {
            other: torch.cosine_similarity(sung, vector, dim=-1).item()
            for other, vector in voices.items()
            if vector is not None
        }
        assert max(near, key=lambda other: near[other]) == name
        assert near[name] > torch.cosine_similarity(before, own, dim=-1).item() + 0.1
