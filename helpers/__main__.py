"""The command line: ``python -m helpers book | run | compare | export | verdict | pdf | students | params | sync``."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
import time
from _thread import interrupt_main
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

try:
    import pydantic  # noqa: F401
    import yaml  # noqa: F401
except ModuleNotFoundError as missing:
    sys.exit(
        f"error: {missing.name} is not installed here; install the requirements with\n"
        '  python -m pip install -c constraints.txt -e ".[book,test,scale]"\n'
        "or let `make book` do it."
    )

from .comparing.combinations import Combination, combine, describe, parse_vary
from .comparing.report import survival_sentence
from .core.conventions import ROOT, ParameterError
from .core.runs import one_run
from .pages.book import build_book, how_to_open
from .pages.comparison import compare_and_write, run_combinations
from .pages.execution import check_apart, check_used, run_notebook
from .pages.export import COPIES, export_study, told_verdict
from .pages.handouts import write_handouts
from .pages.printing import print_pages
from .pages.sources import NotebookError, page_names, values_in_cell
from .pages.sync import sync
from .pages.tables import N_REPRESENTATIVES
from .parameters import PLACES, Parameters, load_parameters, parameter_table, parse_value, read_parameters


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 for what failed, 2 for what was refused."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except ParameterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except NotebookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as missing:  # of an extra, such as what executes notebooks
        print(
            f"error: {missing.name} is not installed here; the extra [book] of the package brings what executes "
            "notebooks and builds the book.",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'the system'}: {error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _end_children()
        print("stopped; what was finished is kept, and the next run goes on from there.", file=sys.stderr)
        return 130


def _end_children() -> None:
    """End the processes that this one has started, such as kernels, and those that they have started."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _stop(*_: Any) -> NoReturn:
    """Say at once that a Ctrl-C has arrived, since ending takes a moment."""
    print("\nstopping", file=sys.stderr, flush=True)
    raise KeyboardInterrupt


def _stop_again(lost: sys.UnraisableHookArgs) -> None:
    """Stop again where a Ctrl-C was lost, since Python drops what is raised while an object is deleted."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        threading.Timer(0.1, _interrupt).start()
    else:
        sys.__unraisablehook__(lost)


def _interrupt() -> None:
    """Send this process a Ctrl-C that also ends a wait, where the system can."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        interrupt_main()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers", description="How many clusters?")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    book = commands.add_parser("book", help="execute every notebook and build the book")
    _add_parameter_options(book)
    book.add_argument("-o", "--output", type=Path, help="folder of the book (default: _build)")
    book.add_argument(
        "--with",
        nargs="+",
        default=[],
        dest="beside",
        metavar="FILE",
        help="build further books beside it, of the parameters in these YAML files, with links from page to page",
    )
    book.set_defaults(command=_book)

    run = commands.add_parser("run", help="execute notebooks with strictly checked parameters")
    run.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    _add_parameter_options(run)
    _add_vary_option(run, "execute them once with each combination of these values")
    run.add_argument("-o", "--output", type=Path, default=ROOT / "_build" / "runs", help="folder of the results")
    run.set_defaults(command=_run)

    _add_compare(commands)
    _add_teaching(commands)
    _add_export(commands)

    answer = commands.add_parser("verdict", help="print how many clusters there are, and why")
    _add_parameter_options(answer)
    answer.set_defaults(command=_verdict)

    params = commands.add_parser("params", help="print the table of parameters")
    _add_parameter_options(params)
    params.set_defaults(command=_params)

    written = commands.add_parser("sync", help="write what notebooks, README and API pages repeat of the helpers")
    written.set_defaults(command=_sync)
    return parser


def _add_compare(commands: argparse._SubParsersAction) -> None:
    compared = commands.add_parser("compare", help="see whether the answer survives other parameters")
    compared.add_argument(
        "files", nargs="*", metavar="FILE", help="YAML files of parameters to compare with each other"
    )
    _add_vary_option(compared, "compare all combinations of these values")
    _add_parameter_option(compared)
    compared.add_argument("-o", "--output", type=Path, default=ROOT / "_build" / "compare", help="folder of the page")
    compared.set_defaults(command=_compare)


