"""Receivers as others would write them, for the same requests."""
