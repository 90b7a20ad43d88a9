"""The leaderboard as a static site: records become flat facts, and facts become pages, plots and downloads."""
