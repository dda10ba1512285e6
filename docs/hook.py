"""Pages of the site that are made from the code (keys, arguments, errors), of the notebook, and two
of the root's."""

import ast
import html
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "workflow/taskvectors"
sys.path.insert(0, str(ROOT / "workflow"))

from taskvectors.base.schemas import load_schema  # noqa: E402
from taskvectors.study.keys import keys  # noqa: E402

# What people call by hand; all other commands are called by rules.
BY_HAND = (
    "demo",
    "models/add",
    "audit/verify",
    "audit/trace",
    "audit/diff",
    "study/keys",
    "unlock",
)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages, as MkDocs asks its hooks."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Add the commands' arguments to the page of commands, as MkDocs asks its hooks."""
    return markdown + (arguments_by_command() if page.file.src_uri == "commands.md" else "")


def pages() -> dict[str, str]:
    """Markdown by file name."""
    return {
        "config-keys.md": config_keys(),
        "errors.md": errors(),
        "tutorial.md": tutorial(),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }


def cell(text: str) -> str:
    """Text as a table's cell: outside of backticks, nothing is HTML."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part if n % 2 else html.escape(part, False) for n, part in enumerate(parts))


def tutorial() -> str:
    """The notebook with its outputs, as it ran."""
    notebook = json.loads((ROOT / "docs/tutorial.ipynb").read_text(encoding="utf-8"))
    parts = []
    for one in notebook["cells"]:
        text = "".join(one["source"])
        if one["cell_type"] == "markdown":
            parts.append(text)
        else:
            parts += [f"```python\n{text}\n```", *map(output, one["outputs"])]
    return "\n\n".join([*parts, "This page is [a notebook](tutorial.ipynb)."]) + "\n"


def output(one: dict[str, Any]) -> str:
    """What a cell of the notebook put out, as Markdown."""
    data = {kind: "".join(value) for kind, value in one["data"].items()}
    if "image/png" in data:
        return f'<img alt="plot" src="data:image/png;base64,{data["image/png"].strip()}">'
    return data.get("text/html") or f"```text\n{data['text/plain']}\n```"


def config_keys() -> str:
    """Every key of the configuration with its description and default, from the schema."""
    rows = [
        f"| `{key.name}` | {cell(key.description)} | "
        + ("|" if key.group else f"`{json.dumps(key.default)}` |")
        for key in keys()
    ]
    about = load_schema("config")["description"]
    head = "| key | what it is | default |\n|---|---|---|\n"
    return f"# The configuration\n\n{about}\n{head}" + "\n".join(rows) + "\n"


def arguments_by_command() -> str:
    """What people call by hand with its arguments, as its source states them."""
    parts = ["\n"]
    for name in BY_HAND:
        tree = parsed(source(name))
        command = name.replace("/", ".").replace("audit.", "audit ")
        text = (ast.get_docstring(tree) or "").replace("``", "`")
        rows = [f"| `{flag}` | {cell(said)} |" for flag, said in arguments(tree)]
        table = ["| argument | |", "|---|---|", *rows] if rows else []
        parts.append("\n".join([f"### taskvectors.{command}", "", text, "", *table, ""]))
    return "\n".join(parts)


def source(name: str) -> Path:
    """The file of a command."""
    return next(
        path for path in (PACKAGE / name / "__main__.py", PACKAGE / f"{name}.py") if path.is_file()
    )


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def arguments(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each argument that a command adds to its parser, and its help."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            flag = " or ".join(ast.literal_eval(one) for one in node.args)
            said = {word.arg: word.value for word in node.keywords}
            help_text = ast.literal_eval(said["help"]) if "help" in said else ""
            default = said.get("default")
            if isinstance(default, ast.Constant):
                help_text += f" (default `{default.value}`)"
            yield flag, help_text.strip() or "required" * ("required" in said)


def errors() -> str:
    """Every sentence of a `UserError`, by the room that says it."""
    text = [
        "# Errors",
        "",
        "Every error that a person can mend is one sentence: the thing, the place, the remedy.",
        "These are those that the code states; … stands for what is named.",
        "[When something fails](faq.md) says more of the likeliest.",
    ]
    for room, sentences in sentences_by_room().items():
        text += ["", f"## {room}", "", *(f"- {cell(sentence)}" for sentence in sentences)]
    return "\n".join(text) + "\n"


def sentences_by_room() -> dict[str, list[str]]:
    """The sentences by the first part of their file's path, in the files' order."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(parsed(path)):
            raised = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(raised, ast.Call) and getattr(raised.func, "id", "") == "UserError":
                sentence = stated(raised.args[0])
                if sentence:
                    found.setdefault(room, []).append(sentence)
    return found


def stated(node: ast.expr) -> str | None:
    """A sentence with … for its expressions; None where it is not written at its place."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values]
        return "".join(parts)
    return None
