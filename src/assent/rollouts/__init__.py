"""Generators behind one protocol; what they write becomes rollouts, of one turn or of several in an environment."""
