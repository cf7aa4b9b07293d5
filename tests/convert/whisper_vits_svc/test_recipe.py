"""How VoiceCraft SVC learns, on synthetic vowels of two singers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.audio.files import write
from mynah.catalog.checkpoint import to_safetensors
from mynah.convert.whisper_vits_svc import WhisperVitsSvc, share
from mynah.convert.whisper_vits_svc.critics import Critics, PeriodCritic, SpectralCritic, Verdict
from mynah.convert.whisper_vits_svc.losses import WEIGHTS
from mynah.convert.whisper_vits_svc.net import Singer, Trainee
from mynah.convert.whisper_vits_svc.published import config_of, parted, read, singer_of
from mynah.convert.whisper_vits_svc.recipe import SMALL, course, fitted
from mynah.convert.whisper_vits_svc.recipe.adapt import AdaptRecipe
from mynah.convert.whisper_vits_svc.recipe.light import LightCritics, fitting
from mynah.convert.whisper_vits_svc.recipe.plan import Plan
from mynah.convert.whisper_vits_svc.recipe.sing import SingRecipe
from mynah.convert.whisper_vits_svc.recipe.songs import Ear, Ears, Songs
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint, BadData, BadOption, BadVoice
from mynah.core.types import Audio, Voice
from mynah.features.mel import LogMel, PowerSpectrum
from mynah.nets.normed import folded
from mynah.train import room
from mynah.train.data import prepare, scan

TINY = NetConfig(
    latent=16, hidden=16, condition=8, filters=32, heads=2, layers=1, posterior_layers=2, flow_layers=1, couplings=2,
    decoder=DecoderConfig(channels=64, kernels=(3,), dilations=(1,)),
)  # fmt: skip
PLAN = Plan(steps=40, clips=4, accumulate=1, segment=15, rate=1e-2, ema=None)
VOWELS = ((700, 1200), (300, 2300), (500, 1500))
TRAINED_ONLY = ("bins", "condition", "posterior_layers")  # no export tells them
THROATS = {"anna": 1.2, "bert": 0.9}


class FewCritics(nn.Module):
    """Two small ones of the three kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.MRD = SpectralCritic(512, 50, 240, channels=4)
        self.MPD = PeriodCritic(3, (4, 8))

    def forward(self, sound: Tensor) -> list[Verdict]:
        return [self.MRD(sound), self.MPD(sound)]


def vowel(hz: float, formants: tuple[int, int], throat: float, seconds: float = 2.0) -> Audio:
    time = torch.arange(int(32_000 * seconds)) / 32_000
    turns = (hz * 2 ** (0.1 * torch.sin(math.tau * 0.7 * time)) / 32_000).cumsum(0)
    wave = torch.zeros_like(time)
    for number in range(1, 30):
        loud = sum(1 / (1 + ((number * hz - throat * formant) / 150) ** 2) for formant in formants)
        wave += (loud + 0.01) * torch.cos(math.tau * number * turns)
    hiss = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    return Audio(0.15 * wave[None] + 0.003 * hiss, 32_000)


def projections() -> Ears:
    """Ears without weights: mel bands through matrices drawn once."""
    dice = torch.Generator().manual_seed(3)
    power, mel = PowerSpectrum(400, 320), LogMel(bands=40)
    matrix, other = torch.randn(24, 40, generator=dice) / 3, torch.randn(12, 40, generator=dice)

    def frames(clip: Audio) -> Tensor:
        return (matrix @ (2 * mel(power(clip.samples))[0])).T

    def voice(clip: Audio) -> Tensor:
        return F.normalize(other @ mel(power(clip.samples))[0].mean(1), dim=0)

    return Ears(Ear("words", 24, frames), Ear("voice", 12, voice))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for singer, throat in THROATS.items():
        for number, formants in enumerate(VOWELS):
            hz = (220 if singer == "anna" else 140) * 2 ** (number / 6)
            write(vowel(hz, formants, throat), folder / singer / f"{number}.wav")
    return folder


@pytest.fixture(scope="module")
def songs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Songs:
    takes = prepare(scan(data), tmp_path_factory.mktemp("cache")).takes
    return Songs(takes, projections(), root=data, hold_out=["anna/2*"])


def recipe(songs: Songs, plan: Plan = PLAN) -> SingRecipe:
    torch.manual_seed(0)
    made = SingRecipe(songs, fitted(TINY, songs.ears), plan, critics=FewCritics())
    made.nets.train()
    return made


