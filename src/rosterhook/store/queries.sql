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
DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE received_ms < :before ORDER BY id LIMIT 500)

-- name: forget_quarantined
DELETE FROM quarantine WHERE org = :org AND id = :id

-- name: read_cursor
SELECT position, types, asked_ms, polled_ms FROM cursor WHERE org = :org AND source = 'log'

-- name: move_cursor
-- Behind the events of a page, in the transaction that stores them.
INSERT INTO cursor (org, source, position, types, polled_ms) VALUES (:org, 'log', :position, :types, :polled_ms)
ON CONFLICT (org, source) DO UPDATE SET
  position = excluded.position, types = excluded.types, polled_ms = coalesce(excluded.polled_ms, cursor.polled_ms)

-- name: answer_asking
-- The log was read to its end, and that reading began after this asking.
UPDATE cursor SET asked_ms = NULL WHERE org = :org AND source = 'log' AND asked_ms = :asked_ms

-- name: ask_follower
-- Something was lost on the way in: the System Log has it.
INSERT INTO cursor (org, source, asked_ms) VALUES (:org, 'log', :now)
ON CONFLICT (org, source) DO UPDATE SET asked_ms = excluded.asked_ms

-- name: find_event
SELECT seq, essence FROM event WHERE org = :org AND uuid = :uuid

-- name: insert_event
INSERT INTO event (org, uuid, type, published_ms, outcome, essence, source, hook_arrivals, log_arrivals,
                   received_ms, problem, body, for_hook)
VALUES (:org, :uuid, :type, :published_ms, :outcome, :essence, :source, :hook, :log, :received_ms, :problem, :body,
        :for_hook)
RETURNING seq

-- name: count_arrival
UPDATE event SET hook_arrivals = hook_arrivals + :hook, log_arrivals = log_arrivals + :log WHERE seq = :seq

-- name: count_hour
INSERT INTO hook_hour (org, hour_ms, events) VALUES (:org, :hour_ms, :by)
ON CONFLICT (org, hour_ms) DO UPDATE SET events = hook_hour.events + excluded.events

-- name: events_of_day
SELECT coalesce(sum(events), 0) FROM hook_hour WHERE org = :org AND hour_ms > :since

-- name: prune_hours
DELETE FROM hook_hour WHERE hour_ms < :before

-- name: missed_events
-- Events that the log has told, and that no delivery brought: how many, and when the first of them happened.
-- Of very many, only that: this is asked all the time.
SELECT count(*), min(published_ms) FROM (
  SELECT published_ms FROM event
  WHERE for_hook = 1 AND hook_arrivals = 0 AND published_ms > :since AND published_ms <= :until
  ORDER BY published_ms LIMIT 10000)

-- name: audit
-- Every event since a moment, by what became of it. `open`: one of its users has not been read since.
SELECT type, for_hook, hook_arrivals > 0, log_arrivals > 0, outcome, count(*),
  sum(CASE WHEN EXISTS (SELECT 1 FROM event_subject JOIN subject
    ON subject.org = event_subject.org AND subject.kind = event_subject.kind AND subject.id = event_subject.id
    WHERE event_subject.event_seq = event.seq) THEN 1 ELSE 0 END)
FROM event
WHERE received_ms >= :since AND coalesce(published_ms, received_ms) >= :since
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1

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

-- name: first_event
SELECT min(received_ms) FROM event WHERE org || '' = :org   -- by the index of age

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
  AND event.type IN ('user.lifecycle.deactivate', 'user.lifecycle.delete.initiated', 'user.lifecycle.delete.completed',
                     'system.import.user.delete')
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
  hidden = 0,
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
UPDATE subject SET state = 'parked', attempts = attempts + 1, error = :error, hidden = :hidden,
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

-- name: count_subjects
SELECT state, count(*) FROM subject WHERE org = :org GROUP BY state

