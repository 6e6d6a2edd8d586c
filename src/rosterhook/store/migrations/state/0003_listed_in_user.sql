-- What Okta's list said of a user stands in the user's own row. In a table of its own, with ids in no order, it was a
-- page of the file for each.
ALTER TABLE "user" ADD COLUMN listed_in INTEGER NOT NULL DEFAULT 0;  -- the full read that met the user last; 0: none
ALTER TABLE "user" ADD COLUMN listed_digest TEXT;      -- of the user as Okta listed them
ALTER TABLE "user" ADD COLUMN listed_version INTEGER;  -- of the directory's copy right after; NULL: that is another state
CREATE INDEX user_listed ON "user" (org, listed_in);

UPDATE "user" SET listed_in = reading.id, listed_digest = seen.digest, listed_version = seen.version
FROM seen, (SELECT org, min(id) AS id FROM sweep WHERE finished_ms IS NULL GROUP BY org) AS reading
WHERE seen.org = "user".org AND seen.target = '' AND seen.id = "user".id AND reading.org = "user".org;
DELETE FROM seen WHERE target = '';
ALTER TABLE seen DROP COLUMN digest;
ALTER TABLE seen DROP COLUMN version;
