"""What every separator shares: rates, channels and lengths, files, and the folder that can be called."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

import pytest
import torch
from pydantic import Field
from torch import Tensor

import mynah
from mynah.audio.chunks import map_chunks
from mynah.audio.files import probe, read, write
from mynah.core import registry
from mynah.core.errors import BadAudio, BadOption, UnknownSystem
from mynah.core.system import Card
from mynah.core.types import Audio, Stems
from mynah.core.verbs import Options, Separates
from mynah.nets.separator import Pieces, Separator
from mynah.separate import Two, loaded, separate_file, vocals_apart

NAME = "separate/sieve"
AROUND = 8


class SieveOptions(Options):
    """How coarse."""

    share: Annotated[float, Field(ge=0, le=1, description="Of the treble that drums have.")] = 0.5


class Sieve(Separator[None]):
    """Bass is voice, treble is drums and the rest: moving averages, in chunks, with a bounded look around."""

    card = Card(verbs=("separate",), paper="", origin="ours")
    stems = ("vocals", "drums", "other")
    remainder = "other"

    def __init__(self, rate: int = 16_000, channels: int = 2) -> None:
        super().__init__(None)
        self.rate, self.channels = rate, channels

    @classmethod
    def tiny(cls) -> Self:
        return cls()

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        return cls()

    def separate(self, mix: Audio, options: SieveOptions | None = None) -> Stems:  # type: ignore[override]
        return super().separate(mix, options)

    def apart(self, mix: Pieces, options: SieveOptions | None = None) -> Iterator[Tensor]:  # type: ignore[override]
        share = (options or SieveOptions()).share

        def sieve(window: Tensor) -> Tensor:
            low = torch.nn.functional.avg_pool1d(window, 2 * AROUND + 1, stride=1, padding=AROUND)
            return torch.stack([low, share * (window - low), torch.full_like(low, torch.nan)])

        for part in map_chunks(sieve, mix(), chunk=3000, left=AROUND, right=AROUND):
            assert part.shape[1] == self.channels
            yield part


def song(seconds: float = 1.0, rate: int = 16_000, channels: int = 2, seed: int = 0) -> Audio:
    """A note that swells, and noise, different on each side."""
    t = torch.arange(round(seconds * rate)) / rate
    hiss = 0.1 * torch.randn(channels, len(t), generator=torch.Generator().manual_seed(seed))
    return Audio(0.3 * t / max(seconds, 1e-9) * torch.sin(2 * math.pi * 200 * t) + hiss, rate)


def total(stems: Stems) -> Tensor:
    return torch.stack([stem.samples for stem in stems.values()]).sum(0)


@pytest.fixture
def sieve(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A plugin of the house for as long as a test lasts."""

    class Point:
        value = "sieve:Sieve"

        def load(self) -> type[Sieve]:
            return Sieve

    monkeypatch.setattr(registry, "_plugins", lambda: {NAME: Point()})
    loaded.cache_clear()
    yield "sieve"
    loaded.cache_clear()


# Separator


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 96_000])
@pytest.mark.parametrize("own", [1, 2])
def test_stems_are_as_long_as_the_mix_at_its_rate_and_add_up(rate: int, channels: int, own: int) -> None:
    mix = song(0.731, rate, channels)
    stems = Sieve(channels=own).separate(mix)
    assert tuple(stems) == ("vocals", "drums", "other")
    for stem in stems.values():
        assert (stem.rate, stem.samples.shape, stem.samples.dtype) == (rate, mix.samples.shape, torch.float32)
        assert stem.samples.isfinite().all()
    torch.testing.assert_close(total(stems), mix.samples, atol=2e-7, rtol=0)


def test_of_surround_the_stereo_downmix_is_separated() -> None:
    surround = song(0.3, channels=6)
    silent = surround.samples.clone()
    silent[[0, 1, 2, 4, 5]] = 0  # low frequencies alone are in no downmix
    assert Sieve().separate(surround)["vocals"].samples.shape == (2, 4800)
    assert total(Sieve().separate(Audio(silent, 16_000))).abs().max() == 0


