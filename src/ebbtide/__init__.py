"""Ebbtide learns what every process usually sends out, and says when something leaves that should not.

The names below are what a plug-in author needs; importing this module reads nothing and starts nothing.
"""

from ebbtide.errors import EbbtideError
from ebbtide.series import Batch, Entity, Series, Window

__version__ = "0.1.0"

__all__ = ["Batch", "EbbtideError", "Entity", "Series", "Window", "__version__"]
