"""The library of voices on disk: enrol, find, mix, export, import.

The module itself can be called: `mynah.voices()` lists them. Importing it is cheap.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mynah.voices.library import Summary


class _Voices(ModuleType):
    """The folder of voices, which can itself be called."""

    def __call__(self) -> list[Summary]:
        """Every voice in one line, the user's own first; quick, because only text is read."""
        from mynah.voices.library import names

        return names()


sys.modules[__name__].__class__ = _Voices