@pytest.mark.parametrize("samples", [1, 7, 100, 3000, 3001, 3008, 3009, 6001])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_lengths_are_exact_however_short(samples: int, rate: int) -> None:
    mix = Audio(song(1.0, rate).samples[:, :samples], rate)
    stems = Sieve().separate(mix)
    assert {stem.samples.shape for stem in stems.values()} == {(2, samples)}
    torch.testing.assert_close(total(stems), mix.samples, atol=2e-7, rtol=0)


@pytest.mark.parametrize("size", [333, 4000, 7001])
@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("own", [1, 2])
def test_piece_by_piece_equals_whole(size: int, rate: int, own: int) -> None:
    mix, separator = song(0.9, rate), Sieve(channels=own)
    whole = separator.separate(mix)
    parts = list(separator.stream(lambda: (Audio(part, rate) for part in mix.samples.split(size, -1))))
    for name, stem in whole.items():
        torch.testing.assert_close(
            torch.cat([part[name].samples for part in parts], -1), stem.samples, atol=1e-6, rtol=0
        )


def test_what_the_net_hears_is_what_is_separated() -> None:
    """At the net's own rate nothing stands between: its answer is the stem, to the bit."""
    mix, separator = song(0.5), Sieve()
    stems = separator.separate(mix, SieveOptions(share=0.7))
    answer = torch.cat(list(separator.apart(lambda: iter((mix.samples,)), SieveOptions(share=0.7))), -1)
    assert torch.equal(stems["vocals"].samples, answer[0]) and torch.equal(stems["drums"].samples, answer[1])


def test_a_net_of_one_channel_hears_each_side_by_itself() -> None:
    mix = song(0.5)
    both = Sieve(channels=1).separate(mix)["vocals"].samples
    for side in range(2):
        alone = Sieve(channels=1).separate(Audio(mix.samples[side : side + 1], mix.rate))["vocals"].samples
        torch.testing.assert_close(both[side : side + 1], alone, atol=1e-7, rtol=0)


def test_a_net_of_two_channels_hears_a_mono_mix_on_both_sides() -> None:
    mono = song(0.5, channels=1)
    stereo = Audio(mono.samples.expand(2, -1), mono.rate)
    got, wanted = Sieve().separate(mono)["vocals"].samples, Sieve().separate(stereo)["vocals"].samples
    torch.testing.assert_close(got, wanted[:1], atol=1e-7, rtol=0)


def test_silence_stays_silent() -> None:
    stems = Sieve().separate(Audio(torch.zeros(2, 5000), 44_100))
    assert all(stem.samples.abs().max() == 0 for stem in stems.values())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    mix = song(0.5)
    mix.samples[1, 6000] = bad
    with pytest.raises(BadAudio, match="not numbers"):
        Sieve().separate(mix)


@pytest.mark.parametrize("blocks", [[], [torch.zeros(2, 0)], [torch.zeros(2, 0), torch.zeros(2, 0)]])
def test_an_empty_mix_is_refused(blocks: list[Tensor]) -> None:
    with pytest.raises(BadAudio, match="empty"):
        list(Sieve().stream(lambda: (Audio(block, 16_000) for block in blocks)))


