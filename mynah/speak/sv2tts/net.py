"""The synthesizer: Tacotron with the voice's vector beside every letter, in the key layout of Real-Time Voice Cloning.

Wang et al., "Tacotron", arXiv 1703.10135; Jia et al., "Transfer Learning from Speaker Verification to Multispeaker
Text-To-Speech Synthesis", arXiv 1806.04558; attention by place after Chorowski et al., arXiv 1506.07503.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from mynah.features.mel import SYMMETRIC, MelFormat
from mynah.nets.cbhg import CBHG, Prenet
from mynah.speak.sv2tts.text import SYMBOLS

FORMAT = MelFormat(
    16_000, 800, 200, 800, 80, 55.0, 7600.0, centred=True, edges="constant", scale=SYMMETRIC, preemphasis=0.97,
    epsilon=0.0,
)  # fmt: skip
SILENCE = -3.4  # a frame of which no band is stronger is silent
MOST_AT_ONCE = 20  # frames that a decoder can say in one step; how many it does is trained
ZONEOUT = 0.1  # share of the decoder's state that stays as it was, in training


@dataclass(frozen=True)
class Config:
    """Sizes; by default the published ones.

    Attributes:
        letter: Of a symbol's vector.
        reading: Channels of the encoder.
        attention: Of attention, and half of the prenet's.
        units: Of the decoder's two recurrent layers.
        finish: Channels of the net behind the decoder.
        kernels: Of the banks of convolutions.
        highways: Of both CBHGs.
        voice: Of the vector of a voice.
        bands: Of the mel spectrogram.
    """

    letter: int = 512
    reading: int = 256
    attention: int = 128
    units: int = 1024
    finish: int = 512
    kernels: int = 5
    highways: int = 4
    voice: int = 256
    bands: int = FORMAT.bands


class Reader(nn.Module):
    """Letters `[batch, letter]` and vectors of voices `[batch, voice]` to `[batch, letter, reading + voice]`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = config.reading
        self.embedding = nn.Embedding(len(SYMBOLS), config.letter)
        self.pre_net = Prenet(config.letter, size, size)
        self.cbhg = CBHG(
            config.kernels, size, size, (size, size), highways=config.highways, units=size // 2, bridge=False
        )

    def forward(self, letters: Tensor, voice: Tensor, *, drop: bool, dice: Generator | None) -> Tensor:
        read = self.cbhg(self.pre_net(self.embedding(letters), drop=drop, dice=dice).transpose(1, 2))
        return torch.cat([read, voice[:, None].expand(-1, letters.shape[1], -1)], -1)


class Attention(nn.Module):
    """Where in the text the decoder is, from what it says and from where it has been."""

    def __init__(self, size: int, filters: int = 32, kernel: int = 31) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, filters, kernel, padding=kernel // 2)
        self.L = nn.Linear(filters, size, bias=False)
        self.W = nn.Linear(size, size)
        self.v = nn.Linear(size, 1, bias=False)

    def forward(self, text: Tensor, asking: Tensor, been: Tensor, there: Tensor) -> Tensor:
        """Shares of the letters `[batch, letter]`.

        Args:
            text: Projected, `[batch, letter, size]`.
            asking: `[batch, size]`.
            been: Shares so far, added up, `[batch, letter]`.
            there: 1 where there is a letter, 0 where a text was filled up.
        """
        places = self.L(self.conv(been[:, None]).transpose(1, 2))
        score = self.v(torch.tanh(self.W(asking)[:, None] + text + places))[..., 0]
        # What was filled up gets a score of 0, as published, and not none at all.
        return torch.softmax(score * there, 1)


class State(NamedTuple):
    """What the decoder remembers from step to step."""

    asking: Tensor
    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]
    context: Tensor
    been: Tensor


