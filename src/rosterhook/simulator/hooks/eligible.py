"""Which event types Okta offers to event hooks (its event catalogue, release 2026.08.1).

It is no copy of the catalogue: what is neither here nor known to be for the System Log alone is taken for eligible.
"""

from __future__ import annotations

import re

from rosterhook.simulator.events import KINDS

_OFFERED = {
    "app.user_management": "user_group_import.upsert_success",
    "application.account": "decision.confirm decision.ignore decision.revoke detect match.update remove",
    "application.lifecycle": "activate create deactivate delete update",
    "application.provision.user": "delete delete.schedule import_profile push push_profile reactivate "
    "remove_entitlements remove_entitlements.schedule sync",
    "application.user_membership": "add change_password remove update",
    "device.enrollment": "create",
    "device.lifecycle": "activate deactivate delete suspend unsuspend",
    "device.user": "add remove",
    "group.application_assignment": "add remove update",
    "group.lifecycle": "create delete",
    "group.privilege": "grant revoke",
    "group.profile": "update",
    "group.user_membership": "add remove",
    "iam.resourceset": "bindings.add bindings.delete create delete resources.add resources.delete resources.update "
    "update",
    "iam.role": "create delete permission.conditions.add permission.conditions.delete permissions.add "
    "permissions.delete subscriptions.update update",
    "system.import": "complete entitlement.upper_limit_exceeded group.create group.delete roadblock start",
    "system.org.rate_limit": "violation warning",
    "user.account": "lock privilege.grant privilege.revoke report_suspicious_activity_by_enduser reset_password "
    "subscriptions.update unlock unlock_by_admin update_password update_profile",
    "user.import": "password",
    "user.lifecycle": "activate create deactivate delete.initiated reactivate suspend unsuspend",
    "user.mfa": "factor.activate factor.deactivate factor.reset_all factor.suspend factor.unsuspend factor.update "
    "promote_enrollment",
    "user.risk": "change detect",
    "user.session": "clear context.change end start",
}
#: All that is eligible of users, groups, applications, and of what surrounds them.
OFFERED = (
    "app.user_management",
    *(f"{start}.{end}" for start, ends in _OFFERED.items() for end in ends.split()),
)
#: State changes that only the System Log tells.
LOG_ONLY = re.compile(
    r"event_hook\..+"
    r"|group\.user_membership\.rule\..+"
    r"|user\.lifecycle\.(delete\.completed|jit\.error\.read_only|password_mass_expiry)"
    r"|user\.account\.(update_primary_email|update_secondary_email|update_user_type|expire_password|lock\.limit"
    r"|preference_update)"
    r"|user\.realm\.update"
    r"|application\.user_membership\.(change_username|approve|provision|deprovision|revoke|restore)"
    r"|application\.provision\.user\.(activate|deactivate|deprovision)"
    r"|system\.import\.(user\.(create|update|delete|suspend|unsuspend|update_user_lifecycle_from_master)"
    r"|group\.update|group_membership\.complete)"
    r"|directory\.(user_profile|app_user_profile)\.update"
    r"|directory\.external\.group\.membership\.(add|remove)"
    r"|system\.agent\.(ad|ldap)\.update_user"
)
_TYPE = re.compile(r"[a-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")


def may_be_subscribed(event_type: str) -> bool:
    """Whether a hook may name it."""
    kind = KINDS.get(event_type)
    if kind is not None:
        return kind.eligible
    return bool(_TYPE.fullmatch(event_type)) and not LOG_ONLY.fullmatch(event_type)
