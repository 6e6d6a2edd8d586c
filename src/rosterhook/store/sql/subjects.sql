-- Who must be read from Okta. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: make_subject_due
-- However many events, one row. Somebody who is being read stays claimed; the generation tells that more came.
INSERT INTO subject (org, kind, id, state, due_ms, generation, attempts, waiting_ms, newest_ms, fresh_ms, crowded)
VALUES (:org, :kind, :id, 'due', :due_ms, 1, 0, :waiting_ms, :waiting_ms, :fresh_ms, 0)
ON CONFLICT (org, kind, id) DO UPDATE SET
  generation = subject.generation + 1,
  state = CASE WHEN subject.state = 'claimed' THEN 'claimed' ELSE 'due' END,
  attempts = CASE WHEN subject.state = 'parked' THEN 0 ELSE subject.attempts END,
  error = CASE WHEN subject.state = 'parked' THEN NULL ELSE subject.error END,
  hidden = 0, accepted = 0,
  due_ms = CASE WHEN subject.state = 'due' AND subject.due_ms < excluded.due_ms
                THEN subject.due_ms ELSE excluded.due_ms END,
  waiting_ms = CASE WHEN excluded.waiting_ms IS NULL OR subject.waiting_ms < excluded.waiting_ms
                    THEN subject.waiting_ms ELSE excluded.waiting_ms END,
  newest_ms = coalesce(excluded.newest_ms, subject.newest_ms),
  crowded = CASE WHEN abs(subject.fresh_ms - excluded.fresh_ms) < 2000 THEN 1 ELSE subject.crowded END,
  fresh_ms = CASE WHEN excluded.fresh_ms IS NULL OR subject.fresh_ms > excluded.fresh_ms
                  THEN subject.fresh_ms ELSE excluded.fresh_ms END

-- name: claim_subjects
-- Take the longest-waiting due subjects; one worker at a time does this.
UPDATE subject SET state = 'claimed'
WHERE (org, kind, id) IN (
  SELECT org, kind, id FROM subject WHERE state = 'due' AND due_ms <= :now ORDER BY due_ms LIMIT :limit)
RETURNING id, generation, attempts, waiting_ms, fresh_ms, crowded, accepted

-- name: rest_subject
-- Changed again right after a read: that can wait, and no try was made.
UPDATE subject SET state = 'due', due_ms = :due_ms WHERE org = :org AND kind = 'user' AND id = :id

-- name: release_claims
-- A worker that died, or a step that failed, has left its claims behind.
UPDATE subject SET state = 'due' WHERE state = 'claimed'

-- name: finish_subject
DELETE FROM subject WHERE org = :org AND kind = 'user' AND id = :id AND generation = :generation

-- name: continue_subject
-- An event came during the read: it is due again at once, and it is this event that waits.
UPDATE subject SET state = 'due', attempts = 0, due_ms = :now, error = NULL, waiting_ms = newest_ms, failed_ms = NULL,
  accepted = 0
WHERE org = :org AND kind = 'user' AND id = :id AND state = 'claimed'

-- name: postpone_subject
UPDATE subject SET state = 'due', attempts = attempts + 1, due_ms = :due_ms, error = :error,
  failed_ms = coalesce(failed_ms, :now), tried_ms = :now
WHERE org = :org AND kind = 'user' AND id = :id AND state = 'claimed'

-- name: park_subject
UPDATE subject SET state = 'parked', attempts = attempts + 1, error = :error, hidden = :hidden, accepted = 0,
  failed_ms = coalesce(failed_ms, :now), tried_ms = :now
WHERE org = :org AND kind = 'user' AND id = :id AND state = 'claimed' AND generation = :generation

-- name: forget_parked_subject
DELETE FROM subject WHERE org = :org AND kind = 'user' AND id = :id AND state = 'parked'

-- name: count_hidden
SELECT count(*) FROM subject WHERE org = :org AND state = 'parked' AND hidden = 1

-- name: list_hidden
SELECT id FROM subject WHERE org = :org AND state = 'parked' AND hidden = 1 ORDER BY id

-- name: wake_subjects
-- The clock was set back: what was to wait for seconds would wait for as long as that.
UPDATE subject SET due_ms = :now WHERE state = 'due' AND due_ms > :later

-- name: next_due_subject
SELECT min(due_ms) FROM subject WHERE state = 'due'

-- name: count_due
-- No more than one read is for.
SELECT count(*) FROM (SELECT 1 FROM subject WHERE state = 'due' AND due_ms <= :now LIMIT :limit) AS due

-- name: count_subjects
SELECT state, count(*) FROM subject WHERE org = :org GROUP BY state

-- name: list_parked_subjects
SELECT id, attempts, error, failed_ms, tried_ms, hidden FROM subject
WHERE org = :org AND state = 'parked' ORDER BY id LIMIT :limit

-- name: unpark_subjects
UPDATE subject SET state = 'due', attempts = 0, due_ms = :now, error = NULL, hidden = 0, failed_ms = NULL
WHERE org = :org AND state = 'parked'
  AND (:reason IS NULL OR error LIKE '%' || :reason || '%' ESCAPE '\')
  AND (:since IS NULL OR failed_ms >= :since)

-- name: mark_stranger
-- Only a target knew them: if Okta does not, no event has to say so.
UPDATE subject SET accepted = 2 WHERE org = :org AND kind = 'user' AND id = :id

-- name: forget_subject
DELETE FROM subject WHERE org = :org AND kind = 'user' AND id = :id
