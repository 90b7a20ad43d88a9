"""The files that runs leave: their forms, their places, what follows from them, and their check. No torch."""
