"""The same work by what people would use instead: TRL and transformers, each in its best configuration.

Everything here runs in an environment of its own (`make bench` makes it), without assent.
"""
