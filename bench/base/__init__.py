"""What everything else stands on: console, processes, archives, formats, waiting. Imports `bench.errors` alone."""
