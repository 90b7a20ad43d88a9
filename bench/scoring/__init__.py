"""What a score is worth: metrics, intervals, comparisons, ranks, loyalty. Arrays in, numbers out; no torch."""
