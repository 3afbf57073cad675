"""What docs/models.md says is supported is what the tables of the program say."""

from pathlib import Path

from canopy_desktop.model.card import Activation, Norm, Positions
from canopy_desktop.model.checkpoint_config import CLASSES
from canopy_desktop.model.families import FAMILIES, Family
from canopy_desktop.model.onnx_folder import FORMS
from canopy_desktop.model.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer
from canopy_desktop.model.tokenizer_build import BYTE_LEVEL, SENTENCEPIECE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
HEADER = """| `general.architecture` | in a checkpoint | for example | unlike a plain llama | rotation may be scaled |
|---|---|---|---|---|"""
PRE_HEADER = """\
| `tokenizer.ggml.model` | `tokenizer.ggml.pre` | begin token, if the file does not say | in a checkpoint |
|---|---|---|---|"""
ONNX_HEADER = "| a graph's name ends with | its weights |\n|---|---|\n"
PIECES_ROW = f"| `{SENTENCEPIECE}` | – | yes | yes |"


def test_the_tables_of_the_page_are_those_of_the_program() -> None:
    families = [HEADER, *map(family_row, FAMILIES.values())]
    pre_tokenizers = [PRE_HEADER, *map(pre_tokenizer_row, PRE_TOKENIZERS), PIECES_ROW]
    text = PAGE.read_text("utf-8")
    found = text.partition("test_models_page.py -->\n")[2].partition("<!-- end -->")[0]
    assert found == "\n".join([*families, "", *pre_tokenizers, ""])


def family_row(family: Family) -> str:
    beside = {
        "LayerNorm for RMSNorm": family.norm is Norm.LAYER,
        "learned positions for the rotation": family.positions is Positions.LEARNED,
        "no gate": not family.gated,
        "biases of query, key and value": family.qkv_biases,
        "biases of all other matrices of a block": family.block_biases,
        "norms of each head's query and key": family.qk_norms,
        "norms of what is added to the stream": family.post_norms,
        "a scaled embedding": family.scaled_embedding,
        "GELU": family.activation is Activation.GELU,
        "sliding windows": bool(family.window_period),
    }
    has = ", ".join(what for what, there in beside.items() if there) or "–"
    classes = ", ".join(f"`{name}`" for name, published in CLASSES.items() if published.family == family.name)
    scaled = "linearly, by `rope_freqs`" if family.rope_factors else "linearly"
    if family.positions is not Positions.ROTARY:
        scaled = "–"
    return f"| `{family.name}` | {classes} | {family.models} | {has} | {scaled} |"


def pre_tokenizer_row(pre: PreTokenizer) -> str:
    flags = " | ".join("yes" if flag else "no" for flag in (pre.begins, pre.published))
    return f"| `{BYTE_LEVEL}` | {', '.join(f'`{name}`' for name in pre.names)} | {flags} |"


def test_the_page_names_the_forms_of_graphs_from_the_most_exact_on() -> None:
    text = PAGE.read_text("utf-8")
    rows = text.partition(ONNX_HEADER)[2].partition("<!-- end of the table -->")[0].strip().splitlines()
    named = [name.strip(" `") for row in rows for name in row.split("|")[1].split(",")]
    assert tuple("" if name == "–" else name for name in named) == FORMS
