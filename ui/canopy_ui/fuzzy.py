"""How well a few typed letters fit a name."""

from __future__ import annotations

WORD_START, CONSECUTIVE = 3, 2  # what a letter gains at the start of a word, and right behind the letter before it


def fit(typed: str, name: str) -> int | None:
    """The larger, the better; None where the letters are not in the name in this order. Spaces do not matter."""
    letters, text = typed.casefold().replace(" ", ""), name.casefold()
    best = {-1: 0}  # position of the last letter found: the best score so far
    for letter in letters:
        found: dict[int, int] = {}
        for place in (place for place, other in enumerate(text) if other == letter):
            starts_word = place == 0 or not text[place - 1].isalnum()
            before = [score + CONSECUTIVE * (last == place - 1) for last, score in best.items() if last < place]
            if before:
                found[place] = max(before) + WORD_START * starts_word
        best = found
    return max(best.values(), default=None)
