"""The feedback service: pages and an API in which people judge, on the same store that trains the models."""

from assent.web.app import create_app
from assent.web.service import Service

__all__ = ["Service", "create_app"]
