"""The stages of the loop: each reads what it needs from the store, does its work, and registers what came of it."""
