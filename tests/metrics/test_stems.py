"""Figures of separation, computed by hand where that is possible."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio, Stems
from mynah.metrics.stems import chunk_sdr, evaluate, gains, mdx_sdr, paired, si_sdr

RATE = 1000


def noise(seed: int, seconds: float = 4.0, channels: int = 2) -> Tensor:
    return torch.randn(channels, round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def audio(samples: Tensor) -> Audio:
    return Audio(samples, RATE)


def level(value: float, seconds: float = 1.0) -> Audio:
    return audio(torch.full((1, round(seconds * RATE)), value))


def test_si_sdr_by_hand() -> None:
    # Left right: true (1, 0; 0, 1), heard (2, 1; 0, 1). The scale is 3/2: wanted (1.5, 0; 0, 1.5) with energy 4.5,
    # the rest (0.5, 1; 0, -0.5) with energy 1.5.
    got = si_sdr(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 1.0], [0.0, 1.0]]))
    assert got == pytest.approx(10 * math.log10(4.5 / 1.5))


def test_si_sdr_does_not_mind_the_scale_and_minds_the_sides() -> None:
    true, heard = noise(1), noise(1) + 0.1 * noise(2)
    assert si_sdr(true, -0.01 * heard) == pytest.approx(si_sdr(true, heard), abs=1e-4)
    assert si_sdr(true, heard) == pytest.approx(20, abs=0.3)
    one_side = true * torch.tensor([[1.0], [0.0]])
    assert si_sdr(true, one_side) == pytest.approx(
        0, abs=0.2
    )  # half of the energy is gone, and no scale brings it back


def test_si_sdr_at_its_ends() -> None:
    assert si_sdr(noise(1), noise(1)) > 100
    assert si_sdr(torch.ones(1, 4), torch.ones(1, 4)) == math.inf
    assert si_sdr(noise(1), torch.zeros(2, 4000)) == -math.inf
    assert math.isnan(si_sdr(torch.zeros(2, 4000), noise(1)))


def test_mdx_sdr_by_hand() -> None:
    assert mdx_sdr(torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 0.0], [0.0, 1.0]])) == pytest.approx(10)
    assert mdx_sdr(torch.ones(1, 10), torch.full((1, 10), 0.5)) == pytest.approx(6.0206, abs=1e-3)
    assert mdx_sdr(torch.zeros(1, 10), torch.zeros(1, 10)) == 0
    assert mdx_sdr(torch.zeros(1, 10), torch.ones(1, 10)) == pytest.approx(-80, abs=1e-3)  # 1e-7 of 10


def test_the_median_second_leaves_out_those_in_which_nobody_plays() -> None:
    true = torch.ones(1, 5 * RATE)
    true[:, 3 * RATE : 4 * RATE] = 0
    heard = true.clone()
    for second, error in enumerate((0.1, 0.01, 0.5, 0.9, 0.1)):
        heard[:, second * RATE : (second + 1) * RATE] += error
    # 20, 40, 6 dB, silence, 20 dB
    assert chunk_sdr(true, heard, RATE) == pytest.approx(20, abs=1e-3)
    assert math.isnan(chunk_sdr(0 * true, heard, RATE))
    assert chunk_sdr(true[:, :300], heard[:, :300], RATE) == pytest.approx(20, abs=1e-3)


def test_gains_are_taken_where_both_the_stem_and_the_rest_sound() -> None:
    stem, rest = noise(1, 6), noise(2, 6)
    stem[:, 2 * RATE : 4 * RATE] = 0
    rest[:, 4 * RATE :] *= 0.01  # 40 dB below
    found = gains(stem, stem + 0.1 * rest, stem + rest, RATE, seconds=2)
    assert list(found) == [0.0]
    assert found[0.0] == pytest.approx(20, abs=0.1)  # a tenth of what disturbed
    faint = gains(stem, stem + 0.1 * rest, stem + rest, RATE, seconds=6)
    assert list(faint) == [0.0]


def test_doing_nothing_gains_nothing_and_windows_may_overlap() -> None:
    stem, rest = noise(1, 5), noise(2, 5)
    nothing = gains(stem, 0.5 * (stem + rest), stem + rest, RATE, seconds=2, hop_seconds=1)
    assert list(nothing) == [0.0, 1.0, 2.0, 3.0]
    assert all(gain == pytest.approx(0, abs=1e-5) for gain in nothing.values())
    assert gains(stem * 0, stem, stem * 0, RATE) == {}


def values(stems: Stems) -> dict[str, float]:
    return {name: round(stem.samples[0, 0].item(), 4) for name, stem in stems.items()}


@pytest.mark.parametrize(
    ("references", "estimates", "true", "heard"),
    [
        (
            {"lead": 1.0, "backing": 0.5, "drums": 2.0, "bass": 3.0},
            {"accompaniment": 5.1, "vocals": 1.4},
            {"vocals": 1.5, "accompaniment": 5.0},
            {"vocals": 1.4, "accompaniment": 5.1},
        ),
        (
            {"vocals": 1.0, "accompaniment": 5.0},
            {"drums": 2.0, "bass": 1.0, "other": 2.5, "vocals": 1.1},
            {"vocals": 1.0, "accompaniment": 5.0},
            {"vocals": 1.1, "accompaniment": 5.5},
        ),
        (
            {"lead": 1.0, "piano": 2.0, "drums": 3.0, "other": 4.0},
            {"vocals": 1.0, "drums": 3.0, "other": 6.0},
            {"vocals": 1.0, "drums": 3.0, "other": 6.0},
            {"vocals": 1.0, "drums": 3.0, "other": 6.0},
        ),
        (
            {"lead": 1.0, "backing": 2.0, "band": 3.0},
            {"lead": 1.1, "backing": 2.1},
            {"lead": 1.0, "backing": 2.0, "band": 3.0},
            {"lead": 1.1, "backing": 2.1},
        ),
        (
            {"vocals": 1.0, "other": 2.0},
            {"vocals": 1.1, "bass": 0.5, "other": 1.4},
            {"vocals": 1.0, "other": 2.0},
            {"vocals": 1.1, "other": 1.9},
        ),
        ({"vocals": 1.0, "drums": 2.0}, {"lead": 0.9}, {"vocals": 1.0, "drums": 2.0}, {"vocals": 0.9}),
    ],
)
def test_stems_that_one_side_has_in_one_are_added_up(
    references: dict[str, float], estimates: dict[str, float], true: dict[str, float], heard: dict[str, float]
) -> None:
    got = paired(*(Stems({name: level(value) for name, value in side.items()}) for side in (references, estimates)))
    assert values(got[0]) == true
    assert values(got[1]) == heard
    shared = [name for name in true if name in heard]
    assert list(got[0])[: len(shared)] == list(got[1])[: len(shared)] == shared


def test_rates_channels_and_a_few_samples_more_do_not_matter() -> None:
    t = torch.arange(4 * 8000) / 8000
    sine = torch.sin(2 * math.pi * 100 * t)[None]
    references = Stems(vocals=Audio(sine.expand(2, -1), 8000))
    finer = torch.sin(2 * math.pi * 100 * torch.arange(4 * 16_000 + 900) / 16_000)[None]
    true, heard = paired(references, Stems(vocals=Audio(finer, 16_000)))
    assert heard["vocals"].samples.shape == (2, 4 * 8000)
    assert si_sdr(true["vocals"].samples[:, 800:-800], heard["vocals"].samples[:, 800:-800]) > 60


def test_stems_of_another_song_or_of_other_names_are_refused() -> None:
    references = Stems(vocals=level(1.0, 2.0))
    with pytest.raises(BadAudio, match=r"'vocals' is 1\.50 s"):
        paired(references, Stems(vocals=level(1.0, 1.5)))
    with pytest.raises(BadOption, match="references vocals; estimates drums"):
        paired(references, Stems(drums=level(1.0, 2.0)))
    with pytest.raises(BadOption, match="among the estimates"):
        paired(references, Stems())
    with pytest.raises(BadAudio, match="empty"):
        paired(Stems(vocals=audio(torch.zeros(2, 0))), Stems(vocals=audio(torch.zeros(2, 0))))


def test_a_report_for_each_stem() -> None:
    voice, band = noise(1, 6), noise(2, 6)
    references = Stems(vocals=audio(voice), accompaniment=audio(band))
    estimates = Stems(vocals=audio(voice + 0.1 * band), accompaniment=audio(0.5 * (band + 0.2 * voice)))
    told: list[float] = []
    vocals, rest = evaluate(references, estimates, window_seconds=2, progress=told.append)
    assert (vocals.title, rest.title) == ("vocals", "accompaniment")
    assert vocals.figure("SI-SDR").value == pytest.approx(20, abs=0.2)
    assert vocals.figure("SI-SDR of the mix").value == pytest.approx(0, abs=0.1)
    assert vocals.figure("SI-SDR gain, median window").value == pytest.approx(20, abs=0.2)
    assert vocals.figure("SIR (BSSEval 4)").value == pytest.approx(20, abs=0.5)
    assert rest.figure("SI-SDR").value == pytest.approx(14, abs=0.2)
    assert rest.figure("SDR of the song (MDX)").value == pytest.approx(20 * math.log10(2) - 0.17, abs=0.1)
    assert [window.name for window in vocals.sources] == ["from 0 s", "from 2 s", "from 4 s"]
    worst = min(window.figures[0].value or 0 for window in vocals.sources)
    assert vocals.figure("SI-SDR gain, worst window").value == worst
    assert told == sorted(told) and told[-1] == 1
    with pytest.raises(BadOption, match="nothing to draw"):
        vocals.picture("never.png")


def test_what_cannot_be_told_says_why() -> None:
    references = Stems(vocals=audio(torch.zeros(2, 4000)), accompaniment=audio(noise(1)))
    vocals, _ = evaluate(references, references)
    for name in ("SI-SDR", "SI-SDR gain, median window", "SDR, median second (MDX)", "SIR (BSSEval 4)"):
        assert vocals.figure(name).value is None
        assert vocals.figure(name).why
    assert vocals.to_dict()["figures"][0]["why"] == "the reference is silent"


def test_the_mix_may_be_given_because_it_need_not_be_the_sum() -> None:
    voice, band = noise(1), noise(2)
    references = Stems(vocals=audio(voice), accompaniment=audio(band))
    louder = evaluate(references, references, audio(voice + 2 * band))[0]
    assert louder.figure("SI-SDR of the mix").value == pytest.approx(-6.02, abs=0.1)
    with pytest.raises(BadAudio, match="the mix is 2"):
        evaluate(references, references, audio(voice[:, :2000]))
