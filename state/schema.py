"""The tables. Migrations are append-only: a published one is never edited.

Times are Unix seconds (REAL) in the journal and Unix milliseconds (INTEGER) in the ledger. Money
is nano-dollars: an interval charges `ms * nano_per_hour / 3_600_000` nano-dollars, which is kept
exactly as a whole part and a rest, so that sums are exact in any order.
"""

from __future__ import annotations

APPLICATION_ID = 0x706F6463  # "podc"

_OWNER = (
    """
    CREATE TABLE owner (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch INTEGER NOT NULL,
        installation TEXT NOT NULL
    ) STRICT
    """,
    # Epoch 0 stays free: it is what a reader carries, and it never matches.
    "INSERT INTO owner VALUES (1, 1, :installation)",
    """
    CREATE TRIGGER owner_grows BEFORE UPDATE ON owner
    WHEN NEW.epoch <= OLD.epoch OR NEW.installation IS NOT OLD.installation
    BEGIN SELECT RAISE(ABORT, 'the epoch only grows'); END
    """,
    """
    CREATE TRIGGER owner_stays BEFORE DELETE ON owner
    BEGIN SELECT RAISE(ABORT, 'the owner row stays'); END
    """,
)

_JOURNAL = (
    """
    CREATE TABLE lease (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        at REAL NOT NULL,
        data TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        closed_at REAL,
        outcome TEXT,
        CHECK ((closed_at IS NULL) = (outcome IS NULL))
    ) STRICT
    """,
    """
    CREATE TABLE run (
        id TEXT PRIMARY KEY,
        stage TEXT NOT NULL,
        number INTEGER NOT NULL,
        lease TEXT NOT NULL REFERENCES lease (id),
        at REAL NOT NULL,
        spec TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        finished_at REAL,
        outcome TEXT,
        result TEXT,
        UNIQUE (stage, number),
        CHECK ((finished_at IS NULL) = (outcome IS NULL))
    ) STRICT
    """,
    """
    CREATE TABLE op (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        lease TEXT NOT NULL REFERENCES lease (id),
        run TEXT REFERENCES run (id),
        step TEXT NOT NULL,
        phase TEXT NOT NULL CHECK (phase IN ('intent', 'done', 'fail', 'note')),
        of INTEGER REFERENCES op (seq),
        data TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        CHECK ((of IS NOT NULL) = (phase IN ('done', 'fail')))
    ) STRICT
    """,
    "CREATE INDEX op_lease ON op (lease, seq)",
    # An intent has one outcome at most.
    "CREATE UNIQUE INDEX op_settled ON op (of) WHERE of IS NOT NULL",
    "CREATE INDEX lease_open ON lease (number) WHERE closed_at IS NULL",
    "CREATE INDEX run_open ON run (at) WHERE finished_at IS NULL",
    """
    CREATE TRIGGER op_no_update BEFORE UPDATE ON op
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
    """,
    """
    CREATE TRIGGER op_no_delete BEFORE DELETE ON op
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
    """,
    """
    CREATE TRIGGER lease_fixed BEFORE UPDATE ON lease
    WHEN OLD.closed_at IS NOT NULL OR NEW.closed_at IS NULL OR NEW.number IS NOT OLD.number
        OR NEW.id IS NOT OLD.id OR NEW.at IS NOT OLD.at OR NEW.data IS NOT OLD.data
        OR NEW.epoch IS NOT OLD.epoch
    BEGIN SELECT RAISE(ABORT, 'a lease is only ever closed, once'); END
    """,
    """
    CREATE TRIGGER lease_no_delete BEFORE DELETE ON lease
    BEGIN SELECT RAISE(ABORT, 'a lease is never deleted'); END
    """,
    """
    CREATE TRIGGER run_fixed BEFORE UPDATE ON run
    WHEN OLD.finished_at IS NOT NULL OR NEW.finished_at IS NULL OR NEW.id IS NOT OLD.id
        OR NEW.stage IS NOT OLD.stage OR NEW.number IS NOT OLD.number
        OR NEW.lease IS NOT OLD.lease OR NEW.at IS NOT OLD.at OR NEW.spec IS NOT OLD.spec
        OR NEW.epoch IS NOT OLD.epoch
    BEGIN SELECT RAISE(ABORT, 'a run is only ever finished, once'); END
    """,
    """
    CREATE TRIGGER run_no_delete BEFORE DELETE ON run
    BEGIN SELECT RAISE(ABORT, 'a run is never deleted'); END
    """,
)

