"""Generators behind one protocol, and the collector that turns what they write into experience."""
