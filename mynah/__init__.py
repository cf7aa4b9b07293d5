"""Mynah: any voice sings your recording.

    import mynah

    me = mynah.enrol("me.wav")                      # half a minute of somebody, kept in the library as "me"
    song = mynah.read("song.wav")                   # Audio: samples [channel, time] in [-1, 1], and a rate in Hz
    mynah.write(mynah.convert(song, me), "song-me.wav")
    stems = mynah.separate("hit.mp3")               # Stems: {"vocals": Audio, "accompaniment": Audio}
    mynah.write(mynah.say("Good morning.", me), "morning.wav")

Importing this costs nothing: torch and everything else come in with the first name that is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mynah.api import adopt as adopt
    from mynah.api import enrol as enrol
    from mynah.api import voice as voice
    from mynah.audio.files import read as read
    from mynah.audio.files import write as write
    from mynah.convert import convert as convert
    from mynah.core.types import Audio as Audio
    from mynah.core.types import Contour as Contour
    from mynah.core.types import Stems as Stems
    from mynah.core.types import Transcript as Transcript
    from mynah.core.types import Voice as Voice
    from mynah.scenes.cover import cover as cover
    from mynah.scenes.speech import say as say
    from mynah.separate import separate as separate
    from mynah.speak import speak as speak
    from mynah.transcribe import transcribe as transcribe
    from mynah.vocode import vocode as vocode
    from mynah.voices.library import names as voices

    __version__: str

# Where each name comes from. Folders that can themselves be called stand without a colon.
_HOMES = {
    "Audio": "mynah.core.types:Audio",
    "Contour": "mynah.core.types:Contour",
    "Stems": "mynah.core.types:Stems",
    "Transcript": "mynah.core.types:Transcript",
    "Voice": "mynah.core.types:Voice",
    "adopt": "mynah.api:adopt",
    "convert": "mynah.convert",
    "cover": "mynah.scenes.cover",
    "enrol": "mynah.api:enrol",
    "read": "mynah.audio.files:read",
    "say": "mynah.scenes.speech:say",
    "separate": "mynah.separate",
    "speak": "mynah.speak",
    "transcribe": "mynah.transcribe",
    "vocode": "mynah.vocode",
    "voice": "mynah.api:voice",
    "voices": "mynah.voices",
    "write": "mynah.audio.files:write",
}

__all__ = [
    "Audio",
    "Contour",
    "Stems",
    "Transcript",
    "Voice",
    "__version__",
    "adopt",
    "convert",
    "cover",
    "enrol",
    "read",
    "say",
    "separate",
    "speak",
    "transcribe",
    "vocode",
    "voice",
    "voices",
    "write",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mynah")
    if name not in _HOMES:
        raise AttributeError(f"module 'mynah' has no attribute {name!r}")
    module, _, thing = _HOMES[name].partition(":")
    home = importlib.import_module(module)
    value = getattr(home, thing) if thing else home
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
