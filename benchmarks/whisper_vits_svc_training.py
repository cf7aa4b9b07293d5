"""How long a step of training of `convert/whisper_vits_svc` takes, beside the original implementation: a table.

    git clone https://github.com/PlayVoice/whisper-vits-svc
    python benchmarks/whisper_vits_svc_training.py --reference whisper-vits-svc [--clips 4] [--seconds 2] [--threads 1]

Both have the published sizes, the same weights (random) and the same batch; every line is a process of its own, and the
two take turns. Ours is run by `mynah train`'s own trainer, average included; the original's modules are driven in the
order of its own training: net and critics once each, as without accumulation. Its spectra come ready-made, as its
preparation leaves them, where ours are calculated in the step. What it wants of librosa is given by ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

COMMON = """
import json, math, resource, sys, time, warnings
from types import SimpleNamespace as Sizes
warnings.simplefilter("ignore")
weights, seconds, (clips, threads, steps) = sys.argv[1], float(sys.argv[2]), map(int, sys.argv[3:6])
import torch
torch.set_num_threads(threads)
dice = torch.Generator().manual_seed(1)
frames = round(seconds * 100)
words, sounds, voice = (torch.randn(clips, *shape, generator=dice) for shape in ((1280, frames), (256, frames), (256,)))
pitch = (220 * 2 ** (torch.sin(torch.arange(frames) / 30) / 3)).expand(clips, -1).contiguous()
turns = pitch.repeat_interleave(320, 1).double().cumsum(1) / 32000
wave = sum(torch.sin(2 * math.pi * k * turns) / k for k in range(1, 9)).float() * 0.1
wave = wave + 0.003 * torch.randn(wave.shape, generator=dice)
lengths = torch.full((clips,), frames)
times = []

def mark():
    used = resource.getrusage(resource.RUSAGE_SELF)
    times.append((time.perf_counter(), used.ru_utime + used.ru_stime))

