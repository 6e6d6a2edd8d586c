-- What Okta's list said of a user stands in the user's own row. In a table of its own, with ids in no order, it was a
-- page of the file for each.
ALTER TABLE sweep ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;          -- whom it has met bears it; 0 before it begins
ALTER TABLE "user" ADD COLUMN listed_mark INTEGER NOT NULL DEFAULT 0;  -- of the sweep whose list had the user last
ALTER TABLE "user" ADD COLUMN listed_digest TEXT;      -- of the user as Okta listed them
ALTER TABLE "user" ADD COLUMN listed_version INTEGER;  -- of the directory's copy right after; NULL: that is another state
CREATE INDEX user_listed ON "user" (org, listed_mark);

UPDATE sweep SET mark = 1 WHERE finished_ms IS NULL AND started_ms IS NOT NULL;
UPDATE "user" SET listed_mark = 1, listed_digest = seen.digest, listed_version = seen.version
FROM seen WHERE seen.org = "user".org AND seen.target = '' AND seen.id = "user".id;
DELETE FROM seen WHERE target = '';
ALTER TABLE seen DROP COLUMN digest;
ALTER TABLE seen DROP COLUMN version;
