"""The whole net: for training with everything, for inference with what was exported."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.whisper_vits_svc.decoder import Decoder
from mynah.convert.whisper_vits_svc.encoders import Latent, Posterior, Prior, SpeakerClassifier
from mynah.convert.whisper_vits_svc.flow import Flow
from mynah.convert.whisper_vits_svc.sizes import NetConfig


class Singer(nn.Module):
    """What sings: prior, flow, decoder. This is what the original exports."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.enc_p = Prior(config)
        self.flow = Flow(config)
        self.dec = Decoder(config.latent, config.voice, config.decoder)

    def latent(
        self, words: Tensor, sounds: Tensor | None, pitch: Tensor, voice: Tensor, mask: Tensor, noise: Tensor
    ) -> Tensor:
        """What the decoder sings from, `[batch, latent, frame]`; see `Prior` for the rest."""
        expected, _ = self.enc_p(words, sounds, pitch, mask, noise)
        given, _ = self.flow(expected.sample, mask, voice, reverse=True)
        return given * mask


class Noise(NamedTuple):
    """All that is random in a step of training; every part is white, of variance one, but `phases`.

    Attributes:
        words: On the first feature, as large as it.
        sounds: On the second one, where there is one.
        prior: `[batch, latent, frame]`.
        posterior: `[batch, latent, frame]`.
        decoder: On what the decoder is given, `[batch, latent, segment]`.
        source: `[batch, segment * hop]`.
        phases: Of the harmonics, in turns, `[batch, 11]`.
    """

    words: Tensor
    sounds: Tensor | None
    prior: Tensor
    posterior: Tensor
    decoder: Tensor
    source: Tensor
    phases: Tensor


class Learnt(NamedTuple):
    """What a step of training gives, for the losses.

    Attributes:
        sound: Of the segments, `[batch, 1, segment * hop]`.
        prior: As expected.
        posterior: As heard.
        forward: The posterior's sample with the voice taken off.
        backward: The prior's sample with the voice put on.
        volume: Logarithm of the determinant of the first way, `[batch]`.
        volume_back: And of the second.
        guess: Of the vector of the voice, by whom the prior should not have given a hint, `[batch, size]`.
    """

    sound: Tensor
    prior: Latent
    posterior: Latent
    forward: Tensor
    backward: Tensor
    volume: Tensor
    volume_back: Tensor
    guess: Tensor


WORDS_NOISE, SOUNDS_NOISE = 1.0, 2.0  # on the content, so that the net does not trust every detail of it


class Trainee(Singer):
    """What learns to sing: with the posterior encoder and the classifier besides. This is what the original trains."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        self.emb_g = nn.Linear(config.voice, config.condition)
        self.enc_q = Posterior(config)
        self.speaker_classifier = SpeakerClassifier(config.hidden, config.voice)

    def forward(
        self,
        words: Tensor,
        sounds: Tensor | None,
        pitch: Tensor,
        spectrum: Tensor,
        voice: Tensor,
        mask: Tensor,
        first: Tensor,
        noise: Noise,
    ) -> Learnt:
        """One step.

        Args:
            words: First feature, `[batch, size, frame]`.
            sounds: Second one, where there is one.
            pitch: Hz, 0 where unvoiced, `[batch, frame]`.
            spectrum: Linear magnitudes, `[batch, bin, frame]`.
            voice: Vectors as the voice encoder gives them, `[batch, size]`.
            mask: `[batch, 1, frame]`.
            first: Frame at which the segment that becomes sound begins, `[batch]`.
            noise: All that is random; its shapes say how long the segments are.
        """
        words = words + WORDS_NOISE * noise.words
        if sounds is not None and noise.sounds is not None:
            sounds = sounds + SOUNDS_NOISE * noise.sounds
        prior, state = self.enc_p(words, sounds, pitch, mask, noise.prior)
        posterior = self.enc_q(spectrum, mask, self.emb_g(F.normalize(voice)), noise.posterior)
        frames = noise.decoder.shape[-1]
        given = sliced(posterior.sample, first, frames) + noise.decoder
        source = self.dec.m_source(sliced(pitch[:, None], first, frames)[:, 0], noise.source, phases=noise.phases)
        forward, volume = self.flow(posterior.sample, mask, voice)
        backward, volume_back = self.flow(prior.sample, mask, voice, reverse=True)
        return Learnt(
            self.dec(given, source, voice), prior, posterior, forward, backward, volume, volume_back,
            self.speaker_classifier(state),
        )  # fmt: skip


def sliced(x: Tensor, first: Tensor, length: int) -> Tensor:
    """Of each `[channel, time]` of a batch `length` steps from `first[batch]`.

    Example:

        >>> import torch
        >>> sliced(torch.arange(10).view(2, 1, 5), torch.tensor([0, 2]), 2).tolist()
        [[[0, 1]], [[7, 8]]]
    """
    place = first[:, None, None] + first.new_tensor(range(length))
    return x.gather(-1, place.expand(-1, x.shape[1], -1))
