"""Extractors: Inception as clean-fid and pytorch-fid have it, and networks of a user's."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cleanfid.inception_pytorch as pytorch_fid
import pytest
import torch
from cleanfid.fid import get_folder_features
from cleanfid.inception_torchscript import InceptionV3W
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import inception as torchvision_inception

import eval.extractors
import eval.weights
from data.errors import MissingError, UserError
from data.files import sha256_file
from eval.extractors import Extractor, load_extractor
from eval.inception import fid_inception, load_inception, load_torchscript
from eval.resize import resize
from eval.weights import WeightFile

CPU = torch.device("cpu")
CARD = {"size": 16, "resize": "bicubic", "dimension": 8}


def noise(*shape: int) -> Tensor:
    images = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    return images.to(torch.uint8)


class Layers(nn.Module):
    """A network of any size of images: [N, 3, H, W] -> [N, dimension]."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 16, 5, stride=3)
        self.norm = nn.BatchNorm2d(16)
        self.last = nn.Linear(16, dimension)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.convolution(x)))
        return self.last(x.mean((2, 3)))


class Stand(nn.Module):
    """Called as NVIDIA's TorchScript file is."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers(2048)

    def forward(self, x: Tensor, return_features: bool = False) -> Tensor:
        return self.layers(x)


def save_script(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated
        torch.jit.save(torch.jit.script(module.eval()), path)
    return path


def publish(monkeypatch: pytest.MonkeyPatch, path: Path) -> WeightFile:
    """Make a file the one that is known under its name, in its folder."""
    known = WeightFile(path.name, "https://nowhere", sha256_file(path), path.stat().st_size)
    monkeypatch.setattr(eval.weights, "INCEPTION", (known,))
    monkeypatch.setenv("GAN_VERSUS_WEIGHTS", str(path.parent))
    return known


# Inception


def test_torchscript_gives_clean_fids_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = noise(5, 3, 64, 64)
    (tmp_path / "images").mkdir()
    for index, image in enumerate(images):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture.save(tmp_path / "images" / f"{index}.png")
    known = publish(monkeypatch, save_script(Stand(), tmp_path / "inception-2015-12-05.pt"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # clean-fid loads TorchScript as well
        theirs = InceptionV3W(str(tmp_path), download=False)
    folder = str(tmp_path / "images")
    expected = get_folder_features(
        folder, theirs, num_workers=0, batch_size=2, device=CPU, verbose=False
    )

    ours = load_extractor("inception", CPU)
    features = ours.embed(images)
    assert (features.shape, features.dtype) == ((5, 2048), torch.float32)
    assert features.std() > 1e-3
    torch.testing.assert_close(features, torch.from_numpy(expected), atol=1e-6, rtol=1e-5)
    assert (ours.name, ours.size, ours.resize, ours.dimension, ours.precision) == (
        "inception",
        299,
        "bicubic",
        2048,
        "fp32",
    )
    assert ours.sha256 == known.sha256


def test_without_weights_inception_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_VERSUS_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingError, match=r"FID cannot be computed here.*weights fetch"):
        load_extractor("inception", CPU)


def test_only_the_one_deprecation_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_script(Stand(), tmp_path / "stand.pt")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        load_torchscript(path)
    assert not heard

    def load(path: Path, map_location: str) -> nn.Module:
        warnings.warn("`torch.jit.load` reads another format", FutureWarning, stacklevel=2)
        return nn.Identity()

    monkeypatch.setattr(torch.jit, "load", load)
    with pytest.warns(FutureWarning, match="another format"):
        load_torchscript(path)


def test_other_torchscript_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it has no `layers`"):
        load_inception(save_script(Layers(8), tmp_path / "other.pt"))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(UserError, match="no TorchScript file"):
        load_inception(tmp_path / "weights.pt")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """FID's Inception with random weights and, so that they matter, random statistics."""
    torch.manual_seed(0)
    network = fid_inception().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias, std=0.1)
    return network


