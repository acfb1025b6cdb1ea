"""One validated, documented set of parameters: what to study, and how."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .core.conventions import ParameterError, did_you_mean, listed
from .images import datasets  # noqa: F401, since it registers data sets
from .images.backbones import LITE0, backbone_forms, find_backbone
from .images.groups import check_rule
from .images.registry import dataset_forms, dataset_kinds

_DATASETS = listed(f"`{form}`" for form in dataset_forms(lambda kind: kind.placeholder != "PATH"))
_PICTURES = ", or of ".join(dict.fromkeys(kind.pictures for kind in dataset_kinds() if kind.pictures))
# What stands for no value, in the words of Python, which papermill knows, and of YAML.
_NULL = ("None", "null", "Null", "NULL", "~")
_BACKBONES = listed(backbone_forms(), ", or ")
_LOG = re.compile(r"log:([0-9]{1,9}):([0-9]{1,9}):([0-9]{1,9})")
_MOST_K = 1000

# They say where a study is computed and kept, and change nothing that is seen in it.
PLACES = frozenset({"scheduler", "cache_dir"})


class Parameters(BaseModel):
    """The parameters of a study.

    A parameter that few people change names, in its schema, the one that it goes along with; see `with_companions`.

    Raises
    ------
    ParameterError
        At an unknown name, a wrong type or a value out of range, naming what is allowed.

    Examples
    --------
    >>> from helpers.parameters import Parameters
    >>> params = Parameters(dataset="digits", k_max=5)
    >>> params.tried_k, params.changed()
    ([2, 3, 4, 5], {'dataset': 'digits', 'k_max': 5})
    >>> Parameters(kmax=5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    helpers.core.conventions.ParameterError: There is no parameter 'kmax' (did you mean 'k_max'?); known are ...
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    dataset: str = Field(
        "solar-cells",
        title="folder:PATH or a known name",
        description="the images: `folder:PATH` for your own, where PATH is a folder, a zip file or an address such as "
        "`s3://bucket/photos`; `table:PATH` for a CSV or Parquet file of paths and labels; `features:PATH` for "
        f"features that you have, in a file of NumPy or Parquet; or {_DATASETS}",
    )
    pictures: str | None = Field(
        None,
        min_length=1,
        title="folder, for imagenet-sample",
        description=f"folder of {_PICTURES}; null: none, or PyTorch's own folder",
        json_schema_extra={"along": "dataset"},
    )
    groups: str | None = Field(
        None,
        min_length=1,
        title="images that belong together; None: as known",
        description="which images belong together and are not independent, as those of one burst: `folder`, those of a "
        "folder, or a regular expression, those in whose names its first group is the same, or the whole match; "
        "`none`, each is by itself; null takes the groups that the data set comes with, if any",
        json_schema_extra={"along": "dataset"},
    )
    copies: Literal["keep", "drop"] = Field(
        "keep",
        title="or drop",
        description="whether images whose files are the same to the byte are all kept, or only the first of them: a "
        "copy makes clusters look tighter and errors smaller",
        json_schema_extra={"along": "dataset"},
    )
    n_images: int | None = Field(
        None,
        ge=3,
        title="this many at random; None: all",
        description="number of images, drawn at random with `random_state`, each class its share; null takes all",
    )
    backbone: str = Field(
        LITE0,
        min_length=1,
        title="the network",
        description=f"the network that turns an image into features: {_BACKBONES}",
    )
    weights: str | None = Field(
        None,
        min_length=1,
        title="its file; None: as shipped",
        description="file of the network's weights, a state dict; null takes the shipped ones, or downloads them",
        json_schema_extra={"along": "backbone"},
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        title="or bfloat16",
        description="arithmetic of the network; bfloat16 is faster on some processors, and coarser",
        json_schema_extra={"along": "backbone"},
    )
    normalize: Literal["none", "unit", "standard"] = Field(
        "unit",
        title="none, unit or standard",
        description="what is done to the features: nothing, each image to length 1, or each feature to variance 1",
    )
    n_components: int | None = Field(
        50,
        ge=1,
        title="for k-means, at most; None: no PCA",
        description="principal components that k-means sees, at most; null leaves PCA out",
    )
    n_neighbors: int = Field(15, ge=2, description="neighbours that UMAP looks at, for the map only")
    min_dist: float = Field(
        0.1,
        ge=0,
        le=1,
        description="how tightly UMAP may pack points, for the map only",
        json_schema_extra={"along": "n_neighbors"},
    )
    metric: Literal["euclidean", "cosine"] = Field(
        "euclidean", title="distance of the silhouettes", description="the distance in which silhouettes are measured"
    )
    k_min: int = Field(2, ge=2, description="smallest number of clusters tried")
    k_max: int = Field(
        16,
        ge=2,
        title="largest number of clusters tried",
        description="largest number of clusters tried; below the number of images, and at most that of different ones",
    )
    k_values: list[int] | str | None = Field(
        None,
        title="a list, or log:LOW:HIGH:COUNT",
        description="the numbers of clusters tried, in the place of those from `k_min` to `k_max`: a list in ascending "
        "order, or `log:LOW:HIGH:COUNT`, such as `log:2:256:24`, whole numbers from LOW to HIGH that are evenly apart "
        "on a logarithmic axis, COUNT of them before those that rounding makes equal are dropped; null: each from "
        "`k_min` to `k_max`",
        json_schema_extra={"along": "k_max"},
    )
    chosen_k: list[int] | None = Field(
        None,
        title="None: those that criteria prefer",
        description="the k whose samples are shown one by one; null takes those that the criteria prefer",
    )
    n_init: int = Field(
        10,
        ge=1,
        le=1000,
        title="k-means restarts for each k",
        description="k-means restarts for each k; the best one is kept",
        json_schema_extra={"along": "k_max"},
    )
    algorithm: Literal["lloyd", "minibatch"] = Field(
        "lloyd",
        title="or minibatch",
        description="how k-means is computed: `minibatch`, for features larger than memory, reads them in batches and "
        "is coarser",
        json_schema_extra={"along": "k_max"},
    )
    random_state: int = Field(0, ge=0, le=2**32 - 1, description="seed of everything random")
    scheduler: str = Field(
        "",
        title="of Dask; empty: this machine",
        description="where the work runs: nothing for this machine, `local` for a Dask cluster of processes on it, or "
        "the address of a Dask scheduler; the results are the same",
        json_schema_extra={"along": "dataset"},
    )
    cache_dir: str = Field(
        "_build/cache",
        min_length=1,
        title="folder of stored results",
        description="folder of stored intermediate results, from the repository",
        json_schema_extra={"along": "random_state"},
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**{name: _plain(name, value) for name, value in values.items()})
        except ValidationError as error:
            raise ParameterError(_sentence(error)) from None

    @field_validator("k_values", mode="before")
    @classmethod
    def _check_k_values(cls, k_values: Any) -> Any:
        if k_values is not None and not _are_numbers_of_clusters(k_values) and not _spread_evenly(k_values):
            raise ValueError(
                f"k_values = {k_values!r} is not allowed: k_values takes a list of whole numbers from 2 on in "
                "ascending order, such as [2, 4, 8], or log:LOW:HIGH:COUNT, such as log:2:256:24, with LOW from 2 on, "
                f"HIGH above it, and COUNT from 2 to {_MOST_K}, or null."
            )
        return k_values

    @field_validator("chosen_k")
    @classmethod
    def _drop_repeats(cls, chosen_k: list[int] | None) -> list[int] | None:
        return None if chosen_k is None else list(dict.fromkeys(chosen_k))

    @model_validator(mode="after")
    def _check_backbone(self) -> Parameters:
        if not find_backbone(self.backbone).has_weights and self.weights is not None:
            raise ValueError(f"weights = {self.weights!r} has no place: the backbone {self.backbone!r} has no weights.")
        return self

    @model_validator(mode="after")
    def _check_groups(self) -> Parameters:
        check_rule(self.groups)
        return self

    @model_validator(mode="after")
    def _check_k(self) -> Parameters:
        if self.k_values is None and self.k_min > self.k_max:
            raise ValueError(f"k_min = {self.k_min} must not be larger than k_max = {self.k_max}.")
        if not set(self.chosen_k or []) <= set(self.tried_k):
            where = f"lie between k_min = {self.k_min} and k_max = {self.k_max}"
            if self.k_values is not None:
                where = f"be among the k of k_values, {listed(map(str, self.tried_k), ' and ')}"
            raise ValueError(f"chosen_k = {self.chosen_k} must {where}.")
        if self.chosen_k == []:
            raise ValueError("chosen_k = [] is empty; name at least one k, or null for those the criteria prefer.")
        return self

    @classmethod
    def from_names(cls, names: Mapping[str, Any]) -> Parameters:
        """Take the parameters among `names`, such as the ``globals()`` of a notebook, and ignore other names."""
        return cls(**{name: value for name, value in names.items() if name in cls.model_fields})

    @property
    def tried_k(self) -> list[int]:
        """The numbers of clusters tried, in ascending order."""
        if isinstance(self.k_values, str):
            return _spread_evenly(self.k_values)
        return list(range(self.k_min, self.k_max + 1)) if self.k_values is None else self.k_values

    def check_images(self, n_images: int, n_distinct: int | None = None) -> None:
        """Refuse a k that is too large for the images: a silhouette needs k < n, and k-means k distinct points.

        Raises
        ------
        ParameterError
            Naming the largest possible k, or how many images are needed where there is none.
        """
        n_distinct = n_images if n_distinct is None else n_distinct
        most = min(n_images - 1, n_distinct)
        least, largest = self.tried_k[0], self.tried_k[-1]
        lower, upper = ("k_min", "k_max") if self.k_values is None else ("the smallest of k_values", "k")
        which = f"{upper} = {largest}{'' if self.k_values is None else ', the largest of k_values,'}"
        if most < least:
            raise ParameterError(
                f"{self.dataset!r} gives {n_images} images, {n_distinct} of them different; at least {least + 1} "
                f"are needed, {least} of them different, for {lower} = {least}."
            )
        if largest > most and most == n_images - 1:
            raise ParameterError(
                f"{which} must be smaller than the number of images, and {self.dataset!r} gives "
                f"{n_images} of them, so {upper} may be at most {most}."
            )
        if largest > most:
            raise ParameterError(
                f"{which} must not be larger than the number of different images, and of the {n_images} "
                f"that {self.dataset!r} gives only {n_distinct} differ, so {upper} may be at most {most}."
            )

    def changed(self) -> dict[str, Any]:
        """Return the parameters that differ from their defaults."""
        return {name: value for name, value in self if value != type(self).model_fields[name].default}

    def as_options(self) -> str:
        """Write the command-line options that give these parameters, quoted for a shell."""
        return " ".join(
            f"-p {name} {shlex.quote('None' if value is None else str(value))}"
            for name, value in self.changed().items()
        )


def _are_numbers_of_clusters(k_values: Any) -> bool:
    """Tell whether a value is a list of whole numbers from 2 on, in ascending order."""
    if not isinstance(k_values, list) or not k_values or any(type(k) is not int for k in k_values):
        return False
    return k_values[0] >= 2 and all(before < after for before, after in pairwise(k_values))


def _spread_evenly(text: Any) -> list[int]:
    """List the k of ``log:LOW:HIGH:COUNT``; none where the text is of another form, or not possible."""
    match = _LOG.fullmatch(text) if isinstance(text, str) else None
    low, high, count = map(int, match.groups()) if match else (0, 0, 0)
    if not 2 <= low < high or not 2 <= count <= _MOST_K:
        return []
    return np.unique(np.rint(np.geomspace(low, high, count)).astype(int)).tolist()


def load_parameters(file: str | Path | None = None, **overrides: Any) -> Parameters:
    """Read parameters from a YAML file and override some of them.

    Parameters
    ----------
    file : path, optional
        A YAML mapping of names to values; without it, the defaults.
    **overrides
        Values that win over the file.

    Returns
    -------
    Parameters

    Raises
    ------
    ParameterError
        If the file cannot be read, is not a mapping, or a value is refused.

    Examples
    --------
    >>> from helpers.core.conventions import ROOT
    >>> from helpers.parameters import load_parameters
    >>> load_parameters(ROOT / "params" / "fast.yml", k_max=8).k_max
    8
    """
    return Parameters(**{**(read_parameters(file) if file else {}), **overrides})


class _PlainNumbers(yaml.SafeLoader):
    """Read numbers as YAML 1.2, people and papermill do: 010 is ten, and 1:30 no number but a text."""


_PlainNumbers.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _type, _pattern in (
    ("tag:yaml.org,2002:int", int, r"[-+]?[0-9]+"),
    ("tag:yaml.org,2002:float", float, r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
):
    _PlainNumbers.add_implicit_resolver(_tag, re.compile(f"^{_pattern}$"), list("-+.0123456789"))
    _PlainNumbers.add_constructor(_tag, lambda loader, node, of=_type: of(loader.construct_scalar(node)))


def read_parameters(file: str | Path) -> dict[str, Any]:
    """Read the values of a YAML file of parameters, which `Parameters` has yet to check.

    Raises
    ------
    ParameterError
        If the file cannot be read, or is not a mapping.
    """
    file = Path(file)
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), _PlainNumbers)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ParameterError(f"The parameter file {file} cannot be read: {reason}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that does not exist is a ValueError
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ParameterError(f"The parameter file {file} is not valid YAML{where}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ParameterError(f"The parameter file {file} must hold lines of the form `name: value`.")
    return values


def parse_value(name: str, text: str) -> Any:
    """Convert the text of a command-line option to the value of a parameter.

    Texts stay texts (a data set named ``1e3`` is a name), whole numbers and numbers are read as papermill reads them,
    and everything else, as a list in brackets, as YAML; ``None`` and ``null`` are no value where a parameter may have
    none.

    Raises
    ------
    ParameterError
        If there is no such parameter. The value is checked by `Parameters`, not here.
    """
    if name not in Parameters.model_fields:
        raise ParameterError(_unknown(name))
    if "string" in _types(name) or text in _NULL:
        return _plain(name, text)
    if not text.isascii():  # Python reads the digits of every script, papermill and YAML do not
        return text
    try:
        if "array" in _types(name):
            return yaml.load(text, _PlainNumbers)
        return int(text) if "integer" in _types(name) and re.fullmatch(r"[-+]?[0-9]+", text) else float(text)
    except (yaml.YAMLError, ValueError):
        return text


def _plain(name: str, value: Any) -> Any:
    """Make a value of NumPy one of Python, and read the text of a list, or of no value, where a parameter may be one.

    Papermill hands ``null`` and ``[2, 4]`` on as texts, so they are read here, and in the same way for all who give
    parameters.
    """
    types = _types(name) if isinstance(value, str) and name in Parameters.model_fields else []
    if "null" in types and value in _NULL:
        return None
    if "array" in types and value.startswith("["):
        with suppress(yaml.YAMLError, ValueError):
            return yaml.load(value, _PlainNumbers)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return [_plain(name, item) for item in value] if isinstance(value, list) else value


def with_companions(names: Iterable[str]) -> list[str]:
    """Add to some parameters those that go along with them, such as `weights` with `backbone`.

    A parameter that few people change stands in no notebook's cell of its own: a notebook that declares `backbone`
    takes `weights` and `precision`, too.

    Returns
    -------
    list of str
        In the order of the fields of `Parameters`.

    Raises
    ------
    ParameterError
        If one of the names is unknown.

    Examples
    --------
    >>> with_companions(["k_max", "dataset"])
    ['dataset', 'pictures', 'groups', 'copies', 'k_max', 'k_values', 'n_init', 'algorithm', 'scheduler']
    """
    chosen = set(names)
    for name in sorted(chosen - Parameters.model_fields.keys()):
        raise ParameterError(_unknown(name))
    return [name for name in Parameters.model_fields if chosen & {name, _leader(name)}]


def _leader(name: str) -> str | None:
    """Return the parameter that a parameter goes along with, if any."""
    extra = Parameters.model_fields[name].json_schema_extra
    return str(extra["along"]) if isinstance(extra, dict) else None


def parameter_rows() -> list[dict[str, str]]:
    """Describe the parameters in rows of texts: name, default, what is allowed, and meaning."""
    return [
        {
            "parameter": name,
            "default": yaml.safe_dump(field.default).splitlines()[0],
            "allowed": _allowed(name),
            "meaning": field.description or "",
        }
        for name, field in Parameters.model_fields.items()
    ]


def parameter_table() -> str:
    """Write the parameters as a table in Markdown, one row a parameter."""
    lines = ["| parameter | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for row in parameter_rows():
        lines.append(f"| `{row['parameter']}` | `{row['default']}` | {row['allowed']} | {row['meaning']} |")
    return "\n".join(lines)


def _unknown(name: str) -> str:
    known = list(Parameters.model_fields)
    return f"There is no parameter {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}."


def _sentence(error: ValidationError) -> str:
    """Say in one sentence what was wrong first."""
    first = error.errors()[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return _unknown(name)
    return f"{name} = {first['input']!r} is not allowed: {name} takes {_allowed(name)} ({_meaning(name)})."


def _meaning(name: str) -> str:
    return (Parameters.model_fields[name].description or "").replace("`", "")


def _schemas(name: str) -> list[dict[str, Any]]:
    schema = Parameters.model_json_schema()["properties"][name]
    return schema.get("anyOf", [schema])


def _types(name: str) -> list[str]:
    return [schema.get("type", "string") for schema in _schemas(name)]


def _allowed(name: str) -> str:
    return ", or ".join(_allowed_by(schema) for schema in _schemas(name))


def _allowed_by(schema: dict[str, Any]) -> str:
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if choices:
        return " or ".join(repr(choice) for choice in choices)
    words = {
        "integer": "a whole number",
        "number": "a number",
        "string": "a text",
        "null": "null",
        "array": "a list of whole numbers",
    }[schema["type"]]
    if "minimum" in schema and "maximum" in schema:
        return f"{words} from {schema['minimum']} to {schema['maximum']}"
    return f"{words}, {schema['minimum']} or more" if "minimum" in schema else words
