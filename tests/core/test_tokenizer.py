"""Text to tokens: as llama.cpp does it, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from canopy_desktop.errors import BundleError, SourceError, UsageError
from canopy_desktop.model.chat import ChatTemplate, Message, SystemChoice, encode_completion
from canopy_desktop.model.sentencepiece import BYTE_TOKENS
from canopy_desktop.model.tokenizer import LostByte, Tokenizer
from canopy_desktop.model.tokenizer_build import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    GgufTokenizerFields,
    build_tokenizer_json,
    byte_alphabet,
    read_tokenizer_fields,
)
from canopy_desktop.model.tokenizer_check import check_tokenizer

DATA = Path(__file__).parent.parent / "reference" / "data"
BETWEEN_BYTES = "\x04"  # has no token in SmolLM2's vocabulary


@pytest.fixture(scope="module")
def tokenizer(built_model: Path) -> Tokenizer:
    return Tokenizer.open(built_model / "tokenizer.json")


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    return cast(dict[str, Any], json.loads((DATA / "tokenization.json").read_text("utf-8")))


def random_reference() -> Iterator[tuple[str, list[int]]]:
    """The random texts and llama.cpp's tokens for them."""
    with np.load(DATA / "tokenization_random.npz") as file:
        characters = [chr(code) for code in file["code_points"]]
        ids = file["ids"].tolist()
        sizes = list(zip(file["text_lengths"].tolist(), file["id_counts"].tolist(), strict=True))
    at = ids_at = 0
    for length, count in sizes:
        yield "".join(characters[at : at + length]), ids[ids_at : ids_at + count]
        at, ids_at = at + length, ids_at + count


# --- parity with llama.cpp


@pytest.mark.parametrize(("special", "column"), [(True, "special"), (False, "plain")])
def test_tokens_are_those_of_llama_cpp(
    tokenizer: Tokenizer, reference: dict[str, Any], special: bool, column: str
) -> None:
    for row in reference["texts"]:
        encoding = tokenizer.encode(row["text"], special=special)
        assert list(encoding.ids) == row[column], row["text"]
        assert [[byte.offset, byte.byte] for byte in encoding.lost] == row["lost"], row["text"]


def test_random_unicode_has_the_tokens_of_llama_cpp(tokenizer: Tokenizer) -> None:
    differing = [text for text, ids in random_reference() if list(tokenizer.encode(text, special=False).ids) != ids]
    assert differing == []


def test_special_tokens_are_those_of_the_source(tokenizer: Tokenizer, reference: dict[str, Any]) -> None:
    assert {str(i): text for text, i in tokenizer.special_tokens.items()} == reference["special_tokens"]


def test_characters_are_classed_by_the_unicode_version_of_llama_cpp(built_model: Path) -> None:
    # Counts of llama.cpp's own tables (Unicode 15.1); a `tokenizers` with newer ones must not change a token.
    steps = json.loads((built_model / "tokenizer.json").read_text("utf-8"))["pre_tokenizer"]["pretokenizers"]
    letters = steps[1]["pattern"]["Regex"].split(" ?")[1].removesuffix("+|")
    assert _members(steps[0]["pattern"]["Regex"]) == 1_831
    assert _members(letters) == 136_726


def _members(pattern: str) -> int:
    everything = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    remover = pre_tokenizers.Split(Regex(pattern), "removed")
    return len(everything) - sum(len(piece) for piece, _ in remover.pre_tokenize_str(everything))


# --- bytes without a token


def test_a_byte_without_a_token_is_left_out_and_listed_with_its_offset(tokenizer: Tokenizer) -> None:
    encoding = tokenizer.encode("é\x04a")
    assert encoding.lost == (LostByte(2, 4),)
    assert tokenizer.data(encoding.ids) == "éa".encode()


def test_nothing_is_merged_across_a_byte_without_a_token(tokenizer: Tokenizer) -> None:
    # "!" and "\x04" make one word, so that only the byte itself keeps the marks apart.
    halves = tokenizer.encode("!" + BETWEEN_BYTES + "!").ids
    assert halves == tokenizer.encode("!").ids * 2
    assert halves != tokenizer.encode("!!").ids


def test_a_text_of_lost_bytes_has_no_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(BETWEEN_BYTES * 3).ids == ()


def test_the_empty_text_has_no_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("") == tokenizer.encode("", special=False)
    assert tokenizer.encode("").ids == ()


