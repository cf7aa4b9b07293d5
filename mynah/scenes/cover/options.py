"""What a listener may change about a cover; the separator and the converter have options of their own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mynah.scenes.cover.vocal import VocalEffects


def _unit(name: str) -> dict[str, str]:
    return {"unit": name}


class CoverOptions(VocalEffects):
    """Melody, parts, balance and loudness; and the effects on the vocal."""

    transpose: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=-36, le=36)],
        Field(
            description="move the vocal by this much; auto moves it into the voice's own range",
            json_schema_extra=_unit("semitones"),
        ),
    ] = "auto"
    key: Annotated[
        Literal["keep", "follow"],
        Field(
            description="keep the key of the song, so that auto moves by whole octaves; "
            "or let the accompaniment follow the vocal, so that auto moves by semitones"
        ),
    ] = "keep"
    split: Annotated[bool, Field(description="tell lead from backing vocals, and convert the lead alone")] = False
    dereverb: Annotated[
        float, Field(ge=0, le=1, description="take this much of the lead's reverb away before it is converted")
    ] = 0.0
    vocal_db: Annotated[
        float,
        Field(
            ge=-60,
            le=24,
            description="level of the converted vocal, against the loudness of the original one",
            json_schema_extra=_unit("dB"),
        ),
    ] = 0.0
    accompaniment_db: Annotated[
        float, Field(ge=-60, le=24, description="level of the accompaniment", json_schema_extra=_unit("dB"))
    ] = 0.0
    backing_db: Annotated[
        float, Field(ge=-60, le=24, description="level of the backing vocals", json_schema_extra=_unit("dB"))
    ] = 0.0
    lufs: Annotated[
        float,
        Field(
            ge=-36, le=-6, description="loudness of the result; streaming plays at -14", json_schema_extra=_unit("LUFS")
        ),
    ] = -14.0
    peak_db: Annotated[
        float,
        Field(
            ge=-12,
            le=0,
            description="true peak that the result does not exceed, below full scale",
            json_schema_extra=_unit("dB"),
        ),
    ] = -1.0