-- name: list_parked_subjects
SELECT id, attempts, error, failed_ms, tried_ms, hidden FROM subject
WHERE org = :org AND state = 'parked' ORDER BY id LIMIT :limit

-- name: unpark_subjects
UPDATE subject SET state = 'due', attempts = 0, due_ms = :now, error = NULL, hidden = 0, failed_ms = NULL
WHERE org = :org AND state = 'parked'
  AND (:reason IS NULL OR error LIKE '%' || :reason || '%')
  AND (:since IS NULL OR failed_ms >= :since)

-- name: find_user
SELECT version, digest, body, last_updated_ms, deleted_ms FROM "user" WHERE org = :org AND id = :id

-- name: find_digest
SELECT version, digest, last_updated_ms, deleted_ms FROM "user" WHERE org = :org AND id = :id

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
-- The target shall hold this version. A parked or held link gets its next chance: the user is another one now.
INSERT INTO link (org, target, user_id, wanted, wanted_level, done, state, attempts, due_ms, waiting_ms)
VALUES (:org, :target, :user_id, :version, :level, 0, 'pending', 0, :now, :waiting_ms)
ON CONFLICT (org, target, user_id) DO UPDATE SET
  wanted = excluded.wanted, wanted_level = excluded.wanted_level, state = 'pending', attempts = 0,
  due_ms = excluded.due_ms, error = NULL, failed_ms = NULL, held_ms = NULL,
  waiting_ms = coalesce(link.waiting_ms, excluded.waiting_ms)

-- name: want_all_links
-- A target that is new, or was away: it shall hold everybody.
INSERT INTO link (org, target, user_id, wanted, wanted_level, done, state, attempts, due_ms)
SELECT org, :target, id, version,
  CASE WHEN deleted_ms IS NOT NULL THEN 2 WHEN status = 'DEPROVISIONED' THEN 1 ELSE 0 END,
  0, 'pending', 0, :now FROM "user" WHERE org = :org
ON CONFLICT (org, target, user_id) DO UPDATE SET
  wanted = excluded.wanted, wanted_level = excluded.wanted_level, state = 'pending', attempts = 0,
  due_ms = excluded.due_ms, error = NULL, failed_ms = NULL, held_ms = NULL
WHERE link.wanted < excluded.wanted

-- name: pending_links
SELECT link.user_id, link.wanted, link.due_ms, link.attempts, link.remote_id, link.waiting_ms,
       "user".body, "user".version, "user".deleted_ms
FROM link JOIN "user" ON "user".org = link.org AND "user".id = link.user_id
WHERE link.org = :org AND link.target = :target AND link.state = 'pending' AND link.due_ms <= :now
ORDER BY link.due_ms LIMIT :limit

-- name: count_removals
-- What waits to be removed from a target without a person's approval.
SELECT count(*) FROM link
WHERE target = :target AND state = 'pending' AND wanted_level > level
  AND org = :org AND (approved IS NULL OR approved <> wanted)

-- name: count_removed
-- What was removed lately without one.
SELECT count(*) FROM link WHERE target = :target AND org = :org AND removed_ms >= :since

-- name: count_held
SELECT count(*), max(held_ms) FROM link WHERE org = :org AND target = :target AND state = 'held'

-- name: count_in_service
SELECT count(*) FROM link WHERE org = :org AND target = :target AND level = 0

-- name: hold_removals
UPDATE link SET state = 'held', held_ms = :now
WHERE target = :target AND state = 'pending' AND wanted_level > level
  AND org = :org AND (approved IS NULL OR approved <> wanted)

-- name: any_held
SELECT 1 FROM link WHERE org = :org AND state = 'held' LIMIT 1

-- name: list_held
SELECT link.target, link.user_id, link.wanted, link.held_ms, "user".body
FROM link JOIN "user" ON "user".org = link.org AND "user".id = link.user_id
WHERE link.org = :org AND link.state = 'held' ORDER BY link.target, link.user_id

