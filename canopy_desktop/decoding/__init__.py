"""From logits to a token: pure functions of arrays."""
