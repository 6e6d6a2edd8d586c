-- The inbox, and what of it was not understood. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: append_deliveries
-- Store a delivery; the caller repeats the last group for each further row.
INSERT INTO delivery (received_ms, headers, fault, body) VALUES (?, ?, ?, ?)

-- name: read_deliveries
SELECT seq, received_ms, headers, fault, body FROM delivery WHERE seq > :after ORDER BY seq LIMIT :limit

-- name: prune_deliveries
-- A small step: a long transaction would hold up the receiver. The oldest come first, so one that is young ends it.
DELETE FROM delivery WHERE seq IN (SELECT seq FROM delivery WHERE seq <= :up_to ORDER BY seq LIMIT 500)
  AND received_ms < :received_before

-- name: probe_inbox
-- As much as a delivery: where this has room, one has.
INSERT INTO probe (padding) VALUES (zeroblob(16384))

-- name: forget_probes
DELETE FROM probe

-- name: last_delivery
-- The newest sequence number ever given, though its row may be pruned.
SELECT seq FROM sqlite_sequence WHERE name = 'delivery'

-- name: count_deliveries_after
-- Of a very long queue, only that it is one: counting reads every row.
SELECT count(*) FROM (SELECT 1 FROM delivery WHERE seq > :after LIMIT 10000)

-- name: read_offset
SELECT seq, received_ms FROM "offset" WHERE org = :org AND reader = :reader

-- name: move_offset
INSERT INTO "offset" (org, reader, seq, received_ms) VALUES (:org, :reader, :seq, :received_ms)
ON CONFLICT (org, reader) DO UPDATE SET seq = excluded.seq, received_ms = excluded.received_ms

-- name: quarantine
-- Keep whole what is no event hook.
INSERT INTO quarantine (org, delivery_seq, received_ms, reason, headers, body)
VALUES (:org, :seq, :received_ms, :reason, :headers, :body)

-- name: list_quarantine
SELECT id, delivery_seq, received_ms, reason, headers, body FROM quarantine
WHERE org = :org AND id > :after ORDER BY id LIMIT :limit

-- name: count_quarantine
SELECT count(*) FROM quarantine WHERE org = :org

-- name: prune_quarantine
DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE received_ms < :before ORDER BY id LIMIT 500)

-- name: forget_quarantined
DELETE FROM quarantine WHERE org = :org AND id = :id
