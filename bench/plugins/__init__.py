"""Finding tasks, methods and students, what their files declare, and which of them fit together. No torch."""
