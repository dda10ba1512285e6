"""The engine: forward passes that read block outputs and patch them, for any adapter."""