def turned(learner: SingRecipe, turn: str, step: int = 0) -> dict[str, Tensor]:
    losses = {}
    for part in learner.parts(learner.batch(step)):
        losses = learner.losses(turn, part)
        total: Tensor = sum(losses.values(), torch.zeros(()))
        total.backward()
    return losses


def moved(net: nn.Module) -> set[str]:
    return {name for name, value in net.named_parameters() if value.grad is not None and value.grad.any()}


def test_the_mel_loss_falls_by_half(songs: Songs, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from mynah.train.run import train

    learner = recipe(songs, replace(PLAN, steps=60))
    train(learner, tmp_path, device="cpu", log_every=1, save_every=1000)
    lines = [json.loads(line) for line in (tmp_path / "sing" / "log.jsonl").read_text("utf-8").splitlines()]
    mel = [line["mel"] for line in lines if "mel" in line]
    assert len(mel) == 60
    assert sum(mel[-5:]) / 5 < 0.5 * mel[0], mel


def test_each_turn_teaches_its_own_nets_and_every_part_of_them(songs: Songs) -> None:
    learner = recipe(songs)
    learner.critics.requires_grad_(False)
    losses = turned(learner, "net")
    assert set(losses) == set(WEIGHTS)
    assert all(value.isfinite() for value in losses.values())
    assert moved(learner.critics) == set()
    parts = {name.partition(".")[0] for name in moved(learner.net)}
    assert parts == {"enc_p", "flow", "dec", "emb_g", "enc_q", "speaker_classifier"}
    learner.nets.zero_grad()
    learner.critics.requires_grad_(True)
    turned(learner, "critic")
    assert moved(learner.net) == set()
    assert {name.partition(".")[0] for name in moved(learner.critics)} == {"MRD", "MPD"}


def test_a_loss_weighs_what_the_plan_says(songs: Songs) -> None:
    plain = turned(recipe(songs), "net")
    heavy = turned(recipe(songs, replace(PLAN, weights=WEIGHTS | {"mel": 45.0})), "net")
    assert heavy["mel"].item() == pytest.approx(45 * plain["mel"].item(), rel=1e-4)
    assert heavy["stft"].item() == pytest.approx(plain["stft"].item(), rel=1e-4)


def test_nets_may_run_in_bfloat16_while_losses_do_not(songs: Songs) -> None:
    learner = recipe(songs, replace(PLAN, bf16=True))
    assert learner.autocast and not recipe(songs).autocast
    with torch.autocast("cpu", torch.bfloat16):  # as the trainer has it
        losses = turned(learner, "net") | turned(learner, "critic")
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())


def test_parts_add_up_to_the_batch(songs: Songs) -> None:
    learner = recipe(songs, replace(PLAN, clips=2, accumulate=3))
    batch = learner.batch(5)
    parts = learner.parts(batch)
    assert [len(part["wave"]) for part in parts] == [2, 2, 2]
    assert all(torch.cat([part[name] for part in parts]).equal(batch[name]) for name in batch)
    for turn in learner.turns:
        turned(learner, turn)
    assert not learner.rendered, "every part was rendered once and judged once"


def test_light_critics_are_the_ten_of_the_original_only_narrower(songs: Songs) -> None:
    with torch.device("meta"):
        full = Critics()
    light = LightCritics()
    assert set(light.state_dict()) == set(full.state_dict())
    assert sum(value.numel() for value in light.parameters()) < sum(value.numel() for value in full.parameters()) / 12
    assert len(light(torch.randn(1, 1, 8000))) == 10
    assert isinstance(fitting(light.state_dict(), light=False), LightCritics)


@pytest.mark.parametrize("config", [SMALL, NetConfig()])
def test_the_sizes_of_what_was_trained_are_told_by_what_is_exported(config: NetConfig, songs: Songs) -> None:
    wanted = fitted(config, songs.ears)
    with torch.device("meta"):
        state = Trainee(wanted).state_dict()
    assert config_of(state, "it") == wanted
    exported = config_of(singer_of(state), "it")
    assert replace(wanted, **{name: getattr(exported, name) for name in TRAINED_ONLY}) == exported


def test_rates_fall_as_recordings_are_heard_again_and_critics_learn_slower(songs: Songs) -> None:
    learner = recipe(songs, Plan(steps=10, clips=1, accumulate=2))
    assert learner.learning_rate("net", 0) == 5e-5
    assert learner.learning_rate("critic", 0) == 2.5e-5
    again = math.ceil(2 * learner.epoch)
    assert learner.learning_rate("net", again) == pytest.approx(5e-5 * 0.999875**2)


