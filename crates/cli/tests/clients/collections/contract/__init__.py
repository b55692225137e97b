"""The contract of signed collections as numbered checks: see `__main__`."""
