"""Anything that runs forward: transformers, readers of words, attention taps, sharing of a batch."""
