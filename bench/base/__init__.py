"""What all else stands on: console, processes, files, archives, formats, provenance. Imports `bench.errors` alone."""
