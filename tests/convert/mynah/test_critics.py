import math

import torch

from mynah.convert.mynah.recipe.critics import Critics
from mynah.train.losses import critic_loss

RATE = 32_000


def test_critics_learn_to_tell_noise_from_a_tone() -> None:
    torch.manual_seed(0)
    critics = Critics()
    descent = torch.optim.AdamW(critics.parameters(), 4e-3)
    tone = torch.sin(2 * math.pi * 440 * torch.arange(4096) / RATE).expand(2, -1) * 0.3

    def judged() -> torch.Tensor:
        return critic_loss(critics(tone), critics(0.2 * torch.randn(2, 4096)))

    before = judged().item()
    for _ in range(20):
        descent.zero_grad()
        judged().backward()
        descent.step()
    assert judged().item() < before / 2