def test_half_a_surrogate_pair_is_read_as_the_replacement_character(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("a\ud83db").ids == tokenizer.encode("a\ufffdb").ids


# --- properties


@settings(deadline=None, max_examples=300)
@given(text=st.text(), special=st.booleans())
def test_decoding_gives_back_every_byte_but_the_lost_ones(tokenizer: Tokenizer, text: str, special: bool) -> None:
    encoding = tokenizer.encode(text, special=special)
    lost = {byte.offset for byte in encoding.lost}
    data = text.encode()
    assert tokenizer.data(encoding.ids) == bytes(byte for i, byte in enumerate(data) if i not in lost)
    assert all(data[byte.offset] == byte.byte for byte in encoding.lost)


@settings(deadline=None)
@given(pieces=st.lists(st.sampled_from(["<|im_start|>", "<|im_end|>", "<|", "|>", "a", " ", "\x04", "1"])))
def test_special_token_text_read_as_plain_text_has_no_special_token(tokenizer: Tokenizer, pieces: list[str]) -> None:
    ids = tokenizer.encode("".join(pieces), special=False).ids
    assert not any(token.special for token in tokenizer.tokens(ids))


# --- single tokens


def test_a_split_character_is_shown_by_replacement_characters_and_kept_as_bytes(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.tokens(tokenizer.encode("𐎀").ids)
    assert len(tokens) > 1
    assert b"".join(token.data for token in tokens) == "𐎀".encode()
    assert all("\ufffd" in token.text for token in tokens)


def test_tokens_that_split_a_character_decode_together(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("𐎀 日本").ids) == "𐎀 日本"


def test_a_special_token_is_decoded_as_its_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<|im_start|>user").ids
    assert tokenizer.token(ids[0]).special
    assert tokenizer.decode(ids) == "<|im_start|>user"


def test_every_token_of_the_vocabulary_has_bytes(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocabulary_size == 49_152
    assert all(token.data for token in tokenizer.tokens(range(tokenizer.vocabulary_size)))


@pytest.mark.parametrize("token_id", [-1, 49_152])
def test_an_id_outside_the_vocabulary_is_refused(tokenizer: Tokenizer, token_id: int) -> None:
    with pytest.raises(UsageError):
        tokenizer.token(token_id)


def test_two_threads_share_a_tokenizer(tokenizer: Tokenizer) -> None:
    texts = [f"{i} <|im_end|> {chr(0x4E00 + i)}\x04 word{i}" for i in range(500)]
    jobs = [(text, special) for text in texts for special in (True, False)]
    alone = [tokenizer.encode(text, special=special) for text, special in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: tokenizer.encode(job[0], special=job[1]), jobs))
    assert together == alone


@pytest.mark.parametrize("content", ["", "{}", "no json", '{"version": "1.0", "model": {"type": "BPE"}}'])
def test_a_broken_tokenizer_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(BundleError):
        Tokenizer.open(path)


def test_a_missing_tokenizer_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        Tokenizer.open(tmp_path / "tokenizer.json")


# --- building


def small_fields() -> GgufTokenizerFields:
    """A vocabulary of all bytes but 0x04, one merge, a control and a user-defined token."""
    characters = [char for char, byte in byte_alphabet().items() if byte != 4]
    tokens = ("<end>", "<tool>", *characters, "ab", "!?")
    types = (CONTROL, USER_DEFINED, *[NORMAL] * (len(tokens) - 2))
    return GgufTokenizerFields(
        model="gpt2",
        pre="smollm",
        tokens=tokens,
        merges=("a b", "! ?"),
        token_types=types,
        bos_id=None,
        eos_id=0,
        eot_id=None,
        chat_template=None,
        adds_begin=False,
    )


def small_tokenizer(tmp_path: Path) -> Tokenizer:
    path = tmp_path / "tokenizer.json"
    path.write_text(build_tokenizer_json(small_fields()), "utf-8")
    return Tokenizer.open(path)


def test_the_same_fields_give_the_same_file() -> None:
    assert build_tokenizer_json(small_fields()) == build_tokenizer_json(small_fields())


def test_a_user_defined_token_is_found_in_plain_text_but_a_control_token_is_not(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(tmp_path)
    assert tokenizer.encode("<tool><end>", special=True).ids == (1, 0)
    ids = tokenizer.encode("<tool><end>", special=False).ids
    assert ids[0] == 1
    assert 0 not in ids


def test_a_lost_byte_inside_a_word_keeps_its_neighbours_apart(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(tmp_path)
    assert len(tokenizer.encode("!?").ids) == 1
    assert len(tokenizer.encode("!\x04?").ids) == 2


def written(tmp_path: Path, fields: GgufTokenizerFields, *, adds_bos: bool = False) -> GGUFReader:
    path = tmp_path / "small.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model(fields.model)
    writer.add_tokenizer_pre(fields.pre)
    writer.add_token_list(list(fields.tokens))
    writer.add_token_types(list(fields.token_types))
    writer.add_token_merges(list(fields.merges))
    writer.add_add_bos_token(adds_bos)
    if fields.eos_id is not None:
        writer.add_eos_token_id(fields.eos_id)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return GGUFReader(path)


def test_fields_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert read_tokenizer_fields(written(tmp_path, small_fields())) == small_fields()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": "bert"}, "'bert'"),
        ({"pre": "nonsense"}, "'nonsense'"),
        ({"token_types": (1, 1)}, "2 token types"),
        ({"eos_id": 9_999}, "9999"),
        ({"merges": ("a zz",)}, "merge 0"),
        ({"merges": ("ab",)}, "merge 0"),
        ({"merges": ("a b", "a b")}, "merge twice"),
        ({"tokens": ("a", "a"), "token_types": (1, 1), "merges": ("a b",)}, "token twice"),
        ({"tokens": ("日",), "token_types": (1,), "merges": ("a b",)}, "byte alphabet"),
        ({"tokens": ("a",), "token_types": (6,), "merges": ("a b",)}, "unknown type 6"),
    ],
)
def test_a_tokenizer_that_would_come_out_wrong_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(SourceError, match=named):
        read_tokenizer_fields(written(tmp_path, replace(small_fields(), **changes)))


def small_pieces(**changes: Any) -> GgufTokenizerFields:
    """Sentencepiece: all bytes, three characters, and two tokens that are made of them."""
    tokens = ("<unk>", "<s>", "</s>", *BYTE_TOKENS, "a", "b", "▁", "ab", "▁a")
    fields = GgufTokenizerFields(
        model="llama",
        pre="",
        tokens=tokens,
        merges=(),
        token_types=(UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * 5),
        bos_id=1,
        eos_id=2,
        eot_id=None,
        chat_template=None,
        adds_begin=True,
        scores=(*[0.0] * 262, -1.0, -2.0),
        space_prefix=True,
    )
    return replace(fields, **changes)


def written_pieces(tmp_path: Path, fields: GgufTokenizerFields, *, says: bool = True) -> GGUFReader:
    path = tmp_path / "pieces.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model(fields.model)
    writer.add_token_list(list(fields.tokens))
    writer.add_token_types(list(fields.token_types))
    writer.add_token_scores(list(fields.scores))
    if says:
        writer.add_add_bos_token(fields.begins)
        writer.add_bos_token_id(fields.bos_id or 0)
        writer.add_eos_token_id(fields.eos_id or 0)
        writer.add_add_space_prefix(fields.space_prefix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return GGUFReader(path)


def test_pieces_are_read_as_they_were_written_and_what_a_file_leaves_out_is_as_in_llama_cpp(tmp_path: Path) -> None:
    other = small_pieces(space_prefix=False, bos_id=2, eos_id=1, adds_begin=False)
    assert read_tokenizer_fields(written_pieces(tmp_path, other)) == other
    found = read_tokenizer_fields(written_pieces(tmp_path, small_pieces(), says=False))
    assert replace(found, adds_begin=True) == small_pieces()
    assert found.begin_id == 1


def test_of_two_merges_the_one_with_the_higher_score_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    for scores, expected in (((-1.0, -2.0), ["▁", "ab"]), ((-2.0, -1.0), ["▁a", "b"])):
        path.write_text(build_tokenizer_json(small_pieces(scores=(*[0.0] * 262, *scores))), "utf-8")
        found = Tokenizer.open(path).encode("ab").ids
        assert [small_pieces().tokens[i] for i in found] == expected


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"scores": (0.0,)}, "score for every token"),
        ({"scores": (*[0.0] * 263, float("nan"))}, "score for every token"),
        ({"scores": (0.0,) * 264}, "equal scores"),
        ({"token_types": (UNKNOWN, CONTROL, CONTROL, *[BYTE] * 255, *[NORMAL] * 6)}, "token for every byte"),
        ({"token_types": (UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * 4, 7)}, "unknown type"),
        ({"tokens": (*small_pieces().tokens[:-1], "▁日")}, "no token itself"),
        ({"bos_id": 9_999}, "9999"),
    ],
)
def test_pieces_that_would_come_out_wrong_are_refused(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SourceError, match=named):
        read_tokenizer_fields(written_pieces(tmp_path, small_pieces(**changes)))


