-- Bodies in which a person may be named. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: bodies_of_event
SELECT seq, body FROM event WHERE seq > :after ORDER BY seq LIMIT :limit

-- name: rewrite_event
UPDATE event SET body = :body WHERE seq = :key

-- name: bodies_of_quarantine
SELECT id, body FROM quarantine WHERE id > :after ORDER BY id LIMIT :limit

-- name: rewrite_quarantine
UPDATE quarantine SET body = :body WHERE id = :key

-- name: bodies_of_delivery
SELECT seq, body FROM delivery WHERE seq > :after ORDER BY seq LIMIT :limit

-- name: rewrite_delivery
UPDATE delivery SET body = :body WHERE seq = :key