@pytest.fixture(scope="module")
def state_file(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def reference(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Callable[..., nn.Module]:
    """pytorch-fid's network, which clean-fid carries, with the same weights."""
    weights = network.state_dict()
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda *_, **__: weights)

    def build(make: Callable[..., nn.Module], **options: Any) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it says `pretrained`
            return make(**options).eval()

    return build


def test_a_state_dict_gives_pytorch_fids_features(
    reference: Callable[..., nn.Module], state_file: Path
) -> None:
    images = noise(2, 3, 299, 299).float()
    theirs = reference(pytorch_fid.InceptionV3, resize_input=False, normalize_input=False)
    with torch.no_grad():
        expected = theirs((images - 128) / 128)[0].flatten(1)
        found = load_inception(state_file)(images)
    assert found.shape == (2, 2048)
    assert found.std() > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_names_and_shapes_are_those_of_pytorch_fids_file(
    network: nn.Module, reference: Callable[..., nn.Module]
) -> None:
    theirs = reference(pytorch_fid.fid_inception_v3).state_dict()
    ours = network.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert ours["fc.weight"].shape == (1008, 2048)
    assert not [name for name in ours if name.startswith("AuxLogits")]


Tv, Pf = torchvision_inception, pytorch_fid
PATCHED = {
    "Mixed_5b": (Tv.InceptionA(192, 32), Pf.FIDInceptionA(192, 32)),
    "Mixed_5c": (Tv.InceptionA(256, 64), Pf.FIDInceptionA(256, 64)),
    "Mixed_5d": (Tv.InceptionA(288, 64), Pf.FIDInceptionA(288, 64)),
    "Mixed_6b": (Tv.InceptionC(768, 128), Pf.FIDInceptionC(768, 128)),
    "Mixed_6c": (Tv.InceptionC(768, 160), Pf.FIDInceptionC(768, 160)),
    "Mixed_6d": (Tv.InceptionC(768, 160), Pf.FIDInceptionC(768, 160)),
    "Mixed_6e": (Tv.InceptionC(768, 192), Pf.FIDInceptionC(768, 192)),
    "Mixed_7b": (Tv.InceptionE(1280), Pf.FIDInceptionE_1(1280)),
    "Mixed_7c": (Tv.InceptionE(2048), Pf.FIDInceptionE_2(2048)),
}
"""Blocks as torchvision and as pytorch-fid have them."""


@pytest.mark.parametrize("name", PATCHED)
@torch.no_grad()
def test_a_block_is_patched(network: nn.Module, name: str) -> None:
    block = network.get_submodule(name)
    channels = block.get_parameter("branch1x1.conv.weight").shape[1]
    x = torch.rand(1, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    plain, patched = (other.eval() for other in PATCHED[name])
    for other in (plain, patched):
        other.load_state_dict(block.state_dict())
    torch.testing.assert_close(block(x), patched(x), atol=1e-5, rtol=1e-5)
    pooled = slice(-block.get_parameter("branch_pool.conv.weight").shape[0], None)
    off = (block(x) - plain(x)).abs()
    assert off[:, : pooled.start].max() < 1e-5  # only the pool branch differs
    assert off[:, pooled].max() > 1e-2


def test_other_forms_of_a_state_dict(
    network: nn.Module, state_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = network.state_dict()
    save_file(weights, tmp_path / "plain.safetensors")
    torch.save({**weights, "AuxLogits.fc.bias": torch.zeros(1000)}, tmp_path / "aux.pth")
    images = noise(1, 3, 299, 299).float()
    expected = load_inception(state_file)(images)
    assert torch.equal(load_inception(tmp_path / "plain.safetensors")(images), expected)
    assert capsys.readouterr().err == ""
    assert torch.equal(load_inception(tmp_path / "aux.pth")(images), expected)
    assert "AuxLogits is not used" in capsys.readouterr().err


def test_other_weights_are_refused(network: nn.Module, tmp_path: Path) -> None:
    weights = network.state_dict()
    classes = {**weights, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    torch.save(classes, tmp_path / "torchvision.pth")
    with pytest.raises(UserError, match=r"another network: size mismatch for fc.weight"):
        load_inception(tmp_path / "torchvision.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "small.pth")
    with pytest.raises(UserError, match=r"another network: Missing key"):
        load_inception(tmp_path / "small.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(UserError, match="is no state dict"):
        load_inception(tmp_path / "list.pth")


@pytest.mark.parametrize("name", ["code.pth", "cut.pth", "cut.safetensors", "none.pth"])
def test_files_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    torch.save(Path.cwd, tmp_path / "code.pth")  # a pickle that would call something
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04")
    (tmp_path / "cut.safetensors").write_bytes(b"1234")
    with pytest.raises(UserError, match="cannot be read as weights") as refused:
        load_inception(tmp_path / name)
    assert "\n" not in str(refused.value)


# Networks of a user's


def written(folder: Path, module: nn.Module | None = None, **card: Any) -> str:
    """A user's TorchScript file with its card."""
    save_script(module or Layers(8), folder / "mine.pt")
    (folder / "mine.json").write_text(json.dumps({**CARD, **card}))
    return str(folder / "mine.pt")


def exported(folder: Path, batch: Any = None) -> str:
    example = (torch.zeros(2, 3, 16, 16),)
    shapes = {"x": {0: batch}} if batch else None
    program = torch.export.export(Layers(8).eval(), example, dynamic_shapes=shapes)
    torch.export.save(program, folder / "mine.pt2")
    (folder / "mine.json").write_text(json.dumps(CARD))
    return str(folder / "mine.pt2")


def importable(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str) -> str:
    """A module `users_<folder>` with a function `features`."""
    name = f"users_{folder.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(f"import torch\n\n\n{body}\n")
    monkeypatch.syspath_prepend(folder)
    return f"{name}:features"


def expected_features(images: Tensor) -> Tensor:
    with torch.no_grad():
        return Layers(8).eval()(resize(images.float(), 16))


def test_a_torchscript_file(tmp_path: Path) -> None:
    images = noise(3, 3, 64, 48)
    extractor = load_extractor(written(tmp_path), CPU)
    torch.testing.assert_close(extractor.embed(images), expected_features(images))
    assert (extractor.name, extractor.sha256) == ("mine", sha256_file(tmp_path / "mine.pt"))


def test_an_exported_file(tmp_path: Path) -> None:
    images = noise(3, 3, 64, 64)
    extractor = load_extractor(exported(tmp_path, torch.export.Dim("batch")), CPU)
    torch.testing.assert_close(extractor.embed(images), expected_features(images))
    assert extractor.sha256 == sha256_file(tmp_path / "mine.pt2")


def test_an_exported_file_for_one_batch_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not take 3 images of 16x16 pixels"):
        load_extractor(exported(tmp_path), CPU)


def test_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "class Mean(torch.nn.Module):\n"
        "    size, resize, dimension = 16, 'bicubic', 3\n\n"
        "    def forward(self, x):\n"
        "        assert not self.training\n"
        "        return x.mean((2, 3))\n\n\n"
        "def features():\n"
        "    return Mean()\n"
    )
    spec = importable(monkeypatch, tmp_path, body)
    extractor = load_extractor(spec, CPU)
    images = noise(4, 3, 64, 64)
    assert torch.equal(extractor.embed(images), resize(images.float(), 16).mean((2, 3)))
    assert extractor.name == "features"
    assert extractor.sha256 == sha256_file(tmp_path / f"{spec.partition(':')[0]}.py")
    # Resizing is no part of what bf16 is about.
    assert torch.equal(load_extractor(spec, CPU, "bf16").embed(images), extractor.embed(images))


def test_a_function_whose_network_is_written_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written there is a part of what it is: another sum, another network."""
    body = (
        "class Mean(torch.nn.Module):\n"
        "    size, resize, dimension = 16, 'bicubic', 3\n\n"
        "    def forward(self, x):\n"
        "        return x.mean((2, 3))\n"
    )
    elsewhere = importable(monkeypatch, tmp_path, body).partition(":")[0]
    (tmp_path / "wrapping.py").write_text(f"from {elsewhere} import Mean as features\n")
    first = load_extractor("wrapping:features", CPU).sha256
    assert load_extractor("wrapping:features", CPU).sha256 == first
    path = tmp_path / f"{elsewhere}.py"
    path.write_text(path.read_text().replace("x.mean((2, 3))", "x.amax((2, 3))"))
    assert load_extractor("wrapping:features", CPU).sha256 != first


def test_a_function_that_is_its_own_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        "def mean(x):\n"
        "    return x.mean((2, 3))\n\n\n"
        "mean.size, mean.resize, mean.dimension = 16, 'bicubic', 3\n\n\n"
        "def features():\n"
        "    return mean\n"
    )
    spec = importable(monkeypatch, tmp_path, body)
    assert load_extractor(spec, CPU).sha256 == sha256_file(
        tmp_path / f"{spec.partition(':')[0]}.py"
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ImportError('no such luck')", "ImportError: no such luck"),
        ("feature = 3", "AttributeError"),
        ("features = lambda: 3", "a function in a file that returns a network"),
        ("features = lambda: torch.nn.Identity()", "resize is None: choose bicubic or none"),
    ],
)
def test_a_function_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        load_extractor(importable(monkeypatch, tmp_path, body), CPU)


@pytest.mark.parametrize(
    "spec", ["inceptoin", "faces.pth", "", "package.module", "package:function:more", "a b:c"]
)
def test_a_mistyped_spec_names_the_choices(spec: str) -> None:
    with pytest.raises(UserError, match=r"choose inception, faces, FILE.pt or .*module:function"):
        load_extractor(spec, CPU)


def test_a_package_that_is_not_there() -> None:
    with pytest.raises(UserError, match="ModuleNotFoundError: No module named 'nopackage'"):
        load_extractor("nopackage.module:function", CPU)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 0}, "size is 0: a whole number above 0"),
        ({"size": "16"}, "size is '16'"),
        ({"size": True}, "size is True"),
        ({"dimension": 8.0}, "dimension is 8.0"),
        ({"dimension": None}, "dimension is None"),
        ({"resize": "bilinear"}, "resize is 'bilinear': choose bicubic or none"),
        ({"dimension": 9}, r"gives \[2, 8\] where \[2, 9\] is needed"),
        ({"size": 3}, "does not take 2 images of 3x3 pixels: .*size"),
    ],
)
def test_a_card_that_contradicts(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        load_extractor(written(tmp_path, **change), CPU)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_card_that_is_none(tmp_path: Path, text: str) -> None:
    spec = written(tmp_path)
    (tmp_path / "mine.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"mine.json is no (JSON|card)"):
        load_extractor(spec, CPU)


def test_files_that_are_missing(tmp_path: Path) -> None:
    spec = written(tmp_path)
    (tmp_path / "mine.json").unlink()
    with pytest.raises(MissingError, match=r"mine.json cannot be read .* card such as"):
        load_extractor(spec, CPU)
    with pytest.raises(MissingError, match="no such file"):
        load_extractor(str(tmp_path / "other.pt"), CPU)


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_files_that_are_damaged(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path)
    for content in (b"", b"x" * 100, Path(spec).read_bytes()[:-100]):
        (tmp_path / f"mine{suffix}").write_bytes(content)
        with pytest.raises(UserError, match=rf"mine{suffix} (is no|cannot be)") as refused:
            load_extractor(str(tmp_path / f"mine{suffix}"), CPU)
        assert "\n" not in str(refused.value)
    assert "Traceback" not in capsys.readouterr().err


def test_a_script_is_no_exported_file(tmp_path: Path) -> None:
    Path(written(tmp_path)).rename(tmp_path / "mine.pt2")
    with pytest.raises(UserError, match=r"not written by torch.export.save"):
        load_extractor(str(tmp_path / "mine.pt2"), CPU)


@pytest.mark.parametrize("name", ["inception", "faces", "a b", "5k", "x,y"])
def test_names_that_would_mislead(tmp_path: Path, name: str) -> None:
    written(tmp_path)
    for suffix in (".pt", ".json"):
        (tmp_path / f"mine{suffix}").rename(tmp_path / f"{name}{suffix}")
    with pytest.raises(UserError, match="metrics cannot be named"):
        load_extractor(str(tmp_path / f"{name}.pt"), CPU)


# What an extractor does with images


def extractor_of(network: Callable[[Tensor], Any], resize: str = "bicubic") -> Extractor:
    return Extractor("mine", "0" * 64, 16, resize, 3, "fp32", CPU, network)


def mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def test_faces_are_what_their_package_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Net(nn.Module):
        dimension, sha256 = 3, "ab"

        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[1:] == (3, 64, 64)
            assert x.max() > 200
            return mean(x)

    monkeypatch.setattr(eval.extractors, "load_faces", Net)
    faces = load_extractor("faces", CPU)
    assert (faces.name, faces.sha256, faces.size, faces.resize, faces.dimension) == (
        "faces",
        "ab",
        64,
        "bicubic",
        3,
    )
    images = noise(2, 3, 64, 64)
    assert torch.equal(faces.embed(images), mean(images.float()))  # as they are, at 64 pixels
    assert faces.embed(noise(2, 3, 128, 128)).shape == (2, 3)


def test_floats_are_as_good_as_bytes_and_batches_do_not_matter() -> None:
    extractor = extractor_of(mean)
    images = noise(5, 3, 64, 64)
    features = extractor.embed(images)
    assert torch.equal(features, extractor.embed(images.float()))
    assert torch.equal(features, extractor.embed(images.double()))
    torch.testing.assert_close(features, torch.cat([extractor.embed(i[None]) for i in images]))
    assert not features.requires_grad
    with torch.autocast("cpu", torch.bfloat16):  # its caller's precision is not its own
        assert torch.equal(features, extractor.embed(images))


def test_none_resizes_nothing() -> None:
    extractor = extractor_of(mean, resize="none")
    images = noise(2, 3, 16, 16)
    assert torch.equal(extractor.embed(images), mean(images.float()))
    with pytest.raises(UserError, match=r"mine takes 16x16 pixels.*these images have 48x64"):
        extractor.embed(noise(2, 3, 64, 48))


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 1, 16, 16), (2, 16, 16, 3)])
def test_what_is_no_batch_of_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"mine: images are \[N, 3, H, W\]"):
        extractor_of(mean).embed(noise(*shape))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda x: x, r"gives \[2, 3, 16, 16\] where \[2, 3\]"),
        (lambda x: (mean(x),), "gives <class 'tuple'>"),
        (lambda x: mean(x).int(), r"gives torch.int32: floats"),
        (lambda x: mean(x) / 0, "NaN or infinite"),
        (lambda x: mean(x) * float("nan"), "NaN or infinite"),
    ],
)
def test_what_are_no_features(network: Callable[[Tensor], Any], words: str) -> None:
    with pytest.raises(UserError, match=f"extractor mine gives .*{words.removeprefix('gives ')}"):
        extractor_of(network).embed(noise(2, 3, 16, 16) + 1)


def test_bf16_is_asked_for(tmp_path: Path) -> None:
    spec = written(tmp_path)
    images = noise(4, 3, 64, 64)
    exact = load_extractor(spec, CPU).embed(images)
    rough = load_extractor(spec, CPU, "bf16")
    assert rough.precision == "bf16"
    assert rough.embed(images).dtype == torch.float32
    off = (rough.embed(images) - exact).abs().max()
    assert 0 < off < 0.02 * exact.abs().max()
    with pytest.raises(UserError, match="precision fp16: choose fp32 or bf16"):
        load_extractor(spec, CPU, "fp16")


def test_tf32_is_off_inside_and_as_it_was_outside() -> None:
    def seen() -> tuple[bool, str]:
        return torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()

    def network(x: Tensor) -> Tensor:
        assert seen() == (False, "highest")
        raise KeyError

    before = seen()
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(KeyError):
            extractor_of(network).embed(noise(2, 3, 16, 16))
        assert seen() == (True, "high")
    finally:
        torch.backends.cudnn.allow_tf32 = before[0]
        torch.set_float32_matmul_precision(before[1])
