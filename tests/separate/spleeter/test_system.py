"""Spleeter: the reference's numbers from the reference's weights, blocks that meet, checkpoints safe to open."""

import io
import struct
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mynah.catalog import download
from mynah.catalog.checkpoint import load_strict, to_safetensors
from mynah.catalog.crc32c import crc32c, masked
from mynah.core.errors import BadCheckpoint, BadOption, Offline
from mynah.separate.spleeter import VARIANTS, Config, Spleeter, SpleeterOptions
from mynah.separate.spleeter.net import UNet, same
from mynah.separate.spleeter.spectra import analysed

FILTERS = (2, 4, 4, 8, 8, 16)
SIZES = {"window": 512, "bins": 128, "block": 64, "filters": FILTERS}
State = dict[str, np.ndarray]


# The same weights and the same noise as the reference was given


def published(stems: int, filters: tuple[int, ...] = FILTERS, seed: int = 7) -> State:
    """Random weights under TensorFlow's names; every tensor depends on its name alone."""
    down = [(5, 5, before, after) for before, after in zip((2, *filters[:-1]), filters, strict=True)]
    outs = (*filters[-2::-1], 1)
    ins = (filters[-1], *(2 * count for count in outs[:-1]))
    state: State = {}
    for net in range(stems):
        shapes = [*(("conv2d", net * 7 + layer, shape) for layer, shape in enumerate([*down, (4, 4, 1, 2)]))]
        shapes += [("conv2d_transpose", net * 6 + k, (5, 5, outs[k], ins[k])) for k in range(6)]
        for family, number, shape in shapes:
            layer = f"{family}_{number}" if number else family
            wide = shape[3] if family == "conv2d" else shape[2]
            state[f"{layer}/kernel"], state[f"{layer}/bias"] = np.zeros(shape), np.zeros(wide)
        for k, count in enumerate((*filters, *outs)):
            layer = f"batch_normalization_{net * 12 + k}" if net + k else "batch_normalization"
            for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                state[f"{layer}/{part}"] = np.zeros(count)
    return {name: drawn(name, zeros.shape, seed) for name, zeros in state.items()}


def drawn(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    normal = np.random.default_rng([seed, zlib.crc32(name.encode())]).standard_normal(shape)
    part = name.rpartition("/")[2]
    if part == "kernel":
        transposed = "transpose" in name
        normal *= (2 / (shape[0] * shape[1] * shape[3 if transposed else 2])) ** 0.5 * (2 if transposed else 1)
    elif part == "gamma":
        normal = 1 + 0.2 * normal
    elif part == "moving_variance":
        normal = np.exp(0.5 * normal)
    else:
        normal *= 0.3 if part == "moving_mean" else 0.1
    return normal.astype(np.float32)


def noise(frames: int = 128, rest: int = 777, seed: int = 5) -> Tensor:
    wave = (0.1 * np.random.default_rng(seed).standard_normal((frames * 128 + rest, 2))).astype(np.float32)
    wave[:, 1] = 0.6 * wave[:, 0] + 0.5 * wave[:, 1]
    return torch.from_numpy(wave.T.copy())


def torches(state: State) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in state.items()}


def small(stems: int, **sizes: object) -> Spleeter:
    variant = VARIANTS[stems]
    config = Config(variant.stems, variant.elu, variant.softmax, **(SIZES | sizes))
    system = Spleeter(config)
    load_strict(system.nets, Spleeter.remap(torches(published(stems))), "what was drawn")
    return system


def apart(system: Spleeter, mix: Tensor, cut: int = 10_000, **options: object) -> Tensor:
    return torch.cat(list(system.apart(lambda: iter(mix.split(cut, -1)), SpleeterOptions.of(**options))), -1)


# Parity


