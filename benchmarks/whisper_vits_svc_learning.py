"""Whether `convert/whisper_vits_svc` learns to give one singer's vowels the other's throat: a table, some minutes.

    python benchmarks/whisper_vits_svc_learning.py [--steps 400] [--seed 1]

A net a hundredth of the published size learns from three vowels at two pitches by two synthetic singers, whose throats
differ in length. It is told which vowel it hears, whoever sings it, and how long the throat is, whatever it sings, by
ears that compare spectra with those of throats of all lengths, because this is to say whether the recipe learns and not
how well an ear hears. Then recordings at other pitches, which it never heard, are sung by the other singer, and
compared with what that singer's throat would have made of them.

Two things decide whether whoever is asked for is heard. The vector has to tell singers apart rather than vowels. And
what ties prior and posterior together (KL) must not weigh so much before there is anything to tie that the posterior
falls silent: then the decoder learns the mean of all vowels and singers (posterior collapse). Both are printed.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Generator, Tensor, nn

from mynah.audio.files import write
from mynah.audio.resample import resample
from mynah.convert.whisper_vits_svc.critics import PeriodCritic, SpectralCritic, Verdict
from mynah.convert.whisper_vits_svc.losses import WEIGHTS
from mynah.convert.whisper_vits_svc.recipe import fitted
from mynah.convert.whisper_vits_svc.recipe.listen import sung
from mynah.convert.whisper_vits_svc.recipe.plan import Plan
from mynah.convert.whisper_vits_svc.recipe.sing import SingRecipe
from mynah.convert.whisper_vits_svc.recipe.songs import LISTEN, Ear, Ears, Songs
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.types import Audio
from mynah.features.mel import LogMel, PowerSpectrum
from mynah.features.pitch import pitch
from mynah.train.data import prepare, scan
from mynah.train.run import train

LENGTHS = (0.85, 0.9, 0.95, 1.0, 1.05, 1.15, 1.2, 1.25)  # of throats that the ears know
VOWELS = ((700, 1200), (300, 2300), (500, 1500))  # first and second formant, Hz
THROATS = {"anna": 1.25, "bert": 0.85}
LEARNT, HELD = (140, 220), (170, 235)  # Hz
TINY = NetConfig(
    latent=16, hidden=16, condition=8, filters=32, heads=2, layers=1, posterior_layers=2, flow_layers=1, couplings=2,
    decoder=DecoderConfig(channels=64, kernels=(3,), dilations=(1,)),
)  # fmt: skip
POWER, MEL = PowerSpectrum(400, 320), LogMel(bands=40)


class FewCritics(nn.Module):
    """Two small ones of the three kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.MRD = SpectralCritic(512, 50, 240, channels=4)
        self.MPD = PeriodCritic(3, (4, 8))

    def forward(self, sound: Tensor) -> list[Verdict]:
        return [self.MRD(sound), self.MPD(sound)]


def vowel(hz: float, formants: tuple[int, int], throat: float, seconds: float = 2.0) -> Audio:
    """A vowel with vibrato and a little breath, at 32 kHz."""
    time = torch.arange(int(32_000 * seconds)) / 32_000
    turns = (hz * 2 ** (0.1 * torch.sin(math.tau * 0.7 * time)) / 32_000).cumsum(0)
    wave = torch.zeros_like(time)
    for number in range(1, 30):
        loud = sum(1 / (1 + ((number * hz - throat * formant) / 150) ** 2) for formant in formants)
        wave += (loud + 0.01) * torch.cos(math.tau * number * turns)
    return Audio(0.15 * wave[None] + 0.003 * torch.randn(len(time), generator=Generator().manual_seed(0)), 32_000)


def bands(clip: Audio) -> Tensor:
    """Mel spectrum `[40, frame]` without its level."""
    heard = MEL(POWER(resample(clip, LISTEN).samples))[0]
    return heard - heard.mean(0)


