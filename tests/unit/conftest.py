"""Fixtures that several files of unit tests share."""

from hook_bench import bench
from init_dialog import dialog, init

__all__ = ["bench", "dialog", "init"]
