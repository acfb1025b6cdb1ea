"""A comparison of combinations of parameters, and the runs of notebooks with each of them, as pages of their own."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from ..comparing.answers import Comparison, compare, moves
from ..comparing.combinations import FILE, Combination
from ..comparing.report import (
    answers_table,
    different_images_sentence,
    failures_table,
    moves_sentence,
    moves_table,
    survival_sentence,
)
from ..core.cache import check_folder
from ..core.conventions import ParameterError
from ..core.files import write_atomically
from ..core.fingerprints import digest, library_versions
from ..core.runs import one_run
from ..core.scheduling import use_scheduler
from ..criteria.table import DEEP
from ..images.collection import CollectionError
from ..parameters import Parameters
from .execution import check_used, run_notebook
from .provenance import fact_table, figure_html, page_versions
from .readings import readable
from .sources import NotebookError, used_parameters
from .tables import csv_bytes

PAGE, TABLE, INDEX = "compare.html", "compare.csv", "index.html"
_TITLE, _TITLE_OF_RUNS = "What does the answer depend on?", "Runs with other parameters"
_FORMATS = {"positive": ".1%", "same answer": ".0%", "agreement of the clusters": ".2f", "seconds": ".1f"}
_LONGEST_NAME = 120
_MARK = '<meta name="generator" content="how-many-clusters">'
_HEAD = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{mark}
<title>{title}</title>
<style>
:root {{
  color-scheme: light dark;
  --ink: light-dark(#24292f, #e8eaed); --quiet: light-dark(#57606a, #a9b1bb); --line: light-dark(#d8dee4, #454c55);
  --paper: light-dark(#ffffff, #14181e); --link: light-dark(#00629a, #6cbcf0);
}}
body {{
  background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, sans-serif;
  margin: 0 auto; max-width: 62rem; padding: 1rem;
}}
a {{ color: var(--link); }}
h1, h2 {{ line-height: 1.2; }}
figure {{ margin: 1.5rem 0; }}
figcaption, .quiet {{ color: var(--quiet); font-size: .9rem; }}
img {{ height: auto; max-width: 100%; }}
@media (prefers-color-scheme: dark) {{ img.chart {{ filter: invert(1) hue-rotate(180deg) brightness(1.15); }} }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .9rem; margin: 1rem 0; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left; }}
td {{ font-variant-numeric: tabular-nums; min-width: 7ch; overflow-wrap: anywhere; }}
</style>
<h1>{title}</h1>
"""
_ALT = (
    "Three panels over the combinations in the order of their answers: the k that each names, with its levels; the "
    "valley and the score there; and dots that show which choices were made."
)
_CAPTION = (
    "Each column is one combination. On top is the k that it names, with the other levels, or a ring at the convenient "
    "k where it names none; in the middle are valley and score of that clustering; below is what was chosen. Scores in "
    "different spaces cannot be compared with each other."
)


@one_run()
def compare_and_write(combinations: Sequence[Combination], folder: Path, command: str) -> tuple[Path, Comparison]:
    """Compute the answers of combinations and write them as a page, with a table beside it.

    Parameters
    ----------
    combinations : sequence of Combination
        They have one scheduler and one cache.
    folder : Path
        Of the page and the table.
    command : str
        The command that makes this page, which it shows.

    Returns
    -------
    page : Path
    comparison : Comparison

    Raises
    ------
    ParameterError
        If the cache or the scheduler cannot be used.
    NotebookError
        If the page would replace another file than an earlier one of its kind, or the images change meanwhile.
    """
    page, table = folder / PAGE, folder / TABLE
    _check_free(page, table)
    comparison = _compare(combinations)
    content = _comparison_page(comparison, combinations[0].params, command).encode()
    write_atomically(table, lambda file: file.write(_csv(comparison)))
    write_atomically(page, lambda file: file.write(content))
    return page, comparison


