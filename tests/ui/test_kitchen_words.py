"""Words of the kitchen: a file that teachers edit."""

from pathlib import Path

import pytest

from canopy_desktop.kitchen_words import KitchenWord, load_kitchen_words
from canopy_desktop.paths import resources
from canopy_ui.widgets.inside_layout import Station


def test_every_operation_has_a_short_word_and_one_sentence() -> None:
    words = load_kitchen_words(resources() / "kitchen_words.toml")
    assert set(words) == {station.value for station in Station}
    for word in words.values():
        assert 0 < len(word.word) <= 14
        assert word.sentence.endswith(".")
        assert ". " not in word.sentence


@pytest.mark.parametrize("text", ["[[word", "word = 3", "", "\udcff"])
def test_a_broken_file_gives_no_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert load_kitchen_words(path) == {}
    assert load_kitchen_words(tmp_path / "none.toml") == {}


def test_a_broken_word_is_left_out_and_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "words.toml"
    path.write_text(
        '[[word]]\ntechnical = "mask"\n[[word]]\ntechnical = "softmax"\nkitchen = "shares"\nsentence = "All of it."\n'
    )
    assert load_kitchen_words(path) == {"softmax": KitchenWord("shares", "All of it.")}
    assert str(path) in caplog.text
