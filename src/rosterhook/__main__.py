"""`python -m rosterhook`."""

from rosterhook.cli import main

main()
