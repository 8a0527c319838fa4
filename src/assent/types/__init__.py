"""Plain values and the protocols between rooms. Imports nothing but the standard library."""
