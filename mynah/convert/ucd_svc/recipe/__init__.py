"""How UCD-SVC learns: one stage from recordings, and new rows of the table afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from mynah.convert.ucd_svc.ears import house_ear
from mynah.convert.ucd_svc.listeners import Ear, melody_activations
from mynah.convert.ucd_svc.published import vocoder
from mynah.convert.ucd_svc.recipe.plan import SMALL_PLAN, Plan
from mynah.convert.ucd_svc.recipe.sing import SingRecipe
from mynah.convert.ucd_svc.recipe.songs import Songs
from mynah.convert.ucd_svc.sizes import FULL, SMALL, Config, EarKind, hearing
from mynah.core.recipe import Recipe
from mynah.features import crepe, speaker
from mynah.train.data import prepare, scan


def course(
    data: Path,
    folder: Path,
    *,
    config: Config | None = None,
    plan: Plan | None = None,
    start: str = "",
    hold_out: Sequence[str] = (),
    pitch_judge: str | Path = "crepe-tiny",
    ear: Ear | None = None,
) -> dict[str, Callable[[], Recipe]]:
    """The only stage.

    Args:
        data: Folder of recordings, one folder for each singer or speaker.
        folder: Where prepared recordings are kept.
        config: Sizes; by default those that a processor can train, and with `start` the full ones.
        plan: Figures of the run, by default those that go with the sizes.
        start: A generator of Parallel WaveGAN to begin with.
        hold_out: Patterns of recordings to test on.
        pitch_judge: CREPE's weights, as `mynah.features.crepe.load` takes them.
        ear: The acoustic model; by default the content student.
    """

    def sing() -> Recipe:
        sizes = config or (FULL if start else SMALL)
        figures = plan or (Plan() if start else SMALL_PLAN)
        begun = vocoder(start) if start else None
        judge = melody_activations(crepe.load(pitch_judge)) if figures.weights["melody"] else None
        takes = prepare(scan(data), folder / "prepared").takes
        listener = ear or house_ear()
        kind = TypeAdapter(EarKind).validate_python(listener.name.partition("-")[0])
        sizes = hearing(sizes, kind, listener.size)
        songs = Songs(takes, listener, sizes, figures.frames, root=data, hold_out=hold_out)
        return SingRecipe(songs, figures, judge, heard=songs.heard_of(speaker.load()), start=begun)

    return {"sing": sing}
