"""How a language model writes: the core, without Qt."""

import os

# Read when numpy is imported: more threads of its BLAS would take the cores from the decoder.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