def ears() -> Ears:
    """One that tells vowels apart, and one that tells throats apart."""
    dice = Generator().manual_seed(4)
    words, throats = torch.randn(len(VOWELS), 24, generator=dice), torch.randn(len(LENGTHS), 12, generator=dice)
    known = [
        bands(vowel(hz, formants, throat, 0.5)).mean(1)
        for formants in VOWELS for throat in LENGTHS for hz in (140, 180, 220, 280)
    ]  # fmt: skip
    rows = torch.stack(known)

    def nearest(clip: Audio) -> Tensor:
        return torch.cdist(bands(clip).T, rows).argmin(1) // 4

    def said(clip: Audio) -> Tensor:
        return words[nearest(clip) // len(LENGTHS)]

    def voice(clip: Audio) -> Tensor:
        return F.normalize(throats[nearest(clip) % len(LENGTHS)].mean(0), dim=0)

    return Ears(Ear("vowels", 24, said), Ear("throat", 12, voice))


def songs(folder: Path) -> Songs:
    """What is learnt from, and what is held out."""
    for singer, throat in THROATS.items():
        for number, formants in enumerate(VOWELS):
            for hz in LEARNT:
                write(vowel(hz, formants, throat), folder / "data" / singer / f"{number}-{hz}.wav")
            for hz in HELD:
                write(vowel(hz, formants, throat, 1.2), folder / "data" / singer / f"held-{number}-{hz}.wav")
    takes = prepare(scan(folder / "data"), folder / "cache").takes
    return Songs(takes, ears(), root=folder / "data", hold_out=["*/held*"])


@torch.no_grad()
def converted(recipe: SingRecipe, material: Songs) -> list[tuple[str, float, float, float]]:
    """Of every held-out recording its name, how far its conversion is from the source and the target, and cents."""
    rows = []
    recipe.net.eval()
    for part in material.held_out:
        _, number, hz = part.take.clip.path.stem.split("-")
        own = part.take.clip.speaker
        [other] = THROATS.keys() - {own}
        batch = material.collate([part])
        made = Audio(sung(recipe.net, batch, material.voice_of(other), 1), 32_000)
        wanted = vowel(float(hz), VOWELS[int(number)], THROATS[other], 1.2)
        ours, source, target = (bands(clip).mean(1) for clip in (made, Audio(batch["wave"], 32_000), wanted))
        heard, asked = pitch(resample(made, LISTEN)).values, batch["pitch"][0]
        frames = min(len(heard), len(asked))
        cents = (1200 * (heard[:frames] / asked[:frames]).log2().abs())[asked[:frames] > 0].nan_to_num(1200.0)
        rows.append(
            (
                f"{own} {number} at {hz} Hz",
                (ours - source).abs().mean().item(),
                (ours - target).abs().mean().item(),
                cents.median().item(),
            )
        )
    return rows


@torch.no_grad()
def heard_apart(recipe: SingRecipe, material: Songs) -> dict[str, float]:
    """How alike the two vectors are, and how far vowels and singers are apart in what is sung, as in what was recorded.

    Where the posterior fell silent, both shares are near 0.
    """
    voices = [material.voice_of(singer) for singer in THROATS]
    spectra: dict[bool, dict[tuple[int, int], Tensor]] = {True: {}, False: {}}
    for part in material.held_out:
        _, number, hz = part.take.clip.path.stem.split("-")
        if part.take.clip.speaker != "anna" or int(hz) != HELD[0]:
            continue
        batch = material.collate([part])
        for singer, throat in enumerate(THROATS.values()):
            made = Audio(sung(recipe.net, batch, voices[singer], 1), 32_000)
            wanted = vowel(float(hz), VOWELS[int(number)], throat, 1.2)
            for sounding, clip in ((True, made), (False, wanted)):
                spectra[sounding][int(number), singer] = bands(clip).mean(1)

    def distance(sounding: bool, *pairs: tuple[tuple[int, int], tuple[int, int]]) -> float:
        found = spectra[sounding]
        return sum((found[one] - found[other]).abs().mean().item() for one, other in pairs)

    singers = [((number, 0), (number, 1)) for number in range(len(VOWELS))]
    vowels = [((0, singer), (number, singer)) for singer in range(2) for number in range(1, len(VOWELS))]
    return {
        "cosine of the vectors": F.cosine_similarity(*voices, dim=0).item(),
        "singers apart, of what they should be": distance(True, *singers) / distance(False, *singers),
        "vowels": distance(True, *vowels) / distance(False, *vowels),
    }


def main() -> None:
    """Train, convert, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--prior", type=float, default=0.1, help="weight of what ties prior and posterior together")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        material = songs(folder)
        tied = {name: arguments.prior * WEIGHTS[name] for name in ("kl", "kl_back")}
        plan = Plan(
            steps=arguments.steps, clips=4, accumulate=1, segment=15, rate=arguments.rate, ema=None, patience=None,
            weights=WEIGHTS | tied, seed=arguments.seed,
        )  # fmt: skip
        torch.manual_seed(0)
        recipe = SingRecipe(material, fitted(TINY, material.ears), plan, critics=FewCritics())
        begun = time.process_time()
        train(recipe, folder, device="cpu", log_every=1, save_every=10**9)
        spent = time.process_time() - begun
        lines = [json.loads(line) for line in (folder / "sing" / "log.jsonl").read_text("utf-8").splitlines()]
        mel = [line["mel"] for line in lines if "mel" in line]
        rows, apart = converted(recipe, material), heard_apart(recipe, material)
    table = Table(title=f"{arguments.steps} steps, {spent:.0f} s of a processor's time")
    for column in ("recording", "from source", "from target", "cents"):
        table.add_column(column, justify="right")
    for who, source, target, cents in rows:
        table.add_row(who, f"{source:.3f}", f"{target:.3f}", f"{cents:.0f}")
    Console().print(table)
    closer = sum(target < source for _, source, target, _ in rows)
    Console().print(
        f"mel loss {mel[0]:.2f} at first, {sum(mel[-10:]) / 10:.2f} at last; nearer to the target: {closer} of "
        f"{len(rows)}; within 50 cents: {sum(cents < 50 for *_, cents in rows)} of {len(rows)}"
    )
    Console().print("; ".join(f"{name}: {figure:.2f}" for name, figure in apart.items()))


if __name__ == "__main__":
    main()
