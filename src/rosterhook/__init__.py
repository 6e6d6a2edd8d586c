"""rosterhook keeps a company's own user stores in step with Okta."""

__version__ = "0.1.0"
