"""Execute notebooks with papermill, with strictly checked parameters."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from ..core.cache import check_folder
from ..core.conventions import ROOT, ParameterError
from ..core.runs import one_run
from ..core.scheduling import LOCAL, use_scheduler
from ..images.backbones import load_backbone
from ..images.collection import ChangedImageError, CollectionError, ImageSet
from ..images.copies import first_of_copies
from ..images.datasets import folder_of
from ..images.weights import ChangedWeightsError
from ..parameters import Parameters
from ..study import Study
from .sources import NotebookError, clean_source, read_notebook, used_parameters

# That something changed under a run, or that the images do not allow the parameters, which may show only when they are
# embedded, is no fault of the notebook that noticed it.
_NO_FAULT_OF_THE_NOTEBOOK = (ChangedImageError.__name__, ChangedWeightsError.__name__, ParameterError.__name__)


@dataclass(frozen=True)
class ExecutedNotebook:
    """An executed notebook as the text of its file."""

    text: str


@one_run()
def run_notebook(path: Path, output: Path, parameters: Parameters, *, label: str = "") -> Path:
    """Check a notebook and its parameters, execute it with papermill, and write the result.

    Parameters
    ----------
    path : Path
        The source.
    output : Path
        Path of the executed notebook. It is written after each cell, so a failed run can be looked at.
    parameters : Parameters
        The notebook gets those that it uses.
    label : str
        Name of the notebook in the progress bar; its file name without it.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    ParameterError
        If the data set cannot be opened or is too small for the parameters; nothing was executed then.
    NotebookError
        If the source breaks a rule, a cell fails or refuses the parameters, an image changes meanwhile, or `output` is
        a file that is no result of an earlier run.
    """
    names = used_parameters(path)
    _check_free(output)
    open_images(parameters, names)
    values = {name: value for name, value in parameters.changed().items() if name in names}
    with _written(clean_source(path), path.name) as source:
        run = begin(_execute, source, output, values, label or path.name)
        try:
            return run.result()
        finally:
            if run.done():  # and not stopped by Ctrl-C
                _trust(output)


def _trust(path: Path) -> None:
    """Sign an executed notebook, if there is one, so that JupyterLab shows all of it, such as the explorer."""
    import nbformat
    from nbformat.sign import NotebookNotary

    if path.is_file():
        with suppress(OSError, sqlite3.Error):  # a home folder that may not be written
            NotebookNotary().sign(nbformat.read(path, as_version=4))


def begin(function: Callable[..., Any], *args: Any) -> Future:
    """Call a function in a thread that ends with this process, so that Ctrl-C need not wait for it."""
    future: Future = Future()

    def call() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=call, daemon=True).start()
    return future


def _check_free(output: Path) -> None:
    """Refuse to write over a file that is no executed notebook.

    Raises
    ------
    NotebookError
        Naming the file.
    """
    if not output.exists():
        return
    with suppress(NotebookError):
        if "papermill" in read_notebook(output).metadata:
            return
    raise NotebookError(
        f"{output} is there and is no result of an earlier run, which alone is replaced; name another folder with "
        "--output."
    )


def open_images(parameters: Parameters, names: Iterable[str]) -> ImageSet:
    """Open the data set of a study and check, before anything is executed, what depends on more than one parameter.

    Parameters
    ----------
    parameters : Parameters
    names : iterable of str
        The parameters in use: without ``k_max``, with which ``k_values`` goes along, the number of images is not
        checked, without ``scheduler`` no scheduler.

    Raises
    ------
    ParameterError
        If the data set cannot be opened or has too few different images for the largest k, the file of weights does not
        fit the network, or the cache or the scheduler cannot be used.
    NotebookError
        If the data set is not what this run found when it first opened it.
    """
    if "cache_dir" in names:
        check_folder(parameters.cache_dir)
    if "scheduler" in names and parameters.scheduler != LOCAL:
        # Each notebook connects to it from its own process; here it is only tried.
        use_scheduler(parameters.scheduler, cache_dir=parameters.cache_dir)
        use_scheduler("")
    if "k_max" in names and parameters.n_images is not None:
        parameters.check_images(parameters.n_images)  # before all images are read
    try:
        study = Study(parameters)
        images = study.images
    except CollectionError as error:
        raise NotebookError(str(error)) from None
    if "k_max" in names:
        parameters.check_images(len(images), len(set(first_of_copies(images.contents).tolist())))
        if images.comes_with(parameters.backbone, parameters.weights, parameters.precision):
            study.check_k_max()  # the features are there already
    if "weights" in names and parameters.weights is not None:
        _check_weights(parameters, images)
    return images


def check_apart(dataset: str, output: Path) -> None:
    """Refuse a folder for results that lies in that of the images, since the next run would take them for images.

    Raises
    ------
    ParameterError
        Naming both.
    """
    folder, output = folder_of(dataset), output.resolve()
    if folder is not None and output.is_relative_to(folder):
        raise ParameterError(f"The results would lie in {output}, within the images' folder {folder}; name another -o.")


def _check_weights(parameters: Parameters, images: ImageSet) -> None:
    """Refuse a file of weights that does not fit the network."""
    if not images.comes_with(parameters.backbone, parameters.weights, parameters.precision):
        load_backbone(parameters.backbone, parameters.weights)


@contextmanager
def _written(source: str, name: str) -> Iterator[Path]:
    """Write the text of a notebook to a file of that name, which is there in the context."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(source, encoding="utf-8")
        yield path


