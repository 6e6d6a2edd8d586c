"""`simulate`: a simulated Okta org, for trying things and for other people's tests."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rosterhook.simulator.__main__ import main


def simulate(*options: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Run a simulated Okta org over HTTP: users, lifecycle calls, rate limits, faults, and real hook deliveries."""
    return main(list(options), program="rosterhook simulate")
