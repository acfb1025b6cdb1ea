"""Files of weights: read without running anything that may be in them, and checked against a network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.conventions import ParameterError

if TYPE_CHECKING:
    import torch


class EmbeddingError(ParameterError):
    """No features can be computed; the message says what was wrong and where."""


class ChangedWeightsError(EmbeddingError):
    """The weights of a network are not what they were when their run began."""

    @classmethod
    def of(cls, backbone: str, path: Path | None) -> ChangedWeightsError:
        """Say so in a sentence; `path` is None where the network's library keeps them."""
        where = f" in {path}" if path else ""
        return cls(f"The weights of {backbone}{where} have changed since this run began; run again.")


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a weight file, by name.

    Raises
    ------
    EmbeddingError
        If it holds anything but tensors.
    """
    import torch
    from safetensors.torch import load_file

    try:
        safe = path.suffix == ".safetensors"
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):  # of the moment, and not of the file's content
        raise
    except Exception:  # the unpickler raises almost anything at a file that is no pickle
        state = None
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise EmbeddingError(f"The weight file {path} is not a state dict, that is, tensors by name and nothing else.")
    return state


def load_state(model: torch.nn.Module, path: Path) -> None:
    """Load the tensors of a weight file into a network of the same names and shapes.

    Raises
    ------
    EmbeddingError
        If the names or shapes differ, or the file holds anything but tensors.
    """
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
