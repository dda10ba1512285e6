"""What a person looks at before trusting a dataset: audit, look-alikes, contact sheet."""

from __future__ import annotations

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.curate.__main__ import read_dropped, read_reasons
from taskvectors.curate.duplicates import near_duplicates
from taskvectors.curate.label_audit import audit_labels, verdict
from taskvectors.curate.sheets import COLUMNS, MARGIN, TILE, contact_sheet
from taskvectors.study.entities import Entity
from taskvectors.study.manifest import CollectedImage


@pytest.mark.parametrize(
    ("ours", "infobox", "expected"),
    [
        ("Paris", "Paris and largest city", "agrees"),
        ("Sao Tome", "São Tomé", "agrees"),
        ("Nuku'alofa", "Nukuʻalofa", "agrees"),
        ("Dollar", "United States dollar ($)", "agrees"),
        ("Rome", "Romey", "disagrees"),
        ("Bolivia", "La Paz", "disagrees"),
        ("Paris", "", "infobox silent"),
    ],
)
def test_a_verdict_looks_at_whole_words_without_accents(ours, infobox, expected):
    assert verdict(ours, infobox) == expected


def test_the_audit_links_the_revision_and_puts_disagreements_first():
    entities = [
        Entity("France", "countries", "Flag of France", "", {"capital": "Paris"}),
        Entity("Bolivia", "countries", "Flag of Bolivia", "", {"capital": "Sucre"}),
    ]
    said = pd.DataFrame(
        [
            ["countries", "France", "capital", "Paris", "France", 7],
            ["countries", "Bolivia", "capital", "La Paz", "Bolivia", 8],
            ["countries", "Gone", "capital", "X", "Gone", 9],
        ],
        columns=["entity_set", "entity", "label", "infobox", "title", "revision"],
    )
    table = audit_labels(entities, said)
    assert table["entity"].tolist() == ["Bolivia", "France"]
    assert table["verdict"].tolist() == ["disagrees", "agrees"]
    assert table["url"].tolist()[0].endswith("?oldid=8")


def striped(colours: list[str], across: bool = False) -> Image.Image:
    image = Image.new("RGB", (224, 149))
    pen = ImageDraw.Draw(image)
    for number, colour in enumerate(colours):
        box = (0, 50 * number, 224, 50 * number + 50)
        pen.rectangle((75 * number, 0, 75 * number + 75, 149) if across else box, fill=colour)
    return image


def test_alike_images_are_found_and_different_ones_are_not(tmp_path):
    noisy = Image.blend(striped(["red", "white", "blue"]), Image.new("RGB", (224, 149)), 0.02)
    images = {
        "A": striped(["red", "white", "blue"]),
        "A again": striped(["red", "white", "blue"]),
        "A in JPEG": noisy,
        "A on end": striped(["red", "white", "blue"], across=True),
        "Other": striped(["black", "red", "gold"]),
        "Upside down": striped(["blue", "white", "red"]),
    }
    collected = []
    for name, image in images.items():
        path = tmp_path / f"{name}.png"
        image.save(path)
        collected.append(CollectedImage("s", name, path, sha256(path), *[""] * 8, free=True))
    found = near_duplicates(collected)
    pairs = {tuple(row) for row in found[["entity", "other", "identical"]].to_numpy()}
    assert pairs == {
        ("A", "A again", True),
        ("A", "A in JPEG", False),
        ("A again", "A in JPEG", False),
    }


def test_a_contact_sheet_has_a_place_for_each_image(tmp_path):
    entities = [Entity(f"E{n}", "s", f"E{n}", "", {"color": "red"}) for n in range(13)]
    Image.new("RGB", (224, 224), "red").save(tmp_path / "x.png")
    images = {entity.name: tmp_path / "x.png" for entity in entities[:12]}
    sheet = contact_sheet(entities, images)
    assert sheet.width == COLUMNS * (TILE + 2 * MARGIN)
    step, height = TILE + 2 * MARGIN, sheet.height // 2
    centres = [(n % 10 * step + step // 2, n // 10 * height + 70) for n in range(20)]
    shown = [sheet.getpixel(centre) == (255, 0, 0) for centre in centres]
    assert shown == [True] * 12 + [False] * 8
    with pytest.raises(UserError, match="contact sheet would be empty"):
        contact_sheet(entities, {})


def test_decisions_know_why_an_entity_was_dropped_or_has_no_image(tmp_path):
    (tmp_path / "dropped.csv").write_text(
        "entity_set,entity,label,reason\nfoods,Apple,color,red or green\nmammals,X,entity,y\n"
    )
    assert read_dropped(tmp_path / "dropped.csv", "foods") == [
        {"entity": "Apple", "decision": "dropped: color: red or green"}
    ]
    assert read_reasons(tmp_path / "missing.csv", "foods") == {}
    (tmp_path / "missing.csv").write_text("entity_set,entity,reason\nfoods,Fig,no such page\n")
    assert read_reasons(tmp_path / "missing.csv", "foods") == {"Fig": "no such page"}
