"""``python -m taskvectors.models.add`` against a hub on loopback, and with folders."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from huggingface_hub import HfApi
from model_hub.server import Hub, Repository, running_hub

from contract.families import FAMILIES
from taskvectors.base.command import run_command
from taskvectors.base.errors import UserError
from taskvectors.models.add import __main__ as command
from taskvectors.models.add.abilities import (
    beginnings,
    boundaries,
    empty_adapter,
    exemplars_of_all_tasks,
    takes_several_images,
)
from taskvectors.models.add.described import of_folder, of_hub
from taskvectors.models.add.entry import check_new, entry_of, name_of
from taskvectors.models.checkpoint import folder_revision
from taskvectors.prepare.fetch import fetch
from taskvectors.study.config import read_models
from workflow.checkouts import Checkout, copy_of_the_workflow

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOLD = {
    "cardData": {"license": "apache-2.0"},
    "safetensors": {"parameters": {"BF16": 4_437_000_000, "F32": 815_808}, "total": 4_437_815_808},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> dict[str, Path]:
    """Tiny checkpoints by family."""
    folders = {}
    for family in ("qwen3_vl", "llama"):
        folders[family] = tmp_path_factory.mktemp(family)
        FAMILIES[family].save(folders[family])
    return folders


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    """A copy of the workflow, to whose models the tests of this file add."""
    return copy_of_the_workflow(tmp_path_factory.mktemp("adding"))


@pytest.fixture
def hub(tiny, tmp_path, monkeypatch) -> Iterator[Hub]:
    """A hub with a tiny model that is said to be a large one in half precision."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "")
    large = changed(tiny["qwen3_vl"], tmp_path / "large", dtype="bfloat16")
    with running_hub() as hub:
        # As HF_ENDPOINT does when the library is imported.
        resolved = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", resolved)
        hub.models["Qwen/Qwen3-VL-4B-Instruct"] = Repository(large, COMMIT, TOLD)
        yield hub


