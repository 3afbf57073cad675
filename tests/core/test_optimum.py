"""The real optimum: what it exports of a tiny random checkpoint computes what transformers does, and is a witness."""

import os
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.child import run_child
from canopy_desktop.model.export_environment import OPTIMUM_EXPORT, STAMP
from canopy_desktop.model.model_import import import_source
from canopy_desktop.model.onnx_folder import open_onnx_model
from canopy_desktop.model.onnx_witness import compare
from canopy_desktop.model.provider import ProviderChoice
from tests.core.checkpoints import FOLDER, change, write_checkpoint
from tests.core.engine import all_logits, prefill
from tests.core.fake_environment import link_environment

ROOT = Path(__file__).resolve().parents[2]
PLACES = [ROOT / name for name in (".venv-export", ".venv-reference") if (ROOT / name / "bin" / "python").exists()]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PLACES, reason="neither `make export-env` nor `make reference` was run: there is no optimum"
    ),
]
LOGIT = 1e-3
LIMIT_S = 600.0
BYTES = 8_000_000_000
IDS = [7, 42, 300, 5, 5, 211, 64, 1, 90, 17, 400, 33]
MAKES = f"""
import sys
import numpy as np
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

torch.manual_seed(11)
model = GPTNeoXForCausalLM(GPTNeoXConfig(
    vocab_size=512, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, intermediate_size=80,
    max_position_embeddings=64, rotary_pct=0.5, initializer_range=0.2, bos_token_id=0, eos_token_id=1,
)).eval()
model.save_pretrained(sys.argv[1])
with torch.no_grad():
    np.save(sys.argv[2], model(torch.tensor([{IDS}])).logits[0].numpy())
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with the real optimum; returns its Python."""
    folder = PLACES[0]
    if not (folder / STAMP).exists():
        folder = tmp_path / "environment"
        link_environment(folder, PLACES[0])
    monkeypatch.setenv("CANOPY_EXPORT", str(folder))
    return folder / "bin" / "python"


def silent(doing: str, part: float) -> None:
    pass


def test_a_model_of_a_class_that_is_not_in_the_table_computes_what_transformers_does(
    environment: Path, tmp_path: Path
) -> None:
    source, logits = tmp_path / "source", tmp_path / "logits.npy"
    subprocess.run([environment, "-I", "-c", MAKES, source, logits], check=True, capture_output=True, timeout=LIMIT_S)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (source / name).write_bytes((FOLDER / "llama-linear" / name).read_bytes())
    found = import_source(source, WeightForm.INT8, "neox", tmp_path / "models", silent)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["neox"]
    session = ModelSession.open(Bundle.open(found.folder), ProviderChoice.CPU)
    prefill(session, IDS, 5)
    assert np.abs(all_logits(session) - np.load(logits)).max() <= LOGIT


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_what_is_built_of_a_checkpoint_computes_what_optimums_export_of_it_does(
    environment: Path, tmp_path: Path, name: str
) -> None:
    source = write_checkpoint(name, tmp_path / "source")
    built = import_source(source, WeightForm.FP32, "built", tmp_path / "models", silent)
    heard, exported = list[str](), tmp_path / "exported"
    run_child(
        environment, [OPTIMUM_EXPORT, source, exported, str(BYTES), str(BYTES)], os.environ, tmp_path / "log",
        heard.append, limit_s=LIMIT_S,
    )  # fmt: skip
    assert heard == ["loading", "exporting"]
    compare(open_onnx_model(exported), built.folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["LlamaForTokenClassification"]}, "no decoder of the name LlamaForTokenClassification"),
        ({"num_hidden_layers": 9}, "needs other weights: model.layers"),
        ({"model_type": "nothing"}, "does not recognize this architecture"),
    ],
)
def test_what_is_not_as_its_config_says_is_refused_and_no_random_weight_comes_in(
    environment: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    source = write_checkpoint("llama", tmp_path / "source")
    change(source, "config.json", **changes)
    heard = list[str]()
    run = partial(run_child, environment, environment=os.environ, log=tmp_path / "log", on_line=heard.append)
    arguments = [source, tmp_path / "exported", str(BYTES), str(BYTES)]
    assert run([OPTIMUM_EXPORT, *arguments], limit_s=LIMIT_S).status == 1
    assert heard[-1].startswith("refused: ")
    assert words in heard[-1]
    assert not list((tmp_path / "exported").glob("*.onnx"))


def test_nothing_can_be_fetched_and_limits_are_kept(environment: Path, tmp_path: Path) -> None:
    source = write_checkpoint("llama", tmp_path / "source")
    heard = list[str]()
    program = [OPTIMUM_EXPORT, source, tmp_path / "exported", "10000", str(BYTES)]
    ended = run_child(environment, program, os.environ, tmp_path / "log", heard.append, limit_s=LIMIT_S)
    assert ended.status != 0
    (tmp_path / "fetch.py").write_text(
        "import runpy, sys, urllib.request\n"
        f"script = runpy.run_path({str(OPTIMUM_EXPORT)!r})\n"
        "sys.addaudithook(script['refuse_network'])\n"
        "urllib.request.urlopen('http://127.0.0.1:9/')\n"
    )
    run_child(environment, [tmp_path / "fetch.py"], {}, tmp_path / "log", heard.append, limit_s=LIMIT_S)
    assert "nothing is fetched for an export" in (tmp_path / "log").read_text()