def _compare(combinations: Sequence[Combination]) -> Comparison:
    params = combinations[0].params
    check_folder(params.cache_dir)
    use_scheduler(params.scheduler, cache_dir=params.cache_dir)
    try:
        return compare(combinations)
    except CollectionError as error:
        raise NotebookError(str(error)) from None
    finally:
        use_scheduler("")


def _check_free(page: Path, *others: Path) -> None:
    """Refuse to replace a file that is no earlier page, or that stands where there is none.

    Raises
    ------
    NotebookError
        Naming the file.
    """
    ours = page.is_file() and _MARK in page.read_text(encoding="utf-8", errors="replace")
    for path in (page, *others):
        if path.exists() and not ours:
            raise NotebookError(
                f"{path} is there and is not of an earlier run, which alone is replaced; name another folder with "
                "--output."
            )


# --- the comparison ---------------------------------------------------------------------------------------------------


def _comparison_page(comparison: Comparison, params: Parameters, command: str) -> str:
    moved = moves(comparison)
    parts = [_HEAD.format(mark=_MARK, title=_TITLE), _paragraph(f"<b>{html.escape(survival_sentence(comparison))}</b>")]
    if comparison.answered:
        told = [moves_sentence(moved), different_images_sentence(comparison)]
        parts += [_paragraph(html.escape(" ".join(filter(None, told)))), _figure(comparison)]
        parts += _section("How much each choice moves the answer", moves_table(moved), _OF_MOVES)
        parts += _section("The combinations", answers_table(comparison), _OF_ANSWERS)
    if comparison.failed:
        parts += _section("Without an answer", failures_table(comparison), "")
    varied = {name for combination, *_ in [*comparison.answered, *comparison.failed] for name in combination.choices}
    same = [f"{name} = {value}" for name, value in params if name not in varied]
    versions = library_versions() | page_versions()
    facts = {
        "command": command,
        "parameters in common": ", ".join(same) if FILE not in varied else "see the files",
        "images": _collections(comparison),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    return "\n".join([*parts, "<h2>Where these numbers come from</h2>", fact_table(facts), "</html>"]) + "\n"


_OF_MOVES = (
    "From the pairs of combinations that differ in this choice alone. Agreement is the adjusted Rand index of their "
    "clusters, each at its own k: 1 for equal clusterings, about 0 by chance."
)
_OF_ANSWERS = f"The same with fingerprints of the images is in {TABLE}. Seconds are those of the first computation."


def _collections(comparison: Comparison) -> str:
    """List the collections of images that were compared."""
    found = {(combination.params.dataset, rows.fingerprint[:16], len(rows.features)): None
             for combination, rows, _ in comparison.answered}  # fmt: skip
    return "; ".join(f"{dataset}: {n:,} images, SHA-256 {fingerprint}…" for dataset, fingerprint, n in found) or "none"


def _figure(comparison: Comparison) -> str:
    import matplotlib

    from ..figures import plots

    with matplotlib.rc_context():
        plots.set_style()
        figure = plots.plot_specifications(comparison.answers, comparison.choices, DEEP)
        shown = figure_html(figure, _ALT, _CAPTION).data
    plots.plt.close(figure)
    return str(shown)


def _paragraph(content: str) -> str:
    return f"<p>{content}</p>"


def _section(title: str, table: pd.DataFrame, words: str) -> list[str]:
    """Write a table of texts and numbers under its title; nothing where it is empty."""
    if table.empty:
        return []
    written = readable(table, _FORMATS).to_html(escape=True, border=0)
    return [f"<h2>{title}</h2>", _wide(written), _paragraph(words) if words else ""]


def _wide(table: str) -> str:
    """Let a table that is wider than the page be moved."""
    return f'<div class="wide" tabindex="0">{table}</div>'


def _csv(comparison: Comparison) -> bytes:
    """Write all combinations as a table, those without an answer last."""
    answers = comparison.answers
    answers["levels"] = [" ".join(map(str, levels)) for levels in answers["levels"]]
    failed = pd.DataFrame([combination.choices | {"failure": why} for combination, why in comparison.failed])
    # As objects whole numbers stay whole beside what is missing.
    parts = [part.astype(object) for part in (comparison.choices.join(answers, how="right"), failed)]
    table = pd.concat(parts, ignore_index=True)
    return csv_bytes(table.where(table.notna(), np.nan))


# --- runs of notebooks ------------------------------------------------------------------------------------------------


@one_run()
def run_combinations(
    notebooks: Sequence[Path], combinations: Sequence[Combination], folder: Path, named: Iterable[str]
) -> tuple[Path, int]:
    """Execute notebooks with each combination, and write a page with links to the results.

    A run that fails is told on the page, and the others go on.

    Parameters
    ----------
    notebooks : sequence of Path
    combinations : sequence of Combination
    folder : Path
        Of the executed notebooks, which are named after what was chosen, and of the page.
    named : iterable of str
        The parameters that were set or varied, each of which a notebook must use.

    Returns
    -------
    page : Path
    n_failed : int
        The number of runs that failed.

    Raises
    ------
    ParameterError
        If none of the notebooks uses a parameter that was named.
    NotebookError
        If a notebook breaks a rule, or the page would replace another file than an earlier one of its kind.
    """
    check_used(named, notebooks)
    page = folder / INDEX
    _check_free(page)
    runs, n_failed = [], 0
    for combination in combinations:
        for path in notebooks:
            output, why = folder / run_name(path, combination.choices), ""
            label = f"[{len(runs) + 1}/{len(notebooks) * len(combinations)}] {output.name}"
            try:
                run_notebook(path, output, combination.params, label=label)
            except (NotebookError, ParameterError) as error:
                why, n_failed = str(error), n_failed + 1
            runs.append((combination, output, why))
    with_answers = any("k_max" in used_parameters(path) for path in notebooks)
    answers = _answers_in_words(combinations) if with_answers else {}
    write_atomically(page, lambda file: file.write(_index_page(runs, answers).encode()))
    return page, n_failed


def run_name(notebook: Path, choices: Mapping[str, str]) -> str:
    """Name the result of a notebook after what was chosen, in characters that every system takes.

    Where these cannot hold all of it, a few letters of a digest tell it from others.

    Examples
    --------
    >>> run_name(Path("notebooks/elbow.ipynb"), {"normalize": "none", "n_components": "10"})
    'elbow--normalize-none--n_components-10.ipynb'
    """
    whole = "--".join([notebook.stem, *(f"{name}-{value}" for name, value in choices.items())])
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", whole)
    if safe != whole or len(safe) > _LONGEST_NAME:
        safe = f"{safe[:_LONGEST_NAME]}--{digest(whole)[:8]}"
    return f"{safe}.ipynb"


def _answers_in_words(combinations: Sequence[Combination]) -> dict[int, str]:
    """Say what each combination answers, by the identity of the combination; what the runs have stored is found."""
    return {
        id(combination): "no clear k" if answer.n_clusters is None else f"k = {answer.n_clusters}"
        for combination, _, answer in _compare(combinations).answered
    }


def _index_page(runs: Sequence[tuple[Combination, Path, str]], answers: Mapping[int, str]) -> str:
    heads = [*runs[0][0].choices, *(["answer"] if answers else []), "executed notebook"]
    lines = []
    for combination, output, why in runs:
        told = [*combination.choices.values(), *([answers.get(id(combination), "none")] if answers else [])]
        link = f'<a href="{quote(output.name)}">{html.escape(output.name)}</a>' if output.exists() else ""
        failed = f'<p class="quiet">{html.escape(why)}</p>' if why else ""
        cells = [f"<td>{html.escape(text)}</td>" for text in told]
        lines.append(f"<tr>{''.join(cells)}<td>{link}{failed}</td></tr>")
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    rows = "\n".join(lines)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    return "\n".join([_HEAD.format(mark=_MARK, title=_TITLE_OF_RUNS), _wide(table), "</html>"]) + "\n"
