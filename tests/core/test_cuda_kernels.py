"""docs/cuda.md: the operators for which the pinned onnxruntime has a CUDA kernel, against the graphs that are built."""

from pathlib import Path

import onnx
import pytest

from canopy_desktop.model.card import WeightForm
from tests.core import tiny

DOCS = Path(__file__).resolve().parents[2] / "docs" / "cuda.md"


def table() -> dict[tuple[str, str], int]:
    """The opset since which an operator of a domain has its kernel."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in DOCS.read_text("utf-8").splitlines()]
    return {(row[1].replace("ai.onnx", ""), row[0]): int(row[2]) for row in rows if len(row) == 5 and row[2].isdigit()}


@pytest.mark.parametrize("form", [WeightForm.INT8, WeightForm.FP32])
def test_every_operator_of_a_bundle_has_a_cuda_kernel_for_its_opset(form: WeightForm, tmp_path: Path) -> None:
    folder, kernels = tiny.build(tmp_path, form), table()
    for path in sorted(folder.glob("*.onnx")):
        model = onnx.load(path, load_external_data=False)
        opsets = {opset.domain: opset.version for opset in model.opset_import}
        for node in model.graph.node:
            assert kernels[node.domain, node.op_type] <= opsets[node.domain], (path.name, node.op_type)