def _add_teaching(commands: argparse._SubParsersAction) -> None:
    pdf = commands.add_parser("pdf", help="print the built book into one PDF, or pages of it into one each")
    pdf.add_argument("pages", nargs="*", metavar="PAGE", help="a page as in book/_toc.yml, such as notebooks/worksheet")
    pdf.add_argument("-b", "--book", type=Path, default=ROOT / "_build" / "html", help="folder of the built book")
    pdf.add_argument("-o", "--output", type=Path, default=ROOT / "_build" / "pdf", help="folder of the PDF")
    pdf.set_defaults(command=_pdf)

    students = commands.add_parser("students", help="write the notebooks without solutions, to hand out")
    _add_parameter_options(students)
    students.add_argument("-o", "--output", type=Path, required=True, help="folder of the notebooks")
    students.set_defaults(command=_students)


def _add_export(commands: argparse._SubParsersAction) -> None:
    export = commands.add_parser("export", help="write clusters, criteria, verdict, figures and features into a folder")
    _add_parameter_options(export)
    export.add_argument("-o", "--output", type=Path, default=ROOT / "_build" / "export", help="folder of the export")
    export.add_argument(
        "--copy",
        nargs="?",
        choices=COPIES,
        const="file",
        help="put the images, or links to them, into a folder for each cluster",
    )
    export.add_argument(
        "--representatives",
        type=_at_least_one,
        default=N_REPRESENTATIVES,
        metavar="N",
        help=f"number of images to label by hand that cover the clusters (default: {N_REPRESENTATIVES})",
    )
    export.set_defaults(command=_export)


def _at_least_one(text: str) -> int:
    """Read a number of images."""
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images; allowed are 1, 2, 3 and so on")
    return int(text)


def _add_parameter_options(parser: argparse.ArgumentParser) -> None:
    _add_parameter_option(parser)
    parser.add_argument("-f", "--file", metavar="FILE", help="read parameters from a YAML file; -p wins over it")


def _add_parameter_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set a parameter"
    )


