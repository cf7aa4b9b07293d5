"""A checkpoint of openai/whisper's layout that any machine makes alike, over a vocabulary of bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mynah.core.types import Audio
from mynah.transcribe.whisper.net import Config, Net
from mynah.transcribe.whisper.tokens import _bytes_of_letters, small_vocabulary, specials

CONFIG = Config(80, 128, 1, 1500, small_vocabulary().size, 2, 64)
DIMS = {
    "n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 128, "n_audio_head": 2, "n_audio_layer": 1,
    "n_vocab": CONFIG.vocabulary, "n_text_ctx": 64, "n_text_state": 128, "n_text_head": 2, "n_text_layer": 2,
}  # fmt: skip


def waves(shape: torch.Size, phase: int, scale: float) -> Tensor:
    """Sines of a phase that grows with the square: as wild as chance, and the same everywhere."""
    ramp = torch.arange(shape.numel(), dtype=torch.float64)
    return (torch.sin(0.618 * ramp * ramp + phase) * scale).float().reshape(shape)


def state(config: Config = CONFIG) -> dict[str, Tensor]:
    made = {}
    for phase, (name, value) in enumerate(sorted(Net(config).state_dict().items())):
        scale = 1.2 if "token_embedding" in name else 0.3 if value.ndim > 1 else 0.2
        made[name] = waves(value.shape, phase, scale)
    return made


def song(seconds: float) -> Audio:
    t = torch.arange(round(16_000 * seconds), dtype=torch.float64) / 16_000
    wave = 0.3 * torch.sin(2 * torch.pi * 220 * t + 3 * torch.sin(7 * t)) * (0.5 + 0.5 * torch.sin(3 * t))
    return Audio(wave.float()[None], 16_000)


def original(folder: Path) -> Path:
    """As openai/whisper saves it, with the vocabulary beside."""
    path = folder / "small-song.pt"
    torch.save({"dims": DIMS, "model_state_dict": state()}, path)
    rows: list[Any] = [base64.b64encode(piece).decode() or "=" for piece in small_vocabulary().pieces]
    text = "".join(f"{piece} {number}\n" for number, piece in enumerate(rows))
    (folder / "multilingual.tiktoken").write_text(text, "ascii")
    return path


_HUB = {
    "cross_attn_ln.": "encoder_attn_layer_norm.", "attn_ln.": "self_attn_layer_norm.", "mlp_ln.": "final_layer_norm.",
    "cross_attn.": "encoder_attn.", "attn.": "self_attn.", "mlp.0.": "fc1.", "mlp.2.": "fc2.",
    "query.": "q_proj.", "key.": "k_proj.", "value.": "v_proj.", "out.": "out_proj.",
    "blocks.": "layers.", "ln_post.": "layer_norm.", "ln.": "layer_norm.",
    "token_embedding.": "embed_tokens.", "positional_embedding": "embed_positions.weight",
}  # fmt: skip


def hugging_face(folder: Path) -> Path:
    """The same as a folder of Hugging Face, vocabulary included."""
    named = {}
    for name, value in state().items():
        side, _, rest = name.partition(".")
        parts = []
        while rest:
            for ours, theirs in _HUB.items():
                if rest.startswith(ours):
                    parts.append(theirs)
                    rest = rest.removeprefix(ours)
                    break
            else:
                head, _, rest = rest.partition(".")
                parts.append(head + ("." if rest else ""))
        named[f"model.{side}.{''.join(parts)}"] = value.contiguous()
    save_file(named, folder / "model.safetensors", {"format": "pt"})
    tokens = small_vocabulary()
    first = tokens.first_time
    config = {
        "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "num_mel_bins": 80,
        "d_model": 128, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512, "vocab_size": tokens.size,
        "max_source_positions": 1500, "max_target_positions": 64, "decoder_start_token_id": tokens.start,
        "pad_token_id": tokens.end, "bos_token_id": tokens.end, "eos_token_id": tokens.end,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    never = {"suppress_tokens": tokens.unsaid, "alignment_heads": [[1, 0], [1, 1]]}
    (folder / "generation_config.json").write_text(json.dumps(never))
    letters = {byte: letter for letter, byte in _bytes_of_letters().items()}
    vocabulary = {"".join(letters[byte] for byte in piece): at for at, piece in enumerate(tokens.pieces)}
    added = [{"content": name, "id": number} for name, number in specials(tokens.end, tokens.size).items()]
    added += [{"content": f"<|{0.02 * step:.2f}|>", "id": first + step} for step in range(1501)]
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": added}))
    return folder
