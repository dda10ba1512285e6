"""The guide docs/your-own-data.md, followed word by word: its files written, its commands run.

Images are drawn here, one for each row of the guide's table; the model is the tiny run's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from checkouts import Checkout, link
from guide import commands, draw, files, write_files
from PIL import Image

from taskvectors.base.files import sha256
from taskvectors.study.predictions import read_predictions

pytestmark = pytest.mark.workflow


def add_column(table: str, name: str, value: str) -> str:
    """A CSV table with one more column, of one value."""
    header, *rows = table.splitlines()
    return "\n".join([f"{header},{name}", *(f"{row},{value}" for row in rows)]) + "\n"


def follow(checkout: Checkout, words: list[str], *more: str) -> str:
    """What a command of the guide prints; it ends well."""
    command = words[1:] if words[0] == "python" else ["-m", *words]
    done = subprocess.run(
        [sys.executable, *command, *more],
        cwd=checkout.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@dataclass(frozen=True)
class Followed:
    """The guide's checkout when all its commands ran: its table, and what each command printed."""

    checkout: Checkout
    table: pd.DataFrame
    printed: list[str]

    @property
    def results(self) -> Path:
        return self.checkout.folder / "results/zoo"

    def planned(self, *targets: str) -> set[str]:
        """The rules of a dry run for files of the experiment."""
        files = [f"results/zoo/{target}" for target in targets]
        done = self.checkout.snakemake("-n", *files, "--config", "experiment=zoo")
        assert done.returncode == 0, done.stdout[-3000:]
        return set(re.findall(r"^(?:local)?rule (\w+):$", done.stdout, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def followed(tiny_run, second_checkout) -> Followed:
    """The guide, followed; the embedded model is the tiny run's, and so are its emoji."""
    results = second_checkout.folder / "results/zoo"
    table = write_files(second_checkout.folder)
    for stage, how in {"collect": shutil.copy2, "prepare": link}.items():
        shutil.copytree(tiny_run.results / stage, results / stage, copy_function=how)
    printed = []
    for words in commands():
        model = ["--rerun-triggers", "mtime"] if "table_3" in words else []
        if model:
            touch = ["results/zoo/prepare/embedded", "--touch", "--config", "experiment=zoo"]
            follow(second_checkout, ["snakemake", "--cores", "1", *touch])
        printed.append(follow(second_checkout, words, *model))
    return Followed(second_checkout, table, printed)


def test_the_guide_has_what_this_test_takes_for_granted():
    assert [(how, name) for how, name, _ in files()] == [
        ("Write", "my/animals/metadata.csv"),
        ("Add to", "resources/tasks.yaml"),
        ("Write", "resources/experiments/zoo.yaml"),
    ]
    assert [words[0] for words in commands()] == ["snakemake"] * 3 + ["python"]


def test_table_3_is_of_the_folders_images(followed):
    shown = pd.read_csv(followed.results / "tables/table_3.csv")
    ours = shown[shown["source"] == "ours"].set_index(["method", "metric"])
    assert ours["animal-home"].notna().all()
    assert {"text_icl_xpatch", "image_icl_base", "no_context"} <= set(ours.index.levels[0])
    predictions = read_predictions(
        [followed.results / "read/embedded/spaced/animal-home/baselines.parquet"]
    )
    asked = predictions[
        (predictions["method"] == "image_icl_base")
        & (predictions["split"] == "test")
        & (predictions["query_modality"] == "image")
    ]
    assert len(asked) == 2 * 8  # seeds, items
    right = [
        label.startswith(token.strip()) or token.strip().startswith(label)
        for token, label in zip(asked["token"], asked["label"], strict=True)
        if token.strip()
    ]
    share = ours.loc[("image_icl_base", "paper"), "animal-home"]
    assert sum(right) / len(asked) == pytest.approx(share)


def test_each_image_is_in_the_manifest_with_what_the_table_says_of_it(followed):
    collected = followed.results / "collect/folder/animals"
    manifest = pd.read_csv(collected / "manifest.csv", keep_default_na=False)
    columns = ["entity", "author", "licence", "source"]
    pd.testing.assert_frame_equal(manifest[columns], followed.table[columns])
    own = followed.checkout.folder / "my/animals"
    for row in manifest.itertuples():
        assert row.source_sha256 == sha256(own / row.path)
        assert row.sha256 == sha256(collected / row.file)
    notice = (collected / "ATTRIBUTION.md").read_text()
    assert "Lion (`lion.png`): author not stated, licence not stated, source not stated" in notice
    assert "Cow (`cow.png`): author A. Painter, licence CC BY 4.0, source https://" in notice
    assert "Of 8 the licence is not stated" in notice


def test_what_is_looked_at_first_shows_every_image(followed):
    dry, *_ = followed.printed
    assert re.search(r"^collect_folder +1$", dry, flags=re.MULTILINE)
    sheet = Image.open(followed.results / "curate/contact_sheets/animals.png")
    assert sheet.size == (10 * (140 + 12), 2 * (140 + 2 * 13 + 12))
    near = pd.read_csv(followed.results / "curate/near_duplicates.csv")
    assert set(near["entity_set"]) <= {"animals"}


def test_the_lineage_goes_back_to_images_and_labels_of_ones_own(followed):
    lineage = followed.printed[-1]
    assert "my/animals/metadata.csv" in lineage and "my/animals/cow.png" in lineage
    assert "12 labels home: 12 not stated" in lineage
    assert "8 images: my/animals, author not stated, licence not stated" in lineage


def test_what_changed_is_made_again_and_no_more(followed):
    folder = followed.checkout.folder / "my/animals"
    table, image = folder / "metadata.csv", folder / "cow.png"
    targets = ("curate/animal-home/test.jsonl", "collect/folder/animals/manifest.csv")
    text, pixels = table.read_text(), image.read_bytes()
    assert followed.planned(*targets) == set()
    table.write_text(add_column(text, "legs", "four"))
    assert followed.planned(*targets) == set()
    table.write_text(text.replace("Cow,farm", "Cow,meadow"))
    assert followed.planned(*targets) == {"curate"}
    table.write_text(text.replace("Painter", "Sculptor"))
    assert followed.planned(*targets) == {"collect_folder", "curate"}
    table.write_text(text)
    draw(image, 7)
    assert followed.planned(*targets) == {"collect_folder", "curate"}
    image.write_bytes(pixels)