_LEDGER = (
    """
    CREATE TABLE interval (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        pod_id TEXT NOT NULL,
        lease TEXT NOT NULL,
        run TEXT,
        stage TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('compute', 'disk', 'parked-disk', 'network-volume')),
        nano_per_hour INTEGER NOT NULL CHECK (nano_per_hour BETWEEN 0 AND 1000000000000),
        rate_source TEXT NOT NULL CHECK (rate_source IN ('offer', 'provider', 'list-price')),
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER CHECK (ended_ms >= started_ms),
        end_source TEXT,
        CHECK ((ended_ms IS NULL) = (end_source IS NULL))
    ) STRICT
    """,
    # A pod bills one rate of a kind at a time.
    "CREATE UNIQUE INDEX interval_open ON interval (pod_id, kind) WHERE ended_ms IS NULL",
    "CREATE INDEX interval_pod ON interval (pod_id)",
    "CREATE INDEX interval_run ON interval (run) WHERE run IS NOT NULL",
    # Sums of the closed intervals, kept by triggers: reading them does not grow with the ledger.
    """
    CREATE TABLE total (
        scope TEXT NOT NULL CHECK (scope IN ('stage', 'pod', 'run')),
        subject TEXT NOT NULL,
        stage TEXT NOT NULL,
        kind TEXT NOT NULL,
        ms INTEGER NOT NULL,
        nano INTEGER NOT NULL,
        rest INTEGER NOT NULL,
        PRIMARY KEY (scope, subject, stage, kind)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER interval_fixed BEFORE UPDATE ON interval
    WHEN OLD.ended_ms IS NOT NULL OR NEW.ended_ms IS NULL OR NEW.id IS NOT OLD.id
        OR NEW.pod_id IS NOT OLD.pod_id OR NEW.lease IS NOT OLD.lease OR NEW.run IS NOT OLD.run
        OR NEW.stage IS NOT OLD.stage OR NEW.kind IS NOT OLD.kind
        OR NEW.nano_per_hour IS NOT OLD.nano_per_hour
        OR NEW.rate_source IS NOT OLD.rate_source OR NEW.started_ms IS NOT OLD.started_ms
    BEGIN SELECT RAISE(ABORT, 'an interval is only ever closed, once'); END
    """,
    """
    CREATE TRIGGER interval_no_delete BEFORE DELETE ON interval
    BEGIN SELECT RAISE(ABORT, 'an interval is never deleted'); END
    """,
)


def _adds_to_totals(event: str) -> tuple[str, ...]:
    """Triggers that add a closed interval to the sums of its stage, its pod and its run."""
    sums = """
        NEW.stage, NEW.kind, NEW.ended_ms - NEW.started_ms,
        (NEW.ended_ms - NEW.started_ms) / 3600000 * NEW.nano_per_hour
            + (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour / 3600000,
        (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour % 3600000
    """
    subjects = {"stage": "NEW.stage", "pod": "NEW.pod_id", "run": "NEW.run"}
    return tuple(
        f"""
        CREATE TRIGGER interval_{event}_{scope} AFTER {event} ON interval
        WHEN NEW.ended_ms IS NOT NULL AND {subject} IS NOT NULL
        BEGIN
            INSERT INTO total VALUES ('{scope}', {subject}, {sums})
            ON CONFLICT (scope, subject, stage, kind) DO UPDATE SET
                ms = ms + excluded.ms, nano = nano + excluded.nano, rest = rest + excluded.rest;
        END
        """  # noqa: S608 - every part is a constant of this function
        for scope, subject in subjects.items()
    )


_LOCKS = (
    """
    CREATE TABLE stage_lock (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        stage TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('locked', 'unlocked')),
        run TEXT,
        certificate TEXT NOT NULL,
        reason TEXT NOT NULL,
        epoch INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX stage_lock_stage ON stage_lock (stage, seq)",
    """
    CREATE TRIGGER stage_lock_turns BEFORE INSERT ON stage_lock
    WHEN NEW.kind = coalesce(
        (SELECT kind FROM stage_lock WHERE stage = NEW.stage ORDER BY seq DESC LIMIT 1),
        'unlocked')
    BEGIN SELECT RAISE(ABORT, 'a stage is locked once and unlocked once in turn'); END
    """,
    """
    CREATE TRIGGER stage_lock_no_update BEFORE UPDATE ON stage_lock
    BEGIN SELECT RAISE(ABORT, 'a lock is never changed'); END
    """,
    """
    CREATE TRIGGER stage_lock_no_delete BEFORE DELETE ON stage_lock
    BEGIN SELECT RAISE(ABORT, 'a lock is never deleted'); END
    """,
)

_SIGHTINGS = (
    """
    CREATE TABLE sighting (
        subject TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        at REAL NOT NULL,
        data TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)

# What is asked of a project with thousands of runs, without reading them.
_LONG_PAST = (
    "CREATE INDEX run_lease ON run (lease)",
    "CREATE INDEX lease_closed ON lease (closed_at)",
    # Whose a pod is: by the nonce in `data`, which this index holds as well.
    "CREATE INDEX op_generation ON op (lease, data) WHERE step = 'generation'",
    "CREATE INDEX op_create ON op (lease) WHERE step = 'create' AND phase = 'intent'",
)

# Each migration is a tuple of single statements; its number is its place, from 1.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        *_OWNER,
        *_JOURNAL,
        *_LEDGER,
        *_adds_to_totals("INSERT"),
        *_adds_to_totals("UPDATE"),
        *_LOCKS,
        *_SIGHTINGS,
    ),
    _LONG_PAST,
)
