"""How a language model writes: the core, without Qt."""

__version__ = "0.1.0"
