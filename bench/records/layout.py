"""Folders of the results that hold something else than runs. This module imports nothing: anything may import it."""

PROFILES = "profiles"  # what `bench profile` measured
TEACHERS = "teachers"  # the records of teachers that were fine-tuned here
