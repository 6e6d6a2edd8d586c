"""The steps of a user's life as Okta's own SDK for Python takes them in a simulated org, up to the end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from okta.client import Client
from okta.errors.okta_api_error import OktaAPIError
from okta.models import (
    ChangePasswordRequest,
    CreateUserRequest,
    PasswordCredential,
    RecoveryQuestionCredential,
    UpdateUserRequest,
    User,
    UserCredentials,
    UserCredentialsWritable,
    UserProfile,
)
from sdk import done, org, wrong

PROFILE = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "login": "ada@example.com"}
PASSWORD = PasswordCredential(value="Tr0ub4dor-and-3")
NEXT_PASSWORD = PasswordCredential(value="C0rrect-horse-battery")
GONE = "Not found: Resource not found: {} (User)"


async def newcomer(okta: Client, *, password: bool = True, **options: Any) -> str:
    """A new user's id."""
    credentials = UserCredentialsWritable(password=PASSWORD) if password else None
    body = CreateUserRequest(profile=UserProfile.from_dict(PROFILE), credentials=credentials)
    return str((await done(okta.create_user(body, **options))).id)


async def status(okta: Client, user_id: str) -> str:
    """A user's status by a read of its own."""
    user: User = await done(okta.get_user(user_id))
    return str(user.status.value)


async def refused(call: Any) -> tuple[int, str]:
    """The status and code with which the SDK comes back."""
    with pytest.raises(OktaAPIError) as error:
        await done(call)
    return error.value.status, error.value.error_code


async def test_a_whole_life():
    """Staged, activated, suspended, back, out of service, and back again; then gone after two deletes."""
    async with org() as (simulator, okta):
        user_id = await newcomer(okta, activate=False)
        lived = [await status(okta, user_id)]
        for step in (okta.activate_user, okta.suspend_user, okta.unsuspend_user, okta.deactivate_user):
            await done(step(user_id))
            lived.append(await status(okta, user_id))
        await done(okta.activate_user(user_id))
        lived.append(await status(okta, user_id))
        await done(okta.delete_user(user_id))
        lived.append(await status(okta, user_id))
        await done(okta.delete_user(user_id))
        with pytest.raises(OktaAPIError) as gone:
            await done(okta.get_user(user_id))
        assert simulator.truth("")["deleted"] == [user_id]
        assert simulator.truth("")["users"] == []
    # Deactivating deletes the password, so that the second activation waits for a new one.
    assert lived == ["STAGED", "ACTIVE", "SUSPENDED", "ACTIVE", "DEPROVISIONED", "PROVISIONED", "DEPROVISIONED"]
    assert (gone.value.status, gone.value.error_code) == (404, "E0000007")
    assert gone.value.error_summary == GONE.format(user_id)
    assert (gone.value.error_link, gone.value.error_causes) == ("E0000007", [])
    assert gone.value.error_id.startswith("oae")


async def test_every_stop_is_as_it_is():
    """After each step a read gives the user as it is by the simulator's own account, stamps too."""
    async with org() as (simulator, okta):
        user_id = await newcomer(okta)
        for step in (
            okta.suspend_user, okta.unsuspend_user, okta.expire_password, okta.deactivate_user, okta.activate_user,
        ):  # fmt: skip
            await done(step(user_id))
            assert wrong(simulator, "users", await done(okta.get_user(user_id))) == set()


async def test_links_come_instead_of_mails():
    """With send_email=False activate, reactivate and reset_password answer with what the mail would have said."""
    async with org() as (simulator, okta):
        user_id = await newcomer(okta, password=False, activate=False)
        first = await done(okta.activate_user(user_id, send_email=False))
        assert await status(okta, user_id) == "PROVISIONED"
        again = await done(okta.reactivate_user(user_id, send_email=False))
        assert await status(okta, user_id) == "PROVISIONED"
        await done(okta.update_user(user_id, UpdateUserRequest(credentials=UserCredentials(password=PASSWORD))))
        assert await status(okta, user_id) == "ACTIVE"
        reset = await done(okta.reset_password(user_id, send_email=False))
        assert await status(okta, user_id) == "RECOVERY"
        url = simulator.url
    assert first.activation_url.startswith(url)
    assert first.activation_token
    assert first.activation_token != again.activation_token
    assert reset.reset_password_url.startswith(url)


