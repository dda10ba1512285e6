"""The page of verified models is what its command makes, and names all that is held."""

from __future__ import annotations

from transformers import CONFIG_MAPPING

from contract.families import FAMILIES
from taskvectors.models.registry import HELD, REFUSED, adapter_class
from verified import CANNOT, OWN_CODE, PAGE, model_type, page


def test_the_page_of_models_is_what_its_command_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python tests/verified.py`"


def test_what_is_said_to_be_held_is_what_the_contract_holds():
    assert {model_type(family) for family in FAMILIES} == set(HELD)


def test_what_is_said_not_to_be_studied_has_no_adapter():
    assert set(CANNOT) == set(REFUSED) <= set(CONFIG_MAPPING)
    assert all(adapter_class(kind) is None for kind in (*CANNOT, *OWN_CODE))
    assert not set(OWN_CODE) & set(CONFIG_MAPPING)
