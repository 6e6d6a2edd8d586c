"""The own store: two SQLite files, their migrations, and every statement by name."""
