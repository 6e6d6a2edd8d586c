-- Running totals, and small facts that one process leaves for another. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: add_to_counter
INSERT INTO counter (org, name, total) VALUES (:org, :name, :by)
ON CONFLICT (org, name) DO UPDATE SET total = counter.total + excluded.total

-- name: read_counters
SELECT name, total FROM counter WHERE org = :org

-- name: leave_note
INSERT INTO note (org, name, value, at_ms) VALUES (:org, :name, :value, :now)
ON CONFLICT (org, name) DO UPDATE SET value = excluded.value, at_ms = excluded.at_ms

-- name: read_note
SELECT value, at_ms FROM note WHERE org = :org AND name = :name