@pytest.mark.parametrize(
    "edit",
    [
        lambda found: found["normalizer"]["normalizers"].append({"type": "Lowercase"}),
        lambda found: found.__setitem__("normalizer", {"type": "Lowercase"}),
        lambda found: found.__setitem__("normalizer", None),
        lambda found: found["model"].__setitem__("byte_fallback", False),
        lambda found: found["model"].__setitem__("dropout", 0.5),
        lambda found: found["model"]["vocab"].__setitem__("<0x100>", found["model"]["vocab"].pop("<0xFF>")),
        lambda found: found["model"]["vocab"].__setitem__("zz", 3),
        lambda found: found["added_tokens"][0].__setitem__("normalized", True),
    ],
)
def test_pieces_that_do_something_else_are_no_part_of_a_bundle(tmp_path: Path, edit: Callable[[Any], object]) -> None:
    path, size = tmp_path / "tokenizer.json", len(small_pieces().tokens)
    path.write_text(build_tokenizer_json(small_pieces()), "utf-8")
    check_tokenizer(tmp_path, path.name, size)
    found = json.loads(path.read_text("utf-8"))
    edit(found)
    path.write_text(json.dumps(found), "utf-8")
    with pytest.raises(BundleError):
        check_tokenizer(tmp_path, path.name, size)


