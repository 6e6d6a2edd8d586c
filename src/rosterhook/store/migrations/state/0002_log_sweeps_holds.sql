-- The follower: with which filter its place was begun, and when the log was last read to its end.
ALTER TABLE cursor ADD COLUMN types TEXT;
ALTER TABLE cursor ADD COLUMN polled_ms INTEGER;

-- 1: Okta was to send it to our hook. Those that never came are few.
ALTER TABLE event ADD COLUMN for_hook INTEGER NOT NULL DEFAULT 0;
CREATE INDEX event_missed ON event (published_ms) WHERE for_hook = 1 AND hook_arrivals = 0;

-- How many events Okta was to send to our hook, by the hour: it stops at so many a day.
CREATE TABLE hook_hour (
  org TEXT NOT NULL,
  hour_ms INTEGER NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (org, hour_ms)
);

ALTER TABLE subject ADD COLUMN failed_ms INTEGER;                    -- the first try that failed
ALTER TABLE subject ADD COLUMN tried_ms INTEGER;                     -- the last one
ALTER TABLE subject ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;    -- 1: gone without a word, so perhaps only hidden
ALTER TABLE subject ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;  -- 1: "not found" is true, a person says; 2: the target alone knew them

-- Someone erased at their own wish: nothing of theirs is stored again.
ALTER TABLE "user" ADD COLUMN forgotten_ms INTEGER;

-- What is wanted: 0 in service, 1 suspended, 2 deactivated, 3 gone. And what of it the target was made to show: 0 in
-- service, 1 deactivated, 2 gone, 3 without a row. NULL: nothing was delivered yet.
ALTER TABLE link ADD COLUMN wanted_level INTEGER NOT NULL DEFAULT 0;
ALTER TABLE link ADD COLUMN level INTEGER;
ALTER TABLE link ADD COLUMN removed_ms INTEGER;  -- when the level last grew without a person's approval
ALTER TABLE link ADD COLUMN held_ms INTEGER;     -- since when a removal waits for approval (state = 'held')
ALTER TABLE link ADD COLUMN approved INTEGER;    -- the version whose removal a person has approved
ALTER TABLE link ADD COLUMN stranger INTEGER NOT NULL DEFAULT 0;  -- 1: only the target knew them: removed by approval alone
ALTER TABLE link ADD COLUMN failed_ms INTEGER;
ALTER TABLE link ADD COLUMN tried_ms INTEGER;
UPDATE link SET level = 0 WHERE done > 0;
UPDATE link SET wanted_level = (
  SELECT CASE "user".status WHEN 'SUSPENDED' THEN 1 WHEN 'DEPROVISIONED' THEN 2 ELSE 3 END
  FROM "user" WHERE "user".org = link.org AND "user".id = link.user_id)
WHERE user_id IN (SELECT id FROM "user" WHERE status IN ('SUSPENDED', 'DEPROVISIONED', 'DELETED'));
UPDATE link SET level = wanted_level - 1 WHERE done = wanted AND wanted_level > 0;
UPDATE subject SET hidden = 1 WHERE state = 'parked' AND error LIKE 'Okta has no such user, but none of its events%';
CREATE INDEX link_held ON link (org, target, user_id) WHERE state = 'held';
CREATE INDEX link_out_of_service ON link (org, target, level) WHERE state = 'pending' AND wanted_level > 0;
CREATE INDEX link_in_service ON link (org, target) WHERE level = 0;
CREATE INDEX link_removed ON link (org, target, removed_ms) WHERE removed_ms IS NOT NULL;

-- A full read of Okta, with what follows it: asked, reading, confirming, filling, comparing, repairing, done, failed.
CREATE TABLE sweep (
  id INTEGER PRIMARY KEY,
  org TEXT NOT NULL,
  kind TEXT NOT NULL,             -- backfill | reconcile | changes
  reason TEXT NOT NULL,
  options TEXT NOT NULL,          -- JSON
  phase TEXT NOT NULL,
  place TEXT,                     -- of the next page, in Okta's own words
  listed INTEGER NOT NULL,        -- users that Okta's list had
  calls INTEGER NOT NULL,
  known INTEGER NOT NULL,         -- users whom the directory had at the start: about how many will come
  asked_ms INTEGER NOT NULL,
  started_ms INTEGER,
  phase_ms INTEGER,
  finished_ms INTEGER,
  error TEXT,
  report TEXT                     -- JSON
);
CREATE INDEX sweep_open ON sweep (org, id) WHERE finished_ms IS NULL;

-- Whom a sweep has met: in Okta's list (target = ''), and in each target.
CREATE TABLE seen (
  org TEXT NOT NULL,
  target TEXT NOT NULL,
  id TEXT NOT NULL,
  digest TEXT,                    -- of the user as Okta listed them
  version INTEGER,                -- of the directory's copy right after
  PRIMARY KEY (org, target, id)
) WITHOUT ROWID;

-- What a sweep found unequal; the first ones of each kind.
CREATE TABLE finding (
  sweep INTEGER NOT NULL REFERENCES sweep (id) ON DELETE CASCADE,
  target TEXT NOT NULL,           -- '' for Okta against the directory
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  fields TEXT NOT NULL            -- JSON: field to [held, wanted]
);
CREATE INDEX finding_by_sweep ON finding (sweep, target);