async def test_a_password_expires_and_is_changed():
    """expire_password answers with the user; a change with the old password makes the user ACTIVE."""
    change = ChangePasswordRequest(oldPassword=PASSWORD, newPassword=NEXT_PASSWORD)
    async with org() as (_, okta):
        user_id = await newcomer(okta)
        assert (await done(okta.expire_password(user_id))).status == "PASSWORD_EXPIRED"
        assert (await done(okta.change_password(user_id, change))).provider.name == "OKTA"
        assert await status(okta, user_id) == "ACTIVE"


async def test_a_temporary_password_comes_in_the_answer():
    """As recorded; the SDK takes the answer for a User, against Okta's description, and so shows none."""
    async with org() as (_, okta):
        user_id = await newcomer(okta)
        user, answer, error = await okta.expire_password_with_temp_password(user_id)
        assert await status(okta, user_id) == "PASSWORD_EXPIRED"
    assert error is None
    assert user.id is None
    assert list(json.loads(answer.raw_data)) == ["tempPassword"]


async def test_a_locked_out_user_is_unlocked_once():
    """unlock_user ends LOCKED_OUT; the second time there is nothing to unlock."""
    async with org() as (simulator, okta):
        user_id = await newcomer(okta)
        simulator.org.step(user_id, "lock")
        assert await status(okta, user_id) == "LOCKED_OUT"
        await done(okta.unlock_user(user_id))
        assert await status(okta, user_id) == "ACTIVE"
        assert await refused(okta.unlock_user(user_id)) == (403, "E0000032")


async def test_the_recovery_question_and_a_forgotten_password():
    """The question arrives and can be changed; its answer is never told; a forgotten password leaves the status."""
    question = RecoveryQuestionCredential(question="Who?", answer="Me, or nobody")
    credentials = UserCredentials(password=PASSWORD, recovery_question=question)
    async with org() as (_, okta):
        user_id = await newcomer(okta)
        changed = await done(okta.change_recovery_question(user_id, credentials))
        forgotten = await done(okta.forgot_password(user_id, send_email=False))
        assert await status(okta, user_id) == "ACTIVE"
    assert (changed.recovery_question.question, changed.recovery_question.answer) == ("Who?", None)
    assert forgotten.reset_password_url


async def test_sessions_factors_and_what_nobody_has():
    """Factors are reset, sessions are revoked, and the lists below a user are empty."""
    async with org() as (_, okta):
        user_id = await newcomer(okta)
        await done(okta.reset_factors(user_id))
        await done(okta.revoke_user_sessions(user_id))
        for lists in (okta.list_app_links, okta.list_user_grants, okta.list_factors):
            assert await done(lists(user_id)) == []
        assert await status(okta, user_id) == "ACTIVE"


async def test_a_step_from_the_wrong_status_is_refused():
    """Nothing changes for who is ACTIVE, and the SDK has Okta's code."""
    async with org() as (simulator, okta):
        user_id = await newcomer(okta)
        before = simulator.truth("")
        assert await refused(okta.activate_user(user_id)) == (403, "E0000016")
        assert await refused(okta.reactivate_user(user_id)) == (403, "E0000038")
        assert await refused(okta.unsuspend_user(user_id)) == (400, "E0000001")
        assert await refused(okta.unlock_user(user_id)) == (403, "E0000032")
        assert simulator.truth("") == before


async def test_nobody_cannot_be_changed():
    """Every step of an unknown user is 404 E0000007."""
    async with org() as (_, okta):
        steps = (
            okta.activate_user, okta.reactivate_user, okta.deactivate_user, okta.suspend_user, okta.unsuspend_user,
            okta.unlock_user, okta.expire_password, okta.reset_factors, okta.delete_user, okta.revoke_user_sessions,
        )  # fmt: skip
        answers = {step.__name__: await refused(step("00uNobody")) for step in steps}
        answers["reset_password"] = await refused(okta.reset_password("00uNobody", send_email=False))
    assert set(answers.values()) == {(404, "E0000007")}, answers
