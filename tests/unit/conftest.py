"""Fixtures that several files of unit tests share."""

from init_dialog import dialog, init

__all__ = ["dialog", "init"]
