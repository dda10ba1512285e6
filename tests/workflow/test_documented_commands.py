"""Every command that README and docs name is one that there is: planned, or known to its program.

Snakemake's are planned in a dry run, those with the same settings together; a command of the
package, of `benchmarks/` or `hf` must know each option that it is given; a target of make must
be one; llama.cpp's server is not run, but its option has the form that it wants.
docs/your-own-data.md is followed by test_own_data.py instead. What the others do is run in the
tests of the demo, the audit and the cut-down experiment.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections import defaultdict
from itertools import takewhile
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
ROOT = Path(__file__).resolve().parents[2]
FOLLOWED = ROOT / "docs/your-own-data.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted({*(ROOT / "docs").glob("*.md")} - {FOLLOWED}),
]
PROGRAMS = ("snakemake", "make", "python", "hf", "llama-server")
# What the shell itself does in the documentation.
SHELL = ("export", "cp")
# Options of snakemake that say how a job runs, not which; a dry run knows them as well.
FLAGS = {
    **{
        "--cores": 1,
        "--profile": 1,
        "--rulegraph": 1,
        "--configfile": 1,
        "--directory": 1,
        "--report": 1,
        "--resources": 1,
    },
    **{"--cache": 0, "--unlock": 0, "-n": 0},
}


def commands() -> dict[str, set[str]]:
    """The documented commands, and the pages that name each."""
    found: dict[str, set[str]] = defaultdict(set)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]
        inline = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
        lines += [" ".join(one.split()) for one in inline if one.split()[0] in PROGRAMS]
        for line in lines:
            command = line.split(" #")[0].strip()
            command = command.replace("<experiment>", "embedded").replace("<mail>", "<a@b.org>")
            if command and "..." not in command and not re.search(r"<[a-z]+>", command):
                found[command].add(page.name)
    return found


def words_of(program: str) -> list[list[str]]:
    """The documented commands of a program, split into words; settings before it are left out."""
    split = [shlex.split(command) for command in commands()]
    plain = [[w for n, w in enumerate(words) if n or "=" not in w] for words in split]
    return [words for words in plain if words and words[0] == program]


def test_every_program_is_known():
    first = {words[0] for words in map(shlex.split, commands()) if "=" not in words[0]}
    assert first - {*SHELL, "pytest", "."} <= set(PROGRAMS), "say how a new program is tested"


def planned() -> dict[tuple[str, ...], set[str]]:
    """The targets of all documented snakemake commands, by their settings."""
    targets: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for words in words_of("snakemake"):
        own, settings, at = set(), [], 1
        while at < len(words):
            if words[at] == "--config":
                settings += words[at:]
                break
            if words[at] == "--set-resources":
                break
            if words[at].startswith("-"):
                assert words[at] in FLAGS, f"{words}: say here what {words[at]} takes"
                at += FLAGS[words[at]]
            else:
                own.add(words[at])
            at += 1
        targets[tuple(settings)] |= own or {"all"}
    return targets


@pytest.mark.parametrize("settings", planned(), ids=lambda one: " ".join(one[1:2]) or "default")
def test_documented_targets_are_planned(pristine, settings):
    done = pristine.snakemake(*sorted(planned()[settings]), "-n", "--quiet", "all", *settings)
    assert done.returncode == 0, f"{settings}\n{done.stdout[-3000:]}"


def test_documented_make_targets_are_there():
    targets = {word for words in words_of("make") for word in words[1:] if "=" not in word}
    assert targets
    done = subprocess.run(
        ["make", "-n", *sorted(targets)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def options_by_command() -> dict[tuple[str, ...], set[str]]:
    """What is run (``-m`` and a module, or a file) to the options that it is given anywhere."""
    options: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for words in words_of("python"):
        name = tuple(words[1:3]) if words[1] == "-m" else (words[1],)
        rest = words[len(name) + 1 :]
        if name[-1] == "taskvectors.audit" and rest:
            name, rest = (*name, rest[0]), rest[1:]
        options[name] |= {word.split("=")[0] for word in rest if word.startswith("--")}
    return options


def test_documented_modules_and_files_are_there():
    for name in options_by_command():
        path = name[0] if name[0].endswith(".py") else f"workflow/{name[1].replace('.', '/')}"
        path = path.removesuffix("/*")
        assert (ROOT / path).exists() or (ROOT / f"{path}.py").is_file(), name


@pytest.mark.parametrize(
    "name", [name for name, given in options_by_command().items() if given], ids=" ".join
)
def test_documented_options_are_known(name):
    done = subprocess.run(
        [sys.executable, *name, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert options_by_command()[name] <= set(re.findall(r"--[a-z-]+", done.stdout))


@pytest.mark.parametrize("words", words_of("hf"), ids=" ".join)
def test_the_hubs_own_program_knows_what_it_is_given(words):
    named = takewhile(lambda word: word.isalpha(), words[1:])
    program = Path(sys.executable).with_name("hf")
    done = subprocess.run([program, *named, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {word for word in words if word.startswith("--")} <= set(
        re.findall(r"--[a-z-]+", done.stdout)
    )


def test_a_control_vectors_file_and_scale_are_one_word_of_llama_cpps_command():
    ((*_, option, value),) = words_of("llama-server")
    file, scale = value.rsplit(":", 1)
    assert option == "--control-vector-scaled" and float(scale)
    assert f'save_gguf("{file}"' in (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
