"""Sphinx: `make docs`."""

project = "rosterhook"
copyright = "the rosterhook contributors"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_heading_anchors = 3

html_theme = "furo"
html_title = "rosterhook"
# Nothing is loaded from elsewhere: the pages work without a network.
html_show_sourcelink = False
html_copy_source = False