# Spleeter 2.4.2 (its own graph, on TensorFlow 2.21) with these weights and this noise: of each stem the magnitudes at
# three places, and three samples and the power of its wave; by option, in the order of the stems.
PLACES = ((0, 0, 37, 5), (1, 1, 3, 127), (2, 1, 4, 20))  # block, channel, frame, bin
MOMENTS = ((0, 0), (1, 8191), (0, -1))  # channel, sample
MAGNITUDES = {
    2: [[0.443401, 0.958302, 0.092329], [0.808414, 2.25184, 0.927868]],
    4: [
        [0.618034, 0.763216, 0.201188], [0.818784, 2.26244, 1.03437], [0.497672, 1.47049, 0.391948],
        [0.480439, 0.538282, 0.386536],
    ],
    5: [
        [0.0650361, 0.0138424, 0.0446647], [0.690263, 2.19766, 0.685793], [0.0343473, 0.0496602, 0.102646],
        [0.031601, 0.00850985, 0.100715], [0.0261686, 0.0212974, 0.519989],
    ],
}  # fmt: skip
WAVES = {
    (2, ""): [[-0.0211553, -0.00540844, -0.00672339, 0.0189105], [-0.0191813, -0.0107033, -0.0225273, 0.0470722]],
    (2, "average"): [[-0.0324479, -0.0137739, -0.0204651, 0.0254263], [-0.0477452, -0.0561275, -0.0680317, 0.0667545]],
    (2, "16kHz"): [[-0.0342556, -0.0155663, -0.0110016, 0.023168], [-0.0557816, -0.0842843, -0.0554792, 0.0579444]],
    (2, "wiener"): [[-0.00452533, -0.00653143, -0.00369718, 0.0176478], [-0.035539, -0.009562, -0.0254124, 0.047631]],
    (4, ""): [
        [-0.0167686, 0.000548496, -0.00770741, 0.0151471], [-0.00956801, 0.000969277, -0.00317956, 0.0224663],
        [0.00195552, -0.00229084, -0.00629221, 0.0131109], [-0.0159556, -0.0153387, -0.0120715, 0.0185473],
    ],
    (5, ""): [
        [-0.0131275, 0.00478138, -0.00929045, 0.0167528], [-0.00458293, 0.00544614, 0.00739756, 0.0263249],
        [0.000761275, -0.00583732, -0.00391867, 0.00887617], [-0.0184656, -0.0273111, -0.0116307, 0.0176147],
        [-0.0049219, 0.00680911, -0.0118084, 0.00978148],
    ],
}  # fmt: skip
KNOBS = {"": {}, "average": {"above": "average"}, "16kHz": {"band": "16kHz"}, "wiener": {"wiener": True}}


@pytest.mark.parametrize("stems", MAGNITUDES)
@torch.inference_mode()
def test_magnitudes_are_those_of_the_reference(stems: int) -> None:
    system = small(stems)
    spectrum = analysed(torch.nn.functional.pad(noise(), (512, 0)), 512)[:, :128].abs()
    blocks = torch.nn.functional.pad(spectrum, (0, -spectrum.shape[-1] % 64)).unflatten(-1, (-1, 64))
    estimates = system.nets(blocks.permute(2, 0, 3, 1))
    ours = torch.stack([estimates[:, *place] for place in PLACES], 1)
    torch.testing.assert_close(ours, torch.tensor(MAGNITUDES[stems]), atol=2e-5, rtol=0)


@pytest.mark.parametrize(("stems", "option"), WAVES)
def test_waves_are_those_of_the_reference(stems: int, option: str) -> None:
    result = apart(small(stems), noise(), **KNOBS[option])
    wanted = torch.tensor(WAVES[stems, option])
    assert result.shape == (stems, 2, noise().shape[-1])
    ours = torch.stack([*(result[:, *moment] for moment in MOMENTS), result.square().mean((1, 2)).sqrt()], 1)
    torch.testing.assert_close(ours, wanted, atol=2e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(7, 9), (8, 6)])
