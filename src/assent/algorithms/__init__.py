"""One small file per algorithm: what is its advantage, what is its loss."""
