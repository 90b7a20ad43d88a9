"""What is computed once and kept: signals, tokens, timings, teachers, unfinished runs."""
