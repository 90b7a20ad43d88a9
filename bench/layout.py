"""Folders of the results that hold something else than runs. This module imports nothing, so that anything may use it."""

PROFILES = "profiles"  # what `bench profile` measured
TEACHERS = "teachers"  # the records of teachers that were fine-tuned here
