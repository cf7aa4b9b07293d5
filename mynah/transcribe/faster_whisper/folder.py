"""A folder as CTranslate2 wants it, from Whisper's weights under the names of openai/whisper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

_HEAD = 64  # channels of each head of every Whisper
_WINDOW = 1500  # frames that the encoder gives for 30 s
_CONTEXT = 448  # tokens: what the library counts on
_TIMES = 1501  # of 0.02 s
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Vocabulary:
    """All tokens.

    Attributes:
        pieces: Of text, each byte as the letter that GPT-2 shows it by; several languages have the empty piece, too.
        specials: After them, times left out.
    """

    pieces: tuple[str, ...]
    specials: tuple[str, ...]

    @classmethod
    def of_bytes(cls) -> Vocabulary:
        """Every byte is a piece of its own."""
        from faster_whisper.tokenizer import _LANGUAGE_CODES
        from tokenizers.pre_tokenizers import ByteLevel

        names = ("endoftext", "startoftranscript", *_LANGUAGE_CODES, *_TASKS)
        return cls((*sorted(ByteLevel.alphabet()), ""), tuple(f"<|{name}|>" for name in names))

    @property
    def tokens(self) -> list[str]:
        """In the order of their numbers."""
        return [*self.pieces, *self.specials, *(f"<|{0.02 * step:.2f}|>" for step in range(_TIMES))]

    def number(self, name: str) -> int:
        """Of a special, such as `"endoftext"`."""
        return len(self.pieces) + self.specials.index(f"<|{name}|>")

    @property
    def languages(self) -> list[int]:
        """Numbers of their tokens."""
        return list(range(self.number("startoftranscript") + 1, self.number("translate")))

    def write(self, folder: Path) -> None:
        """As `tokenizer.json`; pieces are never put together to longer ones."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        numbers = {token: number for number, token in enumerate((*self.pieces, *self.specials))}
        tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(name, special=True) for name in self.specials])
        tokenizer.add_tokens([AddedToken(name) for name in self.tokens[len(numbers) :]])
        tokenizer.save(str(folder / "tokenizer.json"))


