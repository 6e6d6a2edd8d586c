"""A receiver as most teams would write it: FastAPI, pydantic, SQLAlchemy; one transaction a request, then the answer.

`python -m bench.peers.fastapi_receiver FILE` keeps the events in a SQLite file.
"""

from __future__ import annotations

import asyncio
import hmac
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, event, insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.bare import serve
from bench.bodies import PATH, SECRET
from rosterhook.service import run_until_signal


class Base(DeclarativeBase):
    """All tables."""


class StoredEvent(Base):
    """An event as it came."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str]
    event_type: Mapped[str]
    published: Mapped[str]
    user_id: Mapped[str | None]
    raw: Mapped[dict[str, Any]] = mapped_column(JSON)


class Target(BaseModel):
    """Whom an event is about."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: str


class HookEvent(BaseModel):
    """One event; what is not named here is kept too."""

    model_config = ConfigDict(extra="allow")

    uuid: str
    published: str
    event_type: str = Field(alias="eventType")
    target: list[Target]

    def row(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "uuid": self.uuid,
            "event_type": self.event_type,
            "published": self.published,
            "user_id": next((target.id for target in self.target if target.type == "User"), None),
            "raw": self.model_dump(mode="json", by_alias=True),
        }


class Data(BaseModel):
    """The events of a delivery."""

    events: list[HookEvent]


class Envelope(BaseModel):
    """A delivery."""

    event_id: str = Field(alias="eventId")
    data: Data


app = FastAPI()


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session for one request."""
    async with request.app.state.sessions() as opened:
        yield opened


async def authorized(authorization: Annotated[str, Header()]) -> None:
    """Let the right secret pass."""
    if not hmac.compare_digest(authorization, SECRET):
        raise HTTPException(401)


@app.get(PATH, dependencies=[Depends(authorized)])
async def verify(x_okta_verification_challenge: Annotated[str, Header()]) -> dict[str, str]:
    """Give back Okta's challenge."""
    return {"verification": x_okta_verification_challenge}


@app.post(PATH, dependencies=[Depends(authorized)])
async def take(envelope: Envelope, db: Annotated[AsyncSession, Depends(session)]) -> dict[str, int]:
    """Store the events, then answer."""
    # Not `add_all`: it would ask SQLite for the id of each row, one after the other.
    await db.execute(insert(StoredEvent), [each.row() for each in envelope.data.events])
    await db.commit()
    return {"events": len(envelope.data.events)}


def database(file: Path) -> AsyncEngine:
    """As safe as rosterhook's own: in WAL mode with synchronous=FULL."""
    # SQLite has one writer. More connections would wait in SQLite's loop of naps, and are slower together.
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", pool_size=1, max_overflow=0)

    @event.listens_for(engine.sync_engine, "connect")
    def durable(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    return engine


async def main(stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    engine = database(Path(sys.argv[1]))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    await serve(uvicorn.Config(app, http="httptools", log_config=None, access_log=False), stop)
    await engine.dispose()


if __name__ == "__main__":
    run_until_signal(main, watch_stdin=True)
