-- Events, by hook and by log. In the SQL that SQLite >= 3.35 and PostgreSQL share.

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
SELECT seq, essence, hook_arrivals FROM event WHERE org = :org AND uuid = :uuid

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
SELECT coalesce(sum(events), 0) FROM hook_hour WHERE org = :org AND hour_ms > :since AND hour_ms <= :now

-- name: prune_hours
DELETE FROM hook_hour WHERE hour_ms < :before

-- name: missed_events
-- Events that the log told before :until, and that no delivery brought: how many of each type, and when the first of
-- them happened. Of very many, only that: this is asked all the time.
SELECT type, count(*), min(published_ms) FROM (
  SELECT type, published_ms FROM event
  WHERE for_hook = 1 AND hook_arrivals = 0 AND published_ms > :since AND received_ms <= :until
  ORDER BY published_ms LIMIT 10000) AS missed
GROUP BY type

-- name: audit
-- Every event since a moment, by what became of it. `open`: one of its users has not been read since.
SELECT type, for_hook, hook_arrivals > 0, log_arrivals > 0, outcome, count(*),
  sum(CASE WHEN EXISTS (SELECT 1 FROM event_subject JOIN subject
    ON subject.org = event_subject.org AND subject.kind = event_subject.kind AND subject.id = event_subject.id
    WHERE event_subject.event_seq = event.seq
      AND (subject.waiting_ms IS NULL OR coalesce(event.published_ms, event.received_ms) >= subject.waiting_ms)) THEN 1 ELSE 0 END)
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

-- name: deletion_told
-- Whether an event has told that this user was deleted.
SELECT 1 FROM event_subject JOIN event ON event.seq = event_subject.event_seq
WHERE event_subject.org = :org AND event_subject.kind = 'user' AND event_subject.id = :id
  AND event.type IN ('user.lifecycle.delete.initiated', 'user.lifecycle.delete.completed', 'system.import.user.delete')
LIMIT 1

-- name: named_by_event
SELECT 1 FROM event_subject WHERE org = :org AND kind = 'user' AND id = :id LIMIT 1

-- name: prune_events
DELETE FROM event WHERE seq IN (
  SELECT seq FROM event WHERE received_ms < :before ORDER BY received_ms LIMIT 500)

-- name: name_subject
INSERT INTO event_subject (org, kind, id, event_seq) VALUES (:org, :kind, :id, :event_seq)
ON CONFLICT DO NOTHING
