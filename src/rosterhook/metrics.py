"""What `/metrics` counts. Its library is loaded by the web process alone."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series each, which nobody asks for
REGISTRY = CollectorRegistry()
DELIVERIES = Counter(
    "rosterhook_hook_answers", "Answers to Okta's event hook, by status.", ["status"], registry=REGISTRY
)
