"""An afternoon in JupyterLab: a chapter is opened, its parameters are changed, it runs, and the book still builds."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest

from helpers.core.conventions import ROOT
from helpers.pages.kernels import OwnKernels
from helpers.pages.sources import clean_source, values_in_cell

READY = "window.jupyterapp?.shell.currentWidget?.context?.isReady"
CELLS = "[...jupyterapp.shell.currentWidget.content.model.cells]"
EDIT = """at => {
    const notebook = jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = at;
    notebook.mode = 'edit';
    notebook.activeCell.editor.focus();
}"""
SHOW = "at => { const n = jupyterapp.shell.currentWidget.content; n.activeCellIndex = at; return n.scrollToItem(at); }"
IDLE = "jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
OUTPUTS = f"{CELLS}.map(cell => cell.type === 'code' ? cell.sharedModel.outputs : [])"
DONE = f"""{IDLE} && ({CELLS}.filter(cell => cell.type === 'code').every(cell => cell.executionCount) ||
    {OUTPUTS}.flat().some(output => output.output_type === 'error'))"""
SMALL = {"dataset": '"digits"', "n_images": "90", "backbone": '"pixels"', "k_max": "5"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start a JupyterLab as `make lab` does, on a copy of two chapters; give the folder and the address."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    for name in ("elbow", "explorer"):
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder / "notebooks")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "ServerApp.port": port,
        "ServerApp.root_dir": folder,
        "ServerApp.kernel_spec_manager_class": f"{OwnKernels.__module__}.{OwnKernels.__name__}",
        "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with open(folder / "lab.log", "wb") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as server:
        try:
            _wait_for(port)
            yield folder, f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(port, seconds=60):
    for _ in range(10 * seconds):
        with closing(socket.socket()) as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("JupyterLab does not start.")


def run_all(page, lab, name, parameters):
    """Open a chapter, write parameters into its cell by the keyboard, and run all cells."""
    _, address = lab
    page.goto(f"{address}/lab/tree/notebooks/{name}.ipynb?reset")
    page.wait_for_function(READY)
    page.wait_for_function(IDLE)
    sources = page.evaluate(f"{CELLS}.map(cell => cell.sharedModel.source)")
    at = next(i for i, source in enumerate(sources) if source.startswith("dataset:"))
    lines = sources[at]
    for parameter, value in parameters.items():
        lines, count = re.subn(rf"(?m)^({parameter}: .*?= ).*?(  #)", rf"\g<1>{value}\g<2>", lines)
        assert count == 1, parameter
    page.evaluate(SHOW, at)
    page.wait_for_function("at => jupyterapp.shell.currentWidget.content.widgets[at].editor", arg=at)
    page.evaluate(EDIT, at)
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(lines)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(DONE, timeout=120_000)
    outputs = page.evaluate(OUTPUTS)
    assert [output["evalue"] for each in outputs for output in each if output["output_type"] == "error"] == []
    return sources, outputs


def texts_of(outputs):
    """Join what Markdown and HTML outputs say."""
    data = [output.get("data", {}) for each in outputs for output in each]
    return " ".join("".join(each.get(kind, "")) for each in data for kind in ("text/markdown", "text/html"))


@pytest.fixture
def page(browser, lab):
    """Open a page of the size of a window, and let no request leave the machine."""
    outside = []
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.on("request", lambda request: outside.append(request.url))
    yield page
    page.close()
    assert [url for url in outside if not re.match(r"(https?|wss?)://127\.0\.0\.1:|data:|blob:", url)] == []


def test_a_chapter_is_changed_run_and_saved_and_only_its_parameters_differ(page, lab):
    folder, _ = lab
    sources, outputs = run_all(page, lab, "elbow", SMALL)
    assert "From k = 2 to 5 the inertia falls to" in texts_of(outputs)
    assert sum("image/png" in output.get("data", {}) for each in outputs for output in each) >= 4
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    path = folder / "notebooks" / "elbow.ipynb"
    assert '"outputs": []' in (ROOT / "notebooks" / "elbow.ipynb").read_text(encoding="utf-8")
    assert "image/png" in path.read_text(encoding="utf-8")
    assert clean_source(path) == clean_source(ROOT / "notebooks" / "elbow.ipynb")
    assert "`k_max: int = 5`" in values_in_cell(path)
    # Directives of MyST are rendered: an exercise has a title, and no colons are left of its fence.
    exercise = next(i for i, source in enumerate(sources) if "{exercise}" in source)
    page.evaluate(SHOW, exercise)
    page.wait_for_selector(".jp-MarkdownCell .jp-mod-active, .jp-MarkdownCell.jp-mod-active")
    active = page.locator(".jp-MarkdownCell.jp-mod-active", has_text=re.compile("Exercise"))
    active.wait_for()  # it is rendered when it comes into view
    shown = active.inner_text()
    assert "{exercise}" not in shown and ":::" not in shown and "```" not in shown


def test_the_explorer_works_in_the_lab(page, lab):
    sources, _ = run_all(page, lab, "explorer", SMALL | {"k_max": "3"})
    page.evaluate(SHOW, next(i for i, source in enumerate(sources) if "framed_page(" in source))
    frame = page.wait_for_selector("iframe[title]").content_frame()
    frame.wait_for_function("window.explorer")
    assert frame.locator("#k").get_attribute("max") == "1"  # the positions of k = 2 and 3