-- name: approve_held
UPDATE link SET state = 'pending', approved = wanted, held_ms = NULL, due_ms = :now
WHERE org = :org AND target = :target AND state = 'held'

-- name: reject_held
UPDATE link SET state = 'parked', held_ms = NULL, error = :error, failed_ms = :now, tried_ms = :now
WHERE org = :org AND target = :target AND state = 'held'

-- name: link_delivered
-- Not done when more was wanted meanwhile, or when somebody has ordered a replay, which shows in due_ms.
UPDATE link SET
  done = :version, remote_id = coalesce(:remote_id, remote_id), attempts = 0, error = NULL, done_ms = :now,
  state = CASE WHEN wanted = :version AND due_ms = :due_ms THEN 'ok' ELSE 'pending' END,
  removed_ms = CASE WHEN :level > level AND (approved IS NULL OR approved <> :version) THEN :now ELSE removed_ms END,
  level = :level, lag_ms = :lag_ms, waiting_ms = NULL, failed_ms = NULL, tried_ms = NULL
WHERE org = :org AND target = :target AND user_id = :user_id

-- name: link_postponed
UPDATE link SET attempts = attempts + 1, due_ms = :due_ms, error = :error,
  failed_ms = coalesce(failed_ms, :now), tried_ms = :now
WHERE org = :org AND target = :target AND user_id = :user_id AND wanted = :version

-- name: link_parked
UPDATE link SET state = 'parked', attempts = attempts + 1, error = :error,
  failed_ms = coalesce(failed_ms, :now), tried_ms = :now
WHERE org = :org AND target = :target AND user_id = :user_id AND wanted = :version

-- name: wake_links
UPDATE link SET due_ms = :now WHERE state = 'pending' AND due_ms > :later

-- name: count_links
SELECT state, count(*) FROM link WHERE org = :org AND target = :target GROUP BY state

-- name: count_pending
SELECT count(*) FROM link WHERE org = :org AND target = :target AND state = 'pending'

-- name: list_parked_links
SELECT target, user_id, attempts, error, failed_ms, tried_ms FROM link
WHERE org = :org AND state = 'parked' ORDER BY target, user_id LIMIT :limit

-- name: replay_links
-- Have the target hold them anew, whatever it said it holds.
UPDATE link SET done = 0, state = 'pending', attempts = 0, due_ms = :now, error = NULL, failed_ms = NULL, held_ms = NULL
WHERE org = :org
  AND (:target IS NULL OR target = :target)
  AND (:user_id IS NULL OR user_id = :user_id)
  AND (:parked = 0 OR state = 'parked')
  AND (:reason IS NULL OR error LIKE '%' || :reason || '%')
  AND (:since IS NULL OR failed_ms >= :since)

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
SELECT max(started_ms) FROM sweep WHERE org = :org AND phase = 'done'

-- name: begin_sweep
UPDATE sweep SET phase = 'reading', place = :place, started_ms = :now, phase_ms = :now, known = :known, listed = 0,
  calls = 0, report = NULL, error = NULL
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

-- name: forget_seen
DELETE FROM seen WHERE org = :org AND target = :target

-- name: count_seen
SELECT count(*) FROM seen WHERE org = :org AND target = :target

-- name: count_living
SELECT count(*) FROM "user" WHERE org = :org AND deleted_ms IS NULL

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
SELECT org, 'user', id, 'due', :now, 1, 0, 0, :accepted FROM seen WHERE org = :org AND target = '?'
ON CONFLICT (org, kind, id) DO UPDATE SET
  generation = subject.generation + 1, accepted = excluded.accepted, hidden = 0, attempts = 0,
  state = CASE WHEN subject.state = 'claimed' THEN 'claimed' ELSE 'due' END

-- name: count_unconfirmed
SELECT count(*) FROM seen
JOIN subject ON subject.org = seen.org AND subject.kind = 'user' AND subject.id = seen.id
WHERE seen.org = :org AND seen.target = '?' AND subject.state IN ('due', 'claimed')

