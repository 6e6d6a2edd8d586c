"""The benchmark: what one machine accepts, holds in memory, and how long an event takes to become a row."""