def started(words: list[str], checkout: Checkout, hub: Hub) -> subprocess.CompletedProcess[str]:
    """What ``python -m`` these words does in a checkout that knows this hub and no token."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": ""}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=checkout.folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


def printed_commands(printed: str) -> list[list[str]]:
    """The commands that follow, as words."""
    return [shlex.split(line) for line in printed.split("now run")[1].splitlines() if line]


def test_a_hubs_model_is_added_pinned_and_what_is_printed_fetches_and_plans_it(hub, checkout):
    models = checkout.folder / "resources/models.yaml"
    before = models.read_text(encoding="utf-8")

    def run(*words: str) -> str:
        done = started(list(words), checkout, hub)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    printed = run("taskvectors.models.add", "Qwen/Qwen3-VL-4B-Instruct", "--name", "mine")
    assert "licence: apache-2.0\n" in printed
    assert "qwen3_vl (Qwen3Adapter), held by the contract tests\n" in printed
    assert "4.44 billion parameters stored as BF16, F32; 3 layers of width 32" in printed
    assert "images: several in a prompt" in printed
    assert "14.0 GB of memory, a GPU with more than 8.9 GB, 97 minutes" in printed
    assert not any(path.endswith(".safetensors") for path in hub.asked)

    after = models.read_text(encoding="utf-8")
    assert after.startswith(before)  # comments, order and quotes, too
    source = read_models(models)["mine"]
    assert (source.hub, source.revision) == ("Qwen/Qwen3-VL-4B-Instruct", COMMIT)
    assert (source.parameters, source.gpus, source.image_icl) == (4.44, 1, True)
    assert after.removeprefix(before) in printed

    fetching, study = printed_commands(printed)
    named = [word.replace("<mail>", "<a@b.org>") for word in study]  # whoever runs it fills that in
    planned = run(*named, "--dry-run")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", planned, re.MULTILINE))
    assert (jobs["fetch_model"], jobs["read"], jobs["write_test"]) == ("1", "6", "6")
    out = Path(fetching[3])
    assert fetching[:3] == ["snakemake", "--cores", "1"] and f"output: {out}\n" in planned
    kept = checkout.folder / "results/cache/models"
    fetch(source.hub, source.revision, checkout.folder / out, kept)
    large = hub.models["Qwen/Qwen3-VL-4B-Instruct"].folder
    for name in ("model.safetensors", "config.json"):
        assert (checkout.folder / out / name).read_bytes() == (large / name).read_bytes()


def test_a_folder_is_added_by_its_hash_and_copied(tiny, checkout, monkeypatch, capsys):
    folder = tiny["llama"]
    monkeypatch.chdir(checkout.folder)
    before = Path("resources/models.yaml").read_text()
    monkeypatch.setattr(sys, "argv", ["add", str(folder), "--name", "own", "--dry-run"])
    command.main()
    assert Path("resources/models.yaml").read_text() == before
    assert "own:\n  folder: " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["add", str(folder), "--name", "own"])
    command.main()
    source = read_models(Path("resources/models.yaml"))["own"]
    assert (source.folder, source.revision) == (str(folder), folder_revision(folder))
    assert (source.dtype, source.gpus, source.paradigm) == ("float32", 0, "text-only")
    copy, demo = printed_commands(capsys.readouterr().out)
    assert demo[:5] == ["python", "-m", "taskvectors.demo", "--model", "own"]
    done = subprocess.run(
        [sys.executable, "-m", *copy], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    copied = Path("results/today/prepare/own")
    for name in ("model.safetensors", "tokenizer.json"):
        assert (copied / name).read_bytes() == (folder / name).read_bytes()


def changed(folder: Path, to: Path, **config: object) -> Path:
    """A copy of a checkpoint with other values in its config.json; None takes a key out."""
    shutil.copytree(folder, to)
    values = {**json.loads((folder / "config.json").read_text()), **config}
    kept = {key: value for key, value in values.items() if value is not None}
    (to / "config.json").write_text(json.dumps(kept))
    return to


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["google/gated"], "error: google/gated is gated: accept its terms at http"),
        (["a/model", "--name", "My Model"], "error: the entry My Model: "),
        (
            ["a/model", "--name", "idefics2"],
            "error: resources/models.yaml has a model 'idefics2'",
        ),
    ],
)
def test_a_refusal_is_one_sentence_and_changes_nothing(
    hub, checkout, monkeypatch, capsys, words, complaint
):
    large = hub.models["Qwen/Qwen3-VL-4B-Instruct"].folder
    hub.models["a/model"] = Repository(large, COMMIT, TOLD)
    hub.models["google/gated"] = Repository(large, COMMIT, {**TOLD, "gated": "manual"})
    monkeypatch.chdir(checkout.folder)
    before = Path("resources/models.yaml").read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["add", *words])
    with pytest.raises(SystemExit) as end:
        run_command(command.main)
    assert str(end.value).startswith(complaint) and "\n" not in str(end.value)
    assert capsys.readouterr().out == ""
    assert Path("resources/models.yaml").read_text(encoding="utf-8") == before


def test_what_the_hub_does_not_have_or_give_is_said(hub, tmp_path):
    folder, api = hub.models["Qwen/Qwen3-VL-4B-Instruct"].folder, HfApi(endpoint=hub.url)
    hub.models["google/gated"] = Repository(folder, COMMIT, {**TOLD, "gated": "manual"})
    hub.models["lmsys/pickled"] = Repository(folder, COMMIT)
    for name, complaint in {
        "Qwen/Qwen9": rf"{hub.url} has no public model 'Qwen/Qwen9'; check its name",
        "google/gated": rf"is gated: accept its terms at {hub.url}/google/gated, then give a token",
        "lmsys/pickled": r"lmsys/pickled has no weights as model\*.safetensors",
    }.items():
        with pytest.raises(UserError, match=complaint):
            of_hub(api, name, tmp_path / name)
    with_token = HfApi(endpoint=hub.url, token="hf_any")
    assert of_hub(with_token, "google/gated", tmp_path / "given").gated


@pytest.mark.parametrize(("offline", "reason"), [(False, "ConnectError"), (True, "OfflineMode")])
def test_no_network_is_said(tmp_path, monkeypatch, offline, reason):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    with running_hub() as closed:
        pass
    with pytest.raises(UserError, match=rf"cannot be asked about a/b \({reason}.*; run this on a"):
        of_hub(HfApi(endpoint=closed.url), "a/b", tmp_path)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"model_type": "paligemma"}, "in the architecture 'paligemma' all tokens of a prompt see"),
        ({"model_type": "molmo2"}, "'molmo2' the images of a prompt see each other"),
        (
            {"model_type": "molmo", "auto_map": {"AutoModelForCausalLM": "modeling_molmo.Molmo"}},
            "'molmo' needs its authors' own code, and no code of a checkpoint is run here",
        ),
        (
            {"model_type": "minicpmv", "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}},
            "'minicpmv' needs its authors' own code, and no code of a checkpoint is run here",
        ),
        (
            {"model_type": "qwen9_vl"},
            r"'qwen9_vl' is unknown to transformers \d+\.\d+\.\d+; a newer",
        ),
        ({"model_type": "clip"}, "'clip' neither writes text nor answers about images"),
        ({"quantization_config": {"quant_method": "gptq"}}, "is quantised, which is not read"),
    ],
)
def test_what_cannot_be_studied_is_refused_with_the_reason(tiny, tmp_path, config, complaint):
    folder = changed(tiny["qwen3_vl"], tmp_path / "changed", **config)
    with pytest.raises(UserError, match=complaint):
        empty_adapter(folder, "changed")


def test_an_incomplete_checkpoint_is_refused_with_the_reason(tiny, tmp_path):
    folder = changed(tiny["llama"], tmp_path / "changed")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(
        UserError, match=r"changed: the tokenizer cannot be loaded by transformers .*; fetch"
    ):
        empty_adapter(folder, "changed")


def test_a_chat_template_without_end_is_refused_and_nothing_is_added(
    tiny, tmp_path, checkout, monkeypatch
):
    folder = changed(tiny["qwen3_vl"], tmp_path / "without-end")
    loops = 2 * "{% for a in range(99999) %}" + 2 * "{% endfor %}"
    (folder / "chat_template.jinja").write_text(loops)
    monkeypatch.chdir(checkout.folder)
    monkeypatch.setattr(sys, "argv", ["add", str(folder)])
    before = command.MODELS.read_text()
    with pytest.raises(UserError, match=f"the chat template of {folder} computes for over 1 s"):
        command.main()
    assert command.MODELS.read_text() == before


def test_several_images_are_a_persons_to_know_where_no_test_holds_the_family(tiny):
    adapter = empty_adapter(tiny["qwen3_vl"], "tiny")
    assert takes_several_images("qwen3_vl", adapter, None)
    assert not takes_several_images("llava", adapter, None)
    assert takes_several_images("llava", adapter, True)
    with pytest.raises(UserError, match="give --image-icl or --no-image-icl"):
        takes_several_images("aria", adapter, None)
    assert not takes_several_images("llama", empty_adapter(tiny["llama"], "tiny"), None)


def merging(folder: Path, to: Path, prefix_space: bool) -> Path:
    """A copy whose tokenizer lets a mark go with the letters after it, as Qwen's and Llama 3's."""
    shutil.copytree(folder, to)
    tokenizer = json.loads((to / "tokenizer.json").read_text())
    rule = {"Regex": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+"}
    split = {"type": "Split", "pattern": rule, "behavior": "Isolated", "invert": False}
    own = {**tokenizer["pre_tokenizer"], "use_regex": False, "add_prefix_space": prefix_space}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, own]}
    model = tokenizer["model"]
    model["vocab"][":Z"] = max(model["vocab"].values()) + 1
    model["merges"].append([":", "Z"])
    (to / "tokenizer.json").write_text(json.dumps(tokenizer))
    return to


@pytest.mark.parametrize(
    ("prefix_space", "told"), [(False, "needs a made boundary"), (True, "cannot be used")]
)
def test_exemplars_whose_delimiter_is_merged_are_counted(tiny, tmp_path, root, prefix_space, told):
    folder = merging(tiny["qwen3_vl"], tmp_path / "merging", prefix_space)
    generic, spaced, chat = boundaries(empty_adapter(folder, "merging"), root / "resources")
    labels = [label for _, label in exemplars_of_all_tasks(root / "resources")]
    with_z = sum(label[0] == "Z" for label in labels)
    assert with_z > 0
    assert command.about_template(generic) == (
        f"template generic: {told}, since the tokenizer merges a delimiter with its neighbour in "
        f"{with_z} of {len(labels)} exemplars"
    )
    assert command.about_template(spaced) == "template spaced: every delimiter is a token"
    assert command.about_template(chat) == "template chat: the model merging has no chat template"


def test_labels_that_begin_alike_are_counted_by_template_and_task(tiny, root):
    found = beginnings(empty_adapter(tiny["llama"], "tiny"), root / "resources")
    assert set(found) == {"generic", "spaced"}  # it has no chat template
    capitals = found["spaced"]["country-capital"]
    assert capitals.labels == 197 and capitals.shared > 0
    # This tokenizer makes a token of the space before a word that it does not know.
    assert capitals.unshown > 0 == found["generic"]["country-capital"].unshown
    said, *more = command.about_labels("spaced", found["spaced"])
    assert f"country-capital {capitals.shared} of 197, country-currency " in said
    (of_capitals,) = [line for line in more if "country-capital: " in line]
    assert f"{capitals.unshown} of 197 labels have a first token that shows no text" in of_capitals


def test_the_precision_is_the_stated_one_else_that_of_most_weights(tiny, tmp_path):
    stated = changed(tiny["llama"], tmp_path / "stated", dtype="float16")
    silent = changed(tiny["llama"], tmp_path / "silent", dtype=None)
    for folder, dtype in ((stated, "float16"), (silent, "float32")):
        adapter = empty_adapter(folder, "tiny")
        assert entry_of(of_folder(folder), adapter, image_icl=False)["dtype"] == dtype


def test_names_are_those_of_repositories_and_none_is_taken_twice(root):
    assert name_of({"hub": "Qwen/Qwen2.5-VL_7B"}) == "qwen2.5-vl-7b"
    assert name_of({"folder": "/a/7B (own)"}) == "model-7b-own"
    known = root / "resources/models.yaml"
    for model in read_models(known).values():
        if model.hub and model.vision_model and model.name.startswith(("qwen", "gemma", "smol")):
            assert name_of({"hub": model.hub}) == model.name
    with pytest.raises(UserError, match="has a model 'idefics2' already; give another name"):
        check_new(known, "idefics2", {"hub": "a/b", "revision": COMMIT})
    source = {
        "hub": "HuggingFaceM4/idefics2-8b",
        "revision": read_models(known)["idefics2"].revision,
    }
    with pytest.raises(UserError, match="has this very checkpoint already, as 'idefics2'"):
        check_new(known, "another", source)


@pytest.mark.parametrize("model", ["Qwen3", "../no/folder", "a/b/c", "a/b?c"])
def test_what_is_neither_a_folder_nor_an_id_is_refused(model, tmp_path):
    with pytest.raises(UserError, match="is neither a folder nor a hub id") as error:
        command.describe(model, tmp_path)
    assert "\n" not in str(error.value)