def told(losses):
    # Libraries come in and threads are started during the first step.
    walls, spent = ([after[n] - before[n] for before, after in zip(times[1:], times[2:])] for n in (0, 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    first = {name: losses[name] for name in ("mel", "stft")}
    print(json.dumps({"wall": min(walls), "spent": min(spent), "peak": peak} | first))
"""

OURS = """
import tempfile
from mynah.catalog.checkpoint import load_strict
from mynah.convert.whisper_vits_svc import published
from mynah.convert.whisper_vits_svc.recipe.plan import Plan
from mynah.convert.whisper_vits_svc.recipe.sing import SingRecipe
from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.train.run import train

class Same(SingRecipe):
    def batch(self, step):
        first = torch.arange(clips) * 7 % (frames - 25)
        seeds = torch.arange(clips) + step * clips
        return {"wave": wave, "pitch": pitch, "words": words, "sounds": sounds, "voice": voice, "lengths": lengths,
                "first": first, "seed": seeds}

    def measures(self):
        return {}

    def preview(self, batch):
        return None

recipe = Same(Sizes(training=[0]), NetConfig(), Plan(steps=steps + 1, clips=clips, accumulate=1),
              start=published.read(weights))
shown = {}

def progress(step, whole, losses):
    mark()
    shown.setdefault("mel", losses.get("mel"))
    shown.setdefault("stft", losses.get("stft"))

mark()
with tempfile.TemporaryDirectory() as folder:
    train(recipe, folder, device="cpu", save_every=10**9, log_every=1, progress=progress)
told(shown)
"""

REFERENCE = """
sys.path.insert(0, sys.argv[6])
from types import ModuleType
from mynah.features.mel import mel_filters
util, filters, audio, conf = (ModuleType(name) for name in ("librosa.util", "librosa.filters", "librosa", "omegaconf"))
util.normalize = conf.OmegaConf = None  # imported and not used
filters.mel = lambda sr, n_fft, n_mels, fmin, fmax: mel_filters(sr, n_fft, n_mels, fmin, fmax).numpy()
audio.util, audio.filters = util, filters
sys.modules |= {"librosa": audio, "librosa.util": util, "librosa.filters": filters, "omegaconf": conf}
stft = torch.stft

def older(*given, return_complex=None, **named):  # what torch had when the original was written
    made = stft(*given, return_complex=True, **named)
    return made if return_complex else torch.view_as_real(made)

torch.stft = older
from mynah.convert.whisper_vits_svc.losses import linear
from vits import commons
from vits.losses import kl_loss
from vits.models import SynthesizerTrn
from vits_decoder.discriminator import Discriminator
from vits_extend.stft import TacotronSTFT
from vits_extend.stft_loss import MultiResolutionSTFTLoss
resolutions = [(1024, 120, 600), (2048, 240, 1200), (4096, 480, 2400), (512, 50, 240)]
published = Sizes(
    data=Sizes(sampling_rate=32000),
    vits=Sizes(ppg_dim=1280, vec_dim=256, spk_dim=256, gin_channels=256, inter_channels=192, hidden_channels=192,
               filter_channels=640),
    gen=Sizes(upsample_input=192, upsample_rates=[5, 4, 4, 2, 2], upsample_kernel_sizes=[15, 8, 8, 4, 4],
              upsample_initial_channel=320, resblock_kernel_sizes=[3, 7, 11], resblock_dilation_sizes=[[1, 3, 5]] * 3),
    mpd=Sizes(periods=[2, 3, 5, 7, 11], kernel_size=5, stride=3, use_spectral_norm=False, lReLU_slope=0.2),
    mrd=Sizes(resolutions=str(resolutions), use_spectral_norm=False, lReLU_slope=0.2),
)
torch.manual_seed(0)
net, critics = SynthesizerTrn(513, 25, published), Discriminator(published)
if sys.argv[7] == "write":
    torch.save({"model_g": net.state_dict(), "model_d": critics.state_dict()}, weights)
    sys.exit()
held = torch.load(weights)
net.load_state_dict(held["model_g"])
critics.load_state_dict(held["model_d"])
settings = {"lr": 5e-5, "betas": (0.8, 0.99), "eps": 1e-9}
net_steps, critic_steps = (torch.optim.AdamW(part.parameters(), **settings) for part in (net, critics))
mels = TacotronSTFT(filter_length=1024, hop_length=320, win_length=1024, n_mel_channels=100, sampling_rate=32000,
                    mel_fmin=50.0, mel_fmax=16000.0, center=False, device="cpu")
spectra, alike = MultiResolutionSTFTLoss("cpu", resolutions), torch.nn.CosineEmbeddingLoss()
spectrum = linear(wave, 320)
net.train(), critics.train()

def step():
    sound, places, mask, latents, guess = net(words.mT, sounds.mT, pitch, spectrum, voice, lengths, lengths)
    z_f, z_r, z_p, m_p, logs_p, z_q, m_q, logs_q, det_f, det_r = latents
    recorded = commons.slice_segments(wave[:, None], places * 320, 8000)
    mel = (mels.mel_spectrogram(sound[:, 0]) - mels.mel_spectrogram(recorded[:, 0])).abs().mean()
    losses = {"voice": 2 * alike(voice, guess, torch.ones(clips)), "mel": mel,
              "stft": 9 * sum(spectra(sound[:, 0], recorded[:, 0]))}
    fake = critics(sound)
    losses["score"] = sum((score - 1).square().mean() for _, score in fake) / len(fake)
    real = critics(recorded)
    losses["feature"] = 2 * sum((one - other).abs().mean() for (ours, _), (theirs, _) in zip(fake, real)
                                for one, other in zip(ours, theirs)) / len(fake)
    losses["kl"] = 0.2 * kl_loss(z_f, logs_q, m_p, logs_p, det_f, mask)
    losses["kl_back"] = 0.1 * kl_loss(z_r, logs_p, m_q, logs_q, det_r, mask)
    sum(losses.values()).backward()
    commons.clip_grad_value_(net.parameters(), None)
    net_steps.step()
    net_steps.zero_grad()
    critic_steps.zero_grad()
    fake, real = critics(sound.detach()), critics(recorded)
    sum((theirs - 1).square().mean() + ours.square().mean() for (_, ours), (_, theirs) in zip(fake, real)).div(
        len(fake)).backward()
    commons.clip_grad_value_(critics.parameters(), None)
    critic_steps.step()
    return {name: loss.item() for name, loss in losses.items()}

mark()
shown = None
for _ in range(steps + 1):
    losses = step()
    mark()
    shown = shown or losses
told(shown)
"""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="a clone of the original")
    parser.add_argument("--clips", type=int, default=4, help="in a batch")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each of them; a quarter of a second is sung")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3, help="the fastest of a round counts")
    parser.add_argument("--rounds", type=int, default=2, help="and the fastest of all rounds")
    arguments = parser.parse_args()

    title = f"one step of {arguments.clips} clips of {arguments.seconds:g} s, {arguments.threads} threads"
    table = Table(title=title)
    for column in ("", "wall clock", "processor", "peak memory", "first mel loss", "first stft loss"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "pretrain.pth")

        def child(name: str, task: str = "run") -> dict[str, float]:
            code = COMMON + (OURS if name == "ours" else REFERENCE)
            numbers = (arguments.seconds, arguments.clips, arguments.threads, arguments.steps)
            named = [weights, *map(str, numbers), str(arguments.reference), task]
            settings = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
            done = subprocess.run(
                [sys.executable, "-c", code, *named], check=True, stdout=subprocess.PIPE, text=True, env=settings
            )
            figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1]) if task == "run" else {}
            return figures

        child("original", "write")
        rounds = [{name: child(name) for name in ("ours", "original")} for _ in range(arguments.rounds)]
    best = {name: {what: min(one[name][what] for one in rounds) for what in rounds[0][name]} for name in rounds[0]}
    for name, figures in best.items():
        table.add_row(
            name,
            f"{figures['wall']:.2f} s",
            f"{figures['spent']:.2f} s",
            f"{figures['peak'] / 1e6:.0f} MB",
            f"{figures['mel']:.3f}",
            f"{figures['stft']:.3f}",
        )
    ratios = [one["original"]["wall"] / one["ours"]["wall"] for one in rounds]
    spent = best["original"]["spent"] / best["ours"]["spent"]
    table.add_row("ratio", f"{statistics.median(ratios):.2f} times", f"{spent:.2f} times", "", "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
