-- The directory. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: find_user
SELECT version, digest, body, last_updated_ms, deleted_ms FROM "user" WHERE org = :org AND id = :id

-- name: find_digests
WITH asked (org, id) AS (VALUES (:org, :id))
SELECT "user".id, version, digest, last_updated_ms, deleted_ms
FROM asked JOIN "user" ON "user".org = asked.org AND "user".id = asked.id

-- name: save_user
-- :mark is that of the sweep whose list had the user so, or 0. In a row that is written anyway, it costs nothing.
INSERT INTO "user" (org, id, version, digest, status, body, last_updated_ms, changed_ms, deleted_ms,
                    listed_mark, listed_digest, listed_version)
VALUES (:org, :id, :version, :digest, :status, :body, :last_updated_ms, :now, :deleted_ms,
        :mark, :listed_digest, :listed_version)
ON CONFLICT (org, id) DO UPDATE SET
  version = excluded.version, digest = excluded.digest, status = excluded.status, body = excluded.body,
  last_updated_ms = excluded.last_updated_ms, changed_ms = excluded.changed_ms, deleted_ms = excluded.deleted_ms,
  forgotten_ms = NULL,
  listed_mark = CASE WHEN excluded.listed_mark > 0 THEN excluded.listed_mark ELSE "user".listed_mark END,
  listed_digest = coalesce(excluded.listed_digest, "user".listed_digest),
  listed_version = coalesce(excluded.listed_version, "user".listed_version)

-- name: mark_listed
-- What a sweep's list says of users whom the directory holds. Of two rows of a user, the newer state counts.
WITH met (org, id, mark, digest, version) AS (VALUES (:org, :id, :mark, :digest, :version))
UPDATE "user" SET listed_mark = met.mark, listed_version = met.version,
  listed_digest = CASE WHEN forgotten_ms IS NULL THEN met.digest END
FROM met WHERE "user".org = met.org AND "user".id = met.id
  AND ("user".listed_mark <> met.mark OR "user".listed_version IS NULL
       OR met.version >= "user".listed_version)

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
UPDATE "user" SET body = :body, digest = :digest, listed_digest = NULL, forgotten_ms = deleted_ms
WHERE org = :org AND id = :id AND deleted_ms IS NOT NULL

-- name: is_forgotten
SELECT 1 FROM "user" WHERE org = :org AND id = :id AND forgotten_ms IS NOT NULL
