"""How ForwardTacotron learns: first an aligner finds out when every sound is said, then the speaker learns from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mynah.core.errors import BadCheckpoint
from mynah.core.recipe import Recipe
from mynah.speak.forward_tacotron import published
from mynah.speak.forward_tacotron.aligner import AlignerConfig
from mynah.speak.forward_tacotron.net import Config
from mynah.speak.forward_tacotron.published import FORMAT
from mynah.speak.forward_tacotron.recipe.align import FILE, AlignRecipe, trained
from mynah.speak.forward_tacotron.recipe.plan import Plan
from mynah.speak.forward_tacotron.recipe.prosody import sounded
from mynah.speak.forward_tacotron.recipe.speak import SpeakRecipe
from mynah.speak.forward_tacotron.symbols import Front
from mynah.train.data import prepare
from mynah.train.transcripts import Readings, read_aloud

USUAL = Plan()
SIZES = (AlignerConfig(), Config())
HEARD = 200  # texts by which the language is told


def course(
    data: Path,
    folder: Path,
    *,
    front: Front | None = None,
    sizes: tuple[AlignerConfig, Config] | None = None,
    plan: Plan | None = None,
    hold_out: Sequence[str] = (),
    skip: Sequence[str] = (),
    start: str = "",
) -> dict[str, Callable[[], Recipe]]:
    """Both stages, `align` and `speak`.

    Args:
        data: Folder of recordings with their texts, see `mynah.train.transcripts.read_aloud`.
        folder: Where prepared recordings and the aligner are kept.
        front: How texts are read; by default as the original reads English, or as the house reads German, whichever
            they are in.
        sizes: Of the aligner, and of the speaker where there is no `start`; by default the published ones.
        plan: Figures of the run.
        hold_out: Patterns of recordings to measure on.
        skip: Patterns of recordings to leave out.
        start: A model to go on from in the stage `speak`; texts are read as for it.

    Raises:
        BadCheckpoint: There is no such model, or it is damaged.
        BadData: The recordings have no texts, or are of several speakers.
    """
    if start and not Path(start).is_file():
        raise BadCheckpoint(f"{start}: there is no such file to go on from")
    figures, begun = plan or USUAL, published.read(start) if start else None
    clips = read_aloud(data, skip=skip)
    reads = begun[0].front if begun else front or Front.of(" ".join(clip.text for clip in clips[:HEARD]))
    aligner, speaker = sizes or SIZES
    aligner = replace(aligner, symbols=len(reads.alphabet))
    speaker = replace(speaker, front=reads, symbols=len(reads.alphabet))

    def readings() -> Readings:
        takes = prepare(clips, folder / "prepared").takes
        return Readings(takes, FORMAT, reads.numbers_of, root=data, hold_out=hold_out)

    def align() -> Recipe:
        return AlignRecipe(readings(), aligner, figures)

    def speak() -> Recipe:
        net, heard = trained(folder, aligner), readings()
        parts = sounded(heard, net, reads, figures, known=folder / FILE)
        config, state = begun or (speaker, None)
        return SpeakRecipe(heard, parts, config, figures, start=state)

    return {"align": align, "speak": speak}
