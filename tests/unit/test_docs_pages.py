"""What the docs quote and make from the code is what the code says."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest

from taskvectors.study.keys import keys


@pytest.fixture(scope="module")
def hook(request):
    """docs/hook.py, which MkDocs runs."""
    path = request.config.rootpath / "docs/hook.py"
    spec = importlib.util.spec_from_file_location("docs_hook", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_failure_in_the_faq_is_a_sentence_of_the_code(root, hook):
    quoted = re.findall(r"^### `(.+)`$", (root / "docs/faq.md").read_text("utf-8"), re.MULTILINE)
    said = [one for sentences in hook.sentences_by_room().values() for one in sentences]
    assert len(quoted) >= 20
    assert [quote for quote in quoted if not any(quote in sentence for sentence in said)] == []


def test_the_page_of_errors_has_the_sentences_of_all_rooms(hook):
    rooms = hook.sentences_by_room()
    assert {"collect", "curate", "engine", "models", "study", "base", "unlock"} <= set(rooms)
    assert any(one.startswith("unknown experiment …") for one in rooms["study"])
    assert "set wikipedia.contact in the configuration to &quot;" not in hook.errors()
    assert 'set wikipedia.contact in the configuration to "your name &lt;your e-mail&gt;"' in (
        hook.errors()
    )


def test_the_page_of_keys_has_every_key_with_its_default(hook):
    rows = [line.split(" | ") for line in hook.config_keys().splitlines() if line[:3] == "| `"]
    defaults = {row[0].strip("| `"): row[2].strip("| `") for row in rows}
    assert list(defaults) == [key.name for key in keys()]
    assert defaults["bootstrap.resamples"] == "10000"
    assert defaults["wikipedia.contact"] == '""'
    assert defaults["bootstrap"] == ""


def test_arguments_of_commands_are_read_from_their_source(hook):
    page = hook.arguments_by_command()
    assert "### taskvectors.audit trace" in page
    assert "| `--cell` | model,method,task: the predictions behind a table's cell |" in page
    assert "| `--template` | (default `generic`) |" in page


def test_pipes_and_angles_do_not_break_a_table(hook):
    assert hook.cell("a | b <c> `<d>`") == "a \\| b &lt;c&gt; `<d>`"


def test_the_tutorial_has_the_notebooks_cells_and_what_they_put_out(hook, root):
    page = hook.tutorial()
    notebook = json.loads((root / "docs/tutorial.ipynb").read_text("utf-8"))
    for cell in notebook["cells"]:
        assert "".join(cell["source"]) in page
    assert "<VLM embedded: 30 layers, 576 wide, spaced>" in page
    assert page.count("data:image/png;base64,") == 2  # a flag, and the plot
    assert "<th>specification</th><td>text_icl</td>" in page
