"""The file that a run leaves: its form, its place, and the check of a folder of them. No torch."""
