"""Entity tables are refused by file, row and column where they are wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.study.entities import digest, read_entities, slugify

HEADER = "entity,title,emoji,capital,capital_source,capital_method,capital_url\n"
ATHENS = "Greece,Flag of Greece,,Athens,atlas,curated,https://example.org\n"


def table(folder: Path, rows: str) -> Path:
    path = folder / "countries.csv"
    path.write_text(HEADER + rows, encoding="utf-8")
    return path


def test_a_good_table_gives_entities_with_their_labels_only(tmp_path):
    (greece,) = read_entities(table(tmp_path, ATHENS))
    assert (greece.name, greece.entity_set, greece.labels) == (
        "Greece",
        "countries",
        {"capital": "Athens"},
    )


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (
            ATHENS + ATHENS,
            r"countries\.csv, row 3, column entity: 'Greece' stands already in row 2",
        ),
        (ATHENS.replace("Athens", ""), r"countries\.csv, row 2, column capital: the cell is empty"),
        (ATHENS.replace("Athens", " Athens"), r"row 2, column capital: ' Athens' has stray spaces"),
        (ATHENS.replace("Athens", "A  B"), r"row 2, column capital: 'A  B' has stray spaces"),
        (ATHENS.replace("atlas,", ""), r"row 2: 6 cells where the header has 7"),
    ],
)
def test_a_wrong_table_is_refused_naming_file_row_and_column(tmp_path, rows, complaint):
    with pytest.raises(UserError, match=complaint):
        read_entities(table(tmp_path, rows))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"mammals\.csv is missing"):
        read_entities(tmp_path / "mammals.csv")


@given(st.text(min_size=1, max_size=40))
def test_slugs_are_safe_file_names(name):
    try:
        slug = slugify(name)
    except UserError:
        assert not any(char.isalnum() for char in name)
    else:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)


def test_slugs_fold_accents_and_keep_other_scripts_apart():
    assert slugify("São Tomé and Príncipe") == "sao-tome-and-principe"
    assert slugify("../../etc/passwd") == "etc-passwd"
    assert slugify("日") != slugify("本")


def test_the_committed_tables_have_distinct_slugs(root):
    for entity_set in ("countries", "mammals", "foods"):
        entities = read_entities(root / f"resources/entities/{entity_set}.csv")
        assert len({entity.slug for entity in entities}) == len(entities)


def test_a_digest_changes_with_its_own_labels_and_the_entities_only(tmp_path):
    def digests(text: str) -> tuple[str, str]:
        path = tmp_path / "foods.csv"
        path.write_text(text)
        return digest(path), digest(path, ["color"])

    header = "entity,title,emoji,color,color_source,flavor\n"
    plain = digests(f"{header}Lime,Lime,,green,a book,sour\n")
    assert digests(f"{header}Lime,Lime,,green,another,bitter\n") == plain
    color = digests(f"{header}Lime,Lime,,lime,a book,sour\n")
    assert color[0] == plain[0]
    assert color[1] != plain[1]
    renamed = digests(f"{header}Key lime,Lime,,green,a book,sour\n")
    assert not set(renamed) & set(plain)
