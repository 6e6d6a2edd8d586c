-- The directory. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: find_user
SELECT version, digest, body, last_updated_ms, deleted_ms FROM "user" WHERE org = :org AND id = :id

-- name: find_digests
WITH asked (org, id) AS (VALUES (:org, :id))
SELECT "user".id, version, digest, last_updated_ms, deleted_ms
FROM asked JOIN "user" ON "user".org = asked.org AND "user".id = asked.id

-- name: save_user
INSERT INTO "user" (org, id, version, digest, status, body, last_updated_ms, changed_ms, deleted_ms)
VALUES (:org, :id, :version, :digest, :status, :body, :last_updated_ms, :now, :deleted_ms)
ON CONFLICT (org, id) DO UPDATE SET
  version = excluded.version, digest = excluded.digest, status = excluded.status, body = excluded.body,
  last_updated_ms = excluded.last_updated_ms, changed_ms = excluded.changed_ms, deleted_ms = excluded.deleted_ms,
  forgotten_ms = NULL

-- name: list_users
SELECT id, version, status, body, changed_ms, deleted_ms FROM "user"
WHERE org = :org AND id > :after ORDER BY id LIMIT :limit

-- name: count_users
SELECT status, count(*) FROM "user" WHERE org = :org GROUP BY status

-- name: count_living
-- By the index of the status.
SELECT count(*) FROM "user" WHERE org = :org AND status <> 'DELETED'

-- name: blank_user
-- A tombstone without a profile. Its version stays: no target has to do anything.
UPDATE "user" SET body = :body, digest = :digest, forgotten_ms = deleted_ms
WHERE org = :org AND id = :id AND deleted_ms IS NOT NULL

-- name: is_forgotten
SELECT 1 FROM "user" WHERE org = :org AND id = :id AND forgotten_ms IS NOT NULL
