"""What is kept of images: the most recently used, up to a number of bytes."""

from __future__ import annotations

from taskvectors.models.features import Recent


def kept(recent: Recent[str]) -> set[str]:
    return {name for name in "abcd" if name in recent}


def test_the_least_recently_used_are_dropped_first():
    recent = Recent(5, len)
    recent["a"], recent["b"] = "12", "34"
    assert recent["a"] == "12"
    recent["c"] = "56"
    assert kept(recent) == {"a", "c"}
    recent["d"] = "123456"
    assert kept(recent) == set()
    assert recent.pop("d") is None


def test_a_value_put_in_anew_or_taken_out_leaves_its_room():
    recent = Recent(5, len)
    recent["a"], recent["b"] = "123", "12"
    recent["a"] = "321"
    assert kept(recent) == {"a", "b"}
    assert recent.pop("a") == "321"
    recent["c"] = "123"
    assert kept(recent) == {"b", "c"}


def test_only_what_is_missing_is_made_and_all_that_is_asked_for_is_given():
    recent, made = Recent(2, len), []

    def make(names):
        for name in names:
            made.append(name)
            yield 2 * name

    assert recent.all_of("abab", make) == ["aa", "bb", "aa", "bb"]
    assert recent.all_of("ba", make) == ["bb", "aa"]
    assert made == ["a", "b", "a"] and kept(recent) == {"a"}
    recent.fill("ac", make)
    assert made == ["a", "b", "a", "c"] and kept(recent) == {"c"}
