-- Every statement of the own store, by name. They keep to the SQL that SQLite >= 3.35 and PostgreSQL share.

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
DELETE FROM quarantine WHERE received_ms < :before

-- name: forget_quarantined
DELETE FROM quarantine WHERE org = :org AND id = :id

-- name: ask_follower
-- Something was lost on the way in: the System Log has it.
INSERT INTO cursor (org, source, asked_ms) VALUES (:org, 'log', :now)
ON CONFLICT (org, source) DO UPDATE SET asked_ms = coalesce(cursor.asked_ms, excluded.asked_ms)

-- name: find_event
SELECT seq, essence FROM event WHERE org = :org AND uuid = :uuid

-- name: insert_event
INSERT INTO event (org, uuid, type, published_ms, outcome, essence, source, hook_arrivals, log_arrivals,
                   received_ms, problem, body)
VALUES (:org, :uuid, :type, :published_ms, :outcome, :essence, 'hook', 1, 0, :received_ms, :problem, :body)
RETURNING seq

-- name: count_arrival
UPDATE event SET hook_arrivals = hook_arrivals + 1 WHERE seq = :seq

-- name: newest_events
-- The newest first; with :user, those that name this user.
SELECT seq, uuid, type, published_ms, outcome, source, hook_arrivals, log_arrivals, received_ms, problem, body
FROM event
WHERE org || '' = :org            -- not by the index of (org, uuid): it would sort the whole table
  AND (:user IS NULL OR seq IN (
    SELECT event_seq FROM event_subject WHERE org = :org AND kind = 'user' AND id = :user))
ORDER BY seq DESC LIMIT :limit

-- name: events_after
SELECT seq, uuid, type, published_ms, outcome, source, hook_arrivals, log_arrivals, received_ms, problem, body
FROM event
WHERE org || '' = :org AND seq > :after
  AND (:user IS NULL OR seq IN (
    SELECT event_seq FROM event_subject WHERE org = :org AND kind = 'user' AND id = :user))
ORDER BY seq LIMIT :limit

-- name: events_of_user
-- The whole story of one user, in the order in which it happened.
SELECT event.body
FROM event_subject JOIN event ON event.seq = event_subject.event_seq
WHERE event_subject.org = :org AND event_subject.kind = 'user' AND event_subject.id = :id
ORDER BY coalesce(event.published_ms, event.received_ms), event.seq

-- name: departure_told
-- Whether an event has told that this user was deactivated or deleted.
SELECT 1 FROM event_subject JOIN event ON event.seq = event_subject.event_seq
WHERE event_subject.org = :org AND event_subject.kind = 'user' AND event_subject.id = :id
  AND event.type IN ('user.lifecycle.deactivate', 'user.lifecycle.delete.initiated', 'user.lifecycle.delete.completed')
LIMIT 1

-- name: named_by_event
SELECT 1 FROM event_subject WHERE org = :org AND kind = 'user' AND id = :id LIMIT 1

-- name: prune_events
DELETE FROM event WHERE seq IN (
  SELECT seq FROM event WHERE received_ms < :before ORDER BY received_ms LIMIT 500)

-- name: name_subject
INSERT INTO event_subject (org, kind, id, event_seq) VALUES (:org, :kind, :id, :event_seq)
ON CONFLICT DO NOTHING

-- name: make_subject_due
-- However many events, one row. Somebody who is being read stays claimed; the generation tells that more came.
INSERT INTO subject (org, kind, id, state, due_ms, generation, attempts, waiting_ms, newest_ms, fresh_ms, crowded)
VALUES (:org, :kind, :id, 'due', :due_ms, 1, 0, :waiting_ms, :waiting_ms, :fresh_ms, 0)
ON CONFLICT (org, kind, id) DO UPDATE SET
  generation = subject.generation + 1,
  state = CASE WHEN subject.state = 'claimed' THEN 'claimed' ELSE 'due' END,
  attempts = CASE WHEN subject.state = 'parked' THEN 0 ELSE subject.attempts END,
  error = CASE WHEN subject.state = 'parked' THEN NULL ELSE subject.error END,
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
RETURNING id, generation, attempts, waiting_ms, fresh_ms, crowded

-- name: release_claims
-- A worker that died, or a step that failed, has left its claims behind.
UPDATE subject SET state = 'due' WHERE state = 'claimed'

-- name: finish_subject
DELETE FROM subject WHERE org = :org AND kind = 'user' AND id = :id AND generation = :generation

-- name: continue_subject
-- An event came during the read: it is due again at once, and it is this event that waits.
UPDATE subject SET state = 'due', attempts = 0, due_ms = :now, error = NULL, waiting_ms = newest_ms
WHERE org = :org AND kind = 'user' AND id = :id AND state = 'claimed'

-- name: postpone_subject
UPDATE subject SET state = 'due', attempts = attempts + 1, due_ms = :due_ms, error = :error
WHERE org = :org AND kind = 'user' AND id = :id AND state = 'claimed'

