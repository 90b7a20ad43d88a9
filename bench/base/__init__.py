"""What everything else stands on: console, processes, archives, waiting. Imports `bench.errors` alone."""