def test_a_step_sees_the_same_clips_whenever_it_is_asked(songs: Songs) -> None:
    learner = recipe(songs)
    first, again, other = learner.batch(7), learner.batch(7), learner.batch(8)
    assert all(first[name].equal(again[name]) for name in first)
    assert not first["seed"].equal(other["seed"])


def test_what_is_held_out_is_measured_by_ear_and_never_drawn(songs: Songs) -> None:
    assert {part.take.clip.path.name for part in songs.held_out} == {"2.wav"}
    assert not {part.take.clip.path for part in songs.held_out} & {part.take.clip.path for part in songs.training}
    figures = recipe(songs).measures()
    assert next(iter(figures)) == "score"
    assert figures["score"] == pytest.approx((figures["voice"] + figures["words"] + figures["melody"]) / 3)


def test_a_singer_is_known_by_the_mean_of_recordings_that_are_learnt_from(songs: Songs) -> None:
    parts = [part for part in songs.training if part.take.clip.speaker == "anna"]
    heard = torch.stack([songs.collate([part])["voice"][0] for part in parts])
    assert len(parts) == 2 and songs.voice_of("anna").equal(heard.mean(0))
    assert songs.voice_of("anna") is songs.voice_of("anna")  # thousands of files are not read at every checkpoint


def test_content_lies_beside_the_sound_that_it_was_heard_in(songs: Songs) -> None:
    batch = songs.collate(songs.training[:1])
    wave = batch["wave"][0].view(-1, 320).square().mean(1)
    assert batch["words"].shape[-1] == batch["pitch"].shape[-1] == len(wave) == int(batch["lengths"][0])
    assert batch["words"][0, :, ::2].equal(batch["words"][0, :, 1::2])


def test_what_was_exported_sings_and_what_was_kept_learns_on(songs: Songs, tmp_path: Path) -> None:
    learner = recipe(songs)
    singer_file, whole = learner.export(str(tmp_path))
    singer = Singer(learner.config)
    singer.load_state_dict(read(singer_file).net)
    begun = read(whole)
    further = SingRecipe(songs, learner.config, replace(PLAN, seed=9), start=begun, critics=FewCritics())
    assert all(value.equal(further.net.state_dict()[name]) for name, value in learner.net.state_dict().items())
    assert all(value.equal(further.critics.state_dict()[name]) for name, value in learner.critics.state_dict().items())


def test_an_exported_model_cannot_learn_on_and_another_one_is_refused(songs: Songs) -> None:
    learner = recipe(songs)
    state = learner.net.state_dict()
    with pytest.raises(BadCheckpoint, match="cannot learn on"):
        SingRecipe(songs, learner.config, PLAN, start=parted(singer_of(state), "it"), critics=FewCritics())
    del state["enc_p.pre.bias"]
    with pytest.raises(BadCheckpoint, match=r"enc_p\.pre\.bias"):
        SingRecipe(songs, learner.config, PLAN, start=parted(state, "it"), critics=FewCritics())


def test_a_voice_is_learnt_by_its_vector_and_what_listens_to_it(songs: Songs, tmp_path: Path) -> None:
    learner = recipe(songs)
    singer = Singer(learner.config)
    singer.load_state_dict(singer_of(learner.net.state_dict()))
    voice = Voice("carl", (100.0, 300.0), clips=(vowel(180, VOWELS[0], 1.0),))
    tuned = AdaptRecipe(voice, torch.ones(12) / 12**0.5, singer, songs.ears, clips=2)
    before = {name: value.clone() for name, value in singer.state_dict().items()}
    descent = torch.optim.AdamW(tuned.parameters("net"), 1e-2)
    first = last = 0.0
    for step in range(8):
        descent.zero_grad()
        total = torch.stack(list(tuned.losses("net", tuned.batch(0)).values())).sum()
        total.backward()
        descent.step()
        first, last = (total.item() if step == 0 else first), total.item()
    assert last < first
    changed = {name for name, value in singer.state_dict().items() if not value.equal(before[name])}
    assert changed == {name for name in before if ".snac." in name or name.startswith("dec.adapter.")}
    [file] = tuned.export(str(tmp_path))
    singing, vector = share.tuned(Singer(learner.config), file)
    assert vector.equal(tuned.vector)
    assert all(singing.state_dict()[name].equal(singer.state_dict()[name]) for name in changed)


