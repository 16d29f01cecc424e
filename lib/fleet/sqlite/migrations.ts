/**
 * The schema, one step a version; `PRAGMA user_version` counts the steps taken. A step that was
 * released is never edited: a later one changes what it made.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE edges (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    access_key TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'offline' CHECK (status IN ('online', 'offline')),
    address TEXT,
    agent_version TEXT NOT NULL DEFAULT '',
    hostname TEXT NOT NULL DEFAULT '',
    os TEXT NOT NULL DEFAULT '',
    arch TEXT NOT NULL DEFAULT '',
    host_info TEXT,
    last_seen_at INTEGER,
    last_registered_at INTEGER,
    upgrade_report TEXT NOT NULL DEFAULT '',
    upgrade_version TEXT NOT NULL DEFAULT '',
    upgrade_state TEXT NOT NULL DEFAULT '',
    upgrade_reason TEXT NOT NULL DEFAULT '',
    upgrade_at INTEGER
  ) STRICT;

  CREATE TABLE rollouts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target_version TEXT NOT NULL,
    state TEXT NOT NULL,
    force INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    verify_ms INTEGER NOT NULL,
    total INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
  ) STRICT;

  CREATE TABLE pushes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rollout_id INTEGER REFERENCES rollouts (id) ON DELETE CASCADE,
    edge_id INTEGER NOT NULL REFERENCES edges (id) ON DELETE CASCADE,
    edge_name TEXT NOT NULL,
    from_version TEXT NOT NULL,
    target_version TEXT NOT NULL,
    arch TEXT NOT NULL DEFAULT '',
    file TEXT NOT NULL DEFAULT '',
    sha256 TEXT NOT NULL DEFAULT '',
    phase TEXT NOT NULL,
    code TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    phases TEXT NOT NULL,
    asks INTEGER NOT NULL DEFAULT 0,
    probes INTEGER NOT NULL DEFAULT 0,
    apply_sent_at INTEGER,
    apply_accepted INTEGER NOT NULL DEFAULT 0,
    baseline_report TEXT NOT NULL DEFAULT '',
    fetch_deadline_at INTEGER,
    deadline_at INTEGER,
    observed_version TEXT NOT NULL DEFAULT '',
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
  ) STRICT;

  -- Never two upgrades in flight on one edge, whatever the program believes.
  CREATE UNIQUE INDEX pushes_in_flight ON pushes (edge_id)
    WHERE phase IN ('fetching', 'staged', 'restarting');
  CREATE INDEX pushes_of_edge ON pushes (edge_id, id);
  CREATE INDEX pushes_of_rollout ON pushes (rollout_id, phase, id);

  CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    created_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE tokens (
    hash BLOB PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX tokens_by_expiry ON tokens (expires_at);
  `,
];