def write(
    folder: Path,
    state: Mapping[str, Array],
    vocabulary: Vocabulary,
    *,
    never: Sequence[int] = (),
    heads: Sequence[tuple[int, int]] = (),
) -> Path:
    """Write weights as `model.bin`, with what belongs beside it.

    Args:
        folder: There already.
        state: Of both nets, in the key layout of openai/whisper.
        vocabulary: As many tokens as the weights have.
        never: Tokens that are never to be written.
        heads: Layers and heads that look where the word is; by default all of the later half.
    """
    from ctranslate2.specs import WhisperSpec

    def layers(side: str) -> int:
        return 1 + max(int(key.split(".")[2]) for key in state if key.startswith(f"{side}.blocks."))

    size, count = state["decoder.positional_embedding"].shape[1] // _HEAD, layers("decoder")
    spec = WhisperSpec(layers("encoder"), size, count, size)
    _fill_encoder(spec.encoder, state)
    _fill_decoder(spec.decoder, state)
    blank = vocabulary.pieces.index("Ġ")
    spec.config.suppress_ids = list(never)
    spec.config.suppress_ids_begin = [blank, vocabulary.number("endoftext")]
    spec.config.lang_ids = vocabulary.languages
    spec.config.alignment_heads = [list(pair) for pair in heads or product(range(count // 2, count), range(size))]
    spec.register_vocabulary(vocabulary.tokens)
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    vocabulary.write(folder)
    bands = {"feature_size": int(state["encoder.conv1.weight"].shape[1]), "sampling_rate": 16_000}
    (folder / "preprocessor_config.json").write_text(json.dumps(bands))
    return folder


def _fill_encoder(spec: Any, state: Mapping[str, Array]) -> None:
    for number in (1, 2):
        conv = getattr(spec, f"conv{number}")
        conv.weight, conv.bias = (_own(state[f"encoder.conv{number}.{part}"]) for part in ("weight", "bias"))
    spec.position_encodings.encodings = _own(state["encoder.positional_embedding"])
    _fill_norm(spec.layer_norm, state, "encoder.ln_post")
    for index, layer in enumerate(spec.layer):
        _fill_block(layer, state, f"encoder.blocks.{index}")


def _fill_decoder(spec: Any, state: Mapping[str, Array]) -> None:
    spec.embeddings.weight = spec.projection.weight = _own(state["decoder.token_embedding.weight"])
    spec.position_encodings.encodings = _own(state["decoder.positional_embedding"])
    _fill_norm(spec.layer_norm, state, "decoder.ln")
    for index, layer in enumerate(spec.layer):
        name = f"decoder.blocks.{index}"
        _fill_block(layer, state, name)
        query, key, value, out = _linears(state, f"{name}.cross_attn")
        _fill_linear(layer.attention.linear[0], query)
        _fill_linear(layer.attention.linear[1], key, value)
        _fill_linear(layer.attention.linear[2], out)
        _fill_norm(layer.attention.layer_norm, state, f"{name}.cross_attn_ln")


def _fill_block(layer: Any, state: Mapping[str, Array], name: str) -> None:
    *all_three, out = _linears(state, f"{name}.attn")
    _fill_linear(layer.self_attention.linear[0], *all_three)
    _fill_linear(layer.self_attention.linear[1], out)
    _fill_norm(layer.self_attention.layer_norm, state, f"{name}.attn_ln")
    for number, place in ((0, "0"), (1, "2")):
        parts = state[f"{name}.mlp.{place}.weight"], state[f"{name}.mlp.{place}.bias"]
        _fill_linear(getattr(layer.ffn, f"linear_{number}"), parts)
    _fill_norm(layer.ffn.layer_norm, state, f"{name}.mlp_ln")


def _linears(state: Mapping[str, Array], name: str) -> list[tuple[Array, Array]]:
    """Weights and biases of one attention; a Whisper's keys have no bias."""
    found = []
    for part in ("query", "key", "value", "out"):
        weight = state[f"{name}.{part}.weight"]
        found.append((weight, state.get(f"{name}.{part}.bias", np.zeros(len(weight), np.float32))))
    return found


def _fill_linear(spec: Any, *parts: tuple[Array, Array]) -> None:
    spec.weight, spec.bias = (np.concatenate([part[which] for part in parts]) for which in (0, 1))


def _fill_norm(spec: Any, state: Mapping[str, Array], name: str) -> None:
    spec.gamma, spec.beta = _own(state[f"{name}.weight"]), _own(state[f"{name}.bias"])


def _own(array: Array) -> Array:
    return np.ascontiguousarray(array, np.float32)


def write_random(folder: Path, seed: int = 0) -> Path:
    """Weights that know nothing, of one head and one layer in each net."""
    vocabulary, dice = Vocabulary.of_bytes(), np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.conv1.weight": (_HEAD, 80, 3), "encoder.conv1.bias": (_HEAD,),
        "encoder.conv2.weight": (_HEAD, _HEAD, 3), "encoder.conv2.bias": (_HEAD,),
        "encoder.positional_embedding": (_WINDOW, _HEAD), "decoder.positional_embedding": (_CONTEXT, _HEAD),
        "decoder.token_embedding.weight": (len(vocabulary.tokens), _HEAD),
    }  # fmt: skip
    for side, last, attentions in (("encoder", "ln_post", ("attn",)), ("decoder", "ln", ("attn", "cross_attn"))):
        block = f"{side}.blocks.0"
        for norm in (f"{side}.{last}", f"{block}.mlp_ln", *(f"{block}.{name}_ln" for name in attentions)):
            shapes |= {f"{norm}.weight": (_HEAD,), f"{norm}.bias": (_HEAD,)}
        for name, part in product(attentions, ("query", "key", "value", "out")):
            shapes |= {f"{block}.{name}.{part}.weight": (_HEAD, _HEAD)}
            shapes |= {} if part == "key" else {f"{block}.{name}.{part}.bias": (_HEAD,)}
        shapes |= {f"{block}.mlp.0.weight": (4 * _HEAD, _HEAD), f"{block}.mlp.0.bias": (4 * _HEAD,)}
        shapes |= {f"{block}.mlp.2.weight": (_HEAD, 4 * _HEAD), f"{block}.mlp.2.bias": (_HEAD,)}
    state = {
        name: (dice.standard_normal(shape) * (0.5 / shape[-1] ** 0.5 if len(shape) > 1 else 0.1)).astype(np.float32)
        for name, shape in shapes.items()
    }
    return write(folder, state, vocabulary)
