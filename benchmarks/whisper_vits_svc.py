"""How fast `convert/whisper_vits_svc` sings what was heard, beside the original implementation: a table.

    git clone https://github.com/PlayVoice/whisper-vits-svc
    python benchmarks/whisper_vits_svc.py --reference whisper-vits-svc [--seconds 10 30] [--threads 2] [--rounds 2]

Both have the same weights (random, of the published sizes), features and melody. Every line is a process of its own,
and the two take turns. Given are the features, so that prior, flow, source and decoder are measured; the original is
driven as its own `svc_inference.py` does it. The processor's time counts the system's part, too. The difference is the
largest one of any sample, made from the same latents and source, so that nothing random is in it.
"""

from __future__ import annotations

from beside import compare, parser_for

GIVEN = """
words, sounds, voice = (torch.randn(*shape, generator=dice) for shape in ((1280, frames), (256, frames), (256,)))
few = 200
latent, source = torch.randn(1, 192, few, generator=dice), 0.1 * torch.randn(1, 1, few * 320, generator=dice)
"""

OURS = """
from mynah.catalog.checkpoint import load_strict
from mynah.convert.whisper_vits_svc import published
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.rendering import render
from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.nets.normed import folded
singer = Singer(NetConfig()).eval()
load_strict(singer, published.read(weights).net, weights)
folded(singer)
heard = torch.cat([words, sounds])

def run(count):
    return sum(len(piece) for piece in render(singer, [heard[:, :count]], pitch[:count], voice, 0))

torch.save(singer.dec(latent, source, voice[None]), compared)
measured(run)
"""

REFERENCE = """
from types import SimpleNamespace as Sizes
sys.path.insert(0, reference)
from vits.models import SynthesizerInfer
published = Sizes(
    data=Sizes(sampling_rate=32000),
    vits=Sizes(ppg_dim=1280, vec_dim=256, spk_dim=256, gin_channels=256, inter_channels=192, hidden_channels=192,
               filter_channels=640),
    gen=Sizes(upsample_input=192, upsample_rates=[5, 4, 4, 2, 2], upsample_kernel_sizes=[15, 8, 8, 4, 4],
              upsample_initial_channel=320, resblock_kernel_sizes=[3, 7, 11], resblock_dilation_sizes=[[1, 3, 5]] * 3),
)
torch.manual_seed(0)
model = SynthesizerInfer(513, 25, published).eval()
if task == "write":
    torch.save({"model_g": model.state_dict()}, weights)
    sys.exit()
model.load_state_dict(torch.load(weights)["model_g"])

def run(count):
    source = model.pitch2source(pitch[None, :count])
    done, samples = 0, 0
    while done < count:
        first, last = max(0, done - 10), min(count, done + 2510)
        part = slice(first, last)
        sound = model.inference(words.T[None, part], sounds.T[None, part], pitch[None, part], voice[None],
                                torch.tensor([last - first]), source[:, :, first * 320 : last * 320])[0, 0]
        samples += len(sound[(done - first) * 320 : len(sound) if last == count else -3200])
        done += 2500
    return samples

torch.save(model.dec.inference(voice[None], latent, source), compared)
measured(run)
"""


PROGRAMS = {name: GIVEN + code for name, code in {"ours": OURS, "original": REFERENCE}.items()}

if __name__ == "__main__":
    compare("prior, flow, source and decoder", PROGRAMS, parser_for(__doc__).parse_args())
