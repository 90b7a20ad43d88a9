"""The one training loop, what it reads, and the checkpoint it resumes from. It knows no method."""
