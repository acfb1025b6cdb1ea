"""The kinds of data sets: how each is called, what it gives and what it needs.

A kind is one function, registered beside its credit. Messages, the README's table of parameters and the tests read the
registry, so a further kind is named in one place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.conventions import ParameterError, did_you_mean, resolve_path
from .collection import ImageSet


@dataclass(frozen=True)
class DatasetKind:
    """A data set that `load_images` opens, or a family of data sets.

    Attributes
    ----------
    name : str
        Such as ``digits`` or ``synthetic:blobs``; one that ends in a colon takes an argument.
    load : callable
        Called with the keywords `argument` (what stands after the colon), `pictures` (a folder, or None) and
        `random_state`; it names those that it needs and leaves the others to ``**_``. `load_images` adds name and
        credit to the ImageSet that it returns.
    credit : str
        Whom to credit, in one line.
    placeholder : str
        What messages write for the argument, such as ``PATH``.
    pictures : str
        What the parameter `pictures` is the folder of, for the README's table; empty where it has no place.
    comes_as_features : bool
        Whether `load_features` opens it.
    features_are : str
        What its features are, such as ``drawn at random``, where no network gave them.
    endings : tuple of str
        How the names of the files end that its argument may be, where these are none of pictures.
    needs_network : bool
        Whether it may have to be downloaded.
    drawn : bool
        Whether it is drawn at random, so that another `random_state` gives others.
    """

    name: str
    load: Callable[..., ImageSet]
    credit: str
    placeholder: str = ""
    pictures: str = ""
    comes_as_features: bool = False
    features_are: str = ""
    endings: tuple[str, ...] = ()
    needs_network: bool = False
    drawn: bool = False

    @property
    def full_name(self) -> str:
        """The name with its placeholder, such as ``folder:PATH``."""
        return f"{self.name}{self.placeholder}"

    @property
    def form(self) -> str:
        """The name in short: ``synthetic:NAME`` stands for all that begin with ``synthetic:``."""
        return self.full_name if self.placeholder or ":" not in self.name else f"{self.name.partition(':')[0]}:NAME"


_KINDS: dict[str, DatasetKind] = {}


def register_dataset(name: str, **about: Any) -> Callable[[Callable[..., ImageSet]], Callable[..., ImageSet]]:
    """Register the function below as the loader of a data set; `about` are the other fields of `DatasetKind`."""

    def register(load: Callable[..., ImageSet]) -> Callable[..., ImageSet]:
        _KINDS[name] = DatasetKind(name, load, **about)
        return load

    return register


def dataset_kinds() -> list[DatasetKind]:
    """List all kinds, those that need no network first."""
    return sorted(_KINDS.values(), key=lambda kind: kind.needs_network)


def dataset_forms(chosen: Callable[[DatasetKind], object] = bool) -> list[str]:
    """List the forms of the kinds for which `chosen` is true; by default, of all.

    Examples
    --------
    >>> import helpers.images.datasets
    >>> dataset_forms(lambda kind: kind.comes_as_features)
    ['imagenet-sample', 'synthetic:NAME', 'features:PATH']
    """
    return list(dict.fromkeys(kind.form for kind in dataset_kinds() if chosen(kind)))


def find_dataset(dataset: str, *, comes_as_features: bool = False) -> DatasetKind:
    """Find the kind of a data set by its name.

    Raises
    ------
    ParameterError
        If there is none, or none that comes as features where that is asked for.
    """
    kind = _KINDS.get(dataset) or _KINDS.get(f"{dataset.partition(':')[0]}:")
    if kind is not None and kind.comes_as_features >= comes_as_features:
        return kind
    known = [kind for kind in dataset_kinds() if kind.comes_as_features >= comes_as_features]
    near = did_you_mean(dataset, [kind.name for kind in known])
    ending = Path(dataset).suffix.lower()
    paths = [kind.name + dataset for kind in known if ending in kind.endings]
    paths += [kind.name + dataset for kind in known if kind.placeholder == "PATH" and not kind.endings]
    if paths and dataset and (re.search(r"[/\\]|\.zip$", dataset) or resolve_path(dataset).exists()):
        near = f" (did you mean {paths[0]!r}?)"
    allowed = ", ".join(kind.full_name for kind in known)
    raise ParameterError(f"There is no data set {dataset!r}{near}; allowed are {allowed}.")


def features_words(dataset: str, backbone: str) -> str:
    """Say in words where the features of a data set come from: from a network, as a study asks for it, or not.

    Examples
    --------
    >>> import helpers.images.datasets
    >>> features_words("digits", "pixels"), features_words("synthetic:blobs", "efficientnet-lite0")
    ('of pixels', 'drawn at random')
    """
    return find_dataset(dataset).features_are or f"of {backbone}"
