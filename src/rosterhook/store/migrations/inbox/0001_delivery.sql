-- The append-only log of raw deliveries. AUTOINCREMENT: a sequence number that was pruned must never come
-- again, or the reader's offset would skip it. No UNIQUE index: nothing is compared on the way in.
CREATE TABLE delivery (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  received_ms INTEGER NOT NULL,
  headers TEXT NOT NULL,
  fault TEXT,
  body BLOB NOT NULL
);

-- What is written, and removed again, to find out whether the disk still takes anything.
CREATE TABLE probe (padding BLOB NOT NULL);
