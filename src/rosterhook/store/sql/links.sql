-- What each target holds of each user, and shall hold. In the SQL that SQLite >= 3.35 and PostgreSQL share.

-- name: want_link
-- The target shall hold this version. A parked link gets its next chance: the user is another one now. What waits for a
-- person goes on waiting, unless the user is in service again.
INSERT INTO link (org, target, user_id, wanted, wanted_level, done, state, attempts, due_ms, waiting_ms)
VALUES (:org, :target, :user_id, :version, :level, 0, 'pending', 0, :now, :waiting_ms)
ON CONFLICT (org, target, user_id) DO UPDATE SET
  state = CASE
    WHEN excluded.wanted_level = 0 THEN 'pending'
    WHEN link.state = 'held' OR link.stranger = 1 THEN 'held'
    WHEN link.state = 'rejected' THEN CASE WHEN excluded.wanted_level > link.wanted_level THEN 'held' ELSE 'rejected' END
    ELSE 'pending' END,
  held_ms = CASE WHEN excluded.wanted_level > 0 AND (link.state IN ('held', 'rejected') OR link.stranger = 1)
                 THEN coalesce(link.held_ms, excluded.due_ms) END,
  stranger = CASE WHEN excluded.wanted_level = 0 THEN 0 ELSE link.stranger END,
  error = CASE WHEN link.state = 'rejected' AND excluded.wanted_level > 0
                AND excluded.wanted_level <= link.wanted_level THEN link.error END,
  wanted = excluded.wanted, wanted_level = excluded.wanted_level, attempts = 0,
  due_ms = excluded.due_ms, failed_ms = NULL,
  waiting_ms = coalesce(link.waiting_ms, excluded.waiting_ms)

-- name: want_all_links
-- A target that is new, or was away: it shall hold everybody.
INSERT INTO link (org, target, user_id, wanted, wanted_level, done, state, attempts, due_ms)
SELECT org, :target, id, version,
  CASE WHEN deleted_ms IS NOT NULL THEN 3 WHEN status = 'DEPROVISIONED' THEN 2 WHEN status = 'SUSPENDED' THEN 1 ELSE 0 END,
  0, 'pending', 0, :now FROM "user" WHERE org = :org
ON CONFLICT (org, target, user_id) DO UPDATE SET
  state = CASE
    WHEN excluded.wanted_level = 0 THEN 'pending'
    WHEN link.state = 'held' OR link.stranger = 1 THEN 'held'
    WHEN link.state = 'rejected' THEN CASE WHEN excluded.wanted_level > link.wanted_level THEN 'held' ELSE 'rejected' END
    ELSE 'pending' END,
  held_ms = CASE WHEN excluded.wanted_level > 0 AND (link.state IN ('held', 'rejected') OR link.stranger = 1)
                 THEN coalesce(link.held_ms, excluded.due_ms) END,
  stranger = CASE WHEN excluded.wanted_level = 0 THEN 0 ELSE link.stranger END,
  error = CASE WHEN link.state = 'rejected' AND excluded.wanted_level > 0
                AND excluded.wanted_level <= link.wanted_level THEN link.error END,
  wanted = excluded.wanted, wanted_level = excluded.wanted_level, attempts = 0,
  due_ms = excluded.due_ms, failed_ms = NULL
WHERE link.wanted < excluded.wanted

-- name: pending_links
SELECT link.user_id, link.wanted, link.due_ms, link.attempts, link.remote_id, link.waiting_ms,
       "user".body, "user".version, "user".deleted_ms
FROM link JOIN "user" ON "user".org = link.org AND "user".id = link.user_id
WHERE link.org = :org AND link.target = :target AND link.state = 'pending' AND link.due_ms <= :now
ORDER BY link.due_ms LIMIT :limit

-- name: count_removals
-- What waits to be removed from a target without a person's approval.
-- In two parts: where the target held nothing before, a first load of very many deactivated users is not counted
-- through.
SELECT
  (SELECT count(*) FROM link
   WHERE org = :org AND target = :target AND state = 'pending' AND wanted_level > 0 AND level < 3
     AND CASE wanted_level WHEN 1 THEN :suspended WHEN 2 THEN :deactivated WHEN 3 THEN :deleted ELSE 0 END > level
     AND (approved IS NULL OR approved <> wanted))
  + CASE WHEN :before >= 3 THEN 0 ELSE
  (SELECT count(*) FROM link
   WHERE org = :org AND target = :target AND state = 'pending' AND wanted_level > 0 AND level IS NULL
     AND CASE wanted_level WHEN 1 THEN :suspended WHEN 2 THEN :deactivated WHEN 3 THEN :deleted ELSE 0 END > :before
     AND (approved IS NULL OR approved <> wanted)) END

-- name: count_removed
-- What was removed lately without one.
SELECT count(*) FROM link WHERE org = :org AND target = :target AND removed_ms >= :since AND removed_ms <= :now

-- name: count_held
-- The batch that waits, and when the first of it began to.
SELECT count(*), min(held_ms) FROM link WHERE org = :org AND target = :target AND state = 'held'

-- name: count_in_service
SELECT count(*) FROM link WHERE org = :org AND target = :target AND level = 0

