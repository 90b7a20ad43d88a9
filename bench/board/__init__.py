"""Rows of records side by side: the leaderboard, its verdicts, recommendations and reported numbers. No torch."""

from bench.base.rooms import callable_room

callable_room(__name__)  # bench.board(...)