def test_a_voice_is_learnt_by_low_rank_changes_that_are_added_to_the_weights(songs: Songs, tmp_path: Path) -> None:
    singer = folded(Singer(fitted(TINY, songs.ears)))
    voice = Voice("carl", (100.0, 300.0), clips=(vowel(180, VOWELS[0], 1.0),))
    before = {name: value.clone() for name, value in singer.state_dict().items()}
    tuned = AdaptRecipe(voice, torch.ones(12) / 12**0.5, singer, songs.ears, clips=2, lora=2)
    count = sum(value.numel() for value in tuned.parameters("net"))
    assert count < 0.5 * sum(value.numel() for value in before.values())
    descent = torch.optim.AdamW(tuned.parameters("net"), 1e-2)
    totals = []
    for _ in range(8):
        descent.zero_grad()
        total = torch.stack(list(tuned.losses("net", tuned.batch(0)).values())).sum()
        total.backward()
        descent.step()
        totals.append(total.item())
    assert totals[-1] < totals[0]
    [file] = tuned.export(str(tmp_path))
    plain = folded(Singer(fitted(TINY, songs.ears)))
    plain.load_state_dict(before)
    singing, vector = share.tuned(plain, file)
    assert vector.equal(tuned.vector) and set(singing.state_dict()) == set(before)
    changed = {name for name, value in singing.state_dict().items() if not value.equal(before[name])}
    assert changed and all(name.startswith(("flow.", "dec.")) and name.endswith(".weight") for name in changed)
    batch = {name: values for name, values in tuned.batch(3).items() if name != "seed"} | {"seed": torch.tensor(1)}
    with torch.no_grad():
        tuned.singer.eval()
        made, _ = tuned._sung(batch)
        tuned.singer = singing.eval()
        torch.testing.assert_close(tuned._sung(batch)[0], made, atol=1e-5, rtol=1e-4)


def test_batches_for_one_step_count_as_heard_and_may_have_more_clips(songs: Songs) -> None:
    learner = recipe(songs, Plan(clips=1, accumulate=2))
    alone = learner.epoch
    learner.batches = 2
    assert learner.epoch == max(1.0, alone / 2)
    learner.clips = 3
    assert len(learner.batch(0)["wave"]) == 6 and len(learner.parts(learner.batch(0))) == 2


def test_more_memory_has_room_for_more_clips(songs: Songs, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    for free in (0, 2 * 10**8, 8 * 10**8):
        monkeypatch.setattr(room, "free", lambda free=free: free)
        learner = recipe(songs)
        fits.append(room.largest(learner, torch.device("cpu")))
        assert learner.clips == PLAN.clips and not learner.rendered
    assert fits[0] == 1 < fits[1] and fits[2] == 4 * fits[1]


def test_a_model_is_tuned_to_a_voice_and_sings_with_it(tmp_path: Path) -> None:
    system = WhisperVitsSvc.tiny()
    voice = Voice("carl", (100.0, 300.0), clips=(vowel(180, VOWELS[0], 1.0),))
    tuning = system.adapt(voice)
    with torch.no_grad():
        for value in tuning.parameters("net"):
            value.add_(0.1)
    assert all(loss.isfinite() for loss in tuning.losses("net", tuning.batch(0)).values())
    [file] = tuning.export(str(tmp_path))
    source = vowel(200, VOWELS[1], 1.2, seconds=0.5)
    plain, own = (system.convert(source, who).samples for who in (voice, replace(voice, weights=Path(file))))
    assert own.isfinite().all() and not own.equal(plain)
    to_safetensors({"dec.adapter.W_bias.bias": torch.zeros(8)}, tmp_path / "other.safetensors")
    with pytest.raises(BadCheckpoint, match="is not what"):
        system.convert(source, replace(voice, weights=tmp_path / "other.safetensors"))


def test_what_would_not_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--start"):
        WhisperVitsSvc.course(tmp_path, tmp_path, teacher="whisper")


def test_a_voice_needs_a_second(songs: Songs) -> None:
    voice = Voice("carl", (100.0, 300.0), clips=(vowel(180, VOWELS[0], 1.0, seconds=0.5),))
    with pytest.raises(BadVoice, match="'carl' has no clip of a second"):
        AdaptRecipe(voice, torch.ones(12), Singer(fitted(TINY, songs.ears)), songs.ears)


def test_a_singer_of_too_little_is_refused_before_training(tmp_path: Path) -> None:
    write(vowel(200, VOWELS[0], 1.0, seconds=0.6), tmp_path / "data" / "anna" / "short.wav")
    stages = course(tmp_path / "data", tmp_path / "run", projections, config=TINY)
    with pytest.raises(BadData, match=r"anna: .* s of singing without pauses"):
        stages["sing"]()
