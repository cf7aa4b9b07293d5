"""Cover: a whole song in, the same song with another voice out.

The module itself can be called: `mynah.cover("song.mp3", "me", "song-me.mp3")`. Importing it is cheap: torch and the
systems come in with the first call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mynah.core.errors import BadOption, BadVoice
from mynah.scenes.cover.result import Cover, Done

if TYPE_CHECKING:
    from mynah.core.types import Audio, Voice

__all__ = ["Cover", "Done", "cover"]


def cover(
    song: Audio | Path | str,
    voice: Voice | str,
    out: Path | str | None = None,
    *,
    separator: str | None = None,
    converter: str | None = None,
    separate: Mapping[str, Any] | None = None,
    convert: Mapping[str, Any] | None = None,
    replace: Mapping[str, Path | str] | None = None,
    stems: Path | str | None = None,
    work: Path | str | None = None,
    bits: int | None = None,
    device: str = "cpu",
    progress: Callable[[str, float], None] = lambda step, fraction: None,
    **options: Any,
) -> Cover:
    """Take the vocals out of a song, give them another voice, and put them back so that it sounds finished.

    Every step is kept by the content of what it was made from: a second cover of a song separates nothing again, and
    one that was stopped goes on at the step that it was in. At most 10 GB are kept, or `$MYNAH_COVERS_GB`.

    Args:
        song: A recording, or the file that it is in.
        voice: Who should be heard: a voice, or what `mynah.voice` understands.
        out: Where the finished song goes; its suffix chooses the format, and tags are kept. `None` for the cache, from
            where `Cover.audio` has it.
        separator: Who takes the song apart: one of the files of `mynah/separate`.
        converter: Who gives the vocal its voice: one of the files of `mynah/convert`.
        separate: Options of the separator, by name.
        convert: Options of the converter, by name.
        replace: Files to use instead of what a step would give, by the name of the stem: a hand-made `lead`, or a
            corrected `melody` (a table as `mynah.features.pitch.write_csv` writes it). What comes before is left out,
            what comes after is made anew.
        stems: A folder for all files on the way, under their names.
        work: Where steps are kept; by default in Mynah's own folder.
        bits: Per sample of the result, where its format leaves a choice.
        device: Where the nets run, as torch calls it.
        progress: Told the step that is being done, and its fraction.
        options: Of the cover, by name, as `mynah cover --help` lists them; what is not given keeps its default.

    Raises:
        UnknownSystem: No such separator or converter.
        UnknownVoice: No voice of that name.
        BadVoice: The voice was made for another converter.
        BadAudio: The song, or a file that replaces a stem, cannot be read.
        BadOption: One line for each option that does not exist or is out of bounds.
        MissingExtra: pedalboard is not installed.
        NoSpace: The disk is full; steps that were finished stay.
    """
    from mynah.convert import DEFAULT as CONVERTER
    from mynah.core.registry import find, full
    from mynah.core.verbs import options_of
    from mynah.scenes.cover.making import covered
    from mynah.scenes.cover.options import CoverOptions
    from mynah.scenes.cover.steps import Engines
    from mynah.scenes.cover.vocal import installed
    from mynah.separate import DEFAULT as SEPARATOR

    if isinstance(voice, str):
        from mynah.voices.library import find as find_voice

        voice = find_voice(voice)
    separator = full(separator or SEPARATOR, "separate")
    converter = full(converter or voice.system or CONVERTER, "convert")
    chosen = CoverOptions.of(**options)
    if "transpose" in (convert or {}):
        raise BadOption("a cover transposes by itself: give it `transpose`, not the converter")
    separating = options_of(find(separator), "separate").of(**(separate or {}))
    converting = options_of(find(converter), "convert").of(**(convert or {}))
    if voice.system not in ("", converter):
        raise BadVoice(f"the voice {voice.name!r} was made for {voice.system}: convert with that system")
    if not {"polished", "mix", "master"} & set(replace or {}):
        installed()
    engines = Engines(separator, converter, separating, converting, voice, device)
    return covered(song, out, chosen, engines, replace or {}, stems=stems, work=work, bits=bits, progress=progress)


class _Cover(ModuleType):
    """The scene, which can itself be called."""

    @staticmethod
    def __call__(song: Audio | Path | str, voice: Voice | str, out: Path | str | None = None, **named: Any) -> Cover:
        return cover(song, voice, out, **named)


_Cover.__call__.__doc__ = cover.__doc__
sys.modules[__name__].__class__ = _Cover
