-- How far a reader has read the inbox; committed together with what it made of the deliveries.
CREATE TABLE "offset" (
  org TEXT NOT NULL,
  reader TEXT NOT NULL,
  seq INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,   -- of the delivery with this number: another inbox would have another there
  PRIMARY KEY (org, reader)
);

-- Where the System Log was read up to, and since when somebody waits for it to be read at once.
CREATE TABLE cursor (
  org TEXT NOT NULL,
  source TEXT NOT NULL,
  position TEXT,
  asked_ms INTEGER,
  PRIMARY KEY (org, source)
);

-- Deliveries that are no event hook, kept whole.
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY,
  org TEXT NOT NULL,
  delivery_seq INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  reason TEXT NOT NULL,
  headers TEXT NOT NULL,
  body BLOB NOT NULL
);

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  org TEXT NOT NULL,
  uuid TEXT NOT NULL,
  type TEXT NOT NULL,
  published_ms INTEGER,
  outcome TEXT NOT NULL,
  essence TEXT NOT NULL,
  source TEXT NOT NULL,
  hook_arrivals INTEGER NOT NULL,
  log_arrivals INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  problem TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (org, uuid)
);
CREATE INDEX event_by_age ON event (received_ms);

-- Whom an event names: the story of one user.
CREATE TABLE event_subject (
  org TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  event_seq INTEGER NOT NULL REFERENCES event (seq) ON DELETE CASCADE,
  PRIMARY KEY (org, kind, id, event_seq)
);
CREATE INDEX event_subject_by_event ON event_subject (event_seq);

-- Who must be read from Okta. One row for each user, however many events.
CREATE TABLE subject (
  org TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,            -- due | claimed | parked
  due_ms INTEGER NOT NULL,
  generation INTEGER NOT NULL,    -- +1 with every event: tells whether one came during a read
  attempts INTEGER NOT NULL,
  waiting_ms INTEGER,             -- `published` of the first event that still waits
  newest_ms INTEGER,              -- `published` of the last one
  fresh_ms INTEGER,               -- `published` of the last event that changed the user: a read must show it
  crowded INTEGER NOT NULL,       -- 1: two such events so close that `lastUpdated` cannot tell them apart
  error TEXT,
  PRIMARY KEY (org, kind, id)
);
CREATE INDEX subject_by_state ON subject (org, state);
CREATE INDEX subject_due ON subject (due_ms) WHERE state = 'due';

CREATE TABLE "user" (
  org TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  status TEXT NOT NULL,
  body TEXT NOT NULL,
  last_updated_ms INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  deleted_ms INTEGER,
  PRIMARY KEY (org, id)
);
CREATE INDEX user_by_status ON "user" (org, status);

-- What each target holds of each user, and what it should hold.
CREATE TABLE link (
  org TEXT NOT NULL,
  target TEXT NOT NULL,
  user_id TEXT NOT NULL,
  wanted INTEGER NOT NULL,
  done INTEGER NOT NULL,
  state TEXT NOT NULL,            -- ok | pending | parked
  attempts INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  remote_id TEXT,
  error TEXT,
  waiting_ms INTEGER,             -- `published` of the first event that is not yet delivered
  done_ms INTEGER,
  lag_ms INTEGER,                 -- event published -> written, of the last delivery
  PRIMARY KEY (org, target, user_id)
);
CREATE INDEX link_pending ON link (target, due_ms) WHERE state = 'pending';
CREATE INDEX link_by_state ON link (org, target, state);
CREATE INDEX link_by_done ON link (done_ms) WHERE lag_ms IS NOT NULL;

-- Running totals, so that `status` never counts a large table.
CREATE TABLE counter (
  org TEXT NOT NULL,
  name TEXT NOT NULL,
  total INTEGER NOT NULL,
  PRIMARY KEY (org, name)
);

-- Small facts that one process leaves for another, as JSON.
CREATE TABLE note (
  org TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (org, name)
);
