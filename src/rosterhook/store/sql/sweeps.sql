-- Full reads of Okta. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: order_sweep
INSERT INTO sweep (org, kind, reason, options, phase, listed, calls, known, asked_ms)
VALUES (:org, :kind, :reason, :options, 'asked', 0, 0, 0, :now) RETURNING id

-- name: open_sweeps
SELECT id, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms, phase_ms, finished_ms,
       error, report, mark
FROM sweep WHERE org = :org AND finished_ms IS NULL ORDER BY id

-- name: find_sweep
SELECT id, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms, phase_ms, finished_ms,
       error, report, mark
FROM sweep WHERE org = :org AND id = :id

-- name: newest_sweeps
SELECT id, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms, phase_ms, finished_ms,
       error, report, mark
FROM sweep WHERE org = :org AND (:kind IS NULL OR kind = :kind) ORDER BY id DESC LIMIT :limit

-- name: last_over
SELECT id, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms, phase_ms, finished_ms,
       error, report, mark
FROM sweep WHERE org = :org AND finished_ms IS NOT NULL AND (:kind IS NULL OR kind = :kind)
ORDER BY finished_ms DESC, id DESC LIMIT 1

-- name: last_read
-- When the last sweep that is done began to read.
SELECT max(started_ms) FROM sweep WHERE org = :org AND phase = 'done' AND started_ms <= :now

-- name: begin_sweep
-- A mark that nobody bears, in a copy of the store too: what an earlier list said counts no more, and stays where it is.
UPDATE sweep SET phase = 'reading', place = :place, started_ms = :now, phase_ms = :now, known = :known, listed = 0,
  calls = 0, report = :report, error = NULL,
  mark = 1 + coalesce((SELECT max(listed_mark) FROM "user" WHERE "user".org = sweep.org), 0)
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
-- The newest stays: a store that has none is taken for one that was never filled.
DELETE FROM sweep WHERE finished_ms < :before AND id < (SELECT max(id) FROM sweep)

-- name: is_listed
SELECT 1 FROM "user" WHERE org = :org AND id = :id AND listed_mark = :mark

-- name: count_listed
SELECT count(*) FROM "user" WHERE org = :org AND listed_mark = :mark

-- name: count_missing
-- Users whom the directory holds and Okta's list did not have.
SELECT count(*) FROM "user" WHERE org = :org AND listed_mark < :mark AND deleted_ms IS NULL

-- name: see
INSERT INTO seen (org, target, id) VALUES (:org, :target, :id) ON CONFLICT (org, target, id) DO NOTHING

-- name: forget_seen
DELETE FROM seen WHERE org = :org AND target = :target

-- name: note_missing
-- Whom to ask for by id: a list is no proof that somebody is gone. Those in service first: they are never to vanish.
INSERT INTO seen (org, target, id)
SELECT org, '?', id FROM "user" WHERE org = :org AND listed_mark < :mark AND deleted_ms IS NULL
ORDER BY CASE WHEN status = 'DEPROVISIONED' THEN 1 ELSE 0 END, id LIMIT :limit
ON CONFLICT (org, target, id) DO NOTHING

-- name: ask_for_missing
INSERT INTO subject (org, kind, id, state, due_ms, generation, attempts, crowded, accepted)
SELECT seen.org, 'user', seen.id, 'due', :now, 1, 0, 0, :accepted
FROM seen LEFT JOIN "user" ON "user".org = seen.org AND "user".id = seen.id
WHERE seen.org = :org AND seen.target = '?' AND coalesce("user".listed_mark, 0) < :mark
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
  AND EXISTS (SELECT 1 FROM "user" WHERE "user".org = :org AND "user".id = subject.id AND "user".listed_mark = :mark)

-- name: proof
-- Every user whom the directory holds alive, with what Okta's list said of them, and whether their reading waits.
SELECT "user".id, CASE WHEN "user".listed_mark = :mark THEN "user".listed_digest END,
       CASE WHEN "user".listed_mark = :mark THEN "user".listed_version END,
       "user".digest, "user".version, subject.state, subject.hidden
FROM "user" LEFT JOIN subject ON subject.org = "user".org AND subject.kind = 'user' AND subject.id = "user".id
WHERE "user".org = :org AND "user".deleted_ms IS NULL

-- name: add_finding
INSERT INTO finding (sweep, target, user_id, kind, fields) VALUES (:sweep, :target, :user_id, :kind, :fields)

-- name: list_findings
SELECT target, user_id, kind, fields FROM finding WHERE sweep = :sweep ORDER BY target, kind, user_id

-- name: forget_cleared_doubts
-- The list was late: the directory, read again by id where it was in doubt, is not what the list said.
DELETE FROM finding WHERE sweep = :sweep AND target = '' AND EXISTS (
  SELECT 1 FROM "user" WHERE org = :org AND id = finding.user_id
    AND listed_mark = :mark AND listed_version IS NULL AND listed_digest <> digest)

-- name: forget_findings
DELETE FROM finding WHERE sweep = :sweep AND (:target IS NULL OR target = :target)

-- name: forget_findings_of
DELETE FROM finding WHERE user_id = :user_id
