"""Entity tables are refused by file, row and column where they are wrong."""

from __future__ import annotations

import csv
import re
import unicodedata
from io import StringIO
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


PLAIN = "entity,title,emoji,capital\n"
GREECE = "Greece,Flag of Greece,,Athens\n"
COTE = unicodedata.normalize("NFD", "Côte,Côte,,Abidján\n")


def read_bytes(folder: Path, content: bytes) -> list[tuple[str, str, str]]:
    path = folder / "countries.csv"
    path.write_bytes(content)
    return [(one.name, one.title, one.labels["capital"]) for one in read_entities(path)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\xef\xbb\xbf" + (PLAIN + GREECE).encode(), [("Greece", "Flag of Greece", "Athens")]),
        ((PLAIN + GREECE).replace("\n", "\r\n").encode(), [("Greece", "Flag of Greece", "Athens")]),
        ((PLAIN + GREECE).replace("\n", "\r").encode(), [("Greece", "Flag of Greece", "Athens")]),
        ((PLAIN + GREECE + "\n\n").encode(), [("Greece", "Flag of Greece", "Athens")]),
        ((PLAIN + GREECE.strip()).encode(), [("Greece", "Flag of Greece", "Athens")]),
        ((PLAIN + '"Saba, Bonaire","A ""b""",,"x"\n').encode(), [("Saba, Bonaire", 'A "b"', "x")]),
        ((PLAIN + "None,NA,,nan\nnull,N/A,,007\n").encode(),
         [("None", "NA", "nan"), ("null", "N/A", "007")]),
        ((PLAIN + "True,1e5,,1.0\n").encode(), [("True", "1e5", "1.0")]),
        ((PLAIN + COTE).encode(), [("Côte", "Côte", "Abidján")]),
        ((PLAIN + "Iran,Iran,,\u0645\u06cc\u200c\u0646\n").encode(),
         [("Iran", "Iran", "\u0645\u06cc\u200c\u0646")]),
    ],
)  # fmt: skip
def test_tables_as_programs_write_them_give_the_right_values(tmp_path, content, found):
    assert read_bytes(tmp_path, content) == found


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ((PLAIN + GREECE).encode("utf-16"), r"countries\.csv is not in UTF-8 \(.*\); save it"),
        ((PLAIN + "Côte,F,,A\n").encode("latin-1"), "is not in UTF-8"),
        ((PLAIN + GREECE).replace(",", ";").encode(), "row 1: columns are parted by ';'; save"),
        ((PLAIN + GREECE).replace(",", "\t").encode(), r"parted by '\\t'"),
        ((PLAIN + '"Greece,F,,Athens\nFrance,F,,Paris\n').encode(), "a cell in quotes ends with"),
        ((PLAIN + 'Greece,F,,"Ath"ens\n').encode(), "row 2 or before it: .* a cell in quotes"),
        ((PLAIN + '"Gre\nece",F,,Athens\n').encode(), "has stray spaces"),
        ((PLAIN + "Gre\0ece,F,,A\n").encode(), "row 2, column entity: .* are not seen"),
        ((PLAIN + "G,F,,At\u200bhens\n").encode(), "column capital: .* are not seen"),
        ((PLAIN + "G,F,,At\u202ehens\n").encode(), "column capital: .* are not seen"),
        ((PLAIN + "G,F,,At\u00adhens\n").encode(), "column capital: .* are not seen"),
        ((PLAIN + "G,F,,At\u00a0hens\n").encode(), "column capital: .* has stray spaces"),
        ((PLAIN + GREECE + "\n\nGREECE,G,,Athens\n").encode(), "row 5, .* already in row 2"),
        ((PLAIN + COTE + "Côte,F,,A\n").encode(), "'Côte' stands already in row 2"),
        ((PLAIN + "G,F,,A,B\n").encode(), "row 2: 5 cells where the header has 4"),
        ((PLAIN + f"G,F,,{'A' * 200_000}\n").encode(), "field larger than field limit"),
        (b"entity,title,emoji,capital,capital\nG,F,,A,B\n", "column 'capital' stands twice"),
        (b"entity,title,emoji,\nG,F,,A\n", "column '' has no name"),
        (b"", "row 1: column entity is missing"),
    ],
)
def test_tables_that_would_give_a_wrong_value_are_refused(tmp_path, content, complaint):
    with pytest.raises(UserError, match=complaint):
        read_bytes(tmp_path, content)


SEEN = st.text(
    st.characters(exclude_categories=("C", "Z", "M")) | st.sampled_from(" ,;\"'é"), max_size=9
)


@given(
    st.lists(st.tuples(SEEN, SEEN, SEEN), min_size=1, max_size=4),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["NFC", "NFD"]),
)
def test_whatever_is_written_comes_back_or_is_refused(
    tmp_path_factory, rows, encoding, separator, ending, form
):
    written = StringIO(newline="")
    writer = csv.writer(written, delimiter=separator, lineterminator=ending)
    writer.writerows([PLAIN.strip().split(","), *([a, b, "", c] for a, b, c in rows)])
    content = unicodedata.normalize(form, written.getvalue()).encode(encoding, "replace")
    folder = tmp_path_factory.mktemp("table", numbered=True)
    try:
        found = read_bytes(folder, content)
    except UserError as error:
        assert "countries.csv" in str(error) or "has no letter or digit" in str(error)
    else:
        same = [tuple(unicodedata.normalize("NFC", cell) for cell in row) for row in rows]
        if encoding == "latin-1":
            same = [
                tuple(c.encode("latin-1", "replace").decode("latin-1") for c in r) for r in same
            ]
        assert found == same


def test_a_digest_reads_the_table_as_it_is_read(tmp_path):
    path = tmp_path / "countries.csv"
    texts = [PLAIN + GREECE, PLAIN + GREECE.replace("Greece", "Hellas")]
    plain, marked = [], []
    for text in texts:
        path.write_text(text, encoding="utf-8")
        plain.append(digest(path, ["capital"]))
        path.write_text(text.replace("\n", "\r\n"), encoding="utf-8-sig")
        marked.append(digest(path, ["capital"]))
    assert plain == marked and plain[0] != plain[1]
