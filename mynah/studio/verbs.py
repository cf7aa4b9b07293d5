"""A tab for every verb that has a system, made from its protocol: what goes in, who does it, what can be adjusted."""

from __future__ import annotations

from inspect import isclass, signature
from pathlib import Path
from typing import Any, get_type_hints

import gradio as gr

from mynah.core import verbs
from mynah.core.errors import BadAudio, BadOption
from mynah.core.registry import names
from mynah.core.types import Audio, Transcript, Voice
from mynah.serve.asking import system_for
from mynah.serve.knobs import FORMATS
from mynah.serve.work import KINDS
from mynah.studio import engines, people
from mynah.studio.desk import QUIET, Desk, told
from mynah.studio.watch import Watch
from mynah.studio.words import Words

_LETTERS = 10_000  # of a text


def able() -> list[str]:
    """Verbs that somebody here can do, and that the server has a job for."""
    return [verb for verb in verbs.VERBS if verb in KINDS and any(engines.of(verb, name) for name in names())]


def protocol(verb: str) -> type:
    """Which protocol a system of that verb speaks."""
    [found] = [
        thing
        for thing in vars(verbs).values()
        if isclass(thing) and getattr(thing, "_is_protocol", False) and verb in vars(thing)
    ]
    return found


class VerbTab:
    """One verb.

    Attributes:
        voice: The list of voices, where the verb takes one.
    """

    def __init__(self, desk: Desk, said: Words, page: gr.Blocks, verb: str) -> None:
        self._desk, self._said, self._verb = desk, said, verb
        method = getattr(protocol(verb), verb)
        hints = get_type_hints(method, vars(verbs))
        takes = [hints[name] for name in signature(method).parameters if name in hints and name != "options"]
        self._sound, self._text = Audio in takes or verbs.Blocks in takes, str in takes
        self._heard = hints["return"] is not Transcript
        self.voice: gr.Dropdown | None = None
        inputs: list[Any] = []
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                if self._sound:
                    inputs.append(
                        gr.Audio(
                            sources=["upload", "microphone"],
                            type="filepath",
                            buttons=["download"],
                            label=said("Recording"),
                            elem_id=f"{verb}-source",
                            interactive=True,
                        )
                    )
                if self._text:
                    inputs.append(
                        gr.Textbox(
                            lines=4, max_length=_LETTERS, label=said("Text"), elem_id=f"{verb}-text", interactive=True
                        )
                    )
            with gr.Column(min_width=320):
                if Voice in takes:
                    known = people.choices(said)
                    self.voice = gr.Dropdown(
                        known, value=known[0][1] if known else None, label=said("Voice"), allow_custom_value=True,
                        info=said("A voice, or a mixture such as ann:0.7,bo:0.3"), elem_id=f"{verb}-voice",
                        interactive=True,
                    )  # fmt: skip
                system = engines.chooser(verb, said, label=said("Who does it"), name=f"{verb}-system")
                format = gr.Dropdown(
                    list(FORMATS),
                    value="flac",
                    label=said("Format of the result"),
                    visible=self._heard,
                    elem_id=f"{verb}-format",
                    interactive=True,
                )
        if not (self._sound or self._text):
            raise TypeError(f"nothing is known that {verb} could be given")
        drawer = gr.Column()
        self._watch = Watch(desk, said, verb)
        self._watch.resume(page)
        inputs += [each for each in (self.voice, system, format) if each is not None]
        with drawer:

            @gr.render(system)  # type: ignore[untyped-decorator]
            def controls(model: str) -> None:
                self._drawer(inputs, model)

    def _drawer(self, inputs: list[Any], model: str) -> None:
        """The controls of the chosen system, and the button, which is not there before it can do something."""
        said, verb = self._said, self._verb
        controls = engines.adjusted(verb, model, said, verb)
        go = gr.Button(said(verb.capitalize()), variant="primary", size="lg", elem_id=f"{verb}-go")

        def asked(who: gr.Request, *values: Any) -> Any:
            told_by_page = list(values[: len(inputs)])
            given = told_by_page.pop(0)
            voice = told_by_page.pop(0) if self.voice is not None else ""
            with told():
                options = controls.given(values[len(inputs) :]) if controls else {}
                model, format = told_by_page
                return self._watch.begun(self._ask(who, given, voice, model, format, options))

        go.click(asked, [*inputs, *(controls.parts if controls else [])], self._watch.outputs, **QUIET)

    def _ask(self, who: gr.Request, given: Any, voice: str, model: str, format: str, options: dict[str, Any]) -> Any:
        said, verb = self._said, self._verb
        if not given:
            raise BadAudio(said("Choose a recording first.") if self._sound else said("Write something first."))
        if self._text and len(given) > _LETTERS:
            raise BadOption(f"a text of {len(given)} letters: {_LETTERS} are the most at once")
        if format not in FORMATS:
            raise BadOption(f"there is no format {format!r}")
        what = {"verb": verb, "format": format, "system": system_for(verb, model), "options": options, "preview": True}
        if self.voice is not None:
            if not voice:
                raise BadOption(said("Choose a voice, or record one."))
            made_for = people.system_of(voice)
            if made_for and model == engines.DEFAULT and engines.of(verb, made_for):
                what |= {"system": made_for, "options": {}}  # those on the page are another system's
            what["voice"] = voice
        what |= {"two": False, "stems": []} if verb == "separate" else {}
        if self._text:
            what["text"] = given
        return self._desk.ask(who, KINDS[verb], what, [] if self._text else [Path(given)])