def test_a_tokenizer_that_begins_with_a_token_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="begins every text"):
        read_tokenizer_fields(written(tmp_path, small_fields(), adds_bos=True))


@pytest.mark.parametrize(
    ("pre", "said", "begin"),
    [
        ("smollm", True, 0),
        ("smollm", False, None),
        ("smollm", None, None),
        ("llama-bpe", None, 0),
        ("llama-bpe", False, None),
    ],
)
def test_a_text_begins_with_a_token_as_the_file_says_or_else_its_pre_tokenizer(
    pre: str, said: bool | None, begin: int | None
) -> None:
    assert replace(small_fields(), pre=pre, bos_id=0, adds_begin=said).begin_id == begin


def beginning_tokenizer(tmp_path: Path) -> Tokenizer:
    path = tmp_path / "tokenizer.json"
    path.write_text(build_tokenizer_json(replace(small_fields(), bos_id=0, adds_begin=True)), "utf-8")
    return Tokenizer.open(path)


def test_a_begin_token_stands_before_a_prompt_once_and_is_no_part_of_its_own_text(tmp_path: Path) -> None:
    tokenizer = beginning_tokenizer(tmp_path)
    assert tokenizer.begin == tokenizer.token(0)
    assert tokenizer.encode("ab").ids == encode_completion(tokenizer, "ab").ids[1:]
    for text in ("ab", "<end>ab"):
        prompt = encode_completion(tokenizer, text)
        assert prompt.text == "<end>ab"
        assert [token.text for token in tokenizer.tokens(prompt.ids)] == ["<end>", "ab"]
        assert "".join(part.text for part in prompt.parts) == prompt.text
        assert sum((part.ids for part in prompt.parts), ()) == prompt.ids
    assert [part.role for part in encode_completion(tokenizer, "ab").parts] == ["template", "completion"]
    assert encode_completion(tokenizer, "").ids == ()


def test_lost_bytes_are_counted_from_the_begin_tokens_text(tmp_path: Path) -> None:
    prompt = encode_completion(beginning_tokenizer(tmp_path), "a\x04")
    assert prompt.lost == (LostByte(len("<end>a"), 4),)


def test_a_begin_token_stands_before_facts_and_chats_unless_the_template_puts_it_there(tmp_path: Path) -> None:
    tokenizer = beginning_tokenizer(tmp_path)
    facts = encode_completion(tokenizer, "ab", facts="!? ")
    assert tokenizer.decode(facts.ids) == facts.text == "<end>!? ab"
    assert [part.role for part in facts.parts] == ["template", "facts", "completion"]
    for source in ("{{ messages[0].content }}", "{{ bos_token }}{{ messages[0].content }}"):
        template = ChatTemplate(source, special_tokens={"bos_token": "<end>"})
        prompt = template.encode(tokenizer, [Message("user", "<end>ab")], system=SystemChoice.DEFAULT)
        assert prompt.text == "<end><end>ab"
        assert prompt.ids.count(0) == 1  # the person's own "<end>" stays text
        assert prompt.ids[0] == 0


def test_a_source_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.gguf"
    writer = GGUFWriter(path, "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(SourceError, match="no field"):
        read_tokenizer_fields(GGUFReader(path))
