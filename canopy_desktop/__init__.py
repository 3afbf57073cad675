"""How a language model writes: the core, without Qt."""
