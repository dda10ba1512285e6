"""Images from the real packages, and what happens when they are missing or corrupt."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.base.images import open_rgb, open_rgba
from taskvectors.base.packages import package_files
from taskvectors.collect.__main__ import attribution, collect
from taskvectors.collect.packages import RENDERINGS, read_image
from taskvectors.models.embedded_vision import MARGIN, SIDE, fit_to_square
from taskvectors.prepare.drawings import load_drawings
from taskvectors.study.entities import Entity, read_entities
from taskvectors.study.manifest import read_manifest

GIRAFFE = Entity("Giraffe", "mammals", "Giraffe", "1F992", {"young": "calf"})
FRANCE = Entity("France", "countries", "Flag of France", "1F1EB-1F1F7", {"capital": "Paris"})
POLAR_BEAR = Entity("Polar Bear", "mammals", "Polar bear", "1F43B-200D-2744-FE0F", {"young": "cub"})
NOWHERE = Entity("Nowhere", "countries", "Nowhere", "", {"capital": "None"})


@pytest.mark.parametrize("name", ["openmoji", "twemoji", "noto"])
def test_a_rendering_gives_images_and_a_manifest_that_matches_them(tmp_path, name):
    manifest = collect(RENDERINGS[name], [GIRAFFE, FRANCE, POLAR_BEAR, NOWHERE], tmp_path)
    assert manifest["entity"].tolist() == ["Giraffe", "France", "Polar Bear"]
    for row in manifest.itertuples():
        image = Image.open(tmp_path / row.file)
        assert (image.width, image.mode) == (224, "RGBA")
        assert (image.width, image.height) == (row.width, row.height)
        assert sha256(tmp_path / row.file) == row.sha256
        assert row.version and row.path and row.licence and row.author
    assert "3 images" in attribution(RENDERINGS[name], manifest)


def test_a_rendering_without_any_of_the_entities_gives_an_empty_manifest(tmp_path):
    manifest = collect(RENDERINGS["flagpy"], [GIRAFFE], tmp_path)
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    assert read_manifest(tmp_path / "manifest.csv") == []
    assert list((tmp_path / "images").iterdir()) == []
    assert "0 images" in attribution(RENDERINGS["flagpy"], manifest)
    with pytest.raises(UserError, match=r"manifest\.csv: no image that a vision tower learns"):
        load_drawings([tmp_path / "manifest.csv"], None)


def test_flagpy_is_read_as_data_and_shows_the_right_flag(tmp_path):
    manifest = collect(RENDERINGS["flagpy"], [FRANCE, GIRAFFE], tmp_path)
    assert manifest["entity"].tolist() == ["France"]
    image = np.asarray(open_rgb(tmp_path / manifest["file"][0])).astype(int)
    middle = image[image.shape[0] // 2]
    blue, white, red = middle[20], middle[112], middle[203]
    assert blue[2] > blue[0] + 50
    assert white.min() > 200
    assert red[0] > red[2] + 50


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "France.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match=r"France\.pkl is not an array of RGB bytes"):
        read_image(tmp_path / "France.pkl")
    assert not (tmp_path / "ran").exists()


def test_flagpy_has_nearly_every_country(root):
    _, _, files = package_files("flagpy")
    countries = read_entities(root / "resources/entities/countries.csv")
    missing = [c.name for c in countries if RENDERINGS["flagpy"].locate(c, files) is None]
    assert len(missing) <= 4


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(UserError, match=r"package no-such-art is not installed; run `make setup`"):
        package_files("no-such-art")


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_corrupt_image_is_named(tmp_path, ending):
    path = tmp_path / f"giraffe{ending}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n not an image")
    with pytest.raises(UserError, match=rf"giraffe\{ending} is (corrupt|not a valid SVG)"):
        read_image(path)


def test_a_truncated_image_is_corrupt_not_half_shown(tmp_path):
    path = tmp_path / "cow.png"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"cow\.png is corrupt"):
        open_rgba(path)


def test_transparent_becomes_white_and_content_is_centred(tmp_path):
    image = Image.new("RGBA", (224, 224), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (10, 20, 60, 45))
    image.save(tmp_path / "box.png")
    assert open_rgb(tmp_path / "box.png").getpixel((0, 0)) == (255, 255, 255)
    square = fit_to_square(image)
    assert square.shape == (4, SIDE, SIDE)
    rows = square[3].amax(1).nonzero()[:, 0]
    columns = square[3].amax(0).nonzero()[:, 0]
    assert (int(columns[0]), int(columns[-1])) == (MARGIN, SIDE - MARGIN - 1)
    assert int(rows[0]) + int(rows[-1]) == SIDE - 1
