import math
from pathlib import Path

import pytest
import torch

from mynah.audio.files import write
from mynah.convert.mynah import Mynah
from mynah.convert.mynah.recipe.content import ContentRecipe
from mynah.convert.mynah.recipe.corpus import Corpus
from mynah.convert.mynah.recipe.decoder import DecoderRecipe
from mynah.convert.mynah.recipe.polish import PolishRecipe
from mynah.convert.mynah.recipe.voice import EarRecipe, VoiceRecipe
from mynah.core.recipe import Recipe
from mynah.core.types import Audio
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.speaker import SpeakerConfig, VoiceEncoder
from mynah.features.whisper import WhisperConfig, WhisperEncoder
from mynah.nets.source_filter.decoder import DecoderConfig

SMALL = SpeakerConfig(channels=16, dilations=(1,))
SINGERS = {"anna": 220.0, "bert": 110.0}


def sung(hz: float, formant: float) -> Audio:
    time = torch.arange(32_000 * 2) / 32_000
    glide = hz * 2 ** (0.2 * torch.sin(2 * math.pi * 0.5 * time))
    turns = (glide / 32_000).cumsum(0)
    wave = sum(torch.cos(2 * math.pi * k * turns) / (1 + ((k * hz - formant) / 300) ** 2) for k in range(1, 20))
    return Audio(0.1 * wave[None], 32_000)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    data = tmp_path_factory.mktemp("data")
    for singer, hz in SINGERS.items():
        for number in range(3):
            write(sung(hz * (1 + 0.1 * number), 500 + 300 * number), data / singer / f"{number}.wav")
    return Corpus.open(data, tmp_path_factory.mktemp("cache"), hold_out=["*/2.wav"])


def student() -> ContentStudent:
    return ContentStudent(ContentConfig(channels=8, dilations=(1,), ahead=(1,)))


def encoder() -> VoiceEncoder:
    return VoiceEncoder(SMALL)


def descend(recipe: Recipe, steps: int, rate: float) -> tuple[float, float]:
    """Total of the first and of the last step, on the same batch."""
    recipe.nets.train()
    turns = {turn: torch.optim.AdamW(recipe.parameters(turn), rate) for turn in recipe.turns}
    totals = []
    for _ in range(steps):
        for turn, descent in turns.items():
            descent.zero_grad()
            losses = recipe.losses(turn, recipe.batch(0))
            total = torch.stack(list(losses.values())).sum()
            assert total.isfinite(), losses
            total.backward()
            descent.step()
        totals.append(total.item())
    return totals[0], totals[-1]


def test_what_is_held_out_is_never_drawn(corpus: Corpus) -> None:
    assert len(corpus.training) == 4 and corpus.speakers == ["anna", "bert"]
    dice = torch.Generator().manual_seed(0)
    drawn = {take.clip.path.name for take, _ in corpus.clips(dice, 50, 40)}
    assert drawn == {"0.wav", "1.wav"}
    assert {take.clip.path.name for take, _ in corpus.clips(dice, 20, 40, held_out=True)} == {"2.wav"}


def test_a_step_sees_the_same_batch_whenever_it_is_asked(corpus: Corpus) -> None:
    recipe = VoiceRecipe(corpus, config=SpeakerConfig(channels=8, dilations=(1,)), clips=4)
    first, again, other = recipe.batch(7), recipe.batch(7), recipe.batch(8)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["wave16"], other["wave16"])


def test_the_student_comes_nearer_to_its_teacher(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    teaching = corpus.teach(WhisperEncoder(WhisperConfig(size=64, layers=1)).eval())
    small = ContentConfig(channels=16, dilations=(1,), ahead=(1,))
    recipe = ContentRecipe(corpus, teaching, config=small, clips=4)
    first, last = descend(recipe, 30, 1e-2)
    assert last < 0.9 * first
    assert -1 <= recipe.measures()["cosine"] <= 1
    [path] = recipe.export(str(tmp_path))
    assert Path(path).name == "content_student.safetensors"


def test_the_teaching_has_no_mean_of_the_speaker(corpus: Corpus) -> None:
    teaching = corpus.teach(WhisperEncoder(WhisperConfig(size=64, layers=1)).eval())
    takes = [take for take in corpus.takes if take.clip.speaker == "anna"]
    offset = torch.cat([teaching._raw(take) for take in takes]).mean(0).sub(teaching.mean).div(teaching.deviation)
    left = torch.cat([teaching.frames(take, 0, take.frames) for take in takes]).mean(0)
    assert left.norm() < 0.7 * offset.norm()  # not all of it: a speaker heard for 6 s is half believed


@pytest.mark.parametrize("kind", [VoiceRecipe, EarRecipe])
def test_the_voice_encoder_learns_to_tell_two_singers(corpus: Corpus, kind: type[VoiceRecipe]) -> None:
    torch.manual_seed(0)
    recipe = EarRecipe(corpus, encoder(), clips=8) if kind is EarRecipe else VoiceRecipe(corpus, config=SMALL, clips=8)
    first, last = descend(recipe, 25, 1e-2)
    assert last < 0.5 * first
    assert 0 <= recipe.measures()["right"] <= 1


@pytest.mark.parametrize("kind", [DecoderRecipe, PolishRecipe])
def test_the_decoder_comes_nearer_to_the_recordings(corpus: Corpus, kind: type[DecoderRecipe], tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = DecoderConfig(channels=16, dilations=(1,))
    more = {"critics_alone": 0} if kind is PolishRecipe else {"swap_from": 0}
    recipe = kind(corpus, student(), encoder(), encoder(), encoder(), config=sizes, clips=2, swapped=1, **more)
    first, last = descend(recipe, 15, 2e-2)
    assert last < 0.8 * first
    assert {"voice", "ear", "words", "colour", "magnitude"} <= recipe.measures().keys()
    assert len(recipe.export(str(tmp_path))) == 2


def test_the_course_names_its_stages_and_builds_them_late(tmp_path: Path) -> None:
    stages = Mynah.course(tmp_path / "nowhere", tmp_path)
    assert list(stages) == ["content", "voice", "ear", "decoder", "polish"]
