"""The one training loop, and the stages built on it."""