def check_used(names: Iterable[str], paths: Iterable[Path]) -> None:
    """Refuse a parameter that none of the notebooks uses.

    Raises
    ------
    ParameterError
        Naming the parameter, and those that the notebooks use.
    NotebookError
        If a notebook breaks a rule.
    """
    used = {name for path in paths for name in used_parameters(path)}
    for name in names:
        if name not in used:
            known = ", ".join(known for known in Parameters.model_fields if known in used)
            raise ParameterError(f"{name} is a parameter of none of the notebooks named; theirs are {known}.")


def _execute(path: Path, output: Path, values: dict[str, Any], label: str) -> Path:
    import papermill
    from nbclient.exceptions import DeadKernelError

    from .kernels import OwnKernelManager

    output.parent.mkdir(parents=True, exist_ok=True)
    # It remarks on parameters that stand in no cell, as those do that go along with others.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            _as_format(path),
            _as_format(output),
            parameters=values,
            kernel_name="python3",
            kernel_manager_class=OwnKernelManager,
            cwd=ROOT,
            stderr_file=sys.stderr,  # the progress of long cells
            extra_arguments=["--log-level=40"],  # without the kernel's remarks between the progress bars
            progress_bar={"desc": label, "bar_format": "{desc}: cell {n_fmt} of {total_fmt} |{bar:20}| {elapsed}"},
        )
    except papermill.PapermillExecutionError as error:
        if error.ename in _NO_FAULT_OF_THE_NOTEBOOK:
            raise NotebookError(error.evalue) from None
        line = next((line for line in error.source.splitlines() if line.strip()), "")
        # Counted as in the source, which has no cell of injected parameters.
        number = error.cell_index + 1 - bool(values)
        cause = f"{error.ename}: {error.evalue}".rstrip(". :")
        raise NotebookError(
            f"{path.name} failed in cell {number} (`{line}`): {cause}. What it had done is in {output}."
        ) from None
    except DeadKernelError:
        raise NotebookError(f"{path.name} failed: its kernel died, perhaps because memory ran out.") from None
    return output


def _as_format(path: Path) -> str:
    """Write a path so that papermill, which fills parameters into paths with ``str.format``, gets it back."""
    return str(path).replace("{", "{{").replace("}", "}}")


def execute_source(
    name: str,
    source: str,
    values: dict[str, Any],
    data: str,
    versions: dict[str, str],
    *,
    scheduler: dict[str, str],
    label: str,
    failed_dir: Path,
    ran: list[str],
    check: Callable[[], None],
) -> ExecutedNotebook:
    """Execute the text of a notebook; `cached` keeps the result, keyed by the arguments before the star.

    Parameters
    ----------
    name : str
        The file name.
    source : str
        The text of the file.
    values : dict
        The parameters that differ from their defaults.
    data : str
        A digest of the images, the weights and the tables that chapters read.
    versions : dict
        The versions of the tools that draw and render.
    scheduler : dict
        The parameter ``scheduler``, if it is set; it is in no key, since results are the same wherever they are
        computed.
    label : str
        Name of the notebook in the progress bar.
    failed_dir : Path
        Folder for what a failed notebook had done.
    ran : list of str
        Gets the name appended, so that the caller can tell execution from a result that was found.
    check : callable
        Called after the execution; raises if `data` is no longer the digest of what there is.

    Raises
    ------
    NotebookError
        If a cell fails or the kernel dies, or what the notebook reads has changed.
    """
    ran.append(name)
    with _written(source, name) as path:
        output = path.parent / "out" / name
        try:
            _execute(path, output, values | scheduler, label)
        except NotebookError as error:
            kept = failed_dir / name
            failed_dir.mkdir(parents=True, exist_ok=True)
            if output.exists():
                shutil.copyfile(output, kept)
            raise NotebookError(str(error).replace(str(output), str(kept))) from None
        check()
        return ExecutedNotebook(output.read_text(encoding="utf-8"))
