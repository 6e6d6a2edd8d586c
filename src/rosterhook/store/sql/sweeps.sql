-- Full reads of Okta. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: order_sweep
INSERT INTO sweep (org, kind, reason, options, phase, listed, calls, known, asked_ms)
VALUES (:org, :kind, :reason, :options, 'asked', 0, 0, 0, :now) RETURNING id

-- name: open_sweeps
SELECT id, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms, phase_ms, finished_ms,
       error, report
FROM sweep WHERE org = :org AND finished_ms IS NULL ORDER BY id

-- name: find_sweep
SELECT id, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms, phase_ms, finished_ms,
       error, report
FROM sweep WHERE org = :org AND id = :id

-- name: newest_sweeps
SELECT id, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms, phase_ms, finished_ms,
       error, report
FROM sweep WHERE org = :org AND (:kind IS NULL OR kind = :kind) ORDER BY id DESC LIMIT :limit

-- name: last_over
SELECT id, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms, phase_ms, finished_ms,
       error, report
FROM sweep WHERE org = :org AND finished_ms IS NOT NULL AND (:kind IS NULL OR kind = :kind)
ORDER BY finished_ms DESC, id DESC LIMIT 1

-- name: last_read
-- When the last sweep that is done began to read.
SELECT max(started_ms) FROM sweep WHERE org = :org AND phase = 'done' AND started_ms <= :now

-- name: begin_sweep
UPDATE sweep SET phase = 'reading', place = :place, started_ms = :now, phase_ms = :now, known = :known, listed = 0,
  calls = 0, report = :report, error = NULL
WHERE id = :id

-- name: page_read
-- In the transaction that keeps the users of the page: after a crash, no page is read twice but this one.
UPDATE sweep SET place = :place, listed = listed + :listed, calls = calls + 1, error = NULL, report = :report
WHERE id = :id

-- name: enter_phase
UPDATE sweep SET phase = :phase, phase_ms = :now, error = NULL, report = :report WHERE id = :id

-- name: sweep_hindered
UPDATE sweep SET error = :error WHERE id = :id

-- name: end_sweep
UPDATE sweep SET phase = :phase, finished_ms = :now, phase_ms = :now, error = :error, report = :report WHERE id = :id

-- name: prune_sweeps
DELETE FROM sweep WHERE finished_ms < :before

-- name: see
INSERT INTO seen (org, target, id, digest, version) VALUES (:org, :target, :id, :digest, :version)
ON CONFLICT (org, target, id) DO UPDATE SET digest = excluded.digest, version = excluded.version
WHERE seen.version IS NULL OR excluded.version >= seen.version

-- name: is_seen
SELECT 1 FROM seen WHERE org = :org AND target = '' AND id = :id

-- name: forget_seen
DELETE FROM seen WHERE org = :org AND target = :target

-- name: count_seen
SELECT count(*) FROM seen WHERE org = :org AND target = :target

-- name: count_missing
-- Users whom the directory holds and Okta's list did not have.
SELECT count(*) FROM "user" LEFT JOIN seen ON seen.org = "user".org AND seen.target = '' AND seen.id = "user".id
WHERE "user".org = :org AND "user".deleted_ms IS NULL AND seen.id IS NULL

-- name: note_missing
-- Whom to ask for by id: a list is no proof that somebody is gone. Those in service first: they are never to vanish.
INSERT INTO seen (org, target, id)
SELECT "user".org, '?', "user".id
FROM "user" LEFT JOIN seen ON seen.org = "user".org AND seen.target = '' AND seen.id = "user".id
WHERE "user".org = :org AND "user".deleted_ms IS NULL AND seen.id IS NULL
ORDER BY CASE WHEN "user".status = 'DEPROVISIONED' THEN 1 ELSE 0 END, "user".id LIMIT :limit
ON CONFLICT (org, target, id) DO NOTHING

-- name: ask_for_missing
INSERT INTO subject (org, kind, id, state, due_ms, generation, attempts, crowded, accepted)
SELECT seen.org, 'user', seen.id, 'due', :now, 1, 0, 0, :accepted
FROM seen LEFT JOIN seen AS listed ON listed.org = seen.org AND listed.target = '' AND listed.id = seen.id
WHERE seen.org = :org AND seen.target = '?' AND listed.id IS NULL
ON CONFLICT (org, kind, id) DO UPDATE SET
  generation = subject.generation + 1, accepted = excluded.accepted, hidden = 0, attempts = 0,
  state = CASE WHEN subject.state = 'claimed' THEN 'claimed' ELSE 'due' END

-- name: count_unconfirmed
SELECT count(*) FROM seen
JOIN subject ON subject.org = seen.org AND subject.kind = 'user' AND subject.id = seen.id
WHERE seen.org = :org AND seen.target = '?' AND subject.state IN ('due', 'claimed')

-- name: count_not_found
-- Of those who were asked for: whom Okta does not find, without having told of a deletion.
SELECT count(*) FROM seen
JOIN subject ON subject.org = seen.org AND subject.kind = 'user' AND subject.id = seen.id
WHERE seen.org = :org AND seen.target = '?' AND subject.state = 'parked' AND subject.hidden = 1

-- name: forgive_hidden
-- Okta shows them again.
DELETE FROM subject WHERE org = :org AND state = 'parked' AND hidden = 1
  AND id IN (SELECT id FROM seen WHERE org = :org AND target = '')

-- name: proof
-- Every user whom the directory holds alive, with what Okta's list said of them, and whether their reading waits.
SELECT "user".id, seen.digest, seen.version, "user".digest, "user".version, subject.state, subject.hidden
FROM "user" LEFT JOIN seen ON seen.org = "user".org AND seen.target = '' AND seen.id = "user".id
LEFT JOIN subject ON subject.org = "user".org AND subject.kind = 'user' AND subject.id = "user".id
WHERE "user".org = :org AND "user".deleted_ms IS NULL

-- name: add_finding
INSERT INTO finding (sweep, target, user_id, kind, fields) VALUES (:sweep, :target, :user_id, :kind, :fields)

-- name: list_findings
SELECT target, user_id, kind, fields FROM finding WHERE sweep = :sweep ORDER BY target, kind, user_id

-- name: forget_cleared_doubts
-- The list was late: the directory, read again by id where it was in doubt, is not what the list said.
DELETE FROM finding WHERE sweep = :sweep AND target = '' AND user_id IN (
  SELECT seen.id FROM seen JOIN "user" ON "user".org = seen.org AND "user".id = seen.id
  WHERE seen.org = :org AND seen.target = '' AND seen.version IS NULL AND seen.digest <> "user".digest)

-- name: forget_findings
DELETE FROM finding WHERE sweep = :sweep AND (:target IS NULL OR target = :target)

-- name: forget_findings_of
DELETE FROM finding WHERE user_id = :user_id
