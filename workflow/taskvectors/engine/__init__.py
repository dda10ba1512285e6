"""The engine: forward passes that read residual streams and patch them, for any adapter."""
