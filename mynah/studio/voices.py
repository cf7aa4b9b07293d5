"""The voices tab: who there is, how they sound, and on what terms; voices taken in, mixed, handed on and forgotten."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

import mynah
from mynah.core.errors import BadOption
from mynah.serve.asking import system_for
from mynah.serve.uploads import plain
from mynah.studio import people
from mynah.studio.desk import QUIET, Desk, shown_from, told
from mynah.studio.watch import Watch
from mynah.studio.words import Words
from mynah.voices import library
from mynah.voices.sheet import fit_name

_PHRASE = Path(mynah.__file__).parent / "cli" / "song" / "voice.ogg"  # a song of nobody's, for listening to voices
_PARTS = 3  # of a mixture
_ADDRESS = re.compile(r"https://\S+|[\w-][\w.-]*/[\w-][\w.-]*(?:/\S+)?")


class VoicesTab:
    """Everything on the tab."""

    def __init__(self, desk: Desk, said: Words, page: gr.Blocks) -> None:
        self._desk, self._said = desk, said
        self.list = gr.HTML(elem_id="voices")
        known = people.choices(said)
        first = known[0][1] if known else None
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                self.voice = gr.Dropdown(known, value=first, label=said("Voice"), elem_id="voices-voice")
                self._about = gr.HTML(elem_id="voices-about")
                with gr.Row():
                    hear = gr.Button(said("Hear it sing"), elem_id="voices-hear")
                    export = gr.Button(said("Export"), elem_id="voices-export")
                self._parcel = gr.File(
                    label=said("One file with all of the voice"), visible=False, interactive=False,
                    elem_id="voices-parcel",
                )  # fmt: skip
                with gr.Row():
                    self._sure = gr.Checkbox(
                        label=said("Yes, delete it for good"), container=False, elem_id="voices-sure"
                    )
                    delete = gr.Button(said("Delete"), variant="stop", elem_id="voices-delete")
                self._watch = Watch(desk, said, "hear")
            with gr.Column(min_width=320):
                with gr.Accordion(said("Mix voices"), open=False):
                    self._mixer(known)
                with gr.Accordion(said("Take in a voice that somebody else trained"), open=False):
                    self._importer(page)
        shown = [self.list, self.voice, self._about, *self._mixed[::2]]
        self.voice.change(self._described, self.voice, self._about, **QUIET)
        hear.click(self._hear, self.voice, self._watch.outputs, **QUIET)
        export.click(self._export, self.voice, self._parcel, **QUIET)
        delete.click(self._delete, [self.voice, self._sure], [*shown, self._sure], **QUIET)
        self._save.click(self._mix, [self._mixed_name, *self._mixed], shown, **QUIET)
        self._import.ended.change(self._imported, self._import.ended, shown, **QUIET)
        page.load(self.fresh, self.voice, shown, **QUIET)
        self.shown = shown

    def _mixer(self, known: list[tuple[str, str]]) -> None:
        said = self._said
        self._mixed: list[Any] = []
        for number in range(_PARTS):
            with gr.Row():
                usual = known[number][1] if number < min(2, len(known)) else None
                share = 0.5 if usual else 0.0
                whose = gr.Dropdown(
                    known, value=usual, label=said("Voice"), min_width=140, scale=3, elem_id=f"mix-voice-{number}"
                )  # fmt: skip
                much = gr.Slider(
                    0, 1, share, step=0.01, label=said("Share"), min_width=140, scale=2, elem_id=f"mix-share-{number}"
                )  # fmt: skip
                self._mixed += [whose, much]
        self._mixed_name = gr.Textbox(label=said("Name of the voice"), max_length=64, elem_id="mix-name")
        self._save = gr.Button(said("Keep this mixture"), elem_id="mix-go")

    def _importer(self, page: gr.Blocks) -> None:
        said = self._said
        gr.Markdown(said("Nothing in such a file is ever run. Use only what its owner allows."))
        file = gr.File(label=said("A model, or an archive with it"), type="filepath", elem_id="import-file")
        address = gr.Textbox(
            label=said("or an address"), placeholder="https://… / owner/name", elem_id="import-address"
        )
        name = gr.Textbox(label=said("Name of the voice"), max_length=64, elem_id="import-name")
        license = gr.Textbox(label=said("Licence"), max_length=200)
        go = gr.Button(said("Take it in"), elem_id="import-go")
        self._import = Watch(self._desk, said, "import")
        self._import.resume(page)
        go.click(self._take_in, [file, address, name, license], self._import.outputs, **QUIET)

    def fresh(self, chosen: str | None) -> list[Any]:
        """The list as it is now, with the same voice chosen if it is still there."""
        known = people.choices(self._said)
        names = [name for _, name in known]
        chosen = chosen if chosen in names else next(iter(names), None)
        mixed = [gr.Dropdown(known) for _ in range(_PARTS)]
        return [self._listed(), gr.Dropdown(known, value=chosen), self._described(chosen), *mixed]

    def _listed(self) -> str:
        said = self._said
        heads = (said("Voice"), said("Range"), said("Kind"), said("Sung by"), said("Licence"))
        rows = [
            (
                voice.name,
                people.notes(voice.range_hz) or "?",
                said(voice.kind),
                voice.system.partition("/")[2] or said("any system"),
                voice.license or said("private"),
            )
            for voice in library.names()
        ]
        head = "".join(f"<th scope='col'>{escape(each)}</th>" for each in heads)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"

    def _described(self, name: str | None) -> str:
        if not name:
            return ""
        said, voice = self._said, library.describe(name)
        low, high = voice.range_hz
        made = voice.origin or (
            said("{seconds} s of recordings", seconds=round(voice.seconds)) if voice.seconds else ""
        )
        facts = [
            (said("Range"), f"{people.notes(voice.range_hz)} ({low:.0f}–{high:.0f} Hz)" if low else said("unknown")),
            (said("Made from"), made),
            (said("Licence"), voice.license or said("private")),
            (said("To be named"), voice.attribution),
        ]
        lines = "".join(f"<dt>{escape(what)}</dt><dd>{escape(fact)}</dd>" for what, fact in facts if fact)
        return f"<dl>{lines}</dl>{''.join(f'<p>{escape(sentence)}</p>' for sentence in voice.advice)}"

    def _hear(self, name: str | None, who: gr.Request) -> Any:
        with told():
            if not name:
                raise BadOption(self._said("Choose a voice, or record one."))
            system = people.system_of(name) or system_for("convert", "default")
            what = {
                "verb": "convert",
                "system": system,
                "voice": name,
                "format": "flac",
                "options": {},
                "preview": False,
            }
            return self._watch.begun(self._desk.ask(who, "conversion", what, [_PHRASE]))

    def _export(self, name: str | None) -> Any:
        with told():
            if not name:
                return gr.skip()
            name = library.describe(name).name  # one of the library, never a path
            return gr.File(str(library.export(name, shown_from(f"{name}.mynah"))), visible=True)

    def _delete(self, name: str | None, sure: bool) -> list[Any]:
        with told():
            if not sure:
                raise BadOption(self._said("Say first that you are sure."))
            if name:
                library.remove(name)
            return [*self.fresh(None), False]

    def _mix(self, name: str, *parts: Any) -> list[Any]:
        with told():
            spec = ",".join(
                f"{voice}:{share}" for voice, share in zip(parts[::2], parts[1::2], strict=True) if voice and share > 0
            )
            if not spec:
                raise BadOption(self._said("Choose voices and their shares first."))
            for part in parts[::2]:
                if part:
                    library.describe(part)  # a name of the library, never a file
            return self.fresh(library.save(library.find(spec), name).name)

    def _take_in(self, file: str | None, address: str, name: str, license: str, who: gr.Request) -> Any:
        with told():
            address = address.strip()
            if bool(file) == bool(address):
                raise BadOption(self._said("Give a file, or an address."))
            if address and (not _ADDRESS.fullmatch(address) or Path(address).exists()):
                raise BadOption(self._said("An address begins with https://, or is owner/name on the hub."))
            called = fit_name(name.strip() or plain(file or address))
            what = {
                "name": called, "license": license, "attribution": "", "replace": False, "address": address,
                "origin": Path(file).name if file else "",  # an address is noted without the keys in it
            }  # fmt: skip
            files = [file] if file else []
            return self._import.begun(self._desk.ask(who, "adoption", what, files, sound=False))

    def _imported(self, id: str, who: gr.Request) -> Any:
        job = self._desk.job(who, id)
        return self.fresh(job.result["voice"]) if job else [gr.skip()] * len(self.shown)