-- name: count_not_found
-- Of those who were asked for: whom Okta does not find, without having told of a departure.
SELECT count(*) FROM seen
JOIN subject ON subject.org = seen.org AND subject.kind = 'user' AND subject.id = seen.id
WHERE seen.org = :org AND seen.target = '?' AND subject.state = 'parked' AND subject.hidden = 1

-- name: forgive_hidden
-- Okta shows them again.
DELETE FROM subject WHERE org = :org AND state = 'parked' AND hidden = 1
  AND id IN (SELECT id FROM seen WHERE org = :org AND target = '')

-- name: proof
-- Every user whom the directory holds alive, with what Okta's list said of them, and whether Okta does not find them.
SELECT "user".id, seen.digest, seen.version, "user".digest, "user".version, subject.hidden
FROM "user" LEFT JOIN seen ON seen.org = "user".org AND seen.target = '' AND seen.id = "user".id
LEFT JOIN subject ON subject.org = "user".org AND subject.kind = 'user' AND subject.id = "user".id
  AND subject.state = 'parked'
WHERE "user".org = :org AND "user".deleted_ms IS NULL

-- name: find_linked
-- A user as the directory holds them, and how far a target is.
SELECT "user".id, "user".version, "user".digest, "user".body, "user".deleted_ms, link.state, link.done, link.done_ms
FROM "user" LEFT JOIN link ON link.org = "user".org AND link.user_id = "user".id AND link.target = :target
WHERE "user".org = :org AND "user".id = :id

-- name: unseen_links
-- Users who should be in a target and whom its snapshot did not have.
SELECT "user".id, "user".version, "user".digest, "user".body, "user".deleted_ms, link.state, link.done, link.done_ms
FROM link JOIN "user" ON "user".org = link.org AND "user".id = link.user_id
LEFT JOIN seen ON seen.org = link.org AND seen.target = link.target AND seen.id = link.user_id
WHERE link.org = :org AND link.target = :target AND link.user_id > :after AND seen.id IS NULL
ORDER BY link.user_id LIMIT :limit

-- name: mend_link
-- What the target really holds is in service, whatever was delivered: to remove it is a removal, which may be held.
UPDATE link SET done = 0, state = 'pending', attempts = 0, due_ms = :now, error = NULL,
  level = CASE WHEN wanted_level > 0 THEN 0 ELSE level END
WHERE org = :org AND target = :target AND user_id = :user_id

-- name: claim_surplus
-- A row of a user whom nobody knows: if Okta does not either, its removal counts as one.
INSERT INTO link (org, target, user_id, wanted, wanted_level, level, done, state, attempts, due_ms)
VALUES (:org, :target, :user_id, 0, 0, 0, 0, 'ok', 0, :now)
ON CONFLICT (org, target, user_id) DO NOTHING

-- name: add_finding
INSERT INTO finding (sweep, target, user_id, kind, fields) VALUES (:sweep, :target, :user_id, :kind, :fields)

-- name: list_findings
SELECT target, user_id, kind, fields FROM finding WHERE sweep = :sweep ORDER BY target, kind, user_id

-- name: forget_findings
DELETE FROM finding WHERE sweep = :sweep AND (:target IS NULL OR target = :target)

-- name: accept_absence
-- Whom Okta does not find is gone, and no event has to say so.
UPDATE subject SET accepted = 1 WHERE org = :org AND kind = 'user' AND id = :id

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

-- name: blank_user
-- A tombstone without a profile. Its version stays: no target has to do anything.
UPDATE "user" SET body = :body, digest = :digest WHERE org = :org AND id = :id AND deleted_ms IS NOT NULL

-- name: forget_subject
DELETE FROM subject WHERE org = :org AND kind = 'user' AND id = :id

-- name: forget_findings_of
DELETE FROM finding WHERE user_id = :user_id
