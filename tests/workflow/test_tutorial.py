"""The tutorial: the notebook is its source, has run, and runs again on the cut-down model."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.workflow
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(DOCS / "tutorial.ipynb", as_version=4)


def test_the_notebook_is_its_source_and_has_the_outputs_of_one_run(notebook):
    source = jupytext.read(DOCS / "tutorial.py")
    assert [(c.cell_type, c.source) for c in notebook.cells] == [
        (c.cell_type, c.source) for c in source.cells
    ]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = [output for cell in code for output in cell.outputs]
    assert not [one for one in shown if one.output_type in ("error", "stream")]
    assert any("image/png" in one.get("data", {}) for one in shown)


def test_the_notebook_runs(notebook, tiny_run, monkeypatch, tmp_path):
    """From docs/ of a checkout whose experiment has run; what it makes stays in a folder beside."""
    folder = tiny_run.folder / "docs"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PYTHONPATH", str(tiny_run.folder / "workflow"))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = [[o.data for o in c.outputs if o.output_type == "execute_result"] for c in code]
    first, last = found[0][0]["text/plain"], found[-1][0]["text/plain"]
    assert first == "<VLM embedded: 30 layers, 576 wide, spaced>"
    assert last == "<text_icl vector of embedded: 30 layers, 10 prompts>"
    assert (folder / "capital.safetensors").is_file()
