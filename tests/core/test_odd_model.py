"""Every command works with a model of other numbers than the default one, none of whose numbers stand in the code."""

import io
import re
import token
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from canopy_desktop import paths
from canopy_desktop.model.card import Architecture, read_card
from tests.core import odd
from tests.core.command import Cli

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted([*(ROOT / "canopy_desktop").rglob("*.py"), *(ROOT / "ui" / "canopy_ui").rglob("*.py")])
NAMED = {  # where the default model, or a family of that name, is named on purpose
    "canopy_desktop/model/bundle.py": "the id of the recipe whose model opens where none is named",
    "canopy_desktop/model/families.py": "examples for people, which docs/models.md lists",
    "canopy_desktop/model/pre_tokenizers.py": "GGUF's own name of a way of cutting",
    "canopy_desktop/exploration/model_sizes.py": "published figures of well-known models",
}
COMMANDS = (
    ("doctor",), ("tokens", "the cat~"), ("trace", "the cat", "--max-tokens", "3", "--temperature", "0.9"),
    ("trace", "the cat", "--chat", "--system", "be", "--max-tokens", "2"),
    ("trace", "the cat", "--max-tokens", "30", "--context", "16", "--slide"),
    ("attention", "the cat"), ("attention", "the cat", "--layer", "2", "--head", "4"), ("lens", "the cat"),
    ("lens", "the cat", "--grid"), ("leave-out", "the cat"), ("block", "the cat", "--query", "2", "--key", "0"),
    ("race", "the cat", "--max-tokens", "3"), ("inside", "the cat", "--position", "3", "--layer", "2", "--head", "4"),
    ("compare", "the cat", "--and", "a dog", "--max-tokens", "3"), ("score", "the cat", "sat"), ("score", "the cat"),
    ("beams", "the cat", "--num-beams", "3", "--max-tokens", "3", "--tree"),
    ("draws", "the cat", "--count", "5", "--length", "3"), ("bench", "--concurrency", "1,2"), ("models", "list"),
    ("models", "verify"),
)  # fmt: skip


@pytest.fixture(scope="module")
def odd_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd.build(tmp_path_factory.mktemp("odd"))


def test_the_model_has_nothing_of_the_default_one(odd_model: Path, built_model: Path) -> None:
    a, default = (read_card(folder).architecture for folder in (odd_model, built_model))
    assert (a.layers, a.heads, a.kv_heads, a.vocabulary) == (3, 5, 1, 97)
    same = {name for name in Architecture.__dataclass_fields__ if getattr(a, name) == getattr(default, name)}
    assert not same & {"layers", "heads", "kv_heads", "head_size", "hidden", "feed_forward", "vocabulary", "context"}


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_works_with_it(
    capsys: pytest.CaptureFixture[str], odd_model: Path, arguments: tuple[str, ...]
) -> None:
    assert Cli(capsys, odd_model).json(*arguments)
    status, out, err = Cli(capsys, odd_model).run(*arguments, "--model", str(odd_model))
    assert (status, err) == (0, "")
    assert out.strip()


def test_every_byte_without_a_token_is_told(capsys: pytest.CaptureFixture[str], odd_model: Path) -> None:
    found = Cli(capsys, odd_model).json("tokens", "a\n~é")
    assert [token["text"] for token in found["tokens"]] == ["a"]
    assert [lost["byte"] for lost in found["lost"]] == [0x0A, 0x7E, 0xC3, 0xA9]


def test_a_bench_without_contexts_takes_those_that_the_model_has(
    capsys: pytest.CaptureFixture[str], odd_model: Path
) -> None:
    assert [row["context"] for row in Cli(capsys, odd_model).json("bench")["contexts"]] == [16]


def written(path: Path) -> Iterator[str]:
    """Numbers and texts of a module's code, but for comments and docstrings."""
    before = token.NEWLINE
    for one in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        beginning = before in (token.NEWLINE, token.INDENT, token.DEDENT, token.NL, tokenize.ENCODING)
        if one.type == token.NUMBER or (one.type == token.STRING and not beginning):
            yield one.string.replace("_", "") if one.type == token.NUMBER else one.string
        if one.type not in (token.COMMENT, token.NL):
            before = one.type


@pytest.fixture(scope="module")
def code() -> dict[str, list[str]]:
    """What is written in each module."""
    return {path.relative_to(ROOT).as_posix(): list(written(path)) for path in CODE}


def test_no_number_of_the_default_model_is_written_in_the_code(built_model: Path, code: dict[str, list[str]]) -> None:
    """Of those that cannot be anything else: 30 layers or 64 numbers a head could be thirty or sixty-four of all."""
    a = read_card(built_model).architecture
    own = {str(a.vocabulary), str(a.feed_forward), str(a.heads * a.head_size * a.layers), str(a.kv_bytes_per_token)}
    found = {name: own.intersection(words) for name, words in code.items()}
    assert {name: numbers for name, numbers in found.items() if numbers} == {}


def test_the_default_model_is_named_where_it_has_to_be_and_nowhere_else(code: dict[str, list[str]]) -> None:
    family = re.compile(re.sub(r"\d*-.*", "", next(paths.recipes().glob("smol*.toml")).stem), re.IGNORECASE)
    found = {name for name, words in code.items() if any(map(family.search, words))}
    assert found == set(NAMED)


def test_a_number_or_a_name_in_the_code_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""SmolLM2 has 49152."""\nx = 49_152  # SmolLM2\nname = "SmolLM2"\n\n\ndef f():\n    """576"""\n')
    assert list(written(path)) == ["49152", '"SmolLM2"']
