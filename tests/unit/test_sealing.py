"""What is sealed opens again under the same key and purpose, and under no other."""

import pytest

from nexgent.sealing import BrokenSeal, seal, unseal


def test_what_was_sealed_opens_again_and_is_never_the_same_text() -> None:
    first, second = seal("geheim ✓", purpose="a"), seal("geheim ✓", purpose="a")
    assert first != second
    assert "geheim" not in first
    assert [unseal(text, purpose="a") for text in (first, second)] == ["geheim ✓"] * 2


@pytest.mark.parametrize(
    "change", [lambda text: text[:-4] + "AAA=", lambda text: "v1:", lambda text: "v1:ä", str.upper]
)
def test_what_was_changed_does_not_open(change) -> None:
    with pytest.raises(BrokenSeal):
        unseal(change(seal("secret", purpose="a")), purpose="a")


def test_another_purpose_or_key_does_not_open_it(settings) -> None:
    sealed = seal("secret", purpose="a")
    with pytest.raises(BrokenSeal):
        unseal(sealed, purpose="b")
    settings.SECRET_KEY = "another key than before"
    with pytest.raises(BrokenSeal):
        unseal(sealed, purpose="a")
