"""How the speaker learns: a recogniser to judge by, an aligner, then the speaking net."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.core.errors import BadData
from mynah.core.recipe import Recipe
from mynah.features import content
from mynah.speak.mynah.aligner import Aligner
from mynah.speak.mynah.recipe.align import AlignRecipe
from mynah.speak.mynah.recipe.letters import LettersRecipe
from mynah.speak.mynah.recipe.readings import Readings
from mynah.speak.mynah.recipe.speech import SpeechRecipe


def course(data: Path, folder: Path) -> dict[str, Callable[[], Recipe]]:
    """The stages in order; `speech` needs the aligner that `align` exported to `folder`.

    Args:
        data: Recordings, with a `manifest.csv` of the columns path, speaker and text.
        folder: Where stages export to, and where prepared recordings are kept.
    """

    @cache
    def readings() -> Readings:
        return Readings.open(data, folder / "prepared", content.load(), content.WEIGHTS.sha256[:8])

    def speech() -> Recipe:
        aligned = folder / "aligner.safetensors"
        if not aligned.exists():
            raise BadData(f"{aligned} is not there: train the stage `align` first, it tells how long each sound lasts")
        aligner = Aligner()
        load_strict(aligner, load_safetensors(aligned), "the aligner of speak/mynah")
        return SpeechRecipe(readings(), aligner.eval().requires_grad_(False))

    return {
        "letters": lambda: LettersRecipe(readings()),
        "align": lambda: AlignRecipe(readings()),
        "speech": speech,
    }
