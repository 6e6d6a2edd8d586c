"""The targets of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from rosterhook.config.section import Section
from rosterhook.mapping import check_path

#: What may happen to a user's row: left as it is, marked by the status column, or removed.
Policy = Literal["keep", "mark", "delete"]

#: Columns of a `users` table when the configuration names none.
DEFAULT_COLUMNS = {
    "id": "id",
    "status": "status",
    "login": "profile.login",
    "email": "profile.email",
    "first_name": "profile.firstName",
    "last_name": "profile.lastName",
    "mobile_phone": "profile.mobilePhone",
    "created": "created",
    "last_updated": "lastUpdated",
}

#: The tutorial's own table.
TUTORIAL_COLUMNS = {
    "firstName": "profile.firstName",
    "lastName": "profile.lastName",
    "email": "profile.email",
    "mobilePhone": "profile.mobilePhone",
    "oktaId": "id",
}

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class SqlTarget(Section):
    """A table in SQLite, PostgreSQL, MySQL or MariaDB."""

    secrets_from_files: ClassVar[tuple[str, ...]] = ("url",)

    name: Name = Field(description="Name of the target in `status`, logs and commands.")
    type: Literal["sql"] = Field(description="Kind of target.")
    url: SecretStr = Field(
        description="Address of the database: `sqlite:///data/users.db`, `postgresql://user:password@host/db`,"
        " `mysql://user:password@host/db` or `mariadb://...`."
    )
    url_file: Path | None = Field(None, description="File that holds `url`.")
    table: str = Field("users", min_length=1, description="Table to write; made when it is absent.")
    preset: Literal["tutorial"] | None = Field(
        None, description="`tutorial` is the table `Users` of Okta's tutorial, columns and all."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Column to attribute of the Okta user. One column must be `id`; it is the key.",
    )
    version_column: str = Field(
        "rosterhook_version",
        description="Integer column that keeps an older write from winning. Empty: do without it.",
    )
    deactivated: Policy = Field("mark", description="Row of a deactivated user: keep, mark or delete.")
    suspended: Policy = Field("mark", description="Row of a suspended user: keep, mark or delete.")
    deleted: Policy = Field("mark", description="Row of a user who is gone from Okta: keep, mark or delete.")
    drift: Literal["repair", "report"] = Field(
        "repair", description="What a reconcile does about rows that somebody else has edited, removed or added."
    )
    hold_users: int = Field(
        20, ge=0, description="More removals than this, and than `hold_percent`, are held until a person approves."
    )
    hold_percent: float = Field(
        5.0, ge=0, le=100, description="Part of the users in service that may be removed at once; 100 holds nothing."
    )
    hold_minutes: float = Field(10.0, gt=0, description="How long a removal counts for the two keys above.")

    @model_validator(mode="before")
    @classmethod
    def _fill_columns(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("preset") != "tutorial":
            return {**data, "columns": data.get("columns") or DEFAULT_COLUMNS}
        fixed = {"table": "Users", "columns": TUTORIAL_COLUMNS, "version_column": ""}
        for key in fixed:
            if key in data and data[key] != fixed[key]:
                raise ValueError(f'{key} is fixed by preset = "tutorial": leave it out')
        # The tutorial's table has no status column to mark: who may not sign in any more is not in it.
        return {"deactivated": "delete", "suspended": "keep", "deleted": "delete", **data, **fixed}

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        for path in self.columns.values():
            check_path(path)
        if list(self.columns.values()).count("id") != 1:
            raise ValueError('exactly one column must be "id", the key of Okta\'s users')
        marks = [key for key in ("deactivated", "suspended", "deleted") if getattr(self, key) == "mark"]
        if marks and "status" not in self.columns.values():
            raise ValueError(f'{marks[0]} = "mark" needs a column that is "status"; add one, or say "keep" or "delete"')
        if self.version_column in self.columns:
            raise ValueError(f'version_column "{self.version_column}" is in columns too')
        return self

    @property
    def key_column(self) -> str:
        """The column that holds Okta's id of the user."""
        return next(column for column, path in self.columns.items() if path == "id")
