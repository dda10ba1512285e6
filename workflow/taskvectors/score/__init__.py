"""Stage score: every number, from predictions, activations and the unembedding."""
