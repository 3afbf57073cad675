"""How a language model writes: the core, without Qt."""

import os

from canopy_desktop.heap import tune_heap

__version__ = "0.1.0"

# Offline means offline: onnxruntime 1.31 keeps a device id and reports on its use unless it is told not to before it
# is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Read when numpy is imported: more threads of its BLAS would take the cores from the decoder.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

tune_heap()
