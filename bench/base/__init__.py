"""What all else stands on: console, processes, files, archives, provenance, waiting. Imports `bench.errors` alone."""