class Decoder(nn.Module):
    """Says some frames at a time, from the last one and from what of the text it attends to."""

    r: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        size, text = config.attention, config.reading + config.voice
        self.register_buffer("r", torch.tensor(1, dtype=torch.int))
        self.prenet = Prenet(config.bands, 2 * size, 2 * size)
        self.attn_net = Attention(size)
        self.attn_rnn = nn.GRUCell(text + 2 * size, size)
        self.rnn_input = nn.Linear(text + size, config.units)
        self.res_rnn1 = nn.LSTMCell(config.units, config.units)
        self.res_rnn2 = nn.LSTMCell(config.units, config.units)
        self.mel_proj = nn.Linear(config.units, config.bands * MOST_AT_ONCE, bias=False)
        self.stop_proj = nn.Linear(text + config.units, 1)

    def start(self, text: Tensor) -> State:
        """Before the first frame."""
        count, letters, size = text.shape
        zeros = text.new_zeros
        first, second = ((zeros(count, self.config.units), zeros(count, self.config.units)) for _ in range(2))
        return State(zeros(count, self.config.attention), first, second, zeros(count, size), zeros(count, letters))

    def forward(
        self, last: Tensor, text: Tensor, projected: Tensor, there: Tensor, state: State, *, drop: bool,
        dice: Generator | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, State]:  # fmt: skip
        """One step.

        Returns:
            Frames `[batch, band, 20]` of which `r` are meant, shares of the letters `[batch, letter]`, the chance that
            the text has ended `[batch]`, and what is remembered.
        """
        heard = self.prenet(last, drop=drop, dice=dice)
        asking = self.attn_rnn(torch.cat([state.context, heard], -1), state.asking)
        shares = self.attn_net(projected, asking, state.been, there)
        context = (shares[:, None] @ text)[:, 0]
        x = self.rnn_input(torch.cat([context, asking], -1))
        first = self._kept(state.first, self.res_rnn1(x, state.first))
        x = x + first[0]
        second = self._kept(state.second, self.res_rnn2(x, state.second))
        x = x + second[0]
        frames = self.mel_proj(x).unflatten(-1, (self.config.bands, MOST_AT_ONCE))
        ended = torch.sigmoid(self.stop_proj(torch.cat([x, context], -1)))[:, 0]
        return frames, shares, ended, State(asking, first, second, context, state.been + shares)

    def _kept(self, before: tuple[Tensor, Tensor], now: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """In training a tenth of the state stays as it was (zoneout); the cell does not."""
        if not self.training:
            return now
        stays = (torch.rand_like(now[0]) < ZONEOUT).float()
        return before[0] * stays + now[0] * (1 - stays), now[1]


class Said(NamedTuple):
    """What became of texts.

    Attributes:
        raw: Mel spectrograms as the decoder says them, `[batch, band, frame]`.
        mel: As they are finished.
        shares: Of the letters in every step, `[batch, step, letter]`.
        ended: The chance that the text has ended, `[batch, frame]`.
    """

    raw: Tensor
    mel: Tensor
    shares: Tensor
    ended: Tensor


class Synthesizer(nn.Module):
    """Letters and the vector of a voice to a mel spectrogram."""

    step: Tensor
    stop_threshold: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("step", torch.zeros(1, dtype=torch.long))
        self.register_buffer("stop_threshold", torch.tensor(SILENCE))
        self.encoder = Reader(config)
        self.encoder_proj = nn.Linear(config.reading + config.voice, config.attention, bias=False)
        self.decoder = Decoder(config)
        self.postnet = CBHG(
            config.kernels, config.bands, config.finish, (config.finish, config.bands), highways=config.highways,
            units=config.finish // 2,
        )  # fmt: skip
        self.post_proj = nn.Linear(config.finish, config.bands, bias=False)
        for value in self.parameters():
            if value.ndim > 1:
                nn.init.xavier_uniform_(value)

    def forward(self, letters: Tensor, voice: Tensor, mel: Tensor, *, drop: bool = True) -> Said:
        """Teacher forced: every step hears the last frame that was recorded before it.

        Args:
            letters: `[batch, letter]`, filled up with 0.
            voice: Vectors of unit length, `[batch, voice]`.
            mel: Recorded, `[batch, band, frame]`, a multiple of `r` long.
            drop: Whether the prenets drop a half, as they always do but in tests.
        """
        text = self.encoder(letters, voice, drop=drop, dice=None)
        projected, there, state = self.encoder_proj(text), (letters != 0).float(), self.decoder.start(text)
        many, every = int(self.decoder.r), []
        last = torch.zeros_like(mel[..., 0])
        for at in range(0, mel.shape[-1], many):
            *said, state = self.decoder(last, text, projected, there, state, drop=drop)
            every.append(said)
            last = mel[..., at + many - 1]
        return self._finished(every, many)

    @torch.inference_mode()
    def speak(
        self,
        letters: Tensor,
        voice: Tensor,
        *,
        dice: Generator | None = None,
        many: int | None = None,
        sure: float = 0.5,
        longest: int = 2000,
        drop: bool = True,
    ) -> Said:
        """Say one text.

        Args:
            letters: `[1, letter]`.
            voice: A vector of unit length, `[1, voice]`.
            dice: Of the prenets' dropout.
            many: Frames of a step; by default as many as were trained.
            sure: How probable it must be that the text has ended.
            longest: Frames at most.
            drop: Whether the prenets drop a half.
        """
        text = self.encoder(letters, voice, drop=drop, dice=dice)
        projected, there, state = self.encoder_proj(text), (letters != 0).float(), self.decoder.start(text)
        many, every = many or int(self.decoder.r), []
        last = text.new_zeros(1, self.config.bands)
        for at in range(0, longest, many):
            *said, state = self.decoder(last, text, projected, there, state, drop=drop, dice=dice)
            every.append(said)
            last = said[0][..., many - 1]
            if said[2].item() > sure and at > 10:
                break
        return self._finished(every, many)

    def _finished(self, every: list[list[Tensor]], many: int) -> Said:
        frames, shares, ended = zip(*every, strict=True)
        raw = torch.cat([each[..., :many] for each in frames], -1)
        mel = self.post_proj(self.postnet(raw)).transpose(1, 2)
        return Said(raw, mel, torch.stack(shares, 1), torch.stack(ended, 1).repeat_interleave(many, 1))


def trimmed(mel: Tensor, silence: float = SILENCE) -> Tensor:
    """Without the silent frames at its end, `[band, frame]`; one frame is always left."""
    loud = (mel.amax(0) >= silence).nonzero()
    return mel[:, : int(loud[-1, 0]) + 1 if len(loud) else 1]