-- name: hold_removals
UPDATE link SET state = 'held', held_ms = :now
WHERE org = :org AND target = :target AND state = 'pending' AND wanted_level > 0
  AND CASE wanted_level WHEN 1 THEN :suspended WHEN 2 THEN :deactivated WHEN 3 THEN :deleted ELSE 0 END > coalesce(level, :before)
  AND (approved IS NULL OR approved <> wanted)

-- name: release_held
-- A target that is configured no more removes nobody. If it comes back, all is counted anew.
UPDATE link SET state = 'pending', held_ms = NULL WHERE org = :org AND target = :target AND state = 'held'

-- name: held_targets
SELECT DISTINCT target FROM link WHERE org = :org AND state = 'held'

-- name: any_held
SELECT 1 FROM link WHERE org = :org AND state = 'held' LIMIT 1

-- name: list_held
SELECT link.target, link.user_id, link.wanted, link.held_ms, "user".body
FROM link JOIN "user" ON "user".org = link.org AND "user".id = link.user_id
WHERE link.org = :org AND link.state = 'held' ORDER BY link.target, link.user_id

-- name: approve_held
UPDATE link SET state = 'pending', approved = wanted, held_ms = NULL, stranger = 0, due_ms = :now
WHERE org = :org AND target = :target AND state = 'held'

-- name: reject_held
UPDATE link SET state = 'rejected', held_ms = NULL, error = :error, failed_ms = :now, tried_ms = :now
WHERE org = :org AND target = :target AND state = 'held'

-- name: link_delivered
-- Not done when more was wanted meanwhile, or when somebody has ordered a replay, which shows in due_ms.
WITH did (org, target, user_id, version, due_ms, remote_id, lag_ms, level, before, now) AS (
  VALUES (:org, :target, :user_id, :version, :due_ms, :remote_id, :lag_ms, :level, :before, :now))
UPDATE link SET
  done = did.version, remote_id = coalesce(did.remote_id, link.remote_id), attempts = 0, error = NULL,
  done_ms = did.now,
  state = CASE WHEN wanted = did.version AND link.due_ms = did.due_ms THEN 'ok' ELSE 'pending' END,
  removed_ms = CASE WHEN did.level > coalesce(link.level, did.before) AND (approved IS NULL OR approved <> did.version)
                    THEN did.now ELSE removed_ms END,
  approved = NULL, level = did.level, lag_ms = did.lag_ms, waiting_ms = NULL, failed_ms = NULL, tried_ms = NULL
FROM did WHERE link.org = did.org AND link.target = did.target AND link.user_id = did.user_id

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
WHERE org = :org AND state IN ('parked', 'rejected') ORDER BY target, user_id LIMIT :limit

-- name: replay_links
-- Have the target hold them anew, whatever it said it holds. What waits for a person, or was rejected, only by name.
UPDATE link SET done = 0, state = 'pending', attempts = 0, due_ms = :now, error = NULL, failed_ms = NULL, held_ms = NULL
WHERE org = :org
  AND (:target IS NULL OR target = :target)
  AND (user_id = :user_id OR (:user_id IS NULL AND state NOT IN ('held', 'rejected')))
  AND (:parked = 0 OR state = 'parked')
  AND (:reason IS NULL OR error LIKE '%' || :reason || '%' ESCAPE '\')
  AND (:since IS NULL OR failed_ms >= :since)

-- name: recent_lags
SELECT lag_ms FROM link WHERE lag_ms IS NOT NULL ORDER BY done_ms DESC LIMIT 1000

-- name: find_linked
-- Users as the directory holds them, and how far a target is.
WITH asked (org, target, id) AS (VALUES (:org, :target, :id))
SELECT "user".id, "user".version, "user".digest, "user".body, "user".deleted_ms, link.state, link.done, link.done_ms
FROM asked JOIN "user" ON "user".org = asked.org AND "user".id = asked.id
LEFT JOIN link ON link.org = asked.org AND link.target = asked.target AND link.user_id = asked.id

-- name: unseen_links
-- Users who should be in a target and whom its snapshot did not have.
SELECT "user".id, "user".version, "user".digest, "user".body, "user".deleted_ms, link.state, link.done, link.done_ms
FROM link JOIN "user" ON "user".org = link.org AND "user".id = link.user_id
LEFT JOIN seen ON seen.org = link.org AND seen.target = link.target AND seen.id = link.user_id
WHERE link.org = :org AND link.target = :target AND link.user_id > :after AND seen.id IS NULL
ORDER BY link.user_id LIMIT :limit

-- name: mend_link
-- Where the target shows somebody in service who shall not be (:shown), to mend that is a removal, which may be held.
UPDATE link SET done = 0, state = 'pending', attempts = 0, due_ms = :now, error = NULL,
  level = CASE WHEN :shown THEN 0 ELSE level END
WHERE org = :org AND target = :target AND user_id = :user_id AND state NOT IN ('parked', 'held', 'rejected')

-- name: claim_stranger
-- A row of a user whom nobody else knows.
INSERT INTO link (org, target, user_id, wanted, wanted_level, level, done, state, attempts, due_ms, stranger)
VALUES (:org, :target, :user_id, 0, 0, 0, 0, 'ok', 0, :now, 1)
ON CONFLICT (org, target, user_id) DO NOTHING

-- name: any_link
SELECT 1 FROM link WHERE org = :org AND target = :target LIMIT 1
