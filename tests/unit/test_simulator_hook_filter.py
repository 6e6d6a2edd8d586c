"""The expressions that filter a simulated event hook's events."""

from __future__ import annotations

import pytest

from rosterhook.simulator.hooks.filter import matches

USER = {"id": "00u1", "type": "User", "alternateId": "a@x.com", "displayName": "A (B) && C"}
GROUP = {"id": "00g1", "type": "UserGroup", "alternateId": "unknown", "displayName": "Sales"}
EVENT = {
    "eventType": "group.user_membership.add",
    "outcome": {"result": "SUCCESS", "reason": None},
    "actor": {"id": "00u9", "type": "User", "alternateId": "admin@x.com", "displayName": "Ada Min"},
    "target": [USER, GROUP],
    "debugContext": {"debugData": {"changedAttributes": "city,title"}},
}


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("event.target.?[type eq 'UserGroup' && displayName eq 'Sales'].size()>0", True),
        ("event.target.?[type eq 'User' && displayName eq 'Sales'].size()>0", False),
        ("event.target.?[type eq 'UserGroup'].size()>0 && event.target.?[displayName eq 'Sales'].size()>0", True),
        ("event.target.?[ type ne 'x' ].size() eq 2", True),
        ("event.outcome.result eq 'SUCCESS'", True),
        ("event.outcome.reason eq 'x'", False),
        ("event.outcome.reason ne 'x'", True),
        ("event.debugData.changedAttributes eq \"city,title\"", True),
        ("event.eventType eq 'x' || event.actor.displayName eq 'Ada Min'", True),
        ("event.actor.id eq '00u9' || event.actor.id eq 'a' && event.eventType eq 'x'", True),
        ("(event.actor.id eq '00u9' || event.actor.id eq 'a') && event.eventType eq 'x'", False),
        ("event.target.?[displayName eq 'A (B) && C'].size() > 1", False),
    ],
)  # fmt: skip
def test_a_filter_decides_as_its_expression_says(expression, passes):
    """Okta's examples and each operator, with && before ||."""
    assert matches(expression, EVENT) is passes


@pytest.mark.parametrize("missing", [{"target": None}, {"actor": None}, {"debugContext": None}])
def test_an_event_that_lacks_the_field_does_not_match(missing):
    """Events come without target, actor or debug data; a filter on those is false, not an error."""
    expression = {
        "target": "event.target.?[type eq 'User'].size() > 0",
        "actor": "event.actor.id eq '00u9'",
        "debugContext": "event.debugData.changedAttributes eq 'city'",
    }[next(iter(missing))]
    assert matches(expression, {**EVENT, **missing}) is False


@pytest.mark.parametrize(
    "expression",
    [
        "", "event.eventType", "'a'", "event.target.?[type eq 'User']", "event.target.?[type].size() > 0",
        "event.client.ipAddress eq 'x'", "type eq 'User'", "event.eventType eq", "event.eventType eq 'a' 'b'",
        "event.eventType eq 5", "event.eventType > 'a'", "event.eventType eq 'a", "event.eventType && event.actor.id",
        "(event.eventType eq 'a'", "event.target.?[event.target.?[type eq 'a'].size() > 0].size() > 0", "; import os",
    ],
)  # fmt: skip
def test_what_is_outside_of_the_documented_grammar_is_refused(expression):
    """No field, operator or form but the documented ones, and only what is a Boolean."""
    with pytest.raises(ValueError, match=r"."):
        matches(expression, EVENT)
