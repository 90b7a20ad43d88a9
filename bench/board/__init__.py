"""Rows of records side by side: the leaderboard, its verdicts, recommendations and reported numbers. No torch."""
