"""How SV2TTS learns: the encoder from many speakers, and then the synthesizer from recordings with texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from mynah.catalog.checkpoint import outline
from mynah.core.recipe import Recipe
from mynah.features import ge2e
from mynah.features.ge2e import GE2E
from mynah.speak.sv2tts import published
from mynah.speak.sv2tts.net import FORMAT, Config, Synthesizer
from mynah.speak.sv2tts.recipe import reading, speakers
from mynah.speak.sv2tts.recipe.reading import SynthesizerRecipe
from mynah.speak.sv2tts.recipe.speakers import EncoderRecipe
from mynah.speak.sv2tts.text import numbers_of
from mynah.train.data import prepare, scan
from mynah.train.transcripts import Readings, read_aloud

SEED = 1


def course(
    data: Path, folder: Path, *, config: Config | None = None, start: str = "", hold_out: Sequence[str] = ()
) -> dict[str, Callable[[], Recipe]]:
    """Both stages; see `Sv2tts.course`.

    Args:
        data: Folder of recordings.
        folder: Where stages are trained and export to.
        config: Sizes of a new synthesizer, by default the published ones.
        start: What to go on from.
        hold_out: Patterns of recordings to measure on.
    """
    encoder_at, synthesizer_at = _begun(Path(start).expanduser()) if start else (None, None)
    if synthesizer_at:
        published.synthesizer_of(synthesizer_at)  # before anything long begins

    def encoder() -> Recipe:
        takes = prepare(scan(data), folder / "prepared").takes
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            net = published.encoder_of(encoder_at) if encoder_at else GE2E(epsilon=published.EPSILON)
        return EncoderRecipe(takes, net, seed=SEED)

    def synthesizer() -> Recipe:
        clips = read_aloud(data, several=True)
        trained = folder / speakers.FILE
        known = trained if trained.exists() else encoder_at
        hears = published.encoder_of(known) if known else ge2e.load()
        hears.epsilon = published.EPSILON
        takes = prepare(clips, folder / "prepared").takes
        readings = Readings(
            takes, FORMAT, numbers_of, root=data, hold_out=hold_out, longest=reading.LONGEST, peak=reading.PEAK
        )
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            net = published.synthesizer_of(synthesizer_at) if synthesizer_at else Synthesizer(config or Config())
        return SynthesizerRecipe(readings, hears, net, seed=SEED)

    return {EncoderRecipe.name: encoder, SynthesizerRecipe.name: synthesizer}


def _begun(place: Path) -> tuple[Path | None, Path | None]:
    """The encoder and the synthesizer to go on from: of a folder both, of a file what it is."""
    if place.is_dir():
        parts = published.parts_of(place)
        return parts.encoder, parts.synthesizer
    held = outline(place)
    names = held.get("model_state", held) if isinstance(held, dict) else {}
    return (place, None) if "lstm.weight_ih_l0" in names else (None, place)
