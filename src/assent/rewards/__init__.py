"""Where scores come from: reward models, and any Python callable."""
