"""What people type into fields for numbers."""

from __future__ import annotations

import pytest

from halle_protocol.errors import Refused
from halle_storefront.forms import whole_number


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("1\u202f200", 1_200), (" 7 ", 7), ("9" * 18, 10**18 - 1)])
def test_whole_number_is_read_as_people_write_it(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "1.5", "twelve", "0x10", "9" * 19])
def test_what_is_no_whole_number_is_refused_and_never_cut(text: str) -> None:
    with pytest.raises(Refused) as refused:
        whole_number(text)
    assert refused.value.code == "form-invalid"
