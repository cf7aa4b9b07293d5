"""How fast `convert/rvc` sings what was heard, beside the original implementation: a table.

    git clone https://github.com/RVC-Project/Retrieval-based-Voice-Conversion-WebUI reference
    python benchmarks/rvc.py --reference reference [--seconds 10 60] [--threads 2] [--rounds 2]

Both have the same weights (random, version 2 at 48 kHz), features and melody. Every line is a process of its own, and
the two take turns. Given are the features, so that prior, flow, source and decoder are measured; the original is given
them as its own pipeline does it on a processor, in pieces of 38 s with a second on either side. The processor's time
counts the system's part, too. The difference is the largest one of any sample, made from the same latents and source,
so that nothing random is in it. `whole` is our `convert` with its defaults, from sound to sound: pitch, a ContentVec of
random weights in the published size, and all the rest, in bfloat16 on a processor that has instructions for it; `exact`
is that with `--precision float32`.
"""

from __future__ import annotations

from beside import compare, parser_for

GIVEN = """
words = torch.randn(768, frames, generator=dice)
few = 200
latent, source = torch.randn(1, 192, few, generator=dice), 0.1 * torch.randn(1, 1, few * 480, generator=dice)
"""

OURS = """
from pathlib import Path
from mynah.convert.rvc import _singer
from mynah.convert.rvc.rendering import render
singer = _singer(Path(weights))
voice = singer.emb_g.weight[0]

def run(count):
    return sum(len(piece) for piece in render(singer, [words[:, :count]], pitch[:count], voice, 0, 0.66666))

torch.save(singer.dec(latent, voice[None], source), compared)
measured(run)
"""

WHOLE = """
from mynah.convert.rvc import Config, Rvc, RvcOptions
from mynah.core.types import Audio, Voice
from mynah.features.contentvec import Ears
from mynah.features.hubert import Hubert
from pathlib import Path
system = Rvc(Config(), Ears(Hubert().eval()))
options = RvcOptions()
voice = Voice("random", (100.0, 400.0), weights=Path(weights))
turns = (pitch.repeat_interleave(160) / 16000).double().cumsum(0)
song = Audio(0.1 * sum(torch.sin(6.2831853 * number * turns).float() / number for number in range(1, 9))[None], 16000)

measured(lambda count: system.convert(Audio(song.samples[:, : count * 160], 16000), voice, options))
"""
EXACT = WHOLE.replace("RvcOptions()", "RvcOptions(precision='float32')")

REFERENCE = """
sys.path.insert(0, reference)
from infer.module.models import SynthesizerTrnMs768NSFsid
described = [1025, 36, 192, 192, 768, 2, 6, 3, 0, "1", [3, 7, 11], [[1, 3, 5]] * 3, [12, 10, 2, 2], 512, [24, 20, 4, 4],
             109, 256, 48000]
torch.manual_seed(0)
model = SynthesizerTrnMs768NSFsid(*described, is_half=False).eval()
del model.enc_q
if task == "write":
    described[1] = 32
    held = {"weight": model.state_dict(), "config": described, "sr": "48k", "f0": 1, "version": "v2", "info": ""}
    torch.save(held, weights)
    sys.exit()
model.load_state_dict(torch.load(weights)["weight"])
low, high = (1127 * torch.tensor(1 + hz / 700).log() for hz in (50.0, 1100.0))
coarse = ((1127 * (1 + pitch / 700).log() - low) * 254 / (high - low) + 1).clamp(1, 255).round().long()

def run(count):
    done, samples = 0, 0
    while done < count:
        first, last = max(0, done - 100), min(count, done + 3800 + 100)
        part = slice(first, last)
        sound = model.infer(words.T[None, part], torch.tensor([last - first]), coarse[None, part], pitch[None, part],
                            torch.tensor([0]))[0][0, 0]
        samples += len(sound[(done - first) * 480 : len(sound) if last == count else -48000])
        done += 3800
    return samples

lead = model.dec.m_source.forward
model.dec.m_source.forward = lambda *given: (source.transpose(1, 2), None, None)
torch.save(model.dec(latent, pitch[None, :few], g=model.emb_g.weight[:1, :, None]), compared)
model.dec.m_source.forward = lead
measured(run)
"""
PROGRAMS = {name: GIVEN + code for name, code in {"ours": OURS, "original": REFERENCE}.items()}


def main() -> None:
    """Parse, measure, print."""
    parser = parser_for(__doc__)
    parser.add_argument("--no-whole", action="store_true", help="leave the whole conversion out")
    arguments = parser.parse_args()
    more = {} if arguments.no_whole else {"whole": GIVEN + WHOLE, "exact": GIVEN + EXACT}
    compare("version 2 at 48 kHz: prior, flow, source and decoder", PROGRAMS | more, arguments)


if __name__ == "__main__":
    main()