def test_empty_blocks_among_others_do_not_matter() -> None:
    mix = song(0.5, 44_100)
    cut = [mix.samples[:, :0], mix.samples[:, :9000], mix.samples[:, 9000:9000], mix.samples[:, 9000:]]
    parts = list(Sieve().stream(lambda: (Audio(block, 44_100) for block in cut)))
    whole = Sieve().separate(mix)["vocals"].samples
    torch.testing.assert_close(torch.cat([part["vocals"].samples for part in parts], -1), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("own", [1, 2])
def test_no_more_than_a_few_blocks_are_held(own: int) -> None:
    """Memory is flat: nobody reads far ahead of what was answered."""
    rate, seconds = 22_050, 20
    given: list[int] = []
    answered = ahead = 0

    def blocks() -> Iterator[Audio]:
        opened = len(given)
        given.append(0)
        for second in range(seconds):
            given[opened] += rate
            yield song(1.0, rate, seed=second)

    for part in Sieve(channels=own).stream(blocks):
        ahead = max(ahead, max(given) - answered)
        answered += part["vocals"].samples.shape[-1]
    assert answered == seconds * rate
    assert ahead <= 3 * rate


# The folder


def test_the_folder_can_be_called_with_sound_or_a_file(sieve: str, tmp_path: Path) -> None:
    mix = song(0.5)
    path = write(mix, tmp_path / "song.wav", bits=32)
    stems = mynah.separate(mix, system=sieve)
    assert isinstance(stems, mynah.Stems)
    for again in (mynah.separate(path, system=sieve), mynah.separate(str(path), system=sieve)):
        assert all(torch.equal(again[name].samples, stem.samples) for name, stem in stems.items())
    assert mynah.separate(mix, system=sieve, share=0.0)["drums"].samples.abs().max() == 0


def test_a_system_is_loaded_once(sieve: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places = []

    @classmethod
    def load(cls: type[Sieve], weights: str = "default", *, device: str = "cpu") -> Sieve:
        places.append(device)
        return cls.tiny()

    monkeypatch.setattr(Sieve, "load", load)
    for _ in range(3):
        mynah.separate(song(0.1), system=sieve, device="cpu")
    assert places == ["cpu"]


def test_mistakes_are_told_before_anything_is_loaded(sieve: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Sieve, "load")
    with pytest.raises(BadOption, match="share"):
        mynah.separate(song(0.1), system=sieve, share=2)
    with pytest.raises(BadOption, match="'bass'"):
        mynah.separate(song(0.1), system=sieve, bass=1)
    with pytest.raises(UnknownSystem, match=NAME):
        mynah.separate(song(0.1), system="seive")


def test_a_song_that_is_not_there_is_a_mistake(sieve: str) -> None:
    with pytest.raises(BadAudio, match="no such file"):
        mynah.separate("missing.wav", system=sieve)


def test_importing_the_folder_loads_no_torch() -> None:
    heard = "import sys, mynah.separate; print(callable(mynah.separate), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", heard], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_the_voice_and_all_the_rest() -> None:
    mix = song(0.5)
    stems = Sieve().separate(mix)
    vocals, rest = vocals_apart(stems)
    assert vocals is stems["vocals"]
    torch.testing.assert_close(rest.samples, stems["drums"].samples + stems["other"].samples)
    del stems["vocals"]
    with pytest.raises(BadOption, match="drums, other"):
        vocals_apart(stems)


def test_two_is_a_separator_of_two_stems() -> None:
    mix, two = song(0.5, 44_100), Two(Sieve())
    assert isinstance(two, Separates) and two.stems == ("vocals", "accompaniment")
    whole = two.separate(mix)
    assert isinstance(whole, Stems) and tuple(whole) == two.stems
    torch.testing.assert_close(total(whole), mix.samples, atol=3e-7, rtol=0)
    parts = list(two.stream(lambda: (Audio(part, mix.rate) for part in mix.samples.split(5000, -1))))
    for name in two.stems:
        joined = torch.cat([part[name].samples for part in parts], -1)
        torch.testing.assert_close(joined, whole[name].samples, atol=1e-6, rtol=0)

    class Drummer(Sieve):
        stems = ("drums", "other")

    with pytest.raises(BadOption, match="not drums, other"):
        Two(Drummer())


# From file to files


def outs(folder: Path, *names: str, suffix: str = "wav") -> dict[str, Path]:
    return {name: folder / f"{name}.{suffix}" for name in names}


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_files_hold_what_separating_gives(tmp_path: Path, rate: int, channels: int) -> None:
    mix = song(0.9, rate, channels)
    places = outs(tmp_path / "stems", *Sieve.stems)
    told: list[float] = []
    separate_file(write(mix, tmp_path / "song.wav", bits=32), places, Sieve(), bits=32, progress=told.append)
    for name, stem in Sieve().separate(mix).items():
        torch.testing.assert_close(read(places[name]).samples, stem.samples, atol=1e-6, rtol=0)
        assert probe(places[name]).rate == rate
    assert told == sorted(told) and told[-1] == 1


def test_floats_add_up_to_the_mix_even_where_a_stem_is_beyond_full_scale(tmp_path: Path) -> None:
    mix = Audio(8 * song(0.5).samples, 16_000)
    places = outs(tmp_path, *Sieve.stems)
    separate_file(write(mix, tmp_path / "song.wav", bits=32, peak_db=None), places, Sieve(), bits=32)
    back = [read(path).samples for path in places.values()]
    assert max(stem.abs().max().item() for stem in back) > 1
    torch.testing.assert_close(torch.stack(back).sum(0), mix.samples, atol=2e-6, rtol=0)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_stems_that_would_clip_are_scaled_alike(tmp_path: Path, suffix: str) -> None:
    mix = Audio(8 * song(0.5).samples, 16_000)
    places = outs(tmp_path, *Sieve.stems, suffix=suffix)
    separate_file(write(mix, tmp_path / "song.wav", bits=32, peak_db=None), places, Sieve())
    stems = Sieve().separate(mix)
    gain = 10 ** (-1 / 20) / max(stem.samples.abs().max().item() for stem in stems.values())
    assert gain < 1
    slack = 0.08 if suffix == "ogg" else 0.001
    for name, path in places.items():
        ratio = (read(path).samples.norm() / stems[name].samples.norm()).item()
        assert ratio == pytest.approx(gain, rel=slack)


def test_stems_that_are_not_asked_for_are_not_written(tmp_path: Path) -> None:
    separate_file(write(song(0.3), tmp_path / "song.wav"), outs(tmp_path / "stems", "drums"), Sieve())
    assert [path.name for path in (tmp_path / "stems").iterdir()] == ["drums.wav"]


def test_options_arrive(tmp_path: Path) -> None:
    path = write(song(0.3), tmp_path / "song.wav")
    separate_file(path, outs(tmp_path, "drums"), Sieve(), SieveOptions(share=0.0))
    assert read(tmp_path / "drums.wav").samples.abs().max() == 0


def test_mistakes_leave_nothing_behind(tmp_path: Path) -> None:
    path = write(song(0.3), tmp_path / "song.wav")
    junk = tmp_path / "junk.wav"
    junk.write_bytes(b"not a recording at all")
    for source, names, suffix, bits in (
        (path, ("vocals", "guitar"), "wav", None),
        (path, ("vocals",), "mp3", 16),
        (path, ("vocals",), "wma", None),
        (junk, ("vocals",), "wav", None),
        (tmp_path / "missing.wav", ("vocals",), "wav", None),
    ):
        with pytest.raises((BadOption, BadAudio)):
            separate_file(source, outs(tmp_path / "stems", *names, suffix=suffix), Sieve(), bits=bits)
        assert sorted(each.name for each in tmp_path.iterdir()) == ["junk.wav", "song.wav"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_what_was_there(tmp_path: Path, failure: type[BaseException]) -> None:
    path = write(song(0.3), tmp_path / "song.wav")

    def stop(fraction: float) -> None:
        raise failure

    with pytest.raises(failure):
        separate_file(path, outs(tmp_path / "stems", "vocals"), Sieve(), progress=stop)
    assert list(tmp_path.iterdir()) == [path]