def test_convolutions_are_padded_as_tensorflow_does(height: int, width: int) -> None:
    """Against sums written out; with stride 2 an even length gets its odd zero behind, not in front."""
    dice = np.random.default_rng(0)
    image = dice.standard_normal((height, width))
    for size, stride, dilation in ((5, 2, 1), (4, 1, 2)):
        kernel = dice.standard_normal((size, size))
        tall, wide = -(-height // stride), -(-width // stride)
        front = [
            max(0, (-(-length // stride) - 1) * stride + dilation * (size - 1) + 1 - length) // 2
            for length in (height, width)
        ]
        wanted = np.zeros((tall, wide))
        for y, x, i, j in np.ndindex(tall, wide, size, size):
            row, column = y * stride + i * dilation - front[0], x * stride + j * dilation - front[1]
            if 0 <= row < height and 0 <= column < width:
                wanted[y, x] += image[row, column] * kernel[i, j]
        padded = same(torch.from_numpy(image)[None, None], size, stride, dilation)
        ours = torch.nn.functional.conv2d(
            padded, torch.from_numpy(kernel)[None, None], stride=stride, dilation=dilation
        )
        np.testing.assert_allclose(ours[0, 0].numpy(), wanted, atol=1e-12)


def test_the_way_up_undoes_the_way_down() -> None:
    """A transposed convolution is the adjoint of the convolution: <down(x), y> = <x, up(y)>."""
    net = UNet(FILTERS, elu=False).double()
    with torch.no_grad():
        net.down[0].weight[:] = net.up[-1].weight.expand(-1, 2, -1, -1)[:2]
        net.down[0].bias.zero_()
        net.up[-1].bias.zero_()
        dice = torch.Generator().manual_seed(0)
        x = torch.randn(1, 2, 8, 6, generator=dice, dtype=torch.double)
        y = torch.randn(1, 4, 4, 3, generator=dice, dtype=torch.double)
        y[:, 2:] = 0
        down = net.down[0](same(x, 5, 2))
        up = net.up[-1](y)[..., :-1, :-1]
        assert (down * y[:, :2]).sum().item() == pytest.approx((x.sum(1) * up[:, 0]).sum().item(), rel=1e-9)


# What a listener would notice


@pytest.mark.parametrize("options", [{}, {"above": "average"}, {"wiener": True}, {"blocks": 2}], ids=str)
def test_pieces_make_the_whole(options: dict[str, object]) -> None:
    system, mix = Spleeter.tiny(), noise(frames=300, rest=5)
    whole = apart(system, mix, mix.shape[-1], **options)
    for cut in (1000, 128, 20_001):
        assert torch.equal(apart(system, mix, cut, **options), whole)


@pytest.mark.parametrize("length", [1, 127, 128, 513, 64 * 128, 64 * 128 + 1, 20_000])
def test_stems_add_up_to_the_mix_from_the_first_sample_to_the_last(length: int) -> None:
    mix = noise()[:, :length] if length <= 17_161 else noise(frames=200)[:, :length]
    stems = apart(small(2), mix, above="rest")
    assert stems.shape == (2, 2, length)
    torch.testing.assert_close(stems.sum(0), mix, atol=1e-6, rtol=0)


def test_a_song_is_not_kept_in_memory() -> None:
    system = Spleeter.tiny()
    opened = 0

    def song() -> Iterator[Tensor]:
        nonlocal opened
        for _ in range(100):
            opened += 1
            yield noise(frames=64, rest=0)

    next(iter(system.apart(song, SpleeterOptions())))
    assert opened <= 4
    opened = 0
    next(iter(system.apart(song, SpleeterOptions(wiener=True))))
    assert opened <= 104


def test_what_is_above_the_band_goes_where_it_is_told() -> None:
    system, mix = small(2), noise(frames=192, rest=0)

    def highs(stem: Tensor) -> float:
        return analysed(stem, 512)[:, 210:, 8:-8].abs().square().sum().item()

    dropped, shared, rest = (apart(system, mix, above=above) for above in ("zeros", "average", "rest"))
    assert highs(dropped[0]) + highs(dropped[1]) < 1e-4 * highs(mix)
    assert min(highs(shared[0]), highs(shared[1])) > 0.01 * highs(mix)
    assert highs(rest[1]) == pytest.approx(highs(mix), rel=1e-3)
    assert highs(rest[0]) < 1e-4 * highs(mix)


# Checkpoints


def bundle(state: State, folder: Path, name: str = "model") -> Path:
    """What TensorFlow would write: an index of one block, and the data."""
    folder.mkdir(parents=True, exist_ok=True)

    def varint(number: int) -> bytes:
        low = b""
        while number > 0x7F:
            low += bytes([number & 0x7F | 0x80])
            number >>= 7
        return low + bytes([number])

    def field(number: int, value: int | bytes) -> bytes:
        if isinstance(value, int):
            return varint(number << 3) + varint(value)
        return varint(number << 3 | 2) + varint(len(value)) + value

    def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
        body = b"".join(varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in pairs)
        body += struct.pack("<II", 0, 1)
        return body + b"\0" + struct.pack("<I", masked(crc32c(body + b"\0")))

    pairs, data = [(b"", field(1, 1) + field(3, field(1, 1)))], b""
    for key in sorted(state, key=str.encode):
        content = np.ascontiguousarray(state[key]).tobytes()
        shape = b"".join(field(2, field(1, length)) for length in state[key].shape)
        entry = field(1, 1) + field(2, shape) + field(4, len(data)) + field(5, len(content))
        pairs.append((key.encode(), entry + varint(6 << 3 | 5) + struct.pack("<I", masked(crc32c(content)))))
        data += content
    entries, empty = block(pairs), block([])
    index = block([(b"\xff", varint(0) + varint(len(entries) - 5))])
    footer = varint(len(entries)) + varint(len(empty) - 5)
    footer += varint(len(entries) + len(empty)) + varint(len(index) - 5)
    magic = struct.pack("<Q", 0xDB4775248B80FB57)
    (folder / f"{name}.index").write_bytes(entries + empty + index + footer.ljust(40, b"\0") + magic)
    (folder / f"{name}.data-00000-of-00001").write_bytes(data)
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{name}"\n')
    return folder


def packed(folder: Path, archive: Path, prefix: str = "./") -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, prefix)
        extra = tarfile.TarInfo("._checkpoint")
        extra.size = 3
        tar.addfile(extra, io.BytesIO(b"mac"))
    return archive


def test_a_checkpoint_is_read_from_wherever_it_is(tmp_path: Path) -> None:
    state = published(4) | {
        "global_step": np.zeros(1, np.float32),
        "beta1_power": np.zeros(1, np.float32),
        "conv2d/kernel/Adam": np.zeros((5, 5, 2, 2), np.float32),
        "conv2d/kernel/Adam_1": np.zeros((5, 5, 2, 2), np.float32),
    }
    folder = bundle(state, tmp_path / "4stems")
    ours = to_safetensors(small(4).nets.state_dict(), tmp_path / "ours.safetensors")
    places = [
        folder,
        folder / "model",
        folder / "model.index",
        folder / "model.data-00000-of-00001",
        packed(folder, tmp_path / "4stems.tar.gz"),
        packed(folder, tmp_path / "nested.tar.gz", prefix="4stems"),
        ours,
    ]
    for place in places:
        system = Spleeter.load(str(place))
        assert system.stems == ("vocals", "drums", "bass", "other")
        assert system.config == Config(system.stems, elu=True, filters=FILTERS)
        for name, tensor in small(4).nets.state_dict().items():
            assert torch.equal(system.nets.state_dict()[name], tensor), (place, name)


def test_loading_is_strict() -> None:
    whole = torches(published(2))

    def load(state: dict[str, Tensor]) -> None:
        load_strict(small(2).nets, Spleeter.remap(state), "it")

    load(whole)
    lacking = dict(whole)
    del lacking["conv2d_8/bias"]
    with pytest.raises(BadCheckpoint, match=r"missing \(accompaniment\.down\.1\.bias"):
        load(lacking)
    with pytest.raises(BadCheckpoint, match="surplus"):
        load(whole | {"dense/kernel": torch.zeros(1)})
    with pytest.raises(BadCheckpoint, match="of another shape"):
        load(whole | {"conv2d_8/bias": torch.zeros(3)})
    with pytest.raises(BadCheckpoint, match="2, 4 or 5 stems, not for 3"):
        load(torches(published(3)))


def test_an_archive_writes_nothing_but_a_checkpoint(tmp_path: Path) -> None:
    folder = bundle(published(2), tmp_path / "2stems")
    plain = (folder / "model.index").read_bytes()

    def archive(*members: tuple[str, bytes, bytes]) -> str:
        path = tmp_path / "hostile.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for name, content, kind in members:
                info = tarfile.TarInfo(name)
                info.size, info.type = len(content), kind
                if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                    info.linkname, info.size = "/etc/passwd", 0
                tar.addfile(info, io.BytesIO(content))
        return str(path)

    before = sorted(tmp_path.rglob("*"))
    for members in (
        [("../../escaped.index", b"x", tarfile.REGTYPE)],
        [("/escaped.index", b"x", tarfile.REGTYPE)],
        [("model.index", b"", tarfile.SYMTYPE)],
        [("model.index", b"", tarfile.LNKTYPE)],
        [("evil.sh", b"x", tarfile.REGTYPE)],
        [("model.index", plain, tarfile.REGTYPE)],  # no data
        [("a/model.index", plain, tarfile.REGTYPE), ("b/model.index", plain, tarfile.REGTYPE)],
    ):
        with pytest.raises(BadCheckpoint):
            Spleeter.load(archive(*members))
    assert set(tmp_path.rglob("*")) - set(before) == {tmp_path / "hostile.tar.gz"}
    assert not (tmp_path.parent / "escaped.index").exists()


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    whole = packed(bundle(published(2), tmp_path / "2stems"), tmp_path / "2stems.tar.gz").read_bytes()
    broken = tmp_path / "broken.tar.gz"
    bomb = tarfile.TarInfo("model.index")
    bomb.size = 1 << 40
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        tar.fileobj.write(bomb.tobuf(tarfile.GNU_FORMAT))  # type: ignore[union-attr]
    huge = (tmp_path / "bomb.tar.gz").read_bytes()
    for content in (whole[: len(whole) // 2], whole[:100] + bytes(50) + whole[150:], b"\x1f\x8bno", b"", huge):
        broken.write_bytes(content)
        with pytest.raises(BadCheckpoint, match=r"broken\.tar\.gz"):
            Spleeter.load(str(broken))


def test_without_a_net_it_says_what_to_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> None:
        raise download.Unreachable("no route")

    monkeypatch.setattr(download, "from_web", nobody)
    with pytest.raises(Offline, match=r"73\.1 MB.*releases/download/v1\.4\.0/2stems\.tar\.gz and put it at .*2stems"):
        Spleeter.load()
    with pytest.raises(Offline, match=r"5stems\.tar\.gz"):
        Spleeter.load("5stems")
    with pytest.raises(BadOption, match="2stems, 4stems, 5stems"):
        Spleeter.load("3stems")


def test_the_published_nets_have_as_many_parameters_as_the_paper_says() -> None:
    for stems, millions in ((2, 19.65), (4, 39.29), (5, 49.12)):
        variant = VARIANTS[stems]
        with torch.device("meta"):
            net = UNet(variant.filters, elu=variant.elu)
        every = sum(parameter.numel() for parameter in net.parameters()) + 2 * 512  # the normalisation nobody hears
        assert stems * every == pytest.approx(millions * 1e6, abs=6e3)
