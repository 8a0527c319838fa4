"""Reinforcement learning from human feedback, the whole loop."""
