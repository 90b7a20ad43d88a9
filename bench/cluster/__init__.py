"""The same runs on a Ray cluster."""
