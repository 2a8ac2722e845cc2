"""Gymnasium environments of the package, registered under `evosnn/` when it is imported."""