def _add_vary_option(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument("--vary", action="append", default=[], metavar="NAME=VALUE,VALUE", help=purpose)


def _parameters(arguments: argparse.Namespace) -> Parameters:
    overrides = {name: parse_value(name, text) for name, text in arguments.parameter}
    parameters = load_parameters(arguments.file, **overrides)
    _check_output(arguments, parameters)
    return parameters


def _check_output(arguments: argparse.Namespace, parameters: Parameters) -> None:
    if "output" in arguments:
        check_apart(parameters.dataset, arguments.output or ROOT / "_build")


def _book(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    folders = {}
    if arguments.output:
        folders = {"build_dir": arguments.output.resolve(), "stage_dir": arguments.output.resolve() / "stage"}
    page = build_book(_parameters(arguments), beside=_beside(arguments), **folders)
    print(f"{how_to_open(page)}\n({time.monotonic() - started:.0f} s)")
    return 0


def _beside(arguments: argparse.Namespace) -> dict[str, Parameters]:
    """Read the parameters of further books, by the names of their files; where to work is said once for all."""
    where = {name: parse_value(name, text) for name, text in arguments.parameter if name in PLACES}
    files = [Path(file) for file in arguments.beside]
    names = [file.stem for file in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(f"Two of the files are called {twice[0]}, and their books would be one folder.")
    books = {name: load_parameters(file, **where) for name, file in zip(names, files)}
    for parameters in books.values():
        _check_output(arguments, parameters)
    return books


@one_run()
def _run(arguments: argparse.Namespace) -> int:
    parameters = _parameters(arguments)
    check_used([name for name, _ in arguments.parameter], arguments.notebooks)
    names = [path.name for path in arguments.notebooks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise NotebookError(f"Two of the notebooks are called {twice[0]}, and their results would be one file.")
    if arguments.vary:
        return _run_each(arguments)
    for number, path in enumerate(arguments.notebooks, start=1):
        if remark := values_in_cell(path):
            print(remark)
        label = f"[{number}/{len(arguments.notebooks)}] {path.name}"
        output = arguments.output / path.name
        earlier = ", in place of an earlier one" if output.exists() else ""
        run_notebook(path, output, parameters, label=label)
        print(f"{path.name}: the executed notebook is {output}{earlier}")
    return 0


def _pdf(arguments: argparse.Namespace) -> int:
    asked = {Path(name).name: [name] for name in arguments.pages} or {"book": page_names()}
    for title, names in asked.items():
        print(f"printing {len(names)} page{'s' if len(names) > 1 else ''}, which may take a minute", flush=True)
        print(f"The PDF is {print_pages(arguments.book, names, arguments.output / f'{title}.pdf')}")
    return 0


def _students(arguments: argparse.Namespace) -> int:
    parameters = _parameters(arguments)
    written = write_handouts(arguments.output, parameters)
    print(f"{len(written)} notebooks without solutions are in {arguments.output}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    print(
        export_study(
            _parameters(arguments),
            arguments.output,
            copy=arguments.copy,
            n_representatives=arguments.representatives,
        )
    )
    print(f"({time.monotonic() - started:.0f} s)")
    return 0


def _verdict(arguments: argparse.Namespace) -> int:
    print(told_verdict(_parameters(arguments)))
    return 0


def _run_each(arguments: argparse.Namespace) -> int:
    """Execute the notebooks with each combination of what is varied."""
    for remark in filter(None, map(values_in_cell, arguments.notebooks)):
        print(remark)
    combinations = _combinations(arguments, [arguments.file] if arguments.file else [])
    named = [*(name for name, _ in arguments.parameter), *combinations[0].choices]
    page, n_failed = run_combinations(arguments.notebooks, combinations, arguments.output, named)
    print(f"{n_failed or 'None'} of {len(arguments.notebooks) * len(combinations)} runs failed; all are on {page}")
    return 1 if n_failed else 0


def _combinations(arguments: argparse.Namespace, files: list[str]) -> list[Combination]:
    """Combine what is varied, on each of some files of parameters."""
    choices = parse_vary(arguments.vary)
    for name, _ in arguments.parameter:
        if name in choices:
            raise ParameterError(f"{name} is both set by -p and varied; name its values after --vary alone.")
    if twice := [file for number, file in enumerate(files) if file in files[:number]]:
        raise ParameterError(f"The file {twice[0]} is there twice.")
    given = {name: parse_value(name, text) for name, text in arguments.parameter}
    combinations = combine({file: read_parameters(file) | given for file in files} or {"": given}, choices)
    for combination in combinations:
        _check_output(arguments, combination.params)
    return combinations


def _compare(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    options = [part for name, value in arguments.parameter for part in ("-p", name, value)]
    options += [part for text in arguments.vary for part in ("--vary", text)]
    command = shlex.join(["python", "-m", "helpers", "compare", *arguments.files, *options])
    page, comparison = compare_and_write(_combinations(arguments, arguments.files), arguments.output, command)
    for combination, sentence in comparison.failed:
        print(f"{describe(combination.choices)}: {sentence}")
    print(f"{survival_sentence(comparison)}\nThe page is {page}\n({time.monotonic() - started:.0f} s)")
    return 0 if comparison.answered else 1


def _params(arguments: argparse.Namespace) -> int:
    parameters = _parameters(arguments)
    print(parameter_table())
    if parameters.changed():
        print(f"\nset here: {parameters.as_options()}")
    return 0


def _sync(arguments: argparse.Namespace) -> int:
    changed = sync()
    for path in changed:
        print(f"{path.relative_to(ROOT)}: written")
    if not changed:
        print("Nothing to write: notebooks, README and API pages agree with the helpers.")
    return 0


def console() -> int:
    """Run a command as a program of its own, which a Ctrl-C stops at once."""
    signal.signal(signal.SIGINT, _stop)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a path may hold bytes that are no letters
    sys.unraisablehook = _stop_again
    return main()


if __name__ == "__main__":
    sys.exit(console())