-- name: park_subject
UPDATE subject SET state = 'parked', attempts = attempts + 1, error = :error
WHERE org = :org AND kind = 'user' AND id = :id AND state = 'claimed' AND generation = :generation

-- name: forget_parked_subject
DELETE FROM subject WHERE org = :org AND kind = 'user' AND id = :id AND state = 'parked'

-- name: next_due_subject
SELECT min(due_ms) FROM subject WHERE state = 'due'

-- name: count_subjects
SELECT state, count(*) FROM subject WHERE org = :org GROUP BY state

-- name: list_parked_subjects
SELECT id, attempts, error FROM subject WHERE org = :org AND state = 'parked' ORDER BY id LIMIT :limit

-- name: unpark_subjects
UPDATE subject SET state = 'due', attempts = 0, due_ms = :now, error = NULL
WHERE org = :org AND state = 'parked' AND (:id IS NULL OR id = :id)

-- name: find_user
SELECT version, digest, body, last_updated_ms, deleted_ms FROM "user" WHERE org = :org AND id = :id

-- name: save_user
INSERT INTO "user" (org, id, version, digest, status, body, last_updated_ms, changed_ms, deleted_ms)
VALUES (:org, :id, 1, :digest, :status, :body, :last_updated_ms, :now, :deleted_ms)
ON CONFLICT (org, id) DO UPDATE SET
  version = "user".version + 1, digest = excluded.digest, status = excluded.status, body = excluded.body,
  last_updated_ms = excluded.last_updated_ms, changed_ms = excluded.changed_ms, deleted_ms = excluded.deleted_ms
RETURNING version

-- name: list_users
SELECT id, version, status, body, changed_ms, deleted_ms FROM "user"
WHERE org = :org AND id > :after ORDER BY id LIMIT :limit

-- name: count_users
SELECT status, count(*) FROM "user" WHERE org = :org GROUP BY status

-- name: want_link
-- The target shall hold this version. A parked link gets its next chance: the user is another one now.
INSERT INTO link (org, target, user_id, wanted, done, state, attempts, due_ms, waiting_ms)
VALUES (:org, :target, :user_id, :version, 0, 'pending', 0, :now, :waiting_ms)
ON CONFLICT (org, target, user_id) DO UPDATE SET
  wanted = excluded.wanted, state = 'pending', attempts = 0, due_ms = excluded.due_ms, error = NULL,
  waiting_ms = coalesce(link.waiting_ms, excluded.waiting_ms)

-- name: want_all_links
-- A target that is new, or was away: it shall hold everybody.
INSERT INTO link (org, target, user_id, wanted, done, state, attempts, due_ms)
SELECT org, :target, id, version, 0, 'pending', 0, :now FROM "user" WHERE org = :org
ON CONFLICT (org, target, user_id) DO UPDATE SET
  wanted = excluded.wanted, state = 'pending', attempts = 0, due_ms = excluded.due_ms, error = NULL
WHERE link.wanted < excluded.wanted

-- name: pending_links
SELECT link.user_id, link.wanted, link.due_ms, link.attempts, link.remote_id, link.waiting_ms,
       "user".body, "user".version, "user".deleted_ms
FROM link JOIN "user" ON "user".org = link.org AND "user".id = link.user_id
WHERE link.org = :org AND link.target = :target AND link.state = 'pending' AND link.due_ms <= :now
ORDER BY link.due_ms LIMIT :limit

-- name: link_delivered
-- Not done when more was wanted meanwhile, or when somebody has ordered a replay, which shows in due_ms.
UPDATE link SET
  done = :version, remote_id = coalesce(:remote_id, remote_id), attempts = 0, error = NULL, done_ms = :now,
  state = CASE WHEN wanted = :version AND due_ms = :due_ms THEN 'ok' ELSE 'pending' END,
  lag_ms = :lag_ms, waiting_ms = NULL
WHERE org = :org AND target = :target AND user_id = :user_id

-- name: link_postponed
UPDATE link SET attempts = attempts + 1, due_ms = :due_ms, error = :error
WHERE org = :org AND target = :target AND user_id = :user_id AND wanted = :version

-- name: link_parked
UPDATE link SET state = 'parked', attempts = attempts + 1, error = :error
WHERE org = :org AND target = :target AND user_id = :user_id AND wanted = :version

-- name: count_links
SELECT state, count(*) FROM link WHERE org = :org AND target = :target GROUP BY state

-- name: list_parked_links
SELECT target, user_id, attempts, error FROM link
WHERE org = :org AND state = 'parked' ORDER BY target, user_id LIMIT :limit

-- name: replay_links
-- Have the target hold them anew, whatever it said it holds.
UPDATE link SET done = 0, state = 'pending', attempts = 0, due_ms = :now, error = NULL
WHERE org = :org
  AND (:target IS NULL OR target = :target)
  AND (:user_id IS NULL OR user_id = :user_id)
  AND (:parked = 0 OR state = 'parked')

-- name: recent_lags
SELECT lag_ms FROM link WHERE lag_ms IS NOT NULL ORDER BY done_ms DESC LIMIT 1000

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
