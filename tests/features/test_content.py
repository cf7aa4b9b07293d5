import torch

from mynah.features.content import HOP, RATE, ContentConfig, ContentStudent


def student(**sizes: object) -> ContentStudent:
    torch.manual_seed(0)
    return ContentStudent(ContentConfig(channels=16, **sizes)).eval()  # type: ignore[arg-type]


def test_fifty_frames_a_second() -> None:
    assert student()(torch.randn(2, RATE)).shape == (2, 64, 50)


def test_a_frame_never_hears_further_ahead_than_it_says() -> None:
    net, wave = student(), torch.randn(1, 2 * RATE)
    assert net.ahead_seconds <= 0.08
    frame = 40
    edge = frame * HOP + round(net.ahead_seconds * RATE)
    changed = wave.clone()
    changed[:, edge:] = torch.randn(1, 2 * RATE - edge)
    torch.testing.assert_close(net(changed)[..., : frame + 1], net(wave)[..., : frame + 1], atol=1e-5, rtol=0)
    changed[:, edge - HOP :] = 0
    assert (net(changed)[..., frame] - net(wave)[..., frame]).abs().max() > 5e-5  # the bound is tight to a frame


def test_a_frame_never_hears_further_back_than_it_says() -> None:
    net, wave = student(), torch.randn(1, 4 * RATE)
    frame = 150
    edge = frame * HOP - round(net.past_seconds * RATE)
    changed = wave.clone()
    changed[:, :edge] = 0
    torch.testing.assert_close(net(changed)[..., frame], net(wave)[..., frame], atol=1e-5, rtol=0)


def test_size_is_within_the_budget() -> None:
    assert sum(parameter.numel() for parameter in ContentStudent().parameters()) < 2.5e6
