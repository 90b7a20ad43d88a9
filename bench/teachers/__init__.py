"""The teacher of a run: which it is, its signals from the store, or made in every step."""
